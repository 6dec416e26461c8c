"""How the commands speak: one console, one style of steps and tables."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

# Where the output is kept (a log, a pull request), tables get the width they need.
_WIDTH_OF_LOGS = 110

console = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDTH_OF_LOGS)


class OpsError(Exception):
    """A command can't do its work; the message says why and what to do."""


def step(text: str) -> None:
    """Announce the next thing that happens."""
    console.print(f"[bold cyan]▸[/] {text}")


def note(text: str) -> None:
    """Say something that people should know, without stopping."""
    console.print(f"  [yellow]![/] {text}")


@contextmanager
def progress(text: str) -> Iterator[Callable[[str], None]]:
    """A line with a spinner; what it gives shows the latest word of something long."""
    with console.status(text) as status:
        yield lambda detail: status.update(f"{text} [dim]{_short(detail)}[/]")


def _short(text: str, width: int = 90) -> str:
    line = text.strip()
    return escape(line if len(line) <= width else f"{line[: width - 1]}…")


def confirm(question: str, *, yes: bool) -> None:
    """Ask whether something shall be done; `yes` answers beforehand.

    Raises:
        OpsError: nobody can be asked, or the answer is no.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise OpsError("nobody can be asked here; add --yes if that is what you want. Nothing was changed")
    if not typer.confirm(question):
        raise OpsError("nothing was changed")


def table(title: str, *columns: str) -> Table:
    """A table in the house style."""
    made = Table(title=title, title_style="bold", title_justify="left", header_style="bold", pad_edge=False)
    for column in columns:
        made.add_column(column, overflow="fold")
    return made
