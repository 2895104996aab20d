from __future__ import annotations

import pytest

from batchmill.contracts.workflow import CancelInput
from batchmill.domain.batch import BatchStatus
from batchmill.domain.errors import Cancelled, DeadlineExceeded
from support.world import World, jsonl


def test_a_planned_batch_is_opened_with_the_time_it_has_left() -> None:
    world = World()
    batch_id = world.drop(jsonl(3))
    opened = world.open(batch_id)
    assert world.batches.get(batch_id).status is BatchStatus.IN_PROGRESS
    assert opened.seconds_left == 3601  # the hour of the profile, and the backstop's moment
    assert opened.max_concurrency == 10


def test_a_batch_cancelled_meanwhile_is_not_opened() -> None:
    world = World()
    batch_id = world.drop(jsonl(3))
    planned = world.planned(batch_id)
    world.cancel(CancelInput(batch_id=batch_id))
    with pytest.raises(Cancelled):
        world.admit(planned)


def test_a_batch_past_its_window_is_not_opened() -> None:
    world = World()
    batch_id = world.drop(jsonl(3))
    planned = world.planned(batch_id)
    world.clock.move(3600)
    with pytest.raises(DeadlineExceeded):
        world.admit(planned)


def test_admit_twice_is_admit_once() -> None:
    world = World()
    batch_id = world.drop(jsonl(3))
    planned = world.planned(batch_id)
    assert world.admit(planned) == world.admit(planned)
