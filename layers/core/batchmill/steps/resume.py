"""resume: what happened to a shard answers the token that waits for it."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from pydantic import ValidationError

from batchmill.contracts.intake import ObjectCreated
from batchmill.contracts.workflow import ShardMessage
from batchmill.domain import ids
from batchmill.domain.errors import Rerouted
from batchmill.domain.shard import Shard, ShardKey, ShardState, rerouted
from batchmill.ports.batches import Batches
from batchmill.ports.clock import Clock
from batchmill.ports.objects import Objects
from batchmill.steps.shard.answering import Answering
from batchmill.steps.shard.committing import standing_part

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Resume:
    """The step: takes S3's Object Created of a part, or a message that a pool's queue gave up on."""

    objects: Objects
    batches: Batches
    answering: Answering
    clock: Clock
    data_bucket: str

    def __call__(self, body: str) -> None:
        """Take one message. Raises Transient; a message of no known form is logged and dropped."""
        try:
            key = ids.parse_part_key(ObjectCreated.model_validate_json(body).detail.object.key)
        except ValidationError:
            self._dead_letter(body)
            return
        if key is not None:
            self._part_created(ShardKey(*key))

    def _part_created(self, key: ShardKey) -> None:
        part = standing_part(self.objects, self.data_bucket, key)
        if part is not None:
            self.answering.part_stands(key, part)

    def _dead_letter(self, body: str) -> None:
        """A shard's message was given back too often: if it was the current one, the shard is dispatched anew."""
        try:
            message = ShardMessage.model_validate_json(body)
        except ValidationError:
            log.error("resume: dropped a message of no known form")
            return
        before: list[Shard] = []

        def change(shard: Shard) -> Shard:
            before[:] = [shard]
            current = shard.dispatch == message.dispatch and shard.state is not ShardState.COMMITTED
            return rerouted(shard, self.clock.now()) if current else shard

        key = ShardKey(message.batch_id, message.run, message.shard)
        after = self.batches.update_shard(key, change)
        if after is not None and after is not before[0]:
            self.answering.fail(after, Rerouted("the queue gave up on the shard's message"))
