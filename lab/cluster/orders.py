"""What people had done to guests: migrations, and starts of guests that the lab was built with switched off.

Kept with their times, since location and counters are functions of the time.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import inf


@dataclass(frozen=True, slots=True)
class Move:
    """A migration: the guest is locked from ``start`` to ``end`` (Unix seconds) and then on ``target``."""

    vmid: int
    source: str
    target: str
    start: float
    end: float


@dataclass
class Orders:
    """Every order since the start, by guest and in order of time; ``version`` grows with each."""

    version: int = 0
    _moves: dict[int, tuple[Move, ...]] = field(default_factory=dict)
    _arrivals: dict[str, dict[int, None]] = field(default_factory=dict)
    _started: dict[int, float] = field(default_factory=dict)

    def move(self, move: Move) -> None:
        """Record a migration."""
        self._moves[move.vmid] = (*self.moves(move.vmid), move)
        self._arrivals.setdefault(move.target, {})[move.vmid] = None
        self.version += 1

    def start(self, vmid: int, t: float) -> None:
        """Record that a guest was switched on for the first time."""
        self._started[vmid] = t
        self.version += 1

    def moves(self, vmid: int) -> tuple[Move, ...]:
        """The migrations of a guest, failed ones among them."""
        return self._moves.get(vmid, ())

    def all_moves(self) -> Iterator[Move]:
        """The migrations of all guests."""
        for moves in self._moves.values():
            yield from moves

    def guests(self) -> frozenset[int]:
        """The guests that any order was about."""
        return frozenset({*self._moves, *self._started})

    def arrivals(self, host: str) -> tuple[int, ...]:
        """The guests that were ever to move to ``host``."""
        return tuple(self._arrivals.get(host, ()))

    def started(self, vmid: int) -> float:
        """When a guest that was built switched off was first started; infinity if never."""
        return self._started.get(vmid, inf)
