"""`enroll` itself: what is typed, the work, the table."""

from __future__ import annotations

import queue
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from components.pve_api import Refused, Token
from components.render.tls import Server
from ops.console import OpsError, confirm, console, note, progress, step, table
from ops.enroll import token as tokens
from ops.enroll.choice import AT_ONCE, Choice, Options, choose, make_plans, show_plans
from ops.enroll.cluster import Cluster
from ops.enroll.systems import System
from ops.enroll.watch import Watch, watch_of
from ops.enroll.work import Plan, Result, Worker
from ops.guests import addresses
from ops.stack import Stack, load, prepare_lab, selected
from ops.stack_secrets import guest_server

INTERRUPTED = 130

Say = Callable[[str], None]


@dataclass(frozen=True)
class Order:
    """Everything that is needed to enroll guests.

    Attributes:
        endpoints: URLs of the API, as this machine reaches them.
        server: with what guests speak TLS; None where they don't.
        stop: set when Ctrl-C is pressed.
    """

    stack: Stack
    choice: Choice
    options: Options
    token: Token
    watch: Watch
    endpoints: Sequence[str]
    server: Server | None = None
    stop: threading.Event = field(default_factory=threading.Event)

    def connect(self) -> Cluster:
        """A client of its own, for a thread.

        Raises:
            Refused: nobody answers, or the token isn't accepted.
        """
        made = Cluster(self.stack.settings.cluster, self.token, self.endpoints)
        made.connect()
        return made


# --- the work ------------------------------------------------------------------------------------


def work(order: Order, plans: Sequence[Plan], script: Callable[[System], str]) -> list[Result]:
    """Work on guests, two at a time; the results in the order of the plans."""
    told: queue.SimpleQueue[str] = queue.SimpleQueue()
    local = threading.local()

    def one(wanted: Plan) -> Result:
        if not hasattr(local, "worker"):
            options = order.options
            local.worker = Worker(
                order.connect(), order.watch, script, order.stop, told.put, options.timeout, options.patience
            )
        worker: Worker = local.worker
        return worker.enroll(wanted)

    with ThreadPoolExecutor(AT_ONCE) as pool, progress("  working") as line:
        futures = [pool.submit(one, wanted) for wanted in plans]
        while True:
            with _stopped_by_ctrl_c(order, futures):
                if not wait(futures, timeout=0.3).not_done:
                    break
                while not told.empty():
                    line(told.get())
    return [_result_of(future, wanted) for future, wanted in zip(futures, plans, strict=True)]


@contextmanager
def _stopped_by_ctrl_c(order: Order, futures: Iterable[Future[Result]]) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        note("stopping: what has begun in a guest is brought to a known state first")
        order.stop.set()
        for future in futures:
            future.cancel()


def _result_of(future: Future[Result], wanted: Plan) -> Result:
    if future.cancelled():
        return Result(wanted.guest, wanted.note, lines=["interrupted: nothing was changed in the guest"])
    try:
        return future.result()
    except Refused as error:
        return Result(wanted.guest, wanted.note, lines=[str(error)])


def show_results(results: Iterable[Result]) -> None:
    """Print what happened, and what is left to do."""
    made = table("What was done", "", "guest", "system", "done", "exporter", "seconds")
    left = []
    for one in results:
        name = f"{one.guest.vmid} {escape(one.guest.name)}"
        mark = "[green]✓[/]" if one.ok else "[red]✗[/]"
        made.add_row(mark, name, escape(one.system), escape(one.did), one.exporter, f"{one.seconds:.0f}")
        left += [f"  {name}: {escape(text)}" for text in one.lines]
    console.print(made)
    for text in left:
        console.print(text)


# --- all of it -----------------------------------------------------------------------------------


def enroll(order: Order) -> int:
    """Enroll guests; the exit code: 0 all done, 1 something is left to do, 130 interrupted.

    Raises:
        OpsError: it can't begin; nothing was changed.
    """
    settings, token = order.stack.settings, order.token
    prometheus = addresses(settings)
    if token.id in (settings.discovery_token_id, settings.exporter_token_id):
        raise OpsError(f"{token.id} is a token that only reads, and has to stay one.\n{tokens.HELP}")
    plans = _plans(order)
    if not plans:
        console.print("No guest is missing.")
        return 0
    show_plans(plans, dry_run=order.options.dry_run)
    wanted = [one for one in plans if one.system is not None]
    if order.options.dry_run or not wanted:
        return 0 if all(one.system or one.fine for one in plans) else 1
    guests = f"{len(wanted)} guest{'s' if len(wanted) != 1 else ''}"
    confirm(f"Run the installer in {guests}?", yes=order.options.yes)
    results = [_not_done(one) for one in plans if one.system is None]
    results += work(order, wanted, cache(lambda system: system.script(settings, prometheus, order.server)))
    show_results(sorted(results, key=lambda one: one.guest.vmid))
    console.print(f"Remove the token when you are done: pveum user token remove {token.user} {token.name}")
    if order.stop.is_set():
        return INTERRUPTED
    return 0 if all(one.ok for one in results) else 1


def _not_done(one: Plan) -> Result:
    if one.fine:
        return Result(one.guest, exporter="up", ok=True)
    return Result(one.guest, lines=[one.note])


def _plans(order: Order) -> list[Plan]:
    try:
        with progress("  asking the cluster and the agents"):
            cluster = order.connect()
            chosen = choose(order.choice, cluster.guests(), order.watch)
            plans = make_plans(chosen, order.connect, order.watch, again=order.choice.again)
    except Refused as error:
        raise OpsError(str(error)) from None
    step(f"Proxmox VE {cluster.release}: {order.token.id} needs {cluster.privilege} on each guest")
    return plans


def main(
    stack: Annotated[str, typer.Option("--stack", "-s", help="Name of the stack.", default_factory=selected)],
    *,
    vm: Annotated[list[int] | None, typer.Option("--vm", help="VMID of a guest; more than once.")] = None,
    tag: Annotated[list[str] | None, typer.Option("--tag", help="Guests with this tag.")] = None,
    missing: Annotated[bool, typer.Option("--missing", help="Guests that Prometheus doesn't see.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Also those that answer: to upgrade.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be done.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    token_file: Annotated[Path | None, typer.Option(help="File with the API token, for you alone.")] = None,
    prometheus: Annotated[str | None, typer.Option(help="Prometheus' URL, if it isn't published.")] = None,
    discovery: Annotated[str | None, typer.Option(help="Discovery's URL, if it isn't published.")] = None,
    timeout: Annotated[float, typer.Option(help="Seconds that an installer may take.")] = 900,
    patience: Annotated[float, typer.Option(help="Seconds until Prometheus has to see it.")] = 180,
) -> None:
    """Install exporters in guests through the QEMU guest agent."""
    lab = prepare_lab(stack)
    chosen = load(stack)
    order = Order(
        chosen,
        Choice(tuple(vm or ()), tuple(tag or ()), missing, again),
        Options(yes, dry_run, timeout, patience),
        tokens.read_token(token_file),
        watch_of(chosen, prometheus, discovery),
        # The simulated members have no names outside of Docker.
        chosen.settings.cluster.endpoints if lab is None else [lab.api_url],
        None if dry_run else guest_server(chosen),
    )
    sys.exit(enroll(order))
