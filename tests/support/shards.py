"""One admitted batch, and moves on its shards."""

from __future__ import annotations

from batchmill.contracts.plan import ShardItem
from batchmill.contracts.workflow import DispatchInput, PauseInput
from batchmill.domain.request import Outcome
from batchmill.domain.shard import Shard, ShardKey, claimed
from batchmill.steps.shard.committing import Committed, commit
from batchmill.steps.shard.reading import span_rows
from support.world import DATA, PROFILE, World, jsonl


class Running:
    """A batch of `rows` rows, admitted, with nothing dispatched."""

    def __init__(self, rows: int = 6, profile: bytes = PROFILE) -> None:
        self.world = World()
        self.batch_id = self.world.drop(jsonl(rows), profile=profile)
        self.world.open(self.batch_id)
        self.documents = self.world.documents(self.batch_id)
        self.items: list[ShardItem] = self.documents.shards()

    def key(self, n: int = 0) -> ShardKey:
        return ShardKey(self.batch_id, 0, n)

    def dispatch(self, token: str = "token-1", n: int = 0) -> None:
        """As the state machine does: the token waits, then the function runs."""
        self.world.workflow.wait(token)
        asked = DispatchInput(token=token, batch_id=self.batch_id, run=0, shard=self.items[n])
        self.world.dispatch(asked)

    def pause(self, paused: bool = True) -> None:
        """As a person does by the command line."""
        self.world.pause(PauseInput(batch_id=self.batch_id, paused=paused))

    def shard(self, n: int = 0) -> Shard:
        found = self.world.batches.shard(self.key(n))
        assert found is not None
        return found

    def claim(self, n: int = 0, dispatch: int = 1) -> Shard:
        """A worker takes the shard."""
        now = self.world.clock.now()
        before = self.shard(n).attempt
        while self.shard(n).attempt == before:  # a holder that does not renew is evicted at the second look
            self.world.batches.update_shard(self.key(n), lambda old: claimed(old, dispatch, "m-1", "worker", now))
        return self.shard(n)

    def outcomes(self, n: int = 0, attempt: int = 1) -> list[Outcome]:
        """A result for each row of the shard."""
        rows = span_rows(self.world.objects, self.world.land.tables, self.documents.plan(), self.items[n].span())
        return [
            Outcome(
                f"row-{n:05d}-{row.row:06d}", n, row.row, "ok", output_text=str(row.columns["text"]), attempt=attempt
            )
            for row in rows
        ]

    def commit(self, n: int = 0, attempt: int = 1) -> Committed:
        """A worker's part, without any bookkeeping."""
        world, span = self.world, self.items[n].span()
        plan, rows = self.documents.plan(), self.outcomes(n, attempt)
        return commit(world.objects, world.parts, DATA, self.key(n), plan, span, rows, attempt, "worker")
