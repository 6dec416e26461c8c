"""/nodes and what concerns a host as a whole."""

# ruff: noqa: TID252 - the package is `lab.cluster` here and `cluster` in its image

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ..exporters.node import KERNELS
from ..model import Guest
from ..tls import fingerprint
from .call import ApiError, Call
from .stats import ROOT_SIZE, Entry, Stats, host_usage, storage_size

USAGE = ("uptime", "cpu", "maxcpu", "mem", "maxmem", "disk", "maxdisk")
REPLICATE_EVERY = 900  # seconds: the schedule */15


class Nodes:
    """GET /nodes, from the latest broadcast."""

    def __init__(self, stats: Stats) -> None:
        self._stats = stats

    async def __call__(self, call: Call) -> Any:
        """Every member; what it uses, for those who may see it."""
        found = []
        for host in call.lab.cluster.hosts:
            entry: Entry = {"id": f"node/{host.name}", "node": host.name, "type": "node"}
            if not call.lab.joined(host.name, call.t):
                found.append(entry | {"status": "offline"})
                continue
            entry |= {"status": "online", "level": ""}
            if call.may(f"/nodes/{host.name}", "Sys.Audit"):
                node = self._stats.round(host, call.t).node
                entry |= {key: node[key] for key in USAGE}
            if call.certificate is not None:
                entry["ssl_fingerprint"] = fingerprint(call.certificate)
            found.append(entry)
        return found


async def status(call: Call) -> Any:
    """GET /nodes/{node}/status."""
    host, lab, t = call.host, call.lab, call.t
    call.need(f"/nodes/{host.name}", "Sys.Audit")
    used = host_usage(lab, host, t)
    kernel = KERNELS[call.release]
    build = f"#1 SMP PREEMPT_DYNAMIC PMX {kernel}"
    free = int((host.memory - used["mem"]) * 0.45)
    load = used["cpu"] * host.cpus
    root = ROOT_SIZE - used["disk"]
    return {
        "boot-info": {"mode": "efi", "secureboot": 0},
        "cpu": used["cpu"],
        "cpuinfo": {
            "cores": host.cpus // 2, "cpus": host.cpus, "flags": "fpu vme", "hvm": "1", "mhz": "2900.000",
            "model": host.model, "sockets": 1, "user_hz": 100,
        },
        "current-kernel": {"machine": "x86_64", "release": kernel, "sysname": "Linux", "version": build},
        "idle": 0,
        "ksm": {"shared": 0},
        "kversion": f"Linux {kernel} {build}",
        "loadavg": [f"{load * factor:.2f}" for factor in (1.04, 1.0, 0.97)],
        "memory": {
            "available": host.memory - used["mem"], "free": free, "total": host.memory, "used": used["mem"],
        },
        "pveversion": f"pve-manager/{lab.settings.version[1]}/{lab.settings.version[2]}",
        "rootfs": {"avail": root, "free": root, "total": ROOT_SIZE, "used": used["disk"]},
        "swap": {"free": 8589930496, "total": 8589930496, "used": 0},
        "uptime": used["uptime"],
        "wait": lab.host_alone_rate(host, "iowait", t),
    }  # fmt: skip


async def subscription(call: Call) -> Any:
    """GET /nodes/{node}/subscription: there is none, or one that ends soon."""
    days = call.lab.forced(call.host, "subscription_ends", "days", call.t)
    if days is not None:
        due = datetime.fromtimestamp(call.t, UTC) + timedelta(days=days)
        return {"status": "active", "level": "c", "nextduedate": f"{due:%Y-%m-%d}", "sockets": 1}
    return {
        "status": "notfound", "message": "There is no subscription key",
        "serverid": f"{call.host.seed:032X}",
        "url": "https://www.proxmox.com/en/proxmox-virtual-environment/pricing",
    }  # fmt: skip


async def storage(call: Call) -> Any:
    """GET /nodes/{node}/storage."""
    found = []
    for item in call.lab.cluster.storages:
        if not call.may(f"/storage/{item.name}", "Datastore.Audit", "Datastore.AllocateSpace"):
            continue
        size = storage_size(item)
        part = call.lab.storage_used(item, call.host, call.t)
        used = int(size * part)
        found.append({
            "storage": item.name, "type": item.type, "content": item.content, "active": 1, "enabled": 1,
            "shared": int(item.shared), "total": size, "used": used, "avail": size - used,
            "used_fraction": round(part, 4),
        })  # fmt: skip
    return found


def _jobs(call: Call) -> Iterator[tuple[Entry, Guest]]:
    """One job: the first guest with high availability on each host goes to the next host."""
    names = [host.name for host in call.lab.cluster.hosts]
    here = call.params["node"]
    guest = next((g for g in call.lab.cluster.guests if g.managed and g.home == here and not g.away), None)
    if guest is not None and call.may(f"/vms/{guest.vmid}", "VM.Audit"):
        target = names[(names.index(here) + 1) % len(names)]
        yield {
            "id": f"{guest.vmid}-0", "type": "local", "source": here, "target": target, "guest": guest.vmid,
            "jobnum": 0, "vmtype": guest.kind, "schedule": "*/15",
        }, guest  # fmt: skip


async def replication(call: Call) -> Any:
    """GET /nodes/{node}/replication."""
    return [job for job, _ in _jobs(call)]


async def replication_status(call: Call) -> Any:
    """GET /nodes/{node}/replication/{id}/status."""
    for job, guest in _jobs(call):
        if job["id"] == call.params["id"]:
            return job | _last_sync(call, job["target"], guest)
    raise ApiError(500, f"replication job '{call.params['id']}' not found")


def _last_sync(call: Call, target: str, guest: Guest) -> Entry:
    last = int(call.t // REPLICATE_EVERY * REPLICATE_EVERY)
    down = call.fault(target, "host_down")
    synced = last if down is None else min(last, int(down.start // REPLICATE_EVERY * REPLICATE_EVERY))
    return {
        "duration": 7.73584 + guest.vmid / 1000, "last_sync": synced, "last_try": last,
        "next_sync": last + REPLICATE_EVERY, "fail_count": (last - synced) // REPLICATE_EVERY,
    }  # fmt: skip


async def certificates(call: Call) -> Any:
    """GET /nodes/{node}/certificates/info: the certificate that this API shows."""
    if call.certificate is None:
        return []
    certificate: x509.Certificate = call.certificate
    key = certificate.public_key()
    found: Entry = {
        "filename": "pve-ssl.pem", "fingerprint": fingerprint(certificate),
        "issuer": f"/{certificate.issuer.rfc4514_string().replace(',', '/')}",
        "subject": f"/{certificate.subject.rfc4514_string().replace(',', '/')}",
        "notbefore": int(certificate.not_valid_before_utc.timestamp()),
        "notafter": int(certificate.not_valid_after_utc.timestamp()),
        "pem": certificate.public_bytes(serialization.Encoding.PEM).decode(),
        "san": _names(certificate),
    }  # fmt: skip
    if isinstance(key, ec.EllipticCurvePublicKey):
        found |= {"public-key-type": "id-ecPublicKey", "public-key-bits": key.key_size}
    return [found]


def _names(certificate: x509.Certificate) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [str(name.value) for name in names]
