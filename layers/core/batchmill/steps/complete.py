"""complete: proves that the parts are the whole, writes the manifest, and makes the batch final."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from batchmill import __version__
from batchmill.contracts.manifest import DuplicateIdsFound, Manifest, ManifestFile, ManifestProblem, PartMetadata
from batchmill.contracts.plan import PlanDocument, ShardItem
from batchmill.contracts.workflow import RunInput
from batchmill.domain import ids
from batchmill.domain.batch import Batch, BatchStatus, Counts, moved
from batchmill.domain.errors import Gone, PartsMissing
from batchmill.domain.shard import ShardKey
from batchmill.domain.span import Span, gap
from batchmill.ports.batches import Batches
from batchmill.ports.clock import Clock
from batchmill.ports.objects import Objects
from batchmill.steps.callbacks.outbox import Outbox
from batchmill.steps.shard.committing import LAND_WRITER, standing_part
from batchmill.steps.shard.documents import Documents
from batchmill.steps.shard.identities import duplicates

HEADS_AT_ONCE = 16


@dataclass(frozen=True)
class Complete:
    """The step. Run again on a final batch it changes nothing, but that callbacks not noted as sent are sent."""

    objects: Objects
    batches: Batches
    clock: Clock
    data_bucket: str
    outbox: Outbox

    def __call__(self, asked: RunInput) -> Batch:
        """Make the batch final. Raises PartsMissing where a shard has no part or the parts do not tile the input."""
        batch = self.batches.get(asked.batch_id)
        # No callback before the last part is fixed: only what is final is told.
        return self.outbox.announce(batch if batch.final else self._finish(asked, batch))

    def _finish(self, asked: RunInput, batch: Batch) -> Batch:
        documents = Documents(self.objects, self.data_bucket, asked.batch_id, asked.run)
        keys, parts, document = self._parts(documents, asked)
        files = tuple(_file(key, part) for key, part in zip(keys, parts, strict=True))
        found = duplicates(self.objects, self.data_bucket, document, keys, parts) if document else None
        if parts and all(part.writer != LAND_WRITER for part in parts):
            # Close counted shards as missing that workers have committed since: nothing is missing after all.
            batch = self.batches.change(asked.batch_id, _whole)
        now = self.clock.now()
        finished = _finished(batch, files, now)
        documents.put_manifest(_manifest(finished, document, files, found, now).model_dump_json(indent=2).encode())
        return self.batches.change(asked.batch_id, lambda old: _finished(old, files, now))

    def _parts(
        self, documents: Documents, asked: RunInput
    ) -> tuple[list[ShardKey], list[PartMetadata], PlanDocument | None]:
        try:
            document, items = documents.plan(), documents.shards()
        except Gone:
            return [], [], None
        keys = [ShardKey(asked.batch_id, asked.run, item.n) for item in items]
        with ThreadPoolExecutor(HEADS_AT_ONCE) as pool:
            found = list(pool.map(lambda key: standing_part(self.objects, self.data_bucket, key), keys))
        parts = _all_there(items, found)
        spans = [Span(part.object, part.start, part.end) for part in parts]
        if fault := gap(spans, [item.extent for item in document.objects]):
            raise PartsMissing(f"the parts of {asked.batch_id} do not tile its input: {fault}")
        return keys, parts, document


def _all_there(items: Sequence[ShardItem], found: Sequence[PartMetadata | None]) -> list[PartMetadata]:
    lost = [item.n for item, part in zip(items, found, strict=True) if part is None]
    if lost:
        raise PartsMissing(f"{len(lost)} of {len(items)} shards have no part, the first being {lost[0]}")
    return [part for part in found if part is not None]


def _file(key: ShardKey, part: PartMetadata) -> ManifestFile:
    fields = part.model_dump(include=set(ManifestFile.model_fields))
    return ManifestFile(key=ids.part_key(key.batch_id, key.run, key.shard), **fields)


def _whole(batch: Batch) -> Batch:
    """The ending of a batch whose every row a worker did: a cancel stays one, for somebody asked for it."""
    if batch.ending in (BatchStatus.EXPIRED, BatchStatus.FAILED):
        return replace(batch, ending=BatchStatus.COMPLETED, problems=())
    return batch


def _finished(batch: Batch, files: Sequence[ManifestFile], now: float) -> Batch:
    if batch.final:
        return batch
    ok, errors = sum(file.ok for file in files), sum(file.errors for file in files)
    counted = replace(
        batch,
        counts=Counts(total=ok + errors, completed=ok, failed=errors),
        prompt_tokens=sum(file.prompt_tokens for file in files),
        completion_tokens=sum(file.completion_tokens for file in files),
    )
    return moved(counted, batch.ending or BatchStatus.FAILED, now)


def _manifest(
    batch: Batch,
    document: PlanDocument | None,
    files: tuple[ManifestFile, ...],
    found: DuplicateIdsFound | None,
    now: float,
) -> Manifest:
    endpoint = document.spec.endpoint if document else str(batch.spec.get("endpoint", ""))
    return Manifest(
        batchmill=__version__,
        batch_id=batch.batch_id,
        run=document.run if document else batch.run,
        status=batch.status.value,
        endpoint=endpoint,
        model=document.model if document else None,
        created_at=_iso(batch.created_at),
        finished_at=_iso(now),
        rows=batch.counts.total,
        ok=batch.counts.completed,
        errors=batch.counts.failed,
        prompt_tokens=batch.prompt_tokens,
        completion_tokens=batch.completion_tokens,
        bytes=sum(file.bytes for file in files),
        columns=document.columns if document else (),
        inputs=document.objects if document else (),
        files=files,
        problems=tuple(
            ManifestProblem(code=one.code, message=one.message, param=one.param, line=one.line)
            for one in batch.problems
        ),
        error_codes=_error_codes(files),
        duplicate_custom_ids=found,
    )


def _error_codes(files: Sequence[ManifestFile]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for file in files:
        counts.update(file.error_codes)
    return dict(counts.most_common())


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
