"""Load as a pure function of (seed, time): rates with a closed-form integral.

A counter is the integral of its rate, so the two can never disagree, a counter never falls, and a restart
of the process continues it. Every part of a curve is chosen so that its integral is exact:

* the day: a cosine with a period of 86,400 s;
* noise: in each interval of a fixed length one full sine of hashed height, whose integral over the
  interval is zero;
* bursts: a raised cosine of fixed height, repeated.
"""

from collections.abc import Callable, Iterable
from itertools import pairwise
from math import cos, inf, pi, sin
from typing import NamedTuple

DAY = 86_400.0
TAU = 2 * pi
# Lengths of the noise intervals in seconds and their shares: scrape to scrape, minutes, an hour.
NOISE = ((47.0, 0.30), (331.0, 0.35), (2957.0, 0.35))


def chance(seed: int, key: int) -> float:
    """A number in [0, 1) that depends on ``seed`` and ``key`` alone (a 32-bit multiply and xor-shift mix)."""
    x = (seed * 0x9E3779B1 ^ key * 0x85EBCA6B) & 0xFFFFFFFF
    x = ((x ^ (x >> 15)) * 0x2C1B3C6D) & 0xFFFFFFFF
    x = ((x ^ (x >> 12)) * 0x297A2D39) & 0xFFFFFFFF
    return (x ^ (x >> 15)) / 0x1_0000_0000


def uneven(seed: int, number: int, spread: float) -> float:
    """The weight of core ``number``: 1, give or take up to ``spread``; each pair of cores adds up to 2."""
    part = spread * (2 * chance(seed, 40 + number // 2) - 1)
    return 1 + (part if number % 2 == 0 else -part)


class Curve(NamedTuple):
    """A positive rate over time, in any unit per second.

    ``day`` and ``noise`` are fractions of ``mean`` and add up to less than 1, so the rate stays positive.
    ``burst`` is in the unit of ``mean``; it lasts ``width`` seconds of every ``period`` seconds.
    """

    mean: float
    seed: int = 0
    day: float = 0.0
    noise: float = 0.0
    burst: float = 0.0
    period: float = 3600.0
    width: float = 240.0
    peak: float = 50_400.0

    def rate(self, t: float) -> float:
        """The rate at ``t`` (Unix seconds)."""
        wave = 1.0
        if self.day:
            wave += self.day * cos(TAU * (t - self.peak) / DAY)
        if self.noise:
            for length, share in NOISE:
                k, x = divmod(t + self.seed % 2957, length)
                wave += self.noise * share * (2 * chance(self.seed, int(k)) - 1) * sin(TAU * x / length)
        value = self.mean * wave
        if self.burst:
            x = (t + self.seed) % self.period
            if x < self.width:
                value += self.burst * (1 - cos(TAU * x / self.width)) / 2
        return value

    def area(self, t: float) -> float:
        """The integral of ``rate`` from 0 to ``t``, but for a constant: only differences mean something."""
        wave = t
        if self.day:
            wave += self.day * DAY / TAU * sin(TAU * (t - self.peak) / DAY)
        if self.noise:
            for length, share in NOISE:
                k, x = divmod(t + self.seed % 2957, length)
                height = self.noise * share * (2 * chance(self.seed, int(k)) - 1)
                wave += height * length / TAU * (1 - cos(TAU * x / length))
        value = self.mean * wave
        if self.burst:
            k, x = divmod(t + self.seed, self.period)
            x = min(x, self.width)
            value += self.burst / 2 * (k * self.width + x - sin(TAU * x / self.width) * self.width / TAU)
        return value

    def between(self, start: float, end: float) -> float:
        """The integral of ``rate`` from ``start`` to ``end``."""
        return self.area(end) - self.area(start)

    def times(self, factor: float) -> "Curve":
        """The same shape, ``factor`` times as high."""
        return self._replace(mean=self.mean * factor, burst=self.burst * factor)


class Segment(NamedTuple):
    """From ``start`` to ``end`` the rate is ``scale`` times what it would have been, plus ``level``."""

    start: float
    end: float = inf
    scale: float = 1.0
    level: float = 0.0


def rate_with(base: float, segments: Iterable[Segment], t: float) -> float:
    """``base``, a rate at ``t``, with whatever disjoint ``segments`` make of it."""
    for segment in segments:
        if segment.start <= t < segment.end:
            return base * segment.scale + segment.level
    return base


def area_with(
    between: Callable[[float, float], float], segments: Iterable[Segment], start: float, end: float
) -> float:
    """The integral over a span of time of a rate whose own integral is ``between``, with ``segments``."""
    total = between(start, end)
    for segment in segments:
        low, high = max(start, segment.start), min(end, segment.end)
        if low < high:
            total += (segment.scale - 1) * between(low, high) + segment.level * (high - low)
    return total


def split_with(
    between: Callable[[float, float], float], segments: Iterable[Segment], start: float, end: float
) -> tuple[float, float]:
    """``area_with`` in two parts: what comes of the curve, and what comes of the segments' levels."""
    given = tuple(segments)
    own = area_with(between, (s._replace(level=0.0) for s in given), start, end)
    added = sum(s.level * max(0.0, min(end, s.end) - max(start, s.start)) for s in given)
    return own, added


def disjoint(segments: Iterable[Segment]) -> tuple[Segment, ...]:
    """The same segments without overlap, in order of time; where two overlap, the later one counts."""
    given = list(segments)
    if len(given) < 2:
        return tuple(given)
    edges = sorted({edge for segment in given for edge in segment[:2]})
    parts = []
    for low, high in pairwise(edges):
        covering = [s for s in given if s.start <= low and high <= s.end]
        if covering:
            parts.append(covering[-1]._replace(start=low, end=high))
    return tuple(parts)


def sawtooth(t: float, seed: int, low: float, high: float, period: float) -> float:
    """What slowly fills from ``low`` to ``high`` within ``period`` seconds and is then cleaned up."""
    return low + (high - low) * ((t + chance(seed, 1) * period) % period) / period
