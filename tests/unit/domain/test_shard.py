from __future__ import annotations

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
    given_back,
    lease_is_dead,
    observed,
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
    return claimed(sent(waiting(), 1, 2.0), 1, "worker-1", 3.0)


def test_a_dispatch_stores_its_token_before_anything_is_sent() -> None:
    shard = waiting()
    assert (shard.state, shard.dispatch, shard.token, shard.attempt) == (ShardState.WAITING, 1, "token-1", 0)


def test_a_claim_before_the_dispatch_has_noted_that_it_sent_stands() -> None:
    shard = claimed(waiting(), 1, "worker-1", 2.0)
    assert sent(shard, 1, 3.0) is shard


def test_a_message_of_an_earlier_dispatch_claims_nothing() -> None:
    again = dispatched(running(), "token-2", PLACE, 100.0, 4.0)
    with pytest.raises(StaleDispatch, match="at dispatch 2, not 1"):
        claimed(again, 1, "worker-1", 5.0)


def test_a_redelivery_evicts_the_holder() -> None:
    second = claimed(running(), 1, "worker-2", 4.0)
    assert (second.attempt, second.holder) == (2, "worker-2")
    with pytest.raises(Evicted):
        renewed(second, 1, Progress(), 5.0)
    with pytest.raises(Evicted):
        given_back(second, 1, 5.0)
    assert renewed(second, 2, Progress(ok=3), 5.0).progress.ok == 3


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
        claimed(shard, 1, "late", 8.0)


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
