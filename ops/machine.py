"""What else the machine does while something is measured on it."""

from __future__ import annotations

import os


def load() -> str:
    """The load of the last minute beside the number of CPUs, in words; well above it, figures mean little."""
    cpus = os.cpu_count() or 1
    average = os.getloadavg()[0]
    words = f"load {average:.1f} on {cpus} CPUs"
    return f"{words}: busy, figures will be worse than they are" if average > cpus else words
