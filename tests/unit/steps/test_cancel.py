from __future__ import annotations

import pytest

from batchmill.contracts.workflow import CancelInput, CloseInput
from batchmill.domain.batch import BatchStatus
from batchmill.domain.errors import BatchNotFound
from support.shards import Running


def test_every_token_is_failed_wherever_its_shard_is() -> None:
    running = Running()
    running.dispatch("token-0", 0)
    running.dispatch("token-1", 1)
    running.claim(1)
    batch = running.world.cancel(CancelInput(batch_id=running.batch_id))
    assert batch.status is BatchStatus.CANCELLING
    assert {answer.error for answer in running.world.workflow.answers.values()} == {"Cancelled"}
    assert len(running.world.workflow.answers) == 2


def test_a_batch_that_is_ending_stays_as_it_is() -> None:
    running = Running()
    running.world.close(CloseInput(batch_id=running.batch_id, run=0))
    batch = running.world.cancel(CancelInput(batch_id=running.batch_id))
    assert batch.status is BatchStatus.FINALIZING


def test_a_batch_that_nobody_knows_is_said_so() -> None:
    with pytest.raises(BatchNotFound, match="batch_nobody"):
        Running().world.cancel(CancelInput(batch_id="batch_nobody"))
