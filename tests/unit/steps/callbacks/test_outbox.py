from __future__ import annotations

import pytest

from batchmill.domain.batch import Batch, BatchStatus
from batchmill.domain.errors import Transient
from batchmill.steps.callbacks.outbox import Outbox
from support.world import CALLBACKS, World


def made(world: World, status: BatchStatus, **spec: str) -> Batch:
    batch = Batch("batch_" + "0" * 24, status, spec, (), 0.0, 1.0)
    world.batches.create(batch)
    return batch


def channels(world: World) -> list[str]:
    return [message.channel for message in world.callbacks()]


def outbox(world: World) -> Outbox:
    return Outbox(world.batches, world.queue, CALLBACKS)


@pytest.mark.parametrize("status", ["completed", "failed", "expired", "cancelled"])
def test_every_final_status_is_told_by_each_channel_and_noted(status: str) -> None:
    world = World()
    batch = made(world, BatchStatus(status), webhook_url="https://hooks.example.com/")
    assert outbox(world).announce(batch).notified
    assert world.batches.get(batch.batch_id).notified
    assert channels(world) == ["event", "sns", "webhook"]


def test_without_a_url_there_is_no_webhook() -> None:
    world = World()
    outbox(world).announce(made(world, BatchStatus.COMPLETED))
    assert channels(world) == ["event", "sns"]


@pytest.mark.parametrize("status", ["validating", "in_progress", "cancelling", "finalizing"])
def test_what_is_not_final_is_told_to_nobody(status: str) -> None:
    world = World()
    batch = made(world, BatchStatus(status))
    assert outbox(world).announce(batch) is batch
    assert channels(world) == []


def test_what_is_noted_is_not_sent_again() -> None:
    world = World()
    noted = outbox(world).announce(made(world, BatchStatus.COMPLETED))
    assert outbox(world).announce(noted) is noted
    assert channels(world) == ["event", "sns"]


def test_what_was_cut_off_before_it_was_noted_is_sent_whole_again() -> None:
    world = World()
    batch = made(world, BatchStatus.COMPLETED)
    sends = 0

    def cut(operation: str) -> None:
        nonlocal sends
        sends += operation == "send"
        if sends == 2:
            raise Transient("cut off")

    world.queue.before = cut
    with pytest.raises(Transient):
        outbox(world).announce(batch)
    assert not world.batches.get(batch.batch_id).notified
    assert outbox(world).announce(batch).notified
    assert channels(world) == ["event", "event", "sns"]
