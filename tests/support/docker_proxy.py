"""A Docker daemon that can go away: a proxy before the real one's socket."""

from __future__ import annotations

import contextlib
import socket
import threading
from pathlib import Path

_DAEMON = "/var/run/docker.sock"


class FlakyDaemon:
    """Passes requests on until `cut_after` of them held `marker`; at the next one it is gone."""

    def __init__(self, path: Path, marker: bytes, cut_after: int) -> None:
        self._marker, self._left = marker, cut_after
        self._path = path
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        self._listener.listen(64)
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()
        self.gone = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def host(self) -> str:
        """Value for DOCKER_HOST."""
        return f"unix://{self._path}"

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while not self.gone.is_set():
                client, _ = self._listener.accept()
                daemon = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                daemon.connect(_DAEMON)
                with self._lock:
                    self._open += [client, daemon]
                for source, sink, counts in ((client, daemon, True), (daemon, client, False)):
                    threading.Thread(target=self._pump, args=(source, sink, counts), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, counts: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if counts and self._marker in data:
                    self._left -= 1
                if self._left < 0:
                    self.cut()
                    return
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def cut(self) -> None:
        """Go away: no new connection, and every open one ends in the middle."""
        self.gone.set()
        with contextlib.suppress(OSError):
            self._path.unlink()
            self._listener.close()
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
                connection.close()
            self._open.clear()
