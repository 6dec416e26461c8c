"""Writing below /nodes/{node}/qemu: machines that are created, changed, started and removed again."""

# ruff: noqa: TID252 - the package is `lab.cluster` here and `cluster` in its image

import hashlib
from typing import Any

from ..model import GIB
from ..provisioned import Machine
from . import guests
from .call import ApiError, Call
from .machine_config import PARAMETERS, apply, disks, required
from .stats import IDLE, Entry
from .tasks import begin

__all__ = ["PARAMETERS", "disks"]

CREATE = frozenset({"pool", "start", "vmid"})
# What only /cluster/resources says of a machine.
NOT_LISTED = frozenset({"id", "node", "type", "maxcpu", "pool"})


def made(call: Call) -> Machine | None:
    """The machine that the path names, if it was made through the API."""
    vmid = call.params["vmid"]
    machine = call.lab.provisioned.machines.get(int(vmid)) if vmid.isdigit() else None
    return machine if machine is not None and machine.node == call.params["node"] else None


def _written(call: Call) -> Machine:
    """The machine that the path names, for writing.

    Raises:
        ApiError: 500; the guests that the lab was built with stay as they are.
    """
    machine = made(call)
    if machine is None:
        node, vmid = call.params["node"], call.params["vmid"]
        raise ApiError(500, f"Configuration file 'nodes/{node}/qemu-server/{vmid}.conf' does not exist")
    return machine


async def create(call: Call) -> Any:
    """POST /nodes/{node}/qemu."""
    text = call.query.get("vmid", "")
    if not text.isdigit():
        raise ApiError(400, "Parameter verification failed.", {"vmid": "property is missing"})
    vmid, node = int(text), call.params["node"]
    call.need(f"/vms/{vmid}", "VM.Allocate")
    given = {key: value for key, value in call.query.items() if key not in CREATE}
    _check(call, vmid, given)
    if vmid in call.lab.provisioned.machines or vmid in call.lab.cluster.guest:
        raise ApiError(400, "Parameter verification failed.", {"vmid": f"VM {vmid} already exists"})
    pool = call.query.get("pool", "")
    if pool and pool not in call.lab.cluster.pools:
        raise ApiError(500, f"pool '{pool}' does not exist")
    machine = Machine(vmid, node, {}, pool)
    apply(call, machine, given)
    machine.config["meta"] = f"creation-qemu=10.1.2,ctime={int(call.t)}"
    machine.config["smbios1"] = f"uuid=5f3c1f0e-7d7e-4f6f-9d3b-{vmid:012x}"
    machine.config["vmgenid"] = f"0e0b5c9a-1d2c-4b7e-8f3a-{vmid:012x}"
    call.lab.provisioned.machines[vmid] = machine
    if call.query.get("start") == "1":
        machine.start(call.t)
    return begin(call, "qmcreate", text)


def _check(call: Call, vmid: int, given: dict[str, str]) -> None:
    """Refuse what the token may not set, as qemu-server's check_vm_modify_config_perm and storage checks do.

    Raises:
        ApiError: 403, naming the path and the privilege.
    """
    for path, privilege in required(vmid, given):
        call.need(path, privilege)


async def change(call: Call) -> Any:
    """PUT /nodes/{node}/qemu/{vmid}/config: at once, without a task."""
    given = dict(call.query)
    vmid = int(call.params["vmid"])
    _check(call, vmid, given | {key: "" for key in given.get("delete", "").split(",") if key})
    machine = _written(call)
    for key in given.pop("delete", "").split(","):
        machine.config.pop(key, None)
    apply(call, machine, given)


async def change_later(call: Call) -> Any:
    """POST /nodes/{node}/qemu/{vmid}/config: the same as a task."""
    await change(call)
    return begin(call, "qmconfig", call.params["vmid"])


async def resize(call: Call) -> Any:
    """PUT /nodes/{node}/qemu/{vmid}/resize: disks grow only."""
    vmid, slot = call.params["vmid"], call.query["disk"]
    call.need(f"/vms/{vmid}", "VM.Config.Disk")
    machine = _written(call)
    volume, _, options = str(machine.config.get(slot, "")).partition(",")
    if not volume:
        raise ApiError(500, f"disk '{slot}' does not exist")
    parts = dict(item.split("=", 1) for item in options.split(","))
    old, new = _bytes(parts["size"]), _bytes(call.query["size"])
    if new < old:
        raise ApiError(500, "shrinking disks is not supported")
    parts["size"] = f"{new // GIB}G" if new % GIB == 0 else f"{new // 1024}K"
    machine.config[slot] = ",".join([volume, *(f"{key}={value}" for key, value in sorted(parts.items()))])
    return begin(call, "resize", vmid)


