"""What `ops bench` measures: one line each, and the table of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rich.table import Table

from ops.console import table


@dataclass(frozen=True)
class Figure:
    """One measured value beside what is promised."""

    name: str
    measured: str
    promised: str
    kept: bool


def table_of(title: str, figures: Iterable[Figure]) -> Table:
    """The figures, with a mark for each."""
    made = table(title, "what", "measured", "promised", "")
    for figure in figures:
        mark = "[green]✓[/]" if figure.kept else "[red]✗[/]"
        made.add_row(figure.name, figure.measured, figure.promised, mark)
    return made
