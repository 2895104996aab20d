"""The capacity port over ECS: a pool is a service, its workers the service's tasks."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

from batchmill.adapters.aws_errors import translated
from batchmill.contracts.pools import Pool
from batchmill.domain.errors import BatchmillError, Gone
from batchmill.ports.clock import Clock

if TYPE_CHECKING:
    from mypy_boto3_ecs import ECSClient

ASKED_EVERY_SECONDS = 60.0
"""ECS answers some 20 DescribeServices a second for a whole account and region, and dispatch runs 100 times."""

log = logging.getLogger(__name__)


class EcsCapacity:
    """Implements `ports.capacity.Capacity`."""

    def __init__(self, client: Callable[[], ECSClient], clock: Clock) -> None:
        """`client` is called on the first wake: making one takes longer than the rest of a function's start."""
        self._make_client, self._clock = client, clock
        self._asked: dict[Pool, float] = {}

    def wake(self, pool: Pool) -> None:
        """Set the service's desired count to 1 where it is 0. Trouble is logged, and not tried again for a minute."""
        now = self._clock.now()
        if not pool.service or now - self._asked.get(pool, float("-inf")) < ASKED_EVERY_SECONDS:
            return
        self._asked[pool] = now
        try:
            self._want_one(pool)
        except BatchmillError as error:
            log.warning("the pool could not be woken, its alarm will: %s", error)

    def _want_one(self, pool: Pool) -> None:
        """Between the look and the change an alarm may have asked for more: it does so again within a minute."""
        with translated(f"service {pool.cluster}/{pool.service}"):
            found = self._ecs.describe_services(cluster=pool.cluster, services=[pool.service])["services"]
            if not found:
                raise Gone(f"there is no service {pool.cluster}/{pool.service}")
            if found[0]["desiredCount"] == 0:
                self._ecs.update_service(cluster=pool.cluster, service=pool.service, desiredCount=1)
                log.info("woke the service %s/%s", pool.cluster, pool.service)

    @cached_property
    def _ecs(self) -> ECSClient:
        return self._make_client()
