"""/nodes/{node}/qemu/{vmid}/agent: what the QEMU guest agent says, and how long it takes to fail."""

# ruff: noqa: TID252 - the package is `lab.cluster` here and `cluster` in its image

import asyncio
from typing import Any

from ..model import Guest, Nic
from .call import ApiError, Call
from .guests import link_local
from .machines import made
from .shell import Shell
from .stats import Entry

SLOTS = 3  # pvedaemon's workers on a node: more calls than that wait for each other
ANYTHING = "VM.GuestAgent.Unrestricted"
DOCKER = ("docker0", "02:42:3c:11:22:33", "172.17.0.1", 16)


class Agent:
    """The agents of all guests, behind the workers of each node."""

    def __init__(self) -> None:
        self._workers: dict[str, asyncio.Semaphore] = {}
        self._shell = Shell()

    async def ask(self, call: Call, command: str, *privileges: str) -> Guest:
        """Wait as Proxmox VE waits; the guest, once its agent has answered.

        Proxmox VE 9 wants one of ``privileges``, by default of those that read; 8 has one for all.

        Raises:
            ApiError: 403 without the privilege of the release, 500 for whatever the agent or guest lacks.
        """
        _permit(call, privileges or ("VM.GuestAgent.Audit", ANYTHING))
        if made(call) is not None:
            raise ApiError(500, "No QEMU guest agent configured")
        guest = call.guest
        if guest.agent == "none":
            raise ApiError(500, "No QEMU guest agent configured")
        if not call.lab.process(guest, call.t):
            raise ApiError(500, f"VM {guest.vmid} is not running")
        workers = self._workers.setdefault(call.params["node"], asyncio.Semaphore(SLOTS))
        async with workers:
            await self._answer(call, guest, command)
        return guest

    async def _answer(self, call: Call, guest: Guest, command: str) -> None:
        settings = call.lab.settings
        dead = guest.agent == "dead" or call.fault(guest.vmid, "agent_dead")
        if dead or not call.lab.running(guest, call.t):
            await asyncio.sleep(settings.agent_ping_timeout)
            raise ApiError(500, "QEMU guest agent is not running")
        if call.fault(guest.vmid, "agent_hung") and command != "guest-ping":
            await asyncio.sleep(settings.agent_ping_timeout + settings.agent_command_timeout)
            raise ApiError(500, f"VM {guest.vmid} qga command '{command}' failed - got timeout")
        await asyncio.sleep(settings.agent_delay)

    async def interfaces(self, call: Call) -> Any:
        """GET network-get-interfaces."""
        guest = await self.ask(call, "guest-network-get-interfaces")
        return call.keep(
            ("interfaces", guest.vmid),
            lambda: {"result": _windows(guest) if guest.os == "windows" else _linux(guest)},
        )

    async def osinfo(self, call: Call) -> Any:
        """GET get-osinfo."""
        guest = await self.ask(call, "guest-get-osinfo")
        return {"result": WINDOWS if guest.os == "windows" else LINUX}

    async def host_name(self, call: Call) -> Any:
        """GET get-host-name."""
        guest = await self.ask(call, "guest-get-host-name")
        name = guest.name.upper()[:15] if guest.os == "windows" else guest.name
        return {"result": {"host-name": name}}

    async def fsinfo(self, call: Call) -> Any:
        """GET get-fsinfo."""
        guest = await self.ask(call, "guest-get-fsinfo")
        found = []
        for number, volume in enumerate(guest.volumes):
            used = call.lab.volume_used(guest.vmid, volume, number, call.t)
            mount = f"{volume.mount}\\" if guest.os == "windows" else volume.mount
            found.append({
                "name": "sda1" if guest.os == "linux" else f"\\\\?\\Volume{{{number:08x}}}\\",
                "mountpoint": mount, "type": volume.filesystem, "total-bytes": volume.size,
                "used-bytes": int(volume.size * used), "disk": [],
            })  # fmt: skip
        return {"result": found}

    async def info(self, call: Call) -> Any:
        """GET info."""
        await self.ask(call, "guest-info")
        commands = ("guest-ping", "guest-info", "guest-get-osinfo", "guest-network-get-interfaces")
        supported = [{"name": name, "enabled": True, "success-response": True} for name in commands]
        return {"result": {"version": "9.2.0", "supported_commands": supported}}

    async def ping(self, call: Call) -> Any:
        """POST ping."""
        await self.ask(call, "guest-ping")
        return {"result": {}}

    async def write_file(self, call: Call) -> Any:
        """POST file-write: whatever was in the file before is gone."""
        guest = await self.ask(call, "guest-file-open", "VM.GuestAgent.FileWrite", ANYTHING)
        self._shell.write(call, guest)

    async def execute(self, call: Call) -> Any:
        """POST exec; on 8 it takes the privilege that also reads addresses."""
        guest = await self.ask(call, "guest-exec", ANYTHING)
        return {"pid": self._shell.execute(call, guest)}

    async def execute_status(self, call: Call) -> Any:
        """GET exec-status; how it ended is told once."""
        guest = await self.ask(call, "guest-exec-status", ANYTHING)
        return self._shell.status(call, guest)


