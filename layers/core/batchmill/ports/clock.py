"""Time, so that tests can hold it."""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """Now, and waiting."""

    def now(self) -> float:
        """Seconds since the epoch."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...
