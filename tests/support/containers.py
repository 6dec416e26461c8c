"""Commands in containers of the tests."""

from __future__ import annotations

from docker.models.containers import Container


def run(container: Container, *words: str, user: str = "") -> tuple[int, str]:
    """Run a command in it; exit code and what it printed."""
    # Docker can lose what a program prints last if it ends right after, on a machine that is busy.
    words = ("sh", "-c", '"$@"; code=$?; sleep 0.3; exit $code', "sh", *words)
    done = container.exec_run(list(words), user=user)
    output = done.output if isinstance(done.output, bytes) else b"".join(done.output)
    return int(done.exit_code or 0), output.decode(errors="replace")
