"""How sparingly EcsCapacity asks ECS, and what it does about ECS's refusals."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from botocore.stub import Stubber

from batchmill.adapters.ecs import ASKED_EVERY_SECONDS, EcsCapacity
from batchmill.contracts.pools import Pool
from fakes.clock import FakeClock
from fakes.stubbed import answer, refuse, stubbed

POOL = Pool(queue_url="queue", cluster="pools", service="default")
ASKED = {"cluster": "pools", "services": ["default"]}


class Case:
    """A capacity over a scripted client. `warnings` has what was logged for a person."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self._client, self.stubber = stubbed("ecs")
        self.clock, self.made = FakeClock(), 0
        self.capacity = EcsCapacity(self._make, self.clock)
        self._caplog = caplog

    def _make(self) -> Any:
        self.made += 1
        return self._client

    def found(self, desired: int) -> Stubber:
        answer(self.stubber, "describe_services", {"services": [{"desiredCount": desired}]}, ASKED)
        return self.stubber

    def done(self) -> None:
        self.stubber.assert_no_pending_responses()

    @property
    def warnings(self) -> list[str]:
        return [one.getMessage() for one in self._caplog.records if one.levelno == logging.WARNING]


@pytest.fixture
def case(caplog: pytest.LogCaptureFixture) -> Case:
    return Case(caplog)


def test_one_worker_is_asked_for_where_none_is_wanted(case: Case) -> None:
    asked = {"cluster": "pools", "service": "default", "desiredCount": 1}
    answer(case.found(0), "update_service", {"service": {}}, asked)
    case.capacity.wake(POOL)
    case.done()


def test_ecs_is_asked_once_a_minute_for_a_pool_whatever_it_said(case: Case) -> None:
    case.found(1)
    for _ in range(100):
        case.capacity.wake(POOL)
        case.clock.move(ASKED_EVERY_SECONDS / 101)
    case.done()
    refuse(case.stubber, "describe_services", "ThrottlingException")
    case.clock.move(ASKED_EVERY_SECONDS)
    for _ in range(100):
        case.capacity.wake(POOL)
    case.found(1)
    case.clock.move(ASKED_EVERY_SECONDS)
    case.capacity.wake(POOL)
    case.done()
    assert len(case.warnings) == 1


def test_every_pool_is_asked_after_for_itself(case: Case) -> None:
    case.found(1)
    answer(case.stubber, "describe_services", {"services": [{"desiredCount": 1}]}, {**ASKED, "services": ["other"]})
    case.capacity.wake(POOL)
    case.capacity.wake(POOL.model_copy(update={"service": "other"}))
    case.done()


@pytest.mark.parametrize("code", ["ThrottlingException", "AccessDeniedException", "ClusterNotFoundException"])
def test_a_refused_look_is_a_warning_that_says_what_was_refused(case: Case, code: str) -> None:
    refuse(case.stubber, "describe_services", code)
    case.capacity.wake(POOL)
    [warning] = case.warnings
    assert all(part in warning for part in ("DescribeServices", "pools/default", code))


@pytest.mark.parametrize("code", ["ThrottlingException", "AccessDeniedException", "ServiceNotActiveException"])
def test_a_refused_change_is_a_warning_too(case: Case, code: str) -> None:
    refuse(case.found(0), "update_service", code)
    case.capacity.wake(POOL)
    [warning] = case.warnings
    assert all(part in warning for part in ("UpdateService", "pools/default", code))


def test_a_service_that_is_not_there_is_a_warning(case: Case) -> None:
    answer(case.stubber, "describe_services", {"services": [], "failures": [{"reason": "MISSING"}]}, ASKED)
    case.capacity.wake(POOL)
    assert ["there is no service pools/default" in warning for warning in case.warnings] == [True]


def test_the_client_is_made_by_the_first_wake_that_needs_one(case: Case) -> None:
    case.capacity.wake(Pool(queue_url="queue"))
    assert case.made == 0
    case.found(1)
    case.capacity.wake(POOL)
    case.found(1)
    case.clock.move(ASKED_EVERY_SECONDS)
    case.capacity.wake(POOL)
    assert case.made == 1
