from __future__ import annotations

from collections.abc import Callable

import pytest

from batchmill.domain.errors import Evicted, StaleDispatch
from batchmill.domain.shard import (
    Placement,
    Progress,
    Shard,
    ShardKey,
    ShardState,
    answered,
    claimed,
    committed,
    dispatched,
    failed,
    given_back,
    held_back,
    lease_is_dead,
    observed,
    parked,
    released,
    renewed,
    rerouted,
    sent,
)
from batchmill.domain.span import Span

PLACE = Placement("ecs", "default", "f" * 24)


def planned() -> Shard:
    return Shard(ShardKey("batch_1", 0, 0), Span(0, 0, 10))


def waiting() -> Shard:
    return dispatched(planned(), "token-1", PLACE, 100.0, 1.0)


def running() -> Shard:
    return claimed(sent(waiting(), waiting(), 2.0), 1, "m-1", "worker-1", 3.0)


def test_a_dispatch_stores_its_token_before_anything_is_sent() -> None:
    shard = waiting()
    assert (shard.state, shard.dispatch, shard.token, shard.attempt) == (ShardState.WAITING, 1, "token-1", 0)


def test_a_claim_before_the_dispatch_has_noted_that_it_sent_stands() -> None:
    shard = claimed(waiting(), 1, "m-1", "worker-1", 2.0)
    assert sent(shard, waiting(), 3.0) is shard


def test_a_message_of_an_earlier_dispatch_claims_nothing() -> None:
    again = dispatched(running(), "token-2", PLACE, 100.0, 4.0)
    with pytest.raises(StaleDispatch, match="at dispatch 2, not 1"):
        claimed(again, 1, "m-1", "worker-1", 5.0)


def test_a_redelivery_evicts_a_holder_that_has_not_renewed_since_the_first() -> None:
    doubted = claimed(running(), 1, "m-1", "worker-2", 4.0)
    assert (doubted.attempt, doubted.holder) == (1, "worker-1")
    second = claimed(doubted, 1, "m-1", "worker-2", 9.0)
    assert (second.attempt, second.holder) == (2, "worker-2")
    with pytest.raises(Evicted):
        renewed(second, 1, Progress(), 5.0)
    with pytest.raises(Evicted):
        given_back(second, 1, 5.0)
    assert renewed(second, 2, Progress(ok=3), 5.0).progress.ok == 3


def test_a_holder_that_renews_is_never_evicted_by_a_message_that_came_twice() -> None:
    shard = running()
    for i in range(5):
        shard = claimed(shard, 1, "m-1", "worker-2", 10.0 + i)
        shard = renewed(shard, 1, Progress(), 10.5 + i)
    assert (shard.attempt, shard.holder) == (1, "worker-1")


def test_others_messages_neither_evict_a_holder_nor_take_the_doubt_of_the_first() -> None:
    shard = claimed(running(), 1, "m-2", "worker-2", 4.0)
    for message in ("m-3", "m-4", "m-3"):
        assert claimed(shard, 1, message, "worker-3", 5.0) is shard
    assert claimed(shard, 1, "m-2", "worker-4", 9.0).holder == "worker-4"


def test_a_doubt_from_before_a_renewal_is_anybodys_to_take() -> None:
    shard = renewed(claimed(running(), 1, "m-2", "worker-2", 4.0), 1, Progress(), 5.0)
    shard = claimed(shard, 1, "m-3", "worker-3", 6.0)
    assert (shard.holder, shard.doubt) == ("worker-1", ("m-3", 1, 1))
    assert claimed(shard, 1, "m-2", "worker-2", 7.0) is shard
    assert claimed(shard, 1, "m-3", "worker-3", 8.0).holder == "worker-3"


def test_a_new_attempt_starts_its_own_lease() -> None:
    shard = observed(running(), 10.0)
    shard = given_back(shard, 1, 20.0)
    shard = claimed(shard, 1, "m-1", "worker-2", 500.0)
    assert not lease_is_dead(shard, 30.0, 501.0)
    assert (shard.renewal, shard.seen_renewal) == (0, -1)


def test_a_slow_call_of_dispatch_does_not_replace_a_later_ones_token() -> None:
    later = dispatched(planned(), "token-2", PLACE, 100.0, 5.0, ("2026-01-01T00:00:01.000Z", 1))
    with pytest.raises(StaleDispatch):
        dispatched(later, "token-1", PLACE, 100.0, 6.0, ("2026-01-01T00:00:01.000Z", 0))
    assert dispatched(later, "token-3", PLACE, 100.0, 7.0, ("2026-01-01T00:00:02.000Z", 0)).token == "token-3"


def test_a_dispatch_of_the_past_does_not_note_that_it_sent() -> None:
    again = dispatched(waiting(), "token-2", PLACE, 100.0, 4.0)
    assert sent(again, waiting(), 5.0) is again


def test_a_failed_attempt_is_counted_and_given_back() -> None:
    shard = failed(running(), 1, 4.0)
    assert (shard.state, shard.failures, shard.holder) == (ShardState.WAITING, 1, "")
    with pytest.raises(Evicted):
        failed(shard, 1, 5.0)


