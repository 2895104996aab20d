"""Outcomes as files: parts and checkpoints."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from batchmill.domain.request import Outcome


class Parts(Protocol):
    """Outcomes to a columnar file and back."""

    def encode(self, outcomes: Iterable[Outcome], columns: Sequence[str]) -> bytes:
        """One file of the results schema, `columns` carried over, in the order given. Fixed schema, also for none."""
        ...

    def decode(self, body: bytes) -> list[Outcome]:
        """What encode was given. Raises ValueError for anything else."""
        ...