def _permit(call: Call, privileges: tuple[str, ...]) -> None:
    call.need(f"/vms/{call.params['vmid']}", *(("VM.Monitor",) if call.release < 9 else privileges))


WINDOWS = {
    "id": "mswindows", "kernel-release": "20348", "kernel-version": "10.0", "machine": "x86_64",
    "name": "Microsoft Windows", "pretty-name": "Windows Server 2022 Datacenter", "variant": "server",
    "variant-id": "server", "version": "Microsoft Windows Server 2022", "version-id": "2022",
}  # fmt: skip
LINUX = {
    "id": "debian", "kernel-release": "6.12.48+deb13-amd64",
    "kernel-version": "#1 SMP PREEMPT_DYNAMIC Debian 6.12.48-1 (2025-09-20)", "machine": "x86_64",
    "name": "Debian GNU/Linux", "pretty-name": "Debian GNU/Linux 13 (trixie)", "version": "13 (trixie)",
    "version-id": "13",
}  # fmt: skip


def _address(address: str, prefix: int) -> Entry:
    kind = "ipv6" if ":" in address else "ipv4"
    return {"ip-address": address, "ip-address-type": kind, "prefix": prefix}


def _card(name: str, mac: str, *addresses: Entry) -> Entry:
    keys = (
        "rx-bytes",
        "rx-packets",
        "rx-errs",
        "rx-dropped",
        "tx-bytes",
        "tx-packets",
        "tx-errs",
        "tx-dropped",
    )
    return {
        "name": name, "hardware-address": mac, "ip-addresses": list(addresses),
        "statistics": dict.fromkeys(keys, 0),
    }  # fmt: skip


def _windows(guest: Guest) -> list[Entry]:
    cards = [_windows_card(guest, number, nic) for number, nic in enumerate(guest.nics)]
    loopback = _card("", "", _address("::1", 128), _address("127.0.0.1", 8))
    del loopback["hardware-address"]  # Windows gives none for its loopback
    cards.append(loopback | {"name": "Loopback Pseudo-Interface 1"})
    if guest.quirk == "apipa":
        cards.append({"name": "Bluetooth Network Connection", "hardware-address": "bc:24:11:00:00:01"})
    return cards


def _windows_card(guest: Guest, number: int, nic: Nic) -> Entry:
    mac = nic.mac.lower()
    name = "Ethernet" if number == 0 else f"Ethernet {number + 1}"
    addresses = [_address(nic.address, nic.prefix)]
    if guest.quirk in ("zone", "apipa") and number == 0:
        # The link-local address comes first, and with the zone that only this Windows understands.
        addresses.insert(0, _address(f"{link_local(mac)}%12", 64))
    return _card(name, mac, *addresses)


def _linux(guest: Guest) -> list[Entry]:
    nic = guest.nics[0]
    mac = nic.mac.lower()
    loopback = _card("lo", "00:00:00:00:00:00", _address("127.0.0.1", 8), _address("::1", 128))
    card = _card("ens18", mac, _address(nic.address, nic.prefix), _address(link_local(mac), 64))
    if guest.quirk != "docker":
        return [loopback, card]
    name, bridge_mac, address, prefix = DOCKER
    bridge = _card(name, bridge_mac, _address(address, prefix))
    return [bridge, {"name": "veth0a1b2c3", "hardware-address": "ba:11:22:33:44:55"}, loopback, card]