def test_a_reroute_keeps_the_token_until_it_is_failed_and_evicts_the_holder() -> None:
    shard = rerouted(running(), 9.0)
    assert (shard.state, shard.token, shard.rerouting, shard.route_index) == (ShardState.WAITING, "token-1", True, 1)
    with pytest.raises(Evicted):
        renewed(shard, 1, Progress(), 10.0)
    assert not dispatched(shard, "token-2", PLACE, 100.0, 11.0).rerouting


def test_committed_is_the_end_and_only_takes_tokens() -> None:
    shard = committed(running(), 1, 5.0, Progress(ok=10))
    assert committed(shard, 2, 6.0) is shard
    assert rerouted(shard, 6.0) is shard
    again = dispatched(shard, "token-2", PLACE, 100.0, 7.0)
    assert (again.state, again.token, again.dispatch) == (ShardState.COMMITTED, "token-2", 1)
    with pytest.raises(StaleDispatch):
        claimed(shard, 1, "m-1", "late", 8.0)


def test_an_answer_clears_only_the_token_it_answered() -> None:
    shard = waiting()
    assert answered(shard, "token-0", 2.0) is shard
    assert answered(shard, "token-1", 2.0).token is None


@pytest.mark.parametrize("skew", [-600.0, 0.0, 600.0])
def test_a_lease_is_judged_by_sweeps_clock_alone(skew: float) -> None:
    """The worker's clock is ten minutes off either way; the lease of 30 s lives and dies all the same."""
    shard = observed(running(), 1000.0)
    shard = renewed(shard, 1, Progress(), 1010.0 + skew)
    assert not lease_is_dead(shard, 30.0, 1100.0)  # a renewal that sweep has not seen before
    shard = observed(shard, 1100.0)
    assert not lease_is_dead(shard, 30.0, 1130.0)
    assert lease_is_dead(shard, 30.0, 1131.0)


def test_a_shard_that_nobody_holds_has_no_lease_to_die() -> None:
    assert not lease_is_dead(observed(waiting(), 0.0), 1.0, 1e9)


def test_a_parked_shard_waits_for_nobody_until_it_is_sent_again() -> None:
    shard = parked(running(), 1, 4.0)
    assert (shard.state, shard.parked, shard.holder, shard.token) == (ShardState.WAITING, True, "", "token-1")
    with pytest.raises(Evicted):
        renewed(shard, 1, Progress(), 5.0)
    with pytest.raises(Evicted):
        parked(shard, 1, 5.0)
    again = sent(shard, shard, 6.0)
    assert (again.state, again.parked, again.dispatch) == (ShardState.SENT, False, 1)


def test_a_dispatch_that_is_held_back_is_parked_unless_the_shard_has_moved_on() -> None:
    shard = held_back(waiting(), 1, 2.0)
    assert (shard.state, shard.parked) == (ShardState.WAITING, True)
    assert held_back(running(), 1, 4.0) == running()
    again = dispatched(shard, "token-2", PLACE, 100.0, 4.0)
    assert held_back(again, 1, 5.0) is again


def test_a_message_is_not_noted_as_sent_once_its_claim_has_been_parked_again() -> None:
    before = held_back(waiting(), 1, 2.0)
    shard = parked(claimed(before, 1, "m-1", "worker-1", 3.0), 1, 4.0)
    assert sent(shard, before, 5.0) is shard


def test_a_release_makes_every_earlier_message_one_of_the_past_and_leaves_the_shard_parked() -> None:
    before = held_back(waiting(), 1, 2.0)
    shard = released(before, 3.0)
    assert (shard.state, shard.parked, shard.dispatch, shard.token) == (ShardState.WAITING, True, 2, "token-1")
    assert sent(shard, before, 4.0) is shard
    assert not sent(shard, shard, 4.0).parked
    assert held_back(shard, 1, 4.0) is shard
    with pytest.raises(StaleDispatch, match="at dispatch 2, not 1"):
        claimed(shard, 1, "m-1", "worker-1", 5.0)


@pytest.mark.parametrize("shard", [waiting(), running(), answered(held_back(waiting(), 1, 2.0), "token-1", 3.0)])
def test_what_is_not_parked_or_what_nobody_waits_for_is_not_released(shard: Shard) -> None:
    assert released(shard, 4.0) is shard


@pytest.mark.parametrize(
    "move",
    [
        lambda shard: dispatched(shard, "token-2", PLACE, 100.0, 5.0),
        lambda shard: sent(shard, shard, 5.0),
        lambda shard: claimed(shard, 1, "m-1", "worker-1", 5.0),
        lambda shard: rerouted(shard, 5.0),
        lambda shard: committed(shard, 1, 5.0),
    ],
)
def test_whoever_moves_a_parked_shard_unparks_it(move: Callable[[Shard], Shard]) -> None:
    assert not move(held_back(waiting(), 1, 2.0)).parked
