"""What is made of the measurements: rates, their spread over rounds, and ratios pair by pair."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    """The least, the middle and the greatest of some values. `width`: how far apart the ends are, of the middle."""

    min: float
    median: float
    max: float

    @property
    def width(self) -> float:
        """(max - min) / median; 0 where the median is."""
        return (self.max - self.min) / self.median if self.median else 0.0


def spread(values: Sequence[float]) -> Spread:
    """Raises ValueError where there are no values."""
    if not values:
        raise ValueError("no values to take the spread of")
    return Spread(min(values), statistics.median(values), max(values))


def rates(rows: int, seconds: Sequence[float]) -> list[float]:
    """Rows per second of each round. Raises ValueError for a time that is not above 0."""
    if any(value <= 0 for value in seconds):
        raise ValueError("a time must be above 0 s")
    return [rows / value for value in seconds]


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Ours by theirs, round by round: what slowed a whole round down is in both. Raises ValueError if unpaired."""
    return [mine / other for mine, other in zip(ours, theirs, strict=True)]


def busy_share(rows: int, latency_ms: float, window: int, seconds: float) -> float:
    """How much of the engine's places was in use: `rows` of a constant latency, in `window` places, for `seconds`.

    The rest is idleness. 1.0 cannot be reached: a request costs more than the engine's simulated latency.
    """
    return rows * latency_ms / 1000 / (window * seconds)
