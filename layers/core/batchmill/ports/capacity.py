"""The workers of a pool, as far as whoever sends shards has a say in them."""

from __future__ import annotations

from typing import Protocol

from batchmill.contracts.pools import Pool


class Capacity(Protocol):
    """What gives a pool its workers. Nothing here raises: a pool that could not be woken is scaled by its alarm."""

    def wake(self, pool: Pool) -> None:
        """Have at least one worker wanted for the pool; one that wants some already is left as it is.

        Costs little: a pool is asked after once a minute at most. Does nothing for a pool without a service. Trouble
        (throttling, no permission, no such service) is logged as a warning.
        """
        ...
