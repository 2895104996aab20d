"""Task tokens: answered by whoever sees the part, at least once, in the order: answer, then note it."""

from __future__ import annotations

from dataclasses import dataclass

from batchmill.contracts.manifest import PartMetadata
from batchmill.domain.errors import ShardEnded
from batchmill.domain.shard import Shard, ShardKey, answered, committed
from batchmill.ports.batches import Batches
from batchmill.ports.clock import Clock
from batchmill.ports.workflow import Workflow
from batchmill.steps.shard.committing import tally_of


@dataclass(frozen=True)
class Answering:
    """Answers the token that a shard's record holds now. The port ignores a stale token."""

    batches: Batches
    workflow: Workflow
    clock: Clock

    def part_stands(self, key: ShardKey, part: PartMetadata) -> None:
        """The shard's part exists: note it and what it holds, and end the task that waits for it."""
        now, progress = self.clock.now(), tally_of(part)
        shard = self.batches.update_shard(key, lambda old: committed(old, part.attempt, now, progress))
        if shard is not None:
            self.succeed(shard)

    def succeed(self, shard: Shard) -> None:
        """End the task that waits for a committed shard."""
        if shard.token is not None:
            self.workflow.succeed(shard.token)
            self._note(shard, shard.token)

    def fail(self, shard: Shard, error: ShardEnded) -> None:
        """End the task that waits for a shard with an error."""
        if shard.token is not None:
            self.workflow.fail(shard.token, type(error).__name__, str(error))
            self._note(shard, shard.token)

    def _note(self, shard: Shard, token: str) -> None:
        self.batches.update_shard(shard.key, lambda old: answered(old, token, self.clock.now()))
