"""What was called: the last calls, the refused ones, and the log lines. Never a header, body or query."""

from __future__ import annotations

import logging
import threading
from collections import deque
from typing import Any

KEPT = 1000
"""How many calls, and how many refusals, are kept."""

_LOG = logging.getLogger("grafana_double")


class Journal:
    """The calls of this run; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self._refusals: deque[dict[str, Any]] = deque(maxlen=KEPT)

    def record(self, method: str, path: str, status: int, *, refused: bool, reason: str) -> None:
        """Keep a call; the reason is the message of an error answer."""
        entry = {"method": method, "path": path, "status": status}
        with self._lock:
            self._calls.append(entry)
            if refused:
                self._refusals.append({**entry, "reason": reason})
        if refused:
            _LOG.warning("refused method=%s path=%s status=%d reason=%s", method, path, status, reason)
        elif status >= 400:
            _LOG.warning("error method=%s path=%s status=%d reason=%s", method, path, status, reason)

    def calls(self) -> list[dict[str, Any]]:
        """The last calls, oldest first: method, path, status."""
        with self._lock:
            return list(self._calls)

    def refusals(self) -> list[dict[str, Any]]:
        """The last refused calls, oldest first: method, path, status, reason."""
        with self._lock:
            return list(self._refusals)
