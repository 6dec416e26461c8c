"""Which guests are enrolled, and what is to happen to each."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from rich.markup import escape

from ops.console import OpsError, console, table
from ops.enroll.cluster import Cluster, Guest
from ops.enroll.watch import Watch
from ops.enroll.work import Plan, plan

# Each holds one of pvedaemon's three workers on the guest's host while its agent answers.
AT_ONCE = 2


@dataclass(frozen=True)
class Choice:
    """Which guests: by VMID, by tag, or all (of a tag, if one is given) that Prometheus doesn't see."""

    vmids: tuple[int, ...] = ()
    tags: tuple[str, ...] = ()
    missing: bool = False
    again: bool = False


@dataclass(frozen=True)
class Options:
    """How it is done; times in seconds."""

    yes: bool = False
    dry_run: bool = False
    timeout: float = 900
    patience: float = 180


def choose(choice: Choice, known: dict[int, Guest], watch: Watch) -> list[Guest]:
    """The chosen guests, by VMID.

    Raises:
        OpsError: nothing was chosen, a VMID isn't there, or nobody tells who is missing.
    """
    if not (choice.vmids or choice.tags or choice.missing):
        raise OpsError("which guests? Give --vm VMID (more than once), --tag TAG, or --missing")
    if absent := sorted(set(choice.vmids) - known.keys()):
        raise OpsError(
            f"no guest {', '.join(map(str, absent))}: correct the number, or give the token VM.Audit there"
        )
    tags = {tag.lower() for tag in choice.tags}
    tagged = {guest.vmid for guest in known.values() if tags & guest.tags}
    if choice.missing:
        found = (_missing(known, watch) & tagged if tags else _missing(known, watch)) | set(choice.vmids)
    else:
        found = tagged | set(choice.vmids)
    return [known[vmid] for vmid in sorted(found)]


def _missing(known: dict[int, Guest], watch: Watch) -> set[int]:
    up = watch.up()
    if up is None:
        raise OpsError(
            "who is missing only Prometheus can tell, and it doesn't answer at "
            f"{watch.prometheus or '(no port is published)'}; give its address with --prometheus, or name "
            "the guests"
        )
    left_out = {vmid for vmid, reason in watch.reasons().items() if reason == "excluded"}
    running = {guest.vmid for guest in known.values() if guest.running and not guest.template}
    return running - {vmid for vmid, answers in up.items() if answers} - left_out


def make_plans(
    guests: Iterable[Guest], connect: Callable[[], Cluster], watch: Watch, *, again: bool
) -> list[Plan]:
    """What is to happen to each; the agents are asked what they run, two at a time."""
    up = watch.up() or {}
    local = threading.local()

    def look(guest: Guest) -> Plan:
        if not hasattr(local, "cluster"):
            local.cluster = connect()
        return plan(local.cluster, guest, answers=up.get(guest.vmid) and not again)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(look, guests))


def show_plans(plans: Sequence[Plan], *, dry_run: bool) -> None:
    """Print what is to happen."""
    made = table("What would be done" if dry_run else "What will be done", "guest", "host", "what")
    for one in plans:
        guest = one.guest
        what = (
            f"[bold]install {one.system.exporter}[/] as {one.system.account} ({escape(one.note)})"
            if one.system
            else f"nothing: {escape(one.note)}"
        )
        made.add_row(f"{guest.vmid} {escape(guest.name)}", guest.node, what)
    console.print(made)
