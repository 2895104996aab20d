"""plan: pins the inputs, finds their format and columns, cuts them into shards, and writes all that down.

Line files are cut blindly into byte ranges. A CSV is read once, because only its quotes tell where a record may begin.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from batchmill.contracts.plan import PinnedObject, PlanDocument, ShardItem
from batchmill.contracts.pools import Pool
from batchmill.contracts.spec import BatchSpec, parse_spec
from batchmill.contracts.workflow import PlanOutput, RunInput
from batchmill.domain.batch import Batch, BatchStatus, Counts, Input, Problem, with_problem
from batchmill.domain.csvrows import cuts
from batchmill.domain.errors import EmptyInput, Gone, InputChanged, InputInvalid, InputMissing, PlanTooLarge, UserError
from batchmill.domain.lines import count_starts, owned_lines
from batchmill.domain.span import Span, cut
from batchmill.ports.batches import Batches
from batchmill.ports.objects import ObjectInfo, Objects
from batchmill.ports.templates import Templates
from batchmill.steps.shard.documents import Documents
from batchmill.steps.shard.fingerprint import fingerprint
from batchmill.steps.shard.reading import blocks
from batchmill.steps.shard.rendering import Renderer
from batchmill.steps.shard.sampling import Sample, sample

Format = Literal["openai", "jsonl", "csv"]

SHARDS_LIMIT = 50_000
"""Shards of one run: beyond it the map's state and its list of children grow past what a state machine carries."""

COUNTED_BYTES = 64 * 1024 * 1024
"""Line files up to this size are read once to count lines, so that errors name line numbers; larger ones name bytes."""

SHARD_BYTES_LIMIT = 64 * 1024 * 1024
"""No shard is cut larger, so that a worker, and land in its Lambda, can hold one."""


