"""`ops pictures`: the dashboards as pictures, drawn by Grafana's own components without a Grafana.

A development tool: it needs node, npm and Chromium, and nothing of a deployment needs it.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from components.topology import plan
from dashboards import DASHBOARDS, RENDERED, Entry
from lab.preview import bundle, changes, drawing, manifest, views
from lab.preview.bundle import PreviewUnavailable, Programs
from lab.preview.changes import DashboardChange
from lab.preview.drawing import Pair, Shot, ShotNote, Source
from lab.preview.manifest import Shown
from lab.preview.recording import platform, prometheus
from lab.preview.recording.prometheus import PrometheusError
from lab.preview.recording.tape import Wish, playing, tape
from lab.preview.verdict import Verdict, verdicts
from lab.preview.views import View
from ops.console import OpsError, console, note, progress, step, table
from ops.pulumi_cli import ROOT
from ops.stack import load, prepare_lab

CACHE = ROOT / ".cache" / "preview"
OUT = CACHE / "pictures"
DOCS = ROOT / "docs" / "pictures"
_DOCS_COLORS = 256

app = typer.Typer(add_completion=False, help=__doc__, pretty_exceptions_enable=False)


# --- all of them


def pictures(out: Path, url: str | None) -> None:
    """Draw every dashboard, dark and light, at both widths; ends with a table of all panels.

    The first view of a dashboard is drawn in every way, the others once: they are there for their data.

    Raises:
        OpsError: something that it needs is missing.
    """
    found = _ready()
    if out == OUT:
        # Pictures of dashboards that are gone would look as if they weren't.
        shutil.rmtree(out, ignore_errors=True)
    shots = [shot for entry in DASHBOARDS for shot in _shots(entry, out)]
    with _source(url, _texts(entry.path for entry in DASHBOARDS)) as source:
        notes = _draw(found, source, shots)
    judged = [verdict for entry in DASHBOARDS for verdict in _judge(entry, shots, notes)]
    _write_report(out, notes, judged)
    console.print(_panels(judged))
    console.print(f"{len(notes)} pictures and report.json: {out}")
    _fail_on(judged, notes)


def _shots(entry: Entry, out: Path) -> Iterator[Shot]:
    for number, view in enumerate(views.views(entry.uid)):
        ways = [(theme, width) for theme in drawing.THEMES for width in drawing.WIDTHS]
        for theme, width in ways if number == 0 else ways[:1]:
            name = f"{view.name}-{theme}-{width}.png"
            yield Shot(
                dashboard=entry.path, out=out / name, theme=theme, width=width, parameters=view.parameters
            )


def _judge(entry: Entry, shots: Sequence[Shot], notes: Sequence[ShotNote]) -> list[Verdict]:
    own = {shot.out for shot in shots if shot.dashboard == entry.path}
    return verdicts(entry.uid, [note for note in notes if note.out in own], views.MAY_BE_EMPTY)


def _write_report(out: Path, notes: Sequence[ShotNote], judged: Sequence[Verdict]) -> None:
    document = {
        "panels": [asdict(verdict) for verdict in judged],
        "pictures": [note.model_dump(mode="json", by_alias=True) for note in notes],
    }
    (out / "report.json").write_text(json.dumps(document, indent=1), "utf-8")


def _panels(judged: Sequence[Verdict]) -> Any:
    made = table("Panels", "dashboard", "id", "type", "title", "series", "values", "slowest", "")
    for verdict in judged:
        mark = "[red]✗[/]" if verdict.problem else "[yellow]empty[/]" if verdict.empty else "[green]✓[/]"
        made.add_row(
            verdict.dashboard,
            str(verdict.id),
            verdict.type,
            escape(verdict.title),
            str(verdict.series),
            str(verdict.values),
            f"{verdict.slowest} ms",
            mark,
        )
    return made


def _fail_on(judged: Iterable[Verdict], notes: Iterable[ShotNote]) -> None:
    """Name every panel that fails and whatever the browser complained about; exit code 1 if there is one."""
    found = [f"{v.dashboard}: panel {v.id} ({v.title}): {v.problem}" for v in judged if v.problem]
    found += [f"{one.out.name}: {text}" for one in notes for text in (*one.complaints, *one.report.errors)]
    for text in found:
        console.print(f"[red]✗[/] {escape(text)}")
    if found:
        sys.exit(1)


# --- documentation


def docs() -> None:
    """Draw the pictures of docs/pictures: one of each dashboard, small, with a note of what they show.

    Raises:
        OpsError: something that it needs is missing.
    """
    found = _ready()
    shots = [
        Shot(
            dashboard=entry.path,
            out=DOCS / _docs_name(entry),
            parameters=views.views(entry.uid)[0].parameters,
            colors=_DOCS_COLORS,
        )
        for entry in DASHBOARDS
    ]
    with _source(None, _texts(entry.path for entry in DASHBOARDS)) as source:
        notes = _draw(found, source, shots)
    manifest.write(DOCS, _documented())
    for one in notes:
        console.print(f"  {one.out.relative_to(ROOT)}: {one.out.stat().st_size // 1024} KiB")
    _fail_on([], notes)


def check() -> None:
    """Say whether docs/pictures shows the dashboards as they are; exit code 1 if not. Needs no node."""
    problems = manifest.stale(DOCS, _documented())
    for text in problems:
        console.print(f"[red]✗[/] docs/pictures: {escape(text)}")
    if problems:
        console.print("Run `make pictures-docs`, look at the result, and commit it.")
        sys.exit(1)
    console.print("docs/pictures shows the dashboards as they are")


def _documented() -> list[Shown]:
    return [Shown(_docs_name(entry), entry.uid, entry.path) for entry in DASHBOARDS]


def _docs_name(entry: Entry) -> str:
    return f"{entry.uid}.png"


# --- pull requests


def compare(reference: str, out: Path) -> None:
    """Draw the dashboards that differ from another commit, side by side, with a summary of what changed.

    Raises:
        OpsError: there is no such commit, or something that it needs is missing.
    """
    out.mkdir(parents=True, exist_ok=True)
    before, after = _of_commit(reference, out / "before"), {p.stem: p for p in RENDERED.glob("*.json")}
    found = [
        change
        for uid in sorted(before.keys() | after.keys())
        if (change := changes.compare(uid, _document(before.get(uid)), _document(after.get(uid)))).state
        != "same"
    ]
    shown = _draw_both(found, before, after, reference, out) if found else {}
    summary = out / "summary.md"
    summary.write_text(changes.markdown(reference, found, shown), "utf-8")
    console.print(summary.read_text("utf-8"), markup=False)
    console.print(f"{summary} and its pictures")


def _of_commit(reference: str, folder: Path) -> dict[str, Path]:
    """The rendered dashboards of a commit, by uid, written into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    place = RENDERED.relative_to(ROOT).as_posix()
    _git("rev-parse", "--verify", "--quiet", f"{reference}^{{commit}}")
    found = {}
    for name in _git("ls-tree", "--name-only", reference, f"{place}/").split():
        if name.endswith(".json"):
            path = folder / Path(name).name
            path.write_text(_git("show", f"{reference}:{name}"), "utf-8")
            found[path.stem] = path
    return found


