"""How many examples Hypothesis tries, and which: the same ones in every run unless asked otherwise.

`HYPOTHESIS_PROFILE=thorough` tries many more, other ones each time, and keeps those that failed in .cache/.
What else is random or large in these tests is so by the same profile.
"""

from __future__ import annotations

import os
from pathlib import Path

from hypothesis import settings

_CACHE = Path(__file__).parents[2] / ".cache" / "hypothesis"
_PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "fixed")


def load() -> None:
    """Load the profile that HYPOTHESIS_PROFILE names; nothing is written beside the tests."""
    os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", str(_CACHE))
    # A time limit for one example says more about the machine's load than about the code.
    settings.register_profile("fixed", derandomize=True, database=None, deadline=None, max_examples=30)
    settings.register_profile("thorough", deadline=None, max_examples=1000)
    settings.load_profile(_PROFILE)


def much(usual: int, thorough: int) -> int:
    """How many seeds or guests a costly test takes: the second number in the profile `thorough`."""
    return thorough if _PROFILE == "thorough" else usual


def times(factor: int) -> settings:
    """Return settings for a cheap test that needs more examples than the profile gives."""
    return settings(max_examples=factor * settings.get_profile(_PROFILE).max_examples)
