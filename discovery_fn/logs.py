"""Structured logs: one line for each event, as key=value or JSON."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

LOGGER = logging.getLogger("discovery")


class LogfmtFormatter(logging.Formatter):
    """time=… level=… event="…" key=value."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line, whatever the values hold."""
        return " ".join(f"{key}={_quoted(value)}" for key, value in fields(record).items())


class JsonFormatter(logging.Formatter):
    """One JSON object for each line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line, whatever the values hold."""
        return json.dumps(fields(record), default=str)


def fields(record: logging.LogRecord) -> dict[str, Any]:
    """Return the fields of a record in the order in which they are written."""
    result: dict[str, Any] = {
        "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
        "level": record.levelname.lower(),
        "logger": record.name,
        "event": record.getMessage(),
        **getattr(record, "fields", {}),
    }
    if record.exc_info:
        result["exception"] = logging.Formatter().formatException(record.exc_info)
    return result


def _quoted(value: Any) -> str:
    text = str(value)
    plain = text and all(character.isalnum() or character in "._:/@+-" for character in text)
    return text if plain else json.dumps(text)


def event(level: int, message: str, **values: Any) -> None:
    """Log one event with its values."""
    LOGGER.log(level, message, extra={"fields": values})


def configure(level: str, form: str) -> None:
    """Send all logs of the process to stderr in one form."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else LogfmtFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
    for name in ("aiohttp", "proxmoxer", "uvicorn.access"):
        logging.getLogger(name).setLevel(logging.WARNING)


class Conditions:
    """Logs a condition when it begins, changes and ends, not each time it is met."""

    def __init__(self) -> None:
        self._current: dict[str, str] = {}

    def bad(self, name: str, message: str, **values: Any) -> None:
        """Log a condition unless this very one is known already."""
        if self._current.get(name) != message:
            self._current[name] = message
            event(logging.WARNING, message, condition=name, **values)

    def good(self, name: str, message: str, **values: Any) -> None:
        """Log the end of a condition, if there was one."""
        if self._current.pop(name, None) is not None:
            event(logging.INFO, message, condition=name, **values)
