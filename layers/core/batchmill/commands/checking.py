"""Every row of a batch's inputs read and rendered as a worker would, and nothing asked of any engine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import cast

from batchmill.adapters.jinja import JinjaTemplates
from batchmill.adapters.json_schema import JsonSchemas
from batchmill.adapters.late_tables import LateTables
from batchmill.adapters.zstd import unpacked
from batchmill.commands import preflight
from batchmill.commands.local_objects import HELD, LocalObjects, told
from batchmill.contracts.plan import PinnedObject, PlanDocument
from batchmill.contracts.pools import UNKNOWN_MODEL, Pool
from batchmill.contracts.spec import BatchSpec
from batchmill.domain.batch import Input
from batchmill.domain.errors import EmptyInput, FirstRowsFailed, InputInvalid, InputTooLarge, PlanTooLarge, UserError
from batchmill.domain.pieces import Pieces, PieceSizes
from batchmill.domain.places import InputPlaces
from batchmill.domain.request import Request, Row, RowError
from batchmill.domain.span import Span, cut
from batchmill.domain.unpacking import Unpacked
from batchmill.ports.objects import ObjectInfo, Objects
from batchmill.settings import Settings
from batchmill.steps.planning import sizing
from batchmill.steps.planning.describing import described
from batchmill.steps.planning.duplicates import Seen
from batchmill.steps.planning.layout import Layout, layout
from batchmill.steps.planning.looking import Looked, Looking
from batchmill.steps.planning.manifests import Manifests
from batchmill.steps.planning.pinning import Pinning
from batchmill.steps.planning.relaying import SIZES, Packed, checked
from batchmill.steps.shard.reading import blocks, span_rows
from batchmill.steps.shard.rendering import Renderer, own_id

PIECE = PieceSizes(limit=32 * 1024 * 1024)
"""What is held of a compressed input: the piece that is read, and the one that grows."""

OF_INPUTS = (InputInvalid, InputTooLarge, PlanTooLarge)
"""Errors of an input as a whole: a problem that is told. Others, a missing file among them, are mistakes in asking."""


@dataclass(frozen=True)
class Found:
    """A problem. `line` counts from 1, and is a row's number in a table; None where it is of the whole input."""

    object: str | None
    line: int | None
    code: str
    message: str


@dataclass
class Report:
    """What was found. `codes` counts problems, and `first` are the first of them; tokens are estimates."""

    objects: int = 0
    bytes: int = 0
    format: str | None = None
    compression: tuple[str, ...] = ()
    rows: int = 0
    shards: int = 0
    prompt_tokens: float = 0.0
    output_tokens: float = 0.0
    codes: Counter[str] = field(default_factory=Counter)
    first: list[Found] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def problems(self) -> int:
        """How many there are."""
        return self.codes.total()


class _Anywhere(InputPlaces):
    """What a deployment's roles may read is no matter here."""

    def allow(self, bucket: str, key: str) -> bool:  # noqa: ARG002 - all of them
        return True