@dataclass(frozen=True)
class Plan:
    """The step."""

    objects: Objects
    batches: Batches
    templates: Templates
    data_bucket: str
    pools: Mapping[str, Pool]
    shard_rows: int

    def __call__(self, asked: RunInput) -> PlanOutput:
        """Plan a run. Raises a UserError, noted in the batch's record, for an input that cannot be run; Transient.

        A batch that was admitted before (its execution is another one by now) keeps its plan: its parts and its
        checkpoints are of that one, whatever has become of the settings or of an input that no version pinned.
        """
        batch = self.batches.get(asked.batch_id)
        try:
            standing = None if batch.status is BatchStatus.VALIDATING else self._standing(asked)
            return standing or self._plan(batch, asked.run)
        except UserError as error:
            problem = Problem(error.code, str(error))
            self.batches.change(asked.batch_id, lambda old: with_problem(old, problem))
            raise

    def _standing(self, asked: RunInput) -> PlanOutput | None:
        documents = Documents(self.objects, self.data_bucket, asked.batch_id, asked.run)
        try:
            return PlanOutput(batch_id=asked.batch_id, run=asked.run, shards=documents.planned())
        except Gone:
            return None

    def _plan(self, batch: Batch, run: int) -> PlanOutput:
        spec = parse_spec(dict(batch.spec), batch.batch_id)
        found = [self._pin(item) for item in batch.inputs]
        samples = [sample(self.objects, info, spec.format) for info in found]
        head = _agree(samples, found)
        row_bytes = _row_bytes(samples)
        target = max(1, min(int((spec.shard_rows or self.shard_rows) * row_bytes), SHARD_BYTES_LIMIT))
        spans, rows = self._spans(found, head.format, target, row_bytes)
        if rows == 0:
            raise EmptyInput(f"no rows in {', '.join(item.uri for item in batch.inputs)}")
        if len(spans) > SHARDS_LIMIT:
            raise PlanTooLarge(f"{len(spans)} shards, at most {SHARDS_LIMIT}: raise shard_rows, or split the input")
        document = self._document(batch, run, spec, found, head, len(spans), rows)
        Renderer(document, self.templates)  # a template that cannot be rendered fails the batch here, not each row
        documents = Documents(self.objects, self.data_bucket, batch.batch_id, run)
        documents.put_plan(document)
        shards = documents.put_shards([ShardItem.of(n, span) for n, span in enumerate(spans)])
        self.batches.change(batch.batch_id, lambda old: replace(old, shards=len(spans), counts=Counts(total=rows)))
        return PlanOutput(batch_id=batch.batch_id, run=run, shards=shards)

    def _pin(self, item: Input) -> ObjectInfo:
        try:
            info = self.objects.head(item.bucket, item.key, item.version_id)
        except Gone:
            raise InputMissing(f"{item.uri}: no such object (or it may not be read)") from None
        if item.etag and not item.version_id and item.etag.strip('"') != info.etag.strip('"'):
            raise InputChanged(f"{item.uri}: overwritten since it was submitted")
        return info

    def _spans(
        self, found: Sequence[ObjectInfo], form: Format, target: int, row_bytes: float
    ) -> tuple[list[Span], int]:
        """The shards of all objects, in order, and how many rows they hold (estimated where lines were not counted)."""
        spans: list[Span] = []
        rows = 0
        for i, info in enumerate(found):
            more, count = (
                self._csv_spans(i, info, target) if form == "csv" else self._line_spans(i, info, target, row_bytes)
            )
            spans += more
            rows += count
        return spans, rows

    def _csv_spans(self, i: int, info: ObjectInfo, target: int) -> tuple[list[Span], int]:
        lines = owned_lines(blocks(self.objects, info, 0, info.size), 0, info.size)
        pieces = max(1, -(-info.size // target))
        found = cuts(lines, -(-info.size // pieces))  # pieces of equal size, rather than a last one of a few rows
        ends = [offset for offset, _ in found.starts[1:]] + [info.size]
        spans = [Span(i, start, end, line) for (start, line), end in zip(found.starts, ends, strict=False)]
        return spans, found.records

    def _line_spans(self, i: int, info: ObjectInfo, target: int, row_bytes: float) -> tuple[list[Span], int]:
        ranges = cut(info.size, target)
        if info.size > COUNTED_BYTES:
            return [Span(i, start, end) for start, end in ranges], int(info.size / row_bytes)
        whole = blocks(self.objects, info, 0, info.size)
        numbers, lines = count_starts(whole, [start for start, _ in ranges])
        return [Span(i, start, end, line) for (start, end), line in zip(ranges, numbers, strict=True)], lines

    def _document(
        self, batch: Batch, run: int, spec: BatchSpec, found: Sequence[ObjectInfo], head: Sample, shards: int, rows: int
    ) -> PlanDocument:
        pool = self.pools[spec.pool]
        columns = head.columns if spec.columns is None else tuple(spec.columns)
        if head.header and (unknown := [name for name in columns if name not in head.header]):
            raise InputInvalid(f"columns: {', '.join(unknown)} not among the header's: {', '.join(head.header)}")
        return PlanDocument(
            batch_id=batch.batch_id,
            run=run,
            spec=spec,
            format=head.format,
            objects=tuple(_pinned(info) for info in found),
            columns=columns,
            header=head.header,
            shards=shards,
            rows_estimated=rows,
            model=spec.model or pool.model,
            fingerprint=fingerprint(spec, pool, head.format, columns),
        )


def _pinned(info: ObjectInfo) -> PinnedObject:
    return PinnedObject(bucket=info.bucket, key=info.key, size=info.size, etag=info.etag, version_id=info.version_id)


def _agree(samples: Sequence[Sample], found: Sequence[ObjectInfo]) -> Sample:
    """The first sample that has rows. Raises InputInvalid naming the first input that does not agree with it."""
    full = [(one, info) for one, info in zip(samples, found, strict=True) if info.size]
    if not full:
        raise EmptyInput("every input is empty (0 bytes)")
    head, first = full[0]
    for other, info in full[1:]:
        if other.format != head.format or other.header != head.header:
            what = "format" if other.format != head.format else "header"
            raise InputInvalid(
                f"s3://{info.bucket}/{info.key}: its {what} differs from s3://{first.bucket}/{first.key}'s"
            )
    return head


def _row_bytes(samples: Sequence[Sample]) -> float:
    """The samples' mean size of a row."""
    rows = sum(one.rows for one in samples)
    return max(1.0, sum(one.bytes for one in samples) / rows) if rows else 1.0
