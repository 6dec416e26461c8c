"""Faults that take a share of the answers: which ones is the same for the same seed and order of calls."""

# ruff: noqa: TID252 - the package is `lab.cluster` here and `cluster` in its image

from collections import Counter
from zlib import crc32

from ..load import chance
from ..state import Lab
from .call import ApiError

# What answers while pvedaemon, or the way to another member, is in trouble; 596 is AnyEvent::HTTP's.
TROUBLES = ((500, "got timeout"), (503, "Service Unavailable"), (596, "Broken pipe"))


class Spoiler:
    """Counts the answers during each fault, and picks those that it spoils."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._answers: Counter[str] = Counter()
        self._spoilt: Counter[str] = Counter()

    def trouble(self, member: str) -> None:
        """Let a call fail if ``api_errors`` takes it.

        Raises:
            ApiError: 500, 503 and 596 in turn.
        """
        if number := self._hit(member, "api_errors"):
            raise ApiError(*TROUBLES[(number - 1) % len(TROUBLES)])

    def cuts(self, member: str) -> bool:
        """Whether ``answers_cut`` takes the next answer."""
        return self._hit(member, "answers_cut") > 0

    def _hit(self, member: str, kind: str) -> int:
        """The number of answers that a fault has spoilt, if this is one more; else 0."""
        fault = self._lab.faults.hitting(member, kind, self._lab.clock())
        if fault is None:
            return 0
        self._answers[fault.id] += 1
        seed = self._lab.settings.seed * 1009 + crc32(kind.encode())
        if chance(seed, self._answers[fault.id]) >= fault.number("share"):
            return 0
        self._spoilt[fault.id] += 1
        return self._spoilt[fault.id]
