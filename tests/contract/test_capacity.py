"""What every capacity owes dispatch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from batchmill.adapters.aws_clients import ecs_client
from batchmill.adapters.ecs import EcsCapacity
from batchmill.contracts.pools import Pool
from batchmill.ports.capacity import Capacity
from fakes.capacity import MemoryCapacity
from fakes.clock import FakeClock

ASLEEP, BUSY = ("pools", "asleep"), ("pools", "busy")


@dataclass(frozen=True)
class Case:
    """Two services: one wants no worker, the other three."""

    capacity: Capacity
    desired: Callable[[], dict[tuple[str, str], int]]

    def wake(self, cluster: str, service: str) -> dict[tuple[str, str], int]:
        """The workers wanted afterwards."""
        self.capacity.wake(Pool(queue_url="queue", cluster=cluster, service=service))
        return self.desired()


@pytest.fixture(params=["fake", "ecs"])
def case(request: pytest.FixtureRequest) -> Case:
    desired = {ASLEEP: 0, BUSY: 3}
    if request.param == "fake":
        fake = MemoryCapacity(desired)
        return Case(fake, lambda: fake.desired)
    request.getfixturevalue("aws")
    client = ecs_client()
    client.create_cluster(clusterName="pools")
    client.register_task_definition(family="worker", containerDefinitions=[{"name": "w", "image": "w", "memory": 1}])
    for (cluster, service), count in desired.items():
        client.create_service(cluster=cluster, serviceName=service, taskDefinition="worker", desiredCount=count)

    def told() -> dict[tuple[str, str], int]:
        found = client.describe_services(cluster="pools", services=["asleep", "busy"])["services"]
        return {("pools", service["serviceName"]): service["desiredCount"] for service in found}

    return Case(EcsCapacity(lambda: client, FakeClock()), told)


def test_a_pool_that_wants_no_worker_is_made_to_want_one(case: Case) -> None:
    assert case.wake(*ASLEEP) == {ASLEEP: 1, BUSY: 3}


def test_a_pool_that_wants_several_workers_keeps_them(case: Case) -> None:
    assert case.wake(*BUSY) == {ASLEEP: 0, BUSY: 3}


def test_a_pool_that_is_awake_may_be_woken_again(case: Case) -> None:
    case.wake(*ASLEEP)
    assert case.wake(*ASLEEP) == {ASLEEP: 1, BUSY: 3}


@pytest.mark.parametrize(("cluster", "service"), [("", ""), ("pools", "gone"), ("nowhere", "asleep")])
def test_a_pool_without_a_service_is_no_trouble(case: Case, cluster: str, service: str) -> None:
    assert case.wake(cluster, service) == {ASLEEP: 0, BUSY: 3}
