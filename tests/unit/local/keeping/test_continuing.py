from __future__ import annotations

import pytest

from batchmill.domain.batch import Batch, BatchStatus
from batchmill.local.keeping.continuing import entry


def batch(status: BatchStatus, closings: int = 0) -> Batch:
    return Batch("batch_1", status, {}, (), 0.0, 0.0, closings=closings)


@pytest.mark.parametrize("status", [BatchStatus.VALIDATING, BatchStatus.IN_PROGRESS])
def test_a_batch_that_was_planned_or_running_starts_anew(status: BatchStatus) -> None:
    assert entry(batch(status)) == "start"


@pytest.mark.parametrize("status", sorted(set(BatchStatus) - {BatchStatus.VALIDATING, BatchStatus.IN_PROGRESS}))
def test_a_batch_whose_ending_had_begun_is_closed(status: BatchStatus) -> None:
    assert entry(batch(status)) == "close"


def test_a_batch_that_was_to_be_closed_after_a_bad_end_is_closed() -> None:
    assert entry(batch(BatchStatus.IN_PROGRESS, closings=1)) == "close"
