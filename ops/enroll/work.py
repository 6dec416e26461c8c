"""What happens to one guest: looking, writing the installer, running it, waiting until Prometheus sees it."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from components.pve_api import Refused
from ops.enroll.cluster import CHUNK_BYTES, Cluster, Ended, Guest
from ops.enroll.systems import System, system_of
from ops.enroll.watch import Watch

POLL_SECONDS = 2.0
LAST_LINES = 5


class Interrupted(Exception):  # noqa: N818 - not an error
    """Somebody pressed Ctrl-C; the message says what state the guest is in."""


@dataclass(frozen=True)
class Plan:
    """What is to happen to a guest: with a system something, else nothing for the reason in `note`."""

    guest: Guest
    note: str
    system: System | None = None
    fine: bool = False


@dataclass
class Result:
    """What happened to a guest.

    Attributes:
        did: what was done, in a few words.
        exporter: what Prometheus says of its exporter.
        ok: nothing is left to do.
        lines: what the installer said last, and what to do.
    """

    guest: Guest
    system: str = ""
    did: str = "nothing"
    exporter: str = "-"
    ok: bool = False
    seconds: float = 0.0
    lines: list[str] = field(default_factory=list)


def plan(cluster: Cluster, guest: Guest, *, answers: bool | None) -> Plan:
    """Find out what is to be done; nothing is changed."""
    if guest.template or not guest.running:
        return Plan(guest, "is a template" if guest.template else "is off: start it first")
    if guest.kind == "lxc":
        return Plan(guest, _by_hand(guest))
    if answers:
        return Plan(guest, "its exporter answers already", fine=True)
    try:
        return _look_inside(cluster, guest)
    except Refused as error:
        return Plan(guest, str(error))


def _look_inside(cluster: Cluster, guest: Guest) -> Plan:
    if not cluster.may_run(guest):
        return Plan(guest, f"the token lacks {cluster.privilege} on /vms/{guest.vmid}")
    osinfo = cluster.system(guest)
    system = system_of(osinfo)
    name = osinfo.get("pretty-name") or osinfo.get("name") or "a system without a name"
    if system is None:
        return Plan(guest, f"runs {name}, for which there is no installer")
    return Plan(guest, name, system)


def _by_hand(guest: Guest) -> str:
    file = "install-node-exporter.sh"
    return (
        f"is a container, which has no agent; on {guest.node}: pct push {guest.vmid} {file} /root/{file} && "
        f"pct exec {guest.vmid} -- sh /root/{file}"
    )


@dataclass
class Worker:
    """Works on guests one after the other; another thread has another one.

    Attributes:
        script: text of the installer by system.
        stop: set when everything is to end.
        say: told of each step.
        timeout: for the installer, in seconds.
        patience: how long Prometheus may take to see the exporter, in seconds.
    """

    cluster: Cluster
    watch: Watch
    script: Callable[[System], str]
    stop: threading.Event
    say: Callable[[str], None]
    timeout: float = 900
    patience: float = 180
    chunk: int = CHUNK_BYTES

    def enroll(self, wanted: Plan) -> Result:
        """Install an exporter in a guest, and wait until Prometheus sees it."""
        started = time.monotonic()
        result = Result(wanted.guest, wanted.note)
        try:
            if wanted.system is not None:
                self._install(wanted.guest, wanted.system, result)
                self._await(result)
        except Refused as error:
            result.lines.append(str(error))
        except Interrupted as interrupt:
            result.lines.append(str(interrupt))
        result.seconds = time.monotonic() - started
        return result

    def _install(self, guest: Guest, system: System, result: Result) -> None:
        path = system.path.format(key=secrets.token_hex(8))
        written: list[str] = []
        try:
            self._write(guest, system, path, written)
            self._tell(guest, "runs the installer")
            pid = self.cluster.start(guest, system.run(path))
            result.did = "installer started"
            ended = self._wait(guest, pid, f"the installer goes on by itself in the guest (process {pid})")
        finally:
            self._clean(guest, system, written, result)
        result.did = f"installer ended with {ended.code}"
        said = [line for line in ended.output.splitlines() if line.strip()][-LAST_LINES:]
        if ended.code not in system.done:
            result.lines += [*said, f"log in the guest: {system.log}"]
            raise Refused(
                f"the installer ended with {ended.code}; mend what it says and enroll the guest again"
            )
        result.did = f"{system.exporter} installed" + (", wants a restart" if ended.code else "")

    def _write(self, guest: Guest, system: System, path: str, written: list[str]) -> None:
        content = self.script(system).encode("ascii")
        pieces = [content[at : at + self.chunk] for at in range(0, len(content), self.chunk)]
        # A file that is written again begins anew: pieces are files of their own, joined in the guest.
        parts = [path] if len(pieces) == 1 else [f"{path}.{number}" for number in range(len(pieces))]
        for part, piece in zip(parts, pieces, strict=True):
            self._stop("nothing was changed in the guest")
            self._tell(guest, f"is given the installer ({len(written) + 1} of {len(parts)})")
            written.append(part)
            self.cluster.write(guest, part, piece)
        if len(parts) > 1:
            written.append(path)
            pid = self.cluster.start(guest, system.join(parts, path))
            if self._wait(guest, pid, "nothing was changed in the guest").code != 0:
                raise Refused("the pieces of the installer can't be joined in the guest: is its disk full?")
        self._stop("nothing was changed in the guest")

    def _wait(self, guest: Guest, pid: int, meanwhile: str) -> Ended:
        """Wait for a program. An agent that fails to answer meanwhile is asked again: services restart."""
        deadline, problem = time.monotonic() + self.timeout, ""
        while time.monotonic() < deadline:
            self._stop(f"{meanwhile}; enroll the guest again later: the installer can run twice")
            try:
                ended = self.cluster.ended(guest, pid)
            except Refused as error:
                if "Invalid parameter 'pid'" in str(error):
                    raise Refused(
                        f"{meanwhile}, but the agent was restarted and knows nothing of it"
                    ) from None
                ended, problem = None, f" ({error})"
            if ended is not None:
                return ended
            self.stop.wait(POLL_SECONDS)
        raise Refused(f"{meanwhile}, for more than {self.timeout:.0f} s{problem}")

    def _clean(self, guest: Guest, system: System, paths: list[str], result: Result) -> None:
        if not paths:
            return
        try:
            self.cluster.start(guest, system.remove(paths))
        except Refused:
            result.lines.append(f"left in the guest: {', '.join(paths)}; remove it there")

    def _await(self, result: Result) -> None:
        guest = result.guest
        if self.watch.up() is None:
            result.exporter, result.ok = "not asked: Prometheus isn't reached from here", True
            return
        self._tell(guest, "has its exporter; waiting until Prometheus sees it")
        deadline = time.monotonic() + self.patience
        while time.monotonic() < deadline:
            if (self.watch.up() or {}).get(guest.vmid):
                result.exporter, result.ok = "up", True
                return
            self._stop("the exporter is installed; whether Prometheus sees it wasn't waited for")
            self.stop.wait(POLL_SECONDS)
        result.exporter = "not seen"
        raise Refused(f"not up after {self.patience:.0f} s: {self.watch.why_not(guest.vmid)}")

    def _stop(self, state: str) -> None:
        if self.stop.is_set():
            raise Interrupted(f"interrupted: {state}")

    def _tell(self, guest: Guest, text: str) -> None:
        self.say(f"{guest.vmid} {guest.name} {text}")
