"""The batch record and its life. Statuses and their names are those of OpenAI's Batch object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Literal

from batchmill.domain.errors import NotPausable


class BatchStatus(StrEnum):
    """Where a batch stands."""

    VALIDATING = "validating"
    IN_PROGRESS = "in_progress"
    CANCELLING = "cancelling"
    FINALIZING = "finalizing"
    COMPLETED = "completed"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


FINAL = frozenset({BatchStatus.COMPLETED, BatchStatus.FAILED, BatchStatus.EXPIRED, BatchStatus.CANCELLED})
"""The statuses that nothing follows."""

_V, _I, _X, _F = (
    BatchStatus.VALIDATING,
    BatchStatus.IN_PROGRESS,
    BatchStatus.CANCELLING,
    BatchStatus.FINALIZING,
)

TRANSITIONS: Mapping[BatchStatus, frozenset[BatchStatus]] = {
    _V: frozenset({_I, _X, _F, BatchStatus.FAILED}),
    _I: frozenset({_X, _F}),
    _X: frozenset({_F}),
    _F: FINAL,
    **{status: frozenset() for status in FINAL},
}
"""What may follow each status. Cancelling leads through finalizing, so that every ending lands its shards."""

PAUSABLE = frozenset({_V, _I})
"""The statuses in which a batch may be paused; it keeps its status meanwhile."""


@dataclass(frozen=True)
class Problem:
    """Why a batch failed, in the fields of OpenAI's batch errors. `line` is 1-based, in the input file."""

    code: str
    message: str
    param: str | None = None
    line: int | None = None


@dataclass(frozen=True)
class Counts:
    """Rows by outcome. `total` is an estimate until the batch is final."""

    total: int = 0
    completed: int = 0
    failed: int = 0


@dataclass(frozen=True)
class Input:
    """What a submission names: an object, pinned to its version where the submission knew it, or a prefix.

    A key that ends in a slash, or none at all, is a prefix: all that lies under it when the batch is planned.
    """

    bucket: str
    key: str
    version_id: str | None = None
    etag: str | None = None

    @property
    def uri(self) -> str:
        """`s3://bucket/key`."""
        return f"s3://{self.bucket}/{self.key}"

    @property
    def kind(self) -> Literal["object", "prefix"]:
        """Which of the two it is. (An object may be a manifest: the spec says so, of all inputs.)"""
        return "prefix" if not self.key or self.key.endswith("/") else "object"


@dataclass(frozen=True)
class Batch:
    """One batch's record. Times are seconds since the epoch; `spec` is the submission's own fields, as JSON-able data.

    `ending` is what close found: the final status that complete will set. `closings` counts the executions that were
    started to close the batch after its own had ended badly. `notified`: the callbacks of its end are in their queue.
    `paused`: none of its shards is to be worked at until it is resumed; its deadline stays. `pausings` counts how often
    it was paused and resumed, so that a call that comes late can tell.
    """

    batch_id: str
    status: BatchStatus
    spec: Mapping[str, object]
    inputs: tuple[Input, ...]
    created_at: float
    deadline: float
    profile: str | None = None
    name: str = ""
    run: int = 0
    closings: int = 0
    ending: BatchStatus | None = None
    problems: tuple[Problem, ...] = ()
    shards: int = 0
    counts: Counts = Counts()
    prompt_tokens: int = 0
    completion_tokens: int = 0
    times: Mapping[str, float] = field(default_factory=dict)
    notified: bool = False
    paused: bool = False
    pausings: int = 0

    @property
    def final(self) -> bool:
        """Whether nothing can follow."""
        return self.status in FINAL


def moved(batch: Batch, status: BatchStatus, now: float) -> Batch:
    """The batch in its next status, with the time noted; unchanged if it is there already or the table forbids it.

    What is ending is no longer paused.
    Whoever asks too late is not in error: a cancel may meet a batch that has just ended. Look at the status returned.
    """
    if status not in TRANSITIONS[batch.status]:
        return batch
    paused = batch.paused and status in PAUSABLE
    return replace(batch, status=status, paused=paused, times={**batch.times, status.value: now})


def pausing(batch: Batch, paused: bool, now: float, seen: int | None = None) -> Batch:
    """The batch paused, or resumed, with the time noted; unchanged if it is so already.

    `seen` is the count of `pausings` that the caller knew: unchanged too if there have been others since.
    Raises NotPausable for a batch that is ending or final.
    """
    if batch.status not in PAUSABLE:
        raise NotPausable(f"cannot {'pause' if paused else 'resume'} a batch with status '{batch.status}'")
    if batch.paused is paused or seen not in (None, batch.pausings):
        return batch
    times = {**batch.times, "paused" if paused else "resumed": now}
    return replace(batch, paused=paused, pausings=batch.pausings + 1, times=times)


CLOSING = "closing"
"""The name, among a batch's times, of when an execution was last started to close it."""


def closing_again(batch: Batch, now: float) -> Batch:
    """One more execution is being started to close the batch; unchanged if it is final."""
    if batch.final:
        return batch
    return replace(batch, closings=batch.closings + 1, times={**batch.times, CLOSING: now})


TOO_MANY_ERRORS = "too_many_errors"
"""The code of a batch that was stopped because more of its rows were errors than its submission takes."""

OUTCOMES_SEEN = 100
"""Outcomes before a share of errors is believed: its standard error is then 5 percentage points at most."""


def hopeless(batch: Batch, ok: int, errors: int, now: float) -> Batch:
    """The batch ending as failed, where so many rows are errors; unchanged where they are not, or it is ending anyway.

    What is done is kept: the shards without a part are landed, as at every ending.
    """
    ratio, seen = batch.spec.get("max_error_ratio"), ok + errors
    if batch.status is not BatchStatus.IN_PROGRESS or not isinstance(ratio, int | float):
        return batch
    if seen < OUTCOMES_SEEN or errors <= ratio * seen:
        return batch
    said = f"{errors:,} of the first {seen:,} rows are errors, more than max_error_ratio {ratio:g} takes: the rest "
    problem = Problem(TOO_MANY_ERRORS, said + "was not run; see the rows' own error codes", "max_error_ratio")
    return moved(replace(with_problem(batch, problem), ending=BatchStatus.FAILED), BatchStatus.FINALIZING, now)


def with_problem(batch: Batch, problem: Problem) -> Batch:
    """The batch with one more reason noted, once."""
    return batch if problem in batch.problems else replace(batch, problems=(*batch.problems, problem))
