"""Cutting: the spans of a batch's inputs, in order, so that they tile.

Lines are cut blindly: a line belongs to the span that holds its first byte. Of small inputs the lines are counted, so
that an error can name its line. Where a CSV's quoted fields may hold line breaks only its quotes tell where a record
begins: it is read once, many reads ahead, and cut at the beginnings of records. Tables are cut by their footers.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain, islice

from batchmill.contracts.plan import PinnedObject
from batchmill.domain.errors import InputTooLarge
from batchmill.domain.lines import LINE_LIMIT
from batchmill.domain.span import Span, cut
from batchmill.domain.starts import Start, Starts, starts
from batchmill.ports.objects import ObjectInfo, Objects
from batchmill.ports.tables import TableFooter
from batchmill.steps.shard.reading import BLOCK_BYTES, TAIL_BYTES, blocks, pinned

COUNTED_BYTES = 64 * 1024 * 1024
"""Lines of inputs of up to this size in all are counted by reading them once; larger ones' errors name bytes."""

CSV_SCAN_LIMIT = 50 * 10**9
"""Bytes of CSV that are read for their quotes: some 10 minutes at what a Lambda function gets from S3."""

READS_AHEAD = 8
"""Of BLOCK_BYTES each: what keeps a function's network busy, and what its memory holds."""


@dataclass(frozen=True)
class Target:
    """What a shard holds at most: bytes of a file of lines (and the rest of its last record), rows of a table."""

    bytes: int
    rows: int


_Read = tuple[ObjectInfo, int, int]
"""Of an object, from a byte to a byte."""


@dataclass(frozen=True)
class Cutting:
    """Cuts objects of one format.

    `delimiter` is that of a CSV whose records may have several lines, else None. `footers` are the tables', and
    `marks` starts of records within laid pieces (the place in the piece, the line in the source), both by the number
    of the object. `limit`: bytes that the readers take for one record.
    """

    objects: Objects
    items: Sequence[PinnedObject]
    target: Target
    delimiter: str | None = None
    footers: Mapping[int, TableFooter] = field(default_factory=dict)
    marks: Mapping[int, Sequence[Start]] = field(default_factory=dict)
    limit: int = LINE_LIMIT

    def spans(self, after: Span | None = None) -> Iterator[Span]:
        """The spans of all objects in order, or those that follow `after`, which an earlier call has made.

        Raises InputTooLarge for more CSV than CSV_SCAN_LIMIT; InputChanged, InputMissing and Transient by reading.
        """
        first = after.object if after else 0
        begins = {i: (0, self.items[i].first_line) for i in self._read() if i >= first}
        if after and first in begins:
            begins[first] = after.start, after.first_line or 1  # a span tells the line that it begins with, not its end
        reads = {i: self._reads(i, begin) for i, begin in begins.items()}
        with _Ahead(self.objects, chain.from_iterable(reads.values())) as ahead:
            for i in range(first, len(self.items)):
                made = self._scanned(i, begins[i], reads[i], ahead) if i in begins else self._unread(i)
                yield from (span for span in made if not after or (i, span.start) > (after.object, after.start))

    def _read(self) -> list[int]:
        """The objects that have to be read to be cut."""
        large = [i for i, item in enumerate(self.items) if item.rows is None and item.size > self.target.bytes]
        whole = [i for i in large if i not in self.marks]
        size = sum(self.items[i].size for i in whole)
        if self.delimiter and size > CSV_SCAN_LIMIT:
            raise InputTooLarge(
                f"{size:,} bytes of CSV whose quoted fields may hold line breaks, at most {CSV_SCAN_LIMIT:,}: say "
                "csv.quoted_newlines: false if none does, or give it as Parquet or JSON lines"
            )
        counted = self.delimiter or size <= COUNTED_BYTES
        return [i for i in whole if counted or self.items[i].source]

    def _unread(self, i: int) -> Iterator[Span]:
        item = self.items[i]
        if item.rows is not None:
            yield from self._table(i)
        elif i in self.marks:
            yield from self._spans(i, (0, item.first_line), self._marked(i))
        elif item.size > self.target.bytes:
            yield from (Span(i, start, end) for start, end in cut(item.size, self.target.bytes))
        elif item.size:
            yield Span(i, 0, item.size, item.first_line)

    def _table(self, i: int) -> Iterator[Span]:
        """Whole row groups, as many as fit; a larger one is cut by itself, and read from its beginning each time."""
        begin = at = 0
        for group in self.footers[i].groups:
            if at + group.rows - begin > self.target.rows:
                if at > begin:
                    yield Span(i, begin, at)
                begin = at
            at += group.rows
            if group.rows > self.target.rows:
                yield from (Span(i, begin + low, begin + high) for low, high in cut(group.rows, self.target.rows))
                begin = at
        if at > begin:
            yield Span(i, begin, at)

    def _wanted(self, i: int, begin: int = 0) -> list[int]:
        """The places where an object of lines is best cut, behind `begin`."""
        return [start for start, _ in cut(self.items[i].size, self.target.bytes) if start > begin]

    def _marked(self, i: int) -> Iterator[Start]:
        known = self.marks[i]
        for wanted in self._wanted(i):
            n = bisect_left(known, (wanted, 0))
            if n < len(known):
                yield known[n]

    def _reads(self, i: int, begin: Start) -> list[_Read]:
        """The reads that nearly always tell the last of the wanted starts."""
        wanted = self._wanted(i, begin[0])
        if not wanted:
            return []
        info = pinned(self.items[i])
        end = min(info.size, wanted[-1] + TAIL_BYTES)
        return [(info, at, min(at + BLOCK_BYTES, end)) for at in range(begin[0], end, BLOCK_BYTES)]

    def _scanned(self, i: int, begin: Start, reads: Sequence[_Read], ahead: _Ahead) -> Iterator[Span]:
        read = islice(ahead, len(reads))
        scanner = Starts(self.delimiter, *begin, self.limit)
        found = starts(chain(read, self._rest(reads)), self._wanted(i, begin[0]), scanner)
        yield from self._spans(i, begin, found)
        deque(read, maxlen=0)  # what was read ahead and not needed

    def _rest(self, reads: Sequence[_Read]) -> Iterator[bytes]:
        for info, _, end in reads[-1:]:
            yield from blocks(self.objects, info, end, end)

    def _spans(self, i: int, begin: Start, found: Iterable[Start]) -> Iterator[Span]:
        size, (at, line) = self.items[i].size, begin
        for start, number in found:
            if at < start < size:
                yield Span(i, at, start, line)
                at, line = start, number
        yield Span(i, at, size, line)


class _Ahead:
    """What reads bring, in order, some of them under way ahead of who takes it."""

    def __init__(self, objects: Objects, reads: Iterable[_Read]) -> None:
        self._objects, self._reads = objects, iter(reads)
        self._pool = ThreadPoolExecutor(READS_AHEAD)
        self._under_way: deque[Future[bytes]] = deque()

    def __enter__(self) -> _Ahead:
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def __iter__(self) -> _Ahead:
        return self

    def __next__(self) -> bytes:
        for read in islice(self._reads, READS_AHEAD - len(self._under_way)):
            self._under_way.append(self._pool.submit(self._objects.read, *read))
        if not self._under_way:
            raise StopIteration
        return self._under_way.popleft().result()