def _bytes(size: str) -> int:
    units = {"K": 1024, "M": 1024**2, "G": GIB, "T": 1024 * GIB}
    return int(size[:-1]) * units[size[-1]] if size[-1] in units else int(size)


async def cloudinit(call: Call) -> Any:
    """PUT /nodes/{node}/qemu/{vmid}/cloudinit: write the cloud-init drive anew."""
    call.need(f"/vms/{call.params['vmid']}", "VM.Config.Cloudinit")
    machine = _written(call)
    if not any("cloudinit" in str(value) for value in machine.config.values()):
        raise ApiError(500, "no cloudinit drive found")


async def start(call: Call) -> Any:
    """POST /nodes/{node}/qemu/{vmid}/status/start."""
    machine = _power(call)
    if machine.started is not None:
        raise ApiError(500, f"VM {machine.vmid} already running")
    machine.start(call.t)
    return begin(call, "qmstart", call.params["vmid"])


async def stop(call: Call) -> Any:
    """POST /nodes/{node}/qemu/{vmid}/status/stop."""
    _power(call).stop()
    return begin(call, "qmstop", call.params["vmid"])


async def shutdown(call: Call) -> Any:
    """POST /nodes/{node}/qemu/{vmid}/status/shutdown."""
    _power(call).stop()
    return begin(call, "qmshutdown", call.params["vmid"])


async def reboot(call: Call) -> Any:
    """POST /nodes/{node}/qemu/{vmid}/status/reboot: what is pending takes effect."""
    _power(call).start(call.t)
    return begin(call, "qmreboot", call.params["vmid"])


def _power(call: Call) -> Machine:
    call.need(f"/vms/{call.params['vmid']}", "VM.PowerMgmt")
    return _written(call)


async def delete(call: Call) -> Any:
    """DELETE /nodes/{node}/qemu/{vmid}."""
    vmid = call.params["vmid"]
    call.need(f"/vms/{vmid}", "VM.Allocate")
    machine = _written(call)
    if machine.config.get("protection"):
        raise ApiError(500, f"can't remove VM {vmid} - protection mode enabled")
    if machine.started is not None:
        raise ApiError(500, f"VM {vmid} is running - destroy failed")
    del call.lab.provisioned.machines[machine.vmid]
    return begin(call, "qmdestroy", vmid)


# --- reading --------------------------------------------------------------------------------------


async def config(call: Call) -> Any:
    """GET /nodes/{node}/qemu/{vmid}/config."""
    machine = made(call)
    if machine is None:
        return await guests.config(call)
    call.need(f"/vms/{machine.vmid}", "VM.Audit")
    text = repr(sorted(machine.config.items())).encode()
    return machine.config | {"digest": hashlib.sha1(text, usedforsecurity=False).hexdigest()}


async def status(call: Call) -> Any:
    """GET /nodes/{node}/qemu/{vmid}/status/current."""
    machine = made(call)
    if machine is None:
        return await guests.status(call)
    call.need(f"/vms/{machine.vmid}", "VM.Audit")
    found = entry(machine, call.t)
    found = {key: value for key, value in found.items() if key not in NOT_LISTED | {"template"}}
    found |= {"cpus": _number(machine, "cores"), "qmpstatus": found["status"], "ha": {"managed": 0}}
    return found | ({"pid": 10_000 + machine.vmid} if machine.started is not None else {})


async def qemu(call: Call) -> Any:
    """GET /nodes/{node}/qemu."""
    found = await guests.qemu(call)
    for machine in call.lab.provisioned.machines.values():
        if machine.node == call.params["node"] and call.may(f"/vms/{machine.vmid}", "VM.Audit"):
            item = entry(machine, call.t) | {"cpus": _number(machine, "cores")}
            found.append({k: v for k, v in item.items() if k not in NOT_LISTED})
    return found


def entry(machine: Machine, t: float) -> Entry:
    """A machine's entry in /cluster/resources; it idles, and what it has is what it was started with."""
    up = machine.started is not None
    memory = int(str((machine.live or machine.config).get("memory", "512"))) * 1024**2
    found: Entry = {
        "id": f"qemu/{machine.vmid}", "vmid": machine.vmid, "node": machine.node, "type": "qemu",
        "status": "running" if up else "stopped", "name": machine.config.get("name", f"VM {machine.vmid}"),
        "template": 0, "maxcpu": _number(machine, "cores"), "maxmem": memory, "disk": 0,
        "maxdisk": max((size for _, size in disks(machine)), default=0), **IDLE,
    }  # fmt: skip
    if machine.started is not None:
        found |= {"uptime": int(t - machine.started), "mem": memory // 4, "cpu": 0.01}
    if tags := machine.config.get("tags"):
        found["tags"] = tags
    if machine.pool:
        found["pool"] = machine.pool
    return found


def _number(machine: Machine, key: str) -> int:
    return int((machine.live or machine.config).get(key, 1))
