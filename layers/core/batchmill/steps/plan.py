"""plan: pins the inputs, lays compressed ones anew, cuts them into shards, and writes all that down.

Line files are cut blindly into byte ranges, tables by their footers. What cannot be cut so is read once: compressed
inputs, and CSV, of which only its quotes tell where a record may begin. A call that runs out of its time says so, and
the next one goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from batchmill.contracts.plan import ShardItem
from batchmill.contracts.pools import Pool
from batchmill.contracts.spec import BatchSpec, parse_spec
from batchmill.contracts.workflow import PlanOutput, RunInput, ShardList
from batchmill.domain.batch import Batch, BatchStatus, Counts, Problem, with_problem
from batchmill.domain.errors import (
    Cancelled,
    DeadlineExceeded,
    EmptyInput,
    Gone,
    InputTooLarge,
    UserError,
)
from batchmill.domain.places import InputPlaces
from batchmill.domain.span import Span
from batchmill.domain.unpacking import Zstd
from batchmill.ports.batches import Batches
from batchmill.ports.clock import Clock
from batchmill.ports.objects import ObjectInfo, Objects
from batchmill.ports.schemas import Schemas
from batchmill.ports.tables import Tables
from batchmill.ports.templates import Templates
from batchmill.steps.planning import sizing
from batchmill.steps.planning.cutting import Cutting, Target
from batchmill.steps.planning.describing import described
from batchmill.steps.planning.duplicates import check_once
from batchmill.steps.planning.layout import Layout, layout, plain
from batchmill.steps.planning.looking import Looked, Looking
from batchmill.steps.planning.manifests import Manifests
from batchmill.steps.planning.pinning import Pinning
from batchmill.steps.planning.relaying import Packed, Relaying
from batchmill.steps.shard.documents import Documents
from batchmill.steps.shard.reading import pinned
from batchmill.steps.shard.rendering import Renderer
from batchmill.steps.shard.trying import try_beginning


@dataclass(frozen=True)
class Plan:
    """The step. `shard_rows`: rows of a shard at most; `seconds`: a call's time, after which it leaves the rest."""

    objects: Objects
    batches: Batches
    templates: Templates
    schemas: Schemas
    tables: Tables
    zstd: Zstd
    clock: Clock
    places: InputPlaces
    pools: Mapping[str, Pool]
    shard_rows: int
    seconds: float

    def __call__(self, asked: RunInput) -> PlanOutput:
        """Plan a run, or as much of it as there is time for.

        Raises a UserError, noted in the batch's record, for an input that cannot be run; Cancelled and DeadlineExceeded
        where there is no use in going on; Transient. A batch that was admitted before (its execution is another one by
        now) keeps its plan: its parts and its checkpoints are of that one, whatever has become of the settings or of
        an input that no version pinned.
        """
        batch = self.batches.get(asked.batch_id)
        documents = Documents(self.objects, self.places.data_bucket, asked.batch_id, asked.run)
        try:
            standing = None if batch.status is BatchStatus.VALIDATING else _standing(documents)
            shards = standing or self._plan(batch, asked.run, documents)
        except UserError as error:
            problem = Problem(error.code, str(error), error.param)
            self.batches.change(asked.batch_id, lambda old: with_problem(old, problem))
            raise
        return PlanOutput(batch_id=asked.batch_id, run=asked.run, done=shards is not None, shards=shards)

    def _plan(self, batch: Batch, run: int, documents: Documents) -> ShardList | None:
        """None where there is more to do than there was time for."""
        until = self.clock.now() + self.seconds
        spec = parse_spec(dict(batch.spec), batch.batch_id)
        found = self._inputs(batch, spec, documents)
        looked = Looking(self.objects, self.tables, self.zstd)(found, spec)
        document = described(batch.batch_id, run, spec, self.pools[spec.pool], looked, found)
        # What cannot be rendered at all fails the batch here, not each row.
        try_beginning(Renderer(document, self.templates, self.schemas), looked.head)
        relaying = Relaying(self.objects, self.clock, self.zstd, documents.bucket, documents.laid_prefix)
        packed = _packed(found, looked, spec)
        laid = relaying.laid() if packed else {}
        if not all(one.whole(laid) for one in packed):
            if _keep(documents, found):
                relaying(packed, laid, until)
            return None  # also where that was the last piece: what follows has a call's whole time
        made = layout(found, looked, laid, self.tables)
        if made.rows == 0:
            raise EmptyInput(f"no rows in {', '.join(item.uri for item in batch.inputs[:10])}")
        ids_checked = check_once(self.objects, self.tables, document, made)
        spans = self._cut(documents, self._cutting(relaying, spec, made), found, until)
        if spans is None:
            return None
        whole = {"objects": tuple(made.items), "shards": len(spans), "rows_estimated": made.rows}
        whole["ids_checked"] = ids_checked
        documents.put_plan(document.model_copy(update=whole))
        shards = documents.put_shards(ShardItem.of(n, span) for n, span in enumerate(spans))
        counts = Counts(total=made.rows)
        self.batches.change(batch.batch_id, lambda old: replace(old, shards=len(spans), counts=counts))
        return shards

    def _inputs(self, batch: Batch, spec: BatchSpec, documents: Documents) -> list[ObjectInfo]:
        """The objects to read: as an earlier call has pinned them, where one had to leave something to this one."""
        kept = documents.inputs()
        if kept is None:
            pinning = Pinning(self.objects, Manifests(self.objects, self.tables, self.zstd, self.places), self.places)
            return pinning(batch.inputs, spec.manifest)
        if batch.status is not BatchStatus.VALIDATING:
            raise Cancelled(f"batch {batch.batch_id} is {batch.status}")
        if self.clock.now() >= batch.deadline:
            raise DeadlineExceeded(f"batch {batch.batch_id} is past its completion window")
        return [pinned(item) for item in kept]

    def _cutting(self, relaying: Relaying, spec: BatchSpec, made: Layout) -> Cutting:
        table = bool(made.footers)
        target = sizing.target(spec, self.pools[spec.pool], made.row, self.shard_rows, made.extents, table)
        # Marks lie too far apart for small shards: of those a piece is read again.
        marked = target >= relaying.mark_bytes
        pieces = [i for i, item in enumerate(made.items) if marked and item.source and item.size > target]
        marks = relaying.marks([pinned(made.items[i]) for i in pieces])
        return Cutting(
            objects=self.objects,
            items=made.items,
            target=Target(bytes=target, rows=target),
            delimiter=_delimiter(made.looked, spec),
            footers=made.footers_by_item,
            marks=dict(zip(pieces, marks, strict=True)),
        )

    def _cut(
        self, documents: Documents, cutting: Cutting, found: Sequence[ObjectInfo], until: float
    ) -> list[Span] | None:
        """The spans of all objects, or None where there was no time for all of them: those made are kept."""
        spans = [item.span() for item in documents.cut()]
        before = len(spans)
        for span in cutting.spans(spans[-1] if spans else None):
            if self.clock.now() >= until:
                if len(spans) == before:
                    raise InputTooLarge(
                        "finding where its inputs may be cut takes longer than plan may run: split them"
                    )
                if _keep(documents, found):
                    documents.put_cut(ShardItem.of(n, one) for n, one in enumerate(spans))
                return None
            spans.append(span)
            if len(spans) > sizing.SHARDS_LIMIT:
                raise sizing.too_many(len(spans))
        return spans


def _standing(documents: Documents) -> ShardList | None:
    try:
        return documents.planned()
    except Gone:
        return None


def _keep(documents: Documents, found: Sequence[ObjectInfo]) -> bool:
    """Note the inputs for the calls to come; False where another call has noted others, by which all go on."""
    objects = [plain(info) for info in found]
    return documents.keep_inputs(objects) == objects


def _delimiter(looked: Looked, spec: BatchSpec) -> str | None:
    """That of a CSV whose records may span lines."""
    several = looked.head.format in ("csv", "tsv") and spec.csv.quoted_newlines
    return looked.head.delimiter if several else None


def _packed(found: Sequence[ObjectInfo], looked: Looked, spec: BatchSpec) -> list[Packed]:
    delimiter = _delimiter(looked, spec)
    kinds = enumerate(zip(found, looked.compressions, strict=True))
    return [Packed(i, info, kind, delimiter) for i, (info, kind) in kinds if kind != "none"]
