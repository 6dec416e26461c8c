"""Render every dashboard of the registry, or check that the committed files are up to date."""

from __future__ import annotations

import argparse
import sys

from dashboards import DASHBOARDS, RENDERED
from dashboards.layout import to_json


def _stale(wanted: dict[str, str]) -> list[str]:
    """Names of rendered files that differ from what the code gives, are missing, or belong to nothing."""
    present = {path.name: path.read_text("utf-8") for path in RENDERED.glob("*.json")}
    return sorted(name for name in wanted.keys() | present.keys() if wanted.get(name) != present.get(name))


def _write(wanted: dict[str, str]) -> None:
    RENDERED.mkdir(exist_ok=True)
    for path in RENDERED.glob("*.json"):
        if path.name not in wanted:
            path.unlink()
    for name, text in wanted.items():
        (RENDERED / name).write_text(text, "utf-8")


def main() -> int:
    """Render or check; the exit status says whether the files are as they should be."""
    parser = argparse.ArgumentParser(prog="python -m dashboards", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a file is stale")
    wanted = {entry.path.name: to_json(entry.build()) for entry in DASHBOARDS}
    if not parser.parse_args().check:
        _write(wanted)
        return 0
    if stale := _stale(wanted):
        sys.stderr.write(f"stale: {', '.join(stale)}. Run `python -m dashboards` and commit the result.\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
