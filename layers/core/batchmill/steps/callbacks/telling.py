"""What a callback says of a final batch, cut to the size that every channel takes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from batchmill.contracts.callback import CALLBACK_LIMIT, CallbackCounts, CallbackData, CallbackTokens
from batchmill.contracts.manifest import ManifestProblem
from batchmill.domain import ids
from batchmill.domain.batch import Batch, BatchStatus, Problem

MESSAGE_LIMIT, PROBLEMS_LIMIT = 400, 10


def told(batch: Batch, data_bucket: str) -> CallbackData:
    """The callback of a final batch; its problems are cut where there are many, its metadata where it is huge."""
    # A batch that was refused never came to its closing, and has neither a manifest nor parts.
    closed = BatchStatus.FINALIZING.value in batch.times
    where = f"s3://{data_bucket}/"
    finished = batch.times.get(batch.status.value, batch.created_at)
    data = CallbackData(
        event_id=ids.callback_id(batch.batch_id, batch.run, batch.status.value),
        batch_id=batch.batch_id,
        run=batch.run,
        name=batch.name,
        status=batch.status.value,
        counts=CallbackCounts(total=batch.counts.total, completed=batch.counts.completed, failed=batch.counts.failed),
        tokens=CallbackTokens(prompt=batch.prompt_tokens, completion=batch.completion_tokens),
        problems=tuple(_problem(one) for one in batch.problems[:PROBLEMS_LIMIT]),
        results=where + ids.results_prefix(batch.batch_id, batch.run) if closed else None,
        manifest=where + ids.manifest_key(batch.batch_id, batch.run) if closed else None,
        metadata=_metadata(batch.spec),
        created_at=_iso(batch.created_at),
        finished_at=_iso(finished),
        times={status: _iso(at) for status, at in batch.times.items()},
        truncated=_is_cut(batch),
    )
    if len(data.model_dump_json().encode()) <= CALLBACK_LIMIT:
        return data
    return data.model_copy(update={"metadata": {}, "truncated": True})


def _problem(problem: Problem) -> ManifestProblem:
    return ManifestProblem(
        code=problem.code,
        message=problem.message[:MESSAGE_LIMIT],
        param=problem.param[:MESSAGE_LIMIT] if problem.param else None,
        line=problem.line,
    )


def _is_cut(batch: Batch) -> bool:
    longest = max((len(one.message) for one in batch.problems), default=0)
    return len(batch.problems) > PROBLEMS_LIMIT or longest > MESSAGE_LIMIT


def _metadata(spec: Mapping[str, object]) -> dict[str, str]:
    given = spec.get("metadata")
    return {str(name): str(value) for name, value in given.items()} if isinstance(given, Mapping) else {}


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
