"""A client of the control port, for tests and for the commands that people run."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import requests


class LabError(RuntimeError):
    """The lab refused a request; the message is the lab's own."""


class LabClient:
    """Talks to ``base_url``, such as http://127.0.0.1:8080; ``timeout`` is in seconds."""

    def __init__(self, base_url: str, timeout: float = 10.0) -> None:
        self._base = base_url.rstrip("/")
        self._timeout = timeout
        self._session = requests.Session()

    def close(self) -> None:
        """Give the connections back."""
        self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def healthy(self) -> bool:
        """Whether the lab answers."""
        try:
            return bool(self._ask("GET", "/healthz")["status"] == "ok")
        except (requests.RequestException, LabError):
            return False

    def state(self) -> dict[str, Any]:
        """Hosts, guests, sizes and active faults."""
        found: dict[str, Any] = self._ask("GET", "/state")
        return found

    def faults(self) -> list[dict[str, Any]]:
        """The active faults."""
        found: list[dict[str, Any]] = self._ask("GET", "/faults")
        return found

    def add(self, kind: str, target: str, seconds: float | None = None, **params: float | str) -> str:
        """Start a fault, for ``seconds`` or until it is cleared; its id.

        Raises:
            LabError: The lab has no such kind, target or parameter.
        """
        body = {"kind": kind, "target": target, "seconds": seconds, "params": params}
        return str(self._ask("POST", "/faults", body)["id"])

    def clear(self, fault_id: str | None = None) -> None:
        """End one fault or all; one that has ended by itself is no error."""
        if fault_id is None:
            self._ask("DELETE", "/faults")
        elif any(fault["id"] == fault_id for fault in self.faults()):
            self._ask("DELETE", f"/faults/{fault_id}")

    @contextmanager
    def fault(
        self, kind: str, target: str, seconds: float | None = None, **params: float | str
    ) -> Iterator[str]:
        """A fault that lasts as long as the ``with`` block."""
        fault_id = self.add(kind, target, seconds, **params)
        try:
            yield fault_id
        finally:
            self.clear(fault_id)

    def migrate(self, guest: str, target: str, seconds: float | None = None) -> None:
        """Move a guest to the host ``target``: locked for ``seconds`` (20 if None), then there.

        Raises:
            LabError: There is no such guest or host, or the guest can't go there now.
        """
        self._command(guest, "migrate", target=target, seconds=seconds)

    def start(self, guest: str) -> None:
        """Start a guest, whatever brought it down.

        Raises:
            LabError: There is no such guest, it runs already, or its host is down.
        """
        self._command(guest, "start")

    def stop(self, guest: str) -> str:
        """Stop a guest until it is started; the id of the fault that this is.

        Raises:
            LabError: There is no such guest, or it doesn't run.
        """
        return str(self._command(guest, "stop")["id"])

    def reboot(self, guest: str, seconds: float | None = None) -> str:
        """Reboot a guest, which is back after ``seconds``; the id of the fault that this is.

        Raises:
            LabError: There is no such guest, or it doesn't run.
        """
        return str(self._command(guest, "reboot", seconds=seconds)["id"])

    def _command(self, guest: str, verb: str, **body: Any) -> dict[str, Any]:
        given = {name: value for name, value in body.items() if value is not None}
        found: dict[str, Any] = self._ask("POST", f"/guests/{guest}/{verb}", given)
        return found

    def hooks(self, name: str) -> list[dict[str, Any]]:
        """What a webhook received: ``received`` (Unix seconds) and ``body``."""
        found: list[dict[str, Any]] = self._ask("GET", f"/hooks/{name}")
        return found

    def clear_hooks(self) -> None:
        """Forget every webhook's bodies."""
        self._ask("DELETE", "/hooks")

    def mail(self) -> list[dict[str, Any]]:
        """The mail that was received: received, from, to, subject, body."""
        found: list[dict[str, Any]] = self._ask("GET", "/mail")
        return found

    def clear_mail(self) -> None:
        """Forget the mail."""
        self._ask("DELETE", "/mail")

    def calls(self) -> list[dict[str, Any]]:
        """How often the API was called: member, method, path template, status, count."""
        found: list[dict[str, Any]] = self._ask("GET", "/calls")
        return found

    def clear_calls(self) -> None:
        """Count from zero."""
        self._ask("DELETE", "/calls")

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        answer = self._session.request(method, self._base + path, json=body, timeout=self._timeout)
        if answer.status_code >= 400:
            raise LabError(f"{method} {path}: {answer.json().get('error', answer.text)}")
        return answer.json()
