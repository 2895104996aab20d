"""One measurement, and what a contender must be able to do to be measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from benchmarks.workload import Workload


@dataclass(frozen=True)
class Timing:
    """What a contender says of one run. `peak_rss` in bytes, None where it is not known; `phases` in seconds."""

    seconds: float
    peak_rss: int | None = None
    phases: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Measured:
    """A run as it was seen from both sides. `engine_cpu_s`: the engine's processor time in it, None if not known."""

    contender: str
    round: int
    timing: Timing
    engine_cpu_s: float | None


class Contender(Protocol):
    """One way of getting a file of requests answered."""

    @property
    def name(self) -> str:
        """What it is called in the report."""
        ...

    @property
    def what(self) -> str:
        """What it does and does not do, in a line."""
        ...

    def run(self, workload: Workload, folder: Path) -> Timing:
        """Do all of it, checked. `folder` is this run's own. Raises BenchFailed."""
        ...
