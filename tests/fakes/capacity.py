"""The services of pools, in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from batchmill.contracts.pools import Pool


@dataclass
class MemoryCapacity:
    """Implements `ports.capacity.Capacity`: `desired` has the workers wanted, by cluster and service.

    It looks at every wake, as an adapter does that is asked once a minute or less. `before` is called first.
    """

    desired: dict[tuple[str, str], int] = field(default_factory=dict)
    before: Callable[[], None] | None = None

    def wake(self, pool: Pool) -> None:
        if self.before:
            self.before()
        name = (pool.cluster, pool.service)
        if name in self.desired:
            self.desired[name] = max(1, self.desired[name])
