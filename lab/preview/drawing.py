"""Taking pictures: the job for the program in dist/shot, and what it tells of each picture."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from lab.preview.bundle import PAGE, SHOT, PreviewUnavailable, Programs

THEMES = ("dark", "light")
WIDTHS = (1280, 1920)
_WORKERS = 2
_TIMEOUT_S = 600


@dataclass(frozen=True, kw_only=True)
class Shot:
    """One picture of one dashboard.

    Attributes:
        dashboard: its JSON.
        out: the PNG that is written.
        width: of the window, in pixels.
        parameters: of the address, such as var-vm.
        colors: a palette of that many colours; None: all of them.
    """

    dashboard: Path
    out: Path
    theme: str = "dark"
    width: int = 1280
    parameters: Mapping[str, str] = field(default_factory=dict)
    colors: int | None = None


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Pictures side by side: captions, and the picture below each, if there is one."""

    out: Path
    sides: tuple[tuple[str, Path | None], ...]


@dataclass(frozen=True, kw_only=True)
class Source:
    """The Prometheus that answers; `now` in Unix seconds, `scrape` the interval, like 15s."""

    url: str
    scrape: str
    now: float


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True)


class QueryNote(_Model):
    """How one query of a panel went."""

    ref_id: str
    expr: str
    series: int
    milliseconds: int
    error: str | None = None


class PanelNote(_Model):
    """How one panel was drawn; `values` counts what isn't null."""

    key: str
    id: int | None = None
    type: str
    title: str
    queries: list[QueryNote]
    frames: int
    values: int
    errors: list[str]
    unsupported: list[str]


class PageNote(_Model):
    """How one dashboard was drawn."""

    panels: list[PanelNote]
    variables: list[dict[str, Any]]
    marks: int
    errors: list[str]


class ShotNote(_Model):
    """What is known of one picture."""

    out: Path
    milliseconds: int
    report: PageNote
    complaints: list[str]


def draw(
    programs: Programs, source: Source, shots: Sequence[Shot], pairs: Iterable[Pair] = ()
) -> list[ShotNote]:
    """Take the pictures, two at a time.

    Raises:
        PreviewUnavailable: the program that takes them failed; with its last words.
    """
    job = {
        "chromium": programs.chromium,
        "page": str(PAGE),
        "prometheus": source.url,
        "scrape": source.scrape,
        "now": int(source.now * 1000),
        "workers": _WORKERS,
        "shots": [_shot(shot) for shot in shots],
        "pairs": [_pair(pair) for pair in pairs],
    }
    result = subprocess.run(
        [programs.node, str(SHOT)],
        input=json.dumps(job),
        capture_output=True,
        text=True,
        check=False,
        timeout=_TIMEOUT_S,
    )
    if result.returncode != 0:
        raise PreviewUnavailable(f"taking pictures failed:\n{result.stderr[-2000:]}")
    notes = {note.out: note for note in map(ShotNote.model_validate_json, result.stdout.splitlines())}
    return [notes[shot.out] for shot in shots]


def _shot(shot: Shot) -> dict[str, Any]:
    return {
        "dashboard": str(shot.dashboard),
        "out": str(shot.out),
        "theme": shot.theme,
        "width": shot.width,
        "parameters": dict(shot.parameters),
        **({"colors": shot.colors} if shot.colors is not None else {}),
    }


def _pair(pair: Pair) -> dict[str, Any]:
    sides = [
        {"caption": caption, **({"path": str(path)} if path is not None else {})}
        for caption, path in pair.sides
    ]
    return {"out": str(pair.out), "sides": sides}
