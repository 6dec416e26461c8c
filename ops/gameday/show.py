"""What the game day shows: the plan, and the table that it ends in."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.table import Table

from ops.console import table
from ops.gameday.course import Course, kept, slowest
from ops.gameday.engine import Running
from ops.gameday.model import LIMIT_S, Drill

_COLOURS = {"critical": "red", "warning": "yellow", "info": "cyan", "none": "magenta"}


_DASH = "[dim]–[/]"  # noqa: RUF001 - a dash


def results(running: Sequence[Running]) -> Table:
    """The table that the game day ends in: a line for each alert, those that are held back below."""
    made = table(
        "Game day", "fault", "alert expected", "fired\nafter", "webhook\nafter", "e-mail\nafter",
        "inhibited\nafter", "resolved\nafter", "",
    )  # fmt: skip
    made.box, made.padding = box.SIMPLE_HEAD, (0, 1, 0, 0)
    for column in made.columns:
        column.no_wrap = True
    for column in made.columns[2:7]:
        column.justify = "right"
    for one in running:
        for row, course in enumerate(one.courses):
            made.add_row(one.drill.name if row == 0 else "", *_cells(course))
    return made


def _cells(course: Course) -> tuple[str, ...]:
    alert = course.alert
    name = "no beat of Watchdog" if alert.severity == "none" else alert.name
    arrow = "[dim]↳[/] " if course.silent else ""
    what = f"{arrow}[{_COLOURS[alert.severity]}]{name}[/] [dim]{alert.subject}[/]"
    fired = (
        f"[dim]({_seconds(course.after(course.pending))})[/]"
        if alert.pending
        else _seconds(course.after(course.firing))
    )
    resolved = None if course.resolved is None or course.mended is None else course.resolved - course.mended
    return (
        what,
        fired,
        _seconds(course.after(course.webhook)),
        _seconds(course.after(course.email)),
        _seconds(course.after(course.held) if course.silent else None),
        "[dim]later[/]" if alert.lasts else _seconds(resolved),
        "[red]✗[/]" if course.problem() else "[green]✓[/]",
    )


def _seconds(value: float | None) -> str:
    return _DASH if value is None else f"{value:.0f} s"


def legend() -> str:
    """What the marks in the table say."""
    return (
        "Seconds from the fault; resolved: from its end. (…): until it is pending, for it waits longer than "
        "the game day has; later: its query looks back at what has happened; ↳: has to be held back."
    )


def problems(running: Sequence[Running]) -> list[str]:
    """What went wrong, a line each."""
    return [
        f"{one.drill.name}: {text}" for one in running for course in one.courses if (text := course.problem())
    ]


def notes(running: Sequence[Running]) -> list[str]:
    """Why some critical alerts may be slower than the limit; a line each."""
    slow = [course.alert for one in running for course in one.courses if course.alert.slow]
    return list(dict.fromkeys(f"{a.name} may take {a.within:.0f} s: {a.slow}" for a in slow))


def verdict(running: Sequence[Running], healthy: bool) -> tuple[str, bool]:
    """The closing line, and whether everything was as it should be."""
    courses = [course for one in running for course in one.courses]
    figure = slowest(courses)
    well = healthy and not problems(running) and (kept(figure) or not _critical(courses))
    shown = "none" if figure is None else f"{figure:.0f} s"
    mark = "[bold green]✓[/]" if well else "[bold red]✗[/]"
    return f"{mark} slowest critical alert, fault to notification: [bold]{shown}[/] (limit {LIMIT_S} s)", well


def _critical(courses: Sequence[Course]) -> bool:
    return any(
        c.alert.severity == "critical" and not (c.silent or c.alert.slow or c.alert.pending) for c in courses
    )


def listing(drills: Sequence[Drill]) -> Table:
    """The plan: what `--list` shows."""
    made = table("The plan", "fault", "what is broken", "alerts expected", "held back", "--critical")
    for drill in drills:
        broken = "\n".join(f"{one.kind} {one.target}" for one in drill.breaks)
        expected = "\n".join(
            f"[{_COLOURS[a.severity]}]{a.name}[/] [dim]{a.subject}[/]" for a in drill.expects
        )
        held = "\n".join(f"{a.name} [dim]{a.severity}[/]" for a in drill.silences)
        made.add_row(drill.name, broken, expected, held, "yes" if drill.wakes else "")
    return made