def _git(*words: str) -> str:
    result = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise OpsError(f"git {' '.join(words)} failed: {result.stderr.strip() or 'there is no such commit'}")
    return result.stdout


def _document(path: Path | None) -> Mapping[str, Any] | None:
    return json.loads(path.read_text("utf-8")) if path is not None else None


def _draw_both(
    found: Sequence[DashboardChange],
    before: Mapping[str, Path],
    after: Mapping[str, Path],
    reference: str,
    out: Path,
) -> dict[str, list[str]]:
    """Draw what differs, in every view; returns the names of the pictures by uid."""
    programs = _ready()
    with _source(None, _texts([*before.values(), *after.values()])) as source:
        sides = {
            (change.uid, view.name): (_side(view, before, out / "before"), _side(view, after, out / "after"))
            for change in found
            for view in views.views(change.uid)
        }
        _draw(programs, source, [shot for both in sides.values() for shot in both if shot is not None])
        differing = {key: both for key, both in sides.items() if _look_different(*both)}
        pairs = [_beside(*both, reference, out / f"{name}.png") for (_, name), both in differing.items()]
        if pairs:
            _draw(programs, source, [], pairs)
    return {uid: [f"{name}.png" for owner, name in differing if owner == uid] for uid, _ in sides}


def _side(view: View, dashboards: Mapping[str, Path], folder: Path) -> Shot | None:
    path = dashboards.get(view.dashboard)
    out = folder / f"{view.name}.png"
    return Shot(dashboard=path, out=out, parameters=view.parameters) if path is not None else None


