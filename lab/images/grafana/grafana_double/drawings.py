"""The dashboards drawn in the browser: the page that lab/preview builds, where the image has it."""

from __future__ import annotations

import mimetypes
from pathlib import Path

from starlette.responses import FileResponse, HTMLResponse, Response

from .api import Call, Route
from .errors import refuse

FOLDER = Path(__file__).resolve().parent.parent / "preview"
"""Beside the package in the image; elsewhere there is none, and pages.py shows tables instead."""

_INDEX = "index.html"


def page() -> Response | None:
    """The page that draws any dashboard, None where the image was built without it."""
    index = FOLDER / _INDEX
    return HTMLResponse(index.read_bytes()) if index.is_file() else None


def _file(call: Call) -> Response:
    path = (FOLDER / call.params["rest"]).resolve()
    if not path.is_relative_to(FOLDER.resolve()) or not path.is_file():
        raise refuse(404, "Not found")
    return FileResponse(path, media_type=mimetypes.guess_type(path.name)[0])


ROUTES = (Route("GET", "/public/preview/{rest*}", _file, None, "open", locked=False),)
