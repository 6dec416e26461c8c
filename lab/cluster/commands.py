"""What a person does to a guest now: migrate, start, stop and reboot it."""

from .faults import GUEST_DOWN, Fault, FaultError
from .model import Guest
from .orders import Move
from .state import Lab

MIGRATION_SECONDS = 20.0
REBOOT_SECONDS = 20.0


def migrate(lab: Lab, target: str, host: str, seconds: float = MIGRATION_SECONDS) -> Move:
    """Move a guest to ``host``: locked for ``seconds``, then there and no more at home anywhere else.

    It fails if one of the two hosts goes down meanwhile, or the guest does.

    Raises:
        FaultError: There is no such guest or host, or Proxmox VE would refuse as well.
    """
    guest, now = _guest(lab, target), lab.clock()
    source = lab.location(guest, now)
    others = ", ".join(name for name in lab.cluster.host if name != source)
    if host not in lab.cluster.host or host == source:
        raise FaultError(f"guest {guest.vmid} can't go to {host!r}; it is on {source}, there are {others}")
    for name in (source, host):
        if not lab.online(name, now):
            raise FaultError(f"guest {guest.vmid} can't go from {source} to {host}: {name} is down")
    if lab.migrating(guest, now):
        raise FaultError(f"guest {guest.vmid} is locked (migrate); wait until it has arrived")
    if guest.gpus:
        raise FaultError(f"can't migrate guest {guest.vmid}, which uses local devices: hostpci0")
    if guest.kind == "lxc" and lab.process(guest, now):
        raise FaultError(f"can't migrate running container {guest.vmid}; stop it first")
    if seconds < 0:
        raise FaultError(f"seconds is {seconds}; give 0 or more")
    move = Move(guest.vmid, source, host, now, now + seconds)
    lab.orders.move(move)
    return move


def start(lab: Lab, target: str) -> Guest:
    """Start a guest, whatever brought it down.

    Raises:
        FaultError: There is no such guest, it is a template or runs already, or its host is down.
    """
    guest, now = _guest(lab, target), lab.clock()
    host = lab.location(guest, now)
    if guest.template:
        raise FaultError(f"guest {guest.vmid} is a template; clone it to have something to start")
    if lab.running(guest, now):
        raise FaultError(f"guest {guest.vmid} already running")
    if not lab.online(host, now):
        raise FaultError(f"guest {guest.vmid} can't start: its host {host} is down")
    for fault in list(lab.faults.on(guest.vmid)):
        if fault.kind in GUEST_DOWN - {"host_down"}:
            lab.faults.clear(fault.id, now)
    if not lab.powered(guest, now):
        lab.orders.start(guest.vmid, now)
    return guest


def stop(lab: Lab, target: str) -> Fault:
    """Stop a guest until it is started: a fault ``guest_stopped``.

    Raises:
        FaultError: There is no such guest, or it doesn't run.
    """
    guest = _running(lab, target)
    return lab.break_("guest_stopped", str(guest.vmid), None, {})


def reboot(lab: Lab, target: str, seconds: float = REBOOT_SECONDS) -> Fault:
    """Reboot a guest; its system is back after ``seconds``: a fault ``guest_reboot``.

    Raises:
        FaultError: There is no such guest, it doesn't run, or ``seconds`` isn't positive.
    """
    guest = _running(lab, target)
    return lab.break_("guest_reboot", str(guest.vmid), seconds, {})


def _guest(lab: Lab, target: str) -> Guest:
    guest = lab.find_guest(target)
    if guest is None:
        known = ", ".join(str(g.vmid) for g in lab.cluster.guests[:20])
        raise FaultError(
            f"no such guest: {target!r}; there are {known}{' ...' * (len(lab.cluster.guests) > 20)}"
        )
    return guest


def _running(lab: Lab, target: str) -> Guest:
    guest, now = _guest(lab, target), lab.clock()
    if lab.migrating(guest, now):
        raise FaultError(f"guest {guest.vmid} is locked (migrate); wait until it has arrived")
    if not lab.running(guest, now):
        raise FaultError(f"guest {guest.vmid} is not running")
    return guest
