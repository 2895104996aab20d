"""A batch's record as the API shows it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from batchmill.contracts import openai
from batchmill.contracts.api import Batch as Shown
from batchmill.contracts.pools import Pool
from batchmill.contracts.spec import BatchSpec
from batchmill.domain import ids
from batchmill.domain.batch import Batch
from batchmill.domain.shard import Progress, Shard

_MOMENTS = ("in_progress", "finalizing", "completed", "failed", "expired", "cancelling", "cancelled")


@dataclass(frozen=True)
class Picturing:
    """`pools` say which model a batch that names none has."""

    data_bucket: str
    pools: Mapping[str, Pool]

    def __call__(self, batch: Batch, shards: Iterable[Shard] = ()) -> Shown:
        """The batch; `shards` tell how far one is that is not final, whose own counts are estimates."""
        done = _done(batch, shards)
        uris = [item.uri for item in batch.inputs]
        times = {f"{name}_at": int(batch.times[name]) for name in _MOMENTS if name in batch.times}
        shown = Shown(
            id=batch.batch_id,
            endpoint=str(_field(batch, "endpoint")),
            model=self._model(batch),
            errors=_errors(batch),
            input_file_id=uris[0] if uris else "",
            completion_window=str(_field(batch, "completion_window")),
            status=batch.status.value,
            created_at=int(batch.created_at),
            expires_at=int(batch.deadline),
            request_counts=openai.RequestCounts(total=batch.counts.total, completed=done.ok, failed=done.errors),
            usage=openai.BatchUsage(
                input_tokens=done.prompt_tokens,
                output_tokens=done.completion_tokens,
                total_tokens=done.prompt_tokens + done.completion_tokens,
            ),
            metadata=_metadata(batch),
            name=batch.name,
            inputs=uris,
            results=f"s3://{self.data_bucket}/{ids.results_prefix(batch.batch_id, batch.run)}",
            manifest=self._manifest(batch),
            paused=batch.paused,
        )
        return shown.model_copy(update=times)

    def _model(self, batch: Batch) -> str | None:
        pool = self.pools.get(str(_field(batch, "pool")))
        named = batch.spec.get("model") or (pool.model if pool else None)
        return str(named) if named else None

    def _manifest(self, batch: Batch) -> str | None:
        # A submission that was refused has no plan, so nothing was ever finalized.
        if not batch.final or "finalizing" not in batch.times:
            return None
        return f"s3://{self.data_bucket}/{ids.run_prefix(batch.batch_id, batch.run)}manifest.json"


def _done(batch: Batch, shards: Iterable[Shard]) -> Progress:
    if batch.final:
        return Progress(batch.counts.completed, batch.counts.failed, batch.prompt_tokens, batch.completion_tokens)
    parts = [shard.progress for shard in shards]
    return Progress(
        ok=sum(part.ok for part in parts),
        errors=sum(part.errors for part in parts),
        prompt_tokens=sum(part.prompt_tokens for part in parts),
        completion_tokens=sum(part.completion_tokens for part in parts),
    )


def _field(batch: Batch, name: str) -> object:
    """A field of the spec; records leave out what is at its default."""
    return batch.spec.get(name, BatchSpec.model_fields[name].default)


def _metadata(batch: Batch) -> dict[str, str] | None:
    found = batch.spec.get("metadata")
    return {str(name): str(value) for name, value in found.items()} if isinstance(found, Mapping) else None


def _errors(batch: Batch) -> openai.BatchErrors | None:
    if not batch.problems:
        return None
    data = [
        openai.BatchError(code=one.code, message=one.message, param=one.param, line=one.line) for one in batch.problems
    ]
    return openai.BatchErrors(data=data)