class Checking:
    """One check. `remote` makes what reads S3; `most` problems are kept; `step` is called with the report, row by row.

    The report grows while the check runs.
    """

    def __init__(
        self, spec: BatchSpec, remote: Callable[[], Objects], most: int, step: Callable[[Report], None]
    ) -> None:
        self.report = Report()
        self._spec, self._most, self._step = spec, most, step
        self._files = LocalObjects(remote)
        self._objects = cast(Objects, self._files)
        self._tables = LateTables(self._objects)
        self._seen = Seen()

    def run(self, inputs: Sequence[Input]) -> Report:
        """Read all there is. Raises UserError for what is wrong with the asking, not with the inputs; Transient."""
        try:
            with self._seen:
                self._run(inputs)
        except OF_INPUTS as error:
            self._add(None, None, error.code, str(error))
        except UserError as error:
            error.args = (told(str(error)),)
            raise
        return self.report

    def _run(self, inputs: Sequence[Input]) -> None:
        spec, report = self._spec, self.report
        places = _Anywhere("", "")
        manifests = Manifests(self._objects, self._tables, unpacked, places)
        found = Pinning(self._objects, manifests, places)(inputs, spec.manifest)
        report.objects, report.bytes = len(found), sum(info.size for info in found)
        looked = Looking(self._objects, self._tables, unpacked)(found, spec)
        report.format = looked.head.format
        report.compression = tuple(sorted({str(kind) for kind in looked.compressions}))
        report.warnings = self._preflight(found, looked)
        pool = Pool(queue_url="", model=UNKNOWN_MODEL)
        document = described("", 0, spec, pool, looked, found)
        made = layout(found, looked, {}, self._tables)
        renderer = Renderer(document, JinjaTemplates(), JsonSchemas())
        extents: list[int] = []
        for i, info in enumerate(found):
            extents += self._input(_Input(i, info, looked, made, document), renderer) if info.size else []
        if not report.rows and not report.problems:
            raise EmptyInput("no rows in the inputs")
        target = sizing.target(spec, pool, made.row, Settings.shard_rows, extents, bool(made.footers))
        report.shards = sizing.shards_of(extents, target)

    def _preflight(self, found: Sequence[ObjectInfo], looked: Looked) -> list[str]:
        """Warnings. What fails for the first rows is told of each row."""
        peeks = [preflight.Peek(_name(found[i]), sample) for i, sample in looked.samples.items()]
        try:
            return preflight.check(self._spec, peeks)
        except FirstRowsFailed as error:
            return str(error).splitlines()[1:]

    def _input(self, one: _Input, renderer: Renderer) -> list[int]:
        """Read one input; returns the extents of the objects that plan would cut."""
        try:
            if one.kind == "none":
                self._rows(one, renderer, one.document, Span(0, 0, one.item.extent, 1))
                return [one.item.extent]
            size = self._unpacked(one, renderer)
            return [end - start for start, end in cut(size, SIZES.limit - SIZES.record)]
        except OF_INPUTS as error:
            self._add(one.name, None, error.code, str(error))
            return []

    def _unpacked(self, one: _Input, renderer: Renderer) -> int:
        """Read a compressed input piece by piece; returns the size of its content."""
        several = one.document.format in ("csv", "tsv") and self._spec.csv.quoted_newlines
        packed = Packed(one.number, one.info, one.kind, one.document.delimiter if several else None)
        content = Unpacked(one.kind, blocks(self._objects, one.info, 0, one.info.size), unpacked)
        pieces, line = Pieces(PIECE, packed.delimiter), 1
        self._files.held.clear()
        for block in checked(content, packed):
            for piece in pieces.add(block):
                self._piece(one, renderer, piece.body, line)
                line = piece.next_line
        self._piece(one, renderer, pieces.rest().body, line)
        return content.given

    def _piece(self, one: _Input, renderer: Renderer, body: bytes, line: int) -> None:
        """Read a piece; the first stays, as far as a header may be looked for in it."""
        key = "first" if line == 1 else "later"
        self._files.held[key] = body
        first, later = (one.held(name, body, at) for name, at in (("first", 1), ("later", max(line, 2))))
        if line > 1:
            first = first.model_copy(update={"size": len(self._files.held["first"])})
        document = one.document.model_copy(update={"objects": (first, later, *one.document.objects[1:])})
        self._rows(one, renderer, document, Span(int(line > 1), 0, len(body), line))

    def _rows(self, one: _Input, renderer: Renderer, document: PlanDocument, span: Span) -> None:
        report = self.report
        for row in span_rows(self._objects, self._tables, document, span):
            report.rows += 1
            made = renderer.request(0, row)
            if isinstance(made, RowError):
                self._add(one.name, _line(row), made.code, made.message.removeprefix(f"{row.place}: "))
            else:
                self._count(made)
            self._once(one, document, row)
            self._step(report)

    def _count(self, request: Request) -> None:
        expected = request.max_tokens or sizing.output_tokens(self._spec, _ROW)
        self.report.prompt_tokens += len(request.payload) / sizing.BYTES_PER_TOKEN
        self.report.output_tokens += expected

    def _once(self, one: _Input, document: PlanDocument, row: Row) -> None:
        name = own_id(document, row)
        earlier = self._seen.add(name, row.place) if name else None
        if name and earlier:
            message = f"custom_id {name[:200]!r} is that of {earlier} too: give each row one of its own"
            self._add(one.name, _line(row), "duplicate_custom_id", message)

    def _add(self, name: str | None, line: int | None, code: str, message: str) -> None:
        self.report.codes[code] += 1
        if len(self.report.first) < self._most:
            self.report.first.append(Found(name, line, code, told(message)))


_ROW = sizing.RowSize(1.0, 1.0)
"""A row that says nothing of its output."""


class _Input:
    """The `number`-th input. `document` is the plan's, with this input as its first object."""

    def __init__(self, number: int, info: ObjectInfo, looked: Looked, made: Layout, document: PlanDocument) -> None:
        self.number, self.info = number, info
        self.kind, self.item = looked.compressions[number], made.items[number]
        others = made.items[:1] if number else made.items[1:2]  # one tells rows that there are several
        self.document = document.model_copy(update={"objects": (self.item, *others)})
        self.name = _name(info)

    def held(self, key: str, body: bytes, line: int) -> PinnedObject:
        """A piece of it that is held in memory."""
        return PinnedObject(bucket=HELD, key=key, size=len(body), etag="", source=self.item.uri, first_line=line)


def _name(info: ObjectInfo) -> str:
    return told(f"s3://{info.bucket}/{info.key}")


def _line(row: Row) -> int | None:
    return row.offset + 1 if row.source.table else row.line
