"""Who holds a shard that has many messages: a holder that renews, for ever; a dead one, for two leases at most.

Time passes by seconds; a message that a worker takes and has no use for comes back a lease later, as SQS does it.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from batchmill.domain.shard import (
    RENEWALS_PER_LEASE,
    Placement,
    Progress,
    Shard,
    ShardKey,
    ShardState,
    claimed,
    dispatched,
    renewed,
)
from batchmill.domain.span import Span
from fakes.clock import FakeClock
from fakes.queue import MemoryQueue
from support.world import LEASE, QUEUE

MINUTES = 10 * 60
PHASES = st.lists(st.integers(0, int(LEASE)), max_size=12)
"""When each duplicate is sent, in seconds after the holder's claim: all at once in the shortest case."""


class Held:
    """A shard that the first message's taker holds, and duplicates that idle workers take as soon as they may."""

    def __init__(self, phases: list[int]) -> None:
        self.clock = FakeClock()
        self.queue = MemoryQueue(self.clock)
        place = Placement("ecs", "default", "f" * 24)
        self.shard = dispatched(Shard(ShardKey("batch_1", 0, 0), Span(0, 0, 10)), "token-1", place, 1e9, 1.0)
        self.phases, self.second = phases, 0
        self.queue.send(QUEUE, "one")
        self.receipt = self._look()
        assert self.shard.state is ShardState.RUNNING

    def _look(self) -> str:
        """Everybody idle takes what there is, and doubts or takes the shard; the last receipt."""
        receipt = ""
        while (taken := self.queue.receive(QUEUE, 0, int(LEASE))) is not None:
            receipt = taken.receipt
            self.shard = claimed(self.shard, 1, taken.message_id, receipt, self.clock.now())
        return receipt

    def renew(self) -> None:
        """The first holder, before anybody else has this second."""
        self.shard = renewed(self.shard, 1, Progress(), self.clock.now())
        self.queue.extend(QUEUE, self.receipt, int(LEASE))

    def pass_second(self, alive: bool) -> None:
        self.clock.move(1)
        self.second += 1
        if alive and self.second % (LEASE / RENEWALS_PER_LEASE) == 0:
            self.renew()
        for _ in range(self.phases.count(self.second)):
            self.queue.send(QUEUE, "one")
        self._look()


@given(phases=PHASES)
@settings(deadline=None)
def test_a_holder_that_renews_is_never_evicted_however_many_messages_there_are(phases: list[int]) -> None:
    held = Held(phases)
    for _ in range(MINUTES):
        held.pass_second(alive=True)
    assert held.shard.attempt == 1


@given(phases=PHASES, life=st.integers(0, 3 * int(LEASE)))
@settings(deadline=None)
def test_a_dead_holder_is_evicted_within_two_leases_whatever_other_messages_there_are(
    phases: list[int], life: int
) -> None:
    held = Held(phases)
    for _ in range(life):
        held.pass_second(alive=True)
    for _ in range(2 * int(LEASE)):
        held.pass_second(alive=False)
    assert held.shard.attempt > 1


def test_duplicates_in_lockstep_evict_nobody() -> None:
    held = Held([5] * 4 + [6] * 4)
    for _ in range(MINUTES):
        held.pass_second(alive=True)
    assert held.shard.attempt == 1
