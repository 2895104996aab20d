from __future__ import annotations

import pytest

from batchmill.contracts.workflow import ShardMessage
from batchmill.domain.shard import ShardState
from support.shards import Running
from support.world import object_created


def letter(running: Running, dispatch: int = 1) -> str:
    return ShardMessage(batch_id=running.batch_id, run=0, shard=0, dispatch=dispatch).model_dump_json()


def test_a_part_answers_the_token_that_waits_now() -> None:
    running = Running()
    running.dispatch("token-1")
    running.dispatch("token-2")
    running.commit()
    (event,) = running.world.events
    running.world.resume(event)
    assert list(running.world.workflow.answers) == ["token-2"]
    assert (running.shard().state, running.shard().token) == (ShardState.COMMITTED, None)


def test_the_same_event_again_answers_nothing() -> None:
    running = Running()
    running.dispatch()
    running.commit()
    for _ in range(3):
        running.world.resume(running.world.events[0])
    assert len(running.world.workflow.answers) == 1
    assert running.world.workflow.stale == []


def test_a_part_of_a_shard_that_was_never_dispatched_is_no_error() -> None:
    running = Running()
    running.commit()
    running.world.resume(running.world.events[0])
    assert running.world.workflow.answers == {}


def test_an_object_that_is_no_part_is_ignored() -> None:
    running = Running()
    running.dispatch()
    running.world.objects.put("data", "batches/other.txt", b"")
    running.world.resume(object_created(running.world.objects.head("data", "batches/other.txt")))
    assert running.world.workflow.answers == {}


def test_a_dead_letter_sends_the_shard_anew() -> None:
    running = Running()
    running.dispatch("token-1")
    running.world.resume(letter(running))
    assert running.world.workflow.answers["token-1"].error == "Rerouted"
    assert (running.shard().route_index, running.shard().token) == (1, None)


def test_a_dead_letter_of_an_earlier_dispatch_or_of_a_committed_shard_is_of_the_past() -> None:
    running = Running()
    running.dispatch("token-1")
    running.dispatch("token-2")
    running.world.resume(letter(running, dispatch=1))
    running.commit()
    running.world.resume(running.world.events[0])
    running.world.resume(letter(running, dispatch=2))
    assert {token: answer.error for token, answer in running.world.workflow.answers.items()} == {"token-2": None}


def test_a_message_of_no_known_form_is_dropped_with_an_error_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    Running().world.resume("{}")
    assert "dropped a message of no known form" in caplog.text
