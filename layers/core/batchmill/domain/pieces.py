"""A stream of text cut into pieces that end where a record ends, and what such a piece is called."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from batchmill.domain.lines import LINE_LIMIT
from batchmill.domain.starts import Start, Starts


class PieceSizes(NamedTuple):
    """Bytes: of a piece at most, of a record at most, and between the marks in a piece.

    No shard is cut larger than 64 MiB, so a larger piece would have to be cut again. Few shards are smaller than the
    way between two marks: a thousand short rows.
    """

    limit: int = 64 * 1024 * 1024
    record: int = LINE_LIMIT
    mark: int = 64 * 1024


_NAME = re.compile(r"(\d{5,})-(\d{5,})-(\d+)(-last)?")


@dataclass(frozen=True, order=True)
class PieceName:
    """One piece of the `source`-th compressed input: its number from 0, and the 1-based number of its first line."""

    source: int
    number: int
    first_line: int
    last: bool

    def __str__(self) -> str:
        """`<source>-<number>-<first line>`, `-last` where nothing follows: a listing tells what is laid, in order."""
        return f"{self.source:05d}-{self.number:05d}-{self.first_line}{'-last' if self.last else ''}"

    @classmethod
    def parse(cls, name: str) -> PieceName | None:
        """The piece of a name; None for any other name."""
        found = _NAME.fullmatch(name)
        return cls(int(found[1]), int(found[2]), int(found[3]), found[4] is not None) if found else None


class Piece(NamedTuple):
    """A piece's bytes, and where in the stream it ends: the place, and the number of the line that begins there.

    `marks` are records' starts within it, some way apart: the place in the piece, and the number of its line.
    """

    body: bytes
    end: int
    next_line: int
    marks: tuple[Start, ...]


class Pieces:
    """Cuts a stream into pieces, the same ones in whatever blocks it arrives.

    A piece ends with the first record that ends after `limit - record` bytes, so that none but a record beyond its own
    limit can reach past a piece's. Of such a one, which is an error to every reader, the piece keeps what it has room
    for, and a line feed; the rest is dropped. `delimiter` is a CSV's; without one each line is a record. `at` and
    `line` are where the stream begins in its file.
    """

    def __init__(self, sizes: PieceSizes, delimiter: str | None, at: int = 0, line: int = 1) -> None:
        self._starts = Starts(delimiter, at, line, sizes.record)
        self._limit, self._mark_bytes = sizes.limit, sizes.mark
        self._target = sizes.limit - sizes.record - 2
        self._begin = self._seen = at
        self._marks: list[Start] = []
        self._next = at
        self._buffer = bytearray()
        self._full = False  # what follows the buffer is dropped, as far as the next start
        self._aim()

    def add(self, block: bytes) -> Iterator[Piece]:
        """The pieces that are whole now, by this block."""
        self._starts.feed(block)
        self._seen += len(block)
        if not self._full:
            self._buffer += block
        while found := self._starts.find(self._next):
            at, line = found
            if at - self._begin < self._target:
                self._marks.append((at - self._begin, line))
            else:
                yield Piece(self._taken(at), at, line, tuple(self._marks))
                self._begin_at(at, block)
            self._aim()
        if len(self._buffer) > self._limit:
            self._full = True
            del self._buffer[self._limit :]

    def rest(self) -> Piece:
        """What is left at the stream's end: the last piece, which may lack a line feed."""
        body = self._taken(self._seen)
        return Piece(body, self._seen, 0, tuple(mark for mark in self._marks if mark[0] < len(body)))

    def _aim(self) -> None:
        """The next place to look for a start at or after: a mark's, or the end's."""
        last = self._marks[-1][0] if self._marks else 0
        mark = (last // self._mark_bytes + 1) * self._mark_bytes
        self._next = self._begin + min(mark, self._target)

    def _begin_at(self, at: int, block: bytes) -> None:
        left = self._seen - at  # all of it lies in this block, where anything was dropped
        self._buffer = bytearray(block[len(block) - left :]) if self._full else self._buffer[at - self._begin :]
        self._begin, self._full, self._marks = at, False, []

    def _taken(self, end: int) -> bytes:
        view = memoryview(self._buffer)
        if self._full or end - self._begin > self._limit:
            return bytes(view[: self._limit]) + b"\n"
        return bytes(view[: end - self._begin])