def _look_different(before: Shot | None, after: Shot | None) -> bool:
    return before is None or after is None or before.out.read_bytes() != after.out.read_bytes()


def _beside(before: Shot | None, after: Shot | None, reference: str, out: Path) -> Pair:
    sides = ((reference, before), ("this version", after))
    return Pair(
        out=out,
        sides=tuple(
            (word, shot.out) if shot is not None else (f"{word}: no such dashboard", None)
            for word, shot in sides
        ),
    )


# --- what all of them need


def _ready() -> Programs:
    """Have the preview built.

    Raises:
        OpsError: node, npm or Chromium is missing, or building failed.
    """
    try:
        found = bundle.programs()
        bundle.ensure(found, step)
    except PreviewUnavailable as error:
        raise OpsError(str(error)) from error
    return found


def _texts(paths: Iterable[Path]) -> tuple[str, ...]:
    return tuple(path.read_text("utf-8") for path in paths)


@contextmanager
def _source(url: str | None, read: tuple[str, ...]) -> Iterator[Source]:
    """A Prometheus with data: the one that is named, or one of our own with a recording of the lab.

    Args:
        url: of a Prometheus that runs.
        read: texts that hold all queries that will be asked.

    Raises:
        OpsError: there is no Prometheus to be had.
    """
    if url is not None:
        scrape = load("dev").settings.prometheus.scrape_interval
        yield Source(url=url.rstrip("/"), scrape=scrape, now=time.time())
        return
    wish = _wish(read)
    step("data: a recording of the simulated cluster")
    try:
        programs = prometheus.binaries(CACHE / "bin")
        with progress(" ") as line:
            recorded = tape(wish, programs, CACHE / "tapes", line)
        made_up = ", ".join(platform.MADE_UP)
        samples = f"{recorded.summary['samples']:,} samples of {recorded.summary['targets']} targets"
        note(f"{samples}; no measurements, but plausible numbers: what {made_up} say of themselves")
        with playing(recorded, programs, wish.step) as own:
            yield Source(url=own, scrape=views.SCRAPE_INTERVAL, now=views.NOW)
    except PrometheusError as error:
        raise OpsError(str(error)) from error


def _wish(read: tuple[str, ...]) -> Wish:
    """The recording that the pictures are drawn from: the development stack's, scraped less often."""
    prepare_lab("dev")
    settings = load("dev").settings
    slower = settings.prometheus.model_copy(update={"scrape_interval": views.SCRAPE_INTERVAL})
    settings = settings.model_copy(update={"prometheus": slower})
    return Wish(
        settings=settings,
        topology=plan(settings),
        end=views.NOW,
        hours=views.HOURS,
        scenes=views.SCENES,
        read=read,
    )


def _draw(
    found: Programs, source: Source, shots: Sequence[Shot], pairs: Sequence[Pair] = ()
) -> list[ShotNote]:
    step(f"drawing {len(shots)} pictures" if shots else f"putting {len(pairs)} pairs together")
    try:
        return drawing.draw(found, source, shots, pairs)
    except PreviewUnavailable as error:
        raise OpsError(str(error)) from error


@app.command()
def main(
    out: Annotated[Path | None, typer.Option(help="Folder for the pictures.")] = None,
    url: Annotated[
        str | None, typer.Option(help="A Prometheus that runs, in place of a recording of the lab.")
    ] = None,
    *,
    for_docs: Annotated[bool, typer.Option("--docs", help="Draw the pictures of docs/pictures.")] = False,
    only_check: Annotated[
        bool, typer.Option("--check", help="Only say whether docs/pictures is up to date.")
    ] = False,
    reference: Annotated[
        str | None, typer.Option("--compare", metavar="COMMIT", help="Draw what differs from a commit.")
    ] = None,
) -> None:
    """Draw the dashboards as pictures, from data of the simulated cluster."""
    if only_check:
        check()
    elif for_docs:
        docs()
    elif reference is not None:
        compare(reference, out or CACHE / "compare")
    else:
        pictures(out or OUT, url)


if __name__ == "__main__":
    try:
        app()
    except OpsError as error:
        console.print(f"[bold red]✗[/] {escape(str(error))}")
        sys.exit(1)
