"""Where the records of a file begin, found in one pass over its bytes.

A cut at a record's beginning splits no record: whoever reads a piece alone reads what a reader of the whole would.
For lines that is behind any line feed. For CSV only the quotes tell, so the state of Python's csv reader is followed:
at the beginning of a line it is either at a record's beginning, or inside of quotes, and nothing else. What is no CSV
ends as it does there: an error costs the rest of its line, and a record beyond the limit what has been read of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from batchmill.domain.lines import BOM, LINE_LIMIT

Start = tuple[int, int]
"""The place of a record's first byte, and the 1-based number of its line."""


class Starts:
    """The starts of what is fed. Holds no more than one record, as far as the limit, and one block.

    `delimiter` is a CSV's; without one, each line is a record. `at` and `line` are where feeding begins, which must be
    a record's beginning itself.
    """

    def __init__(self, delimiter: str | None, at: int = 0, line: int = 1, limit: int = LINE_LIMIT) -> None:
        self._grammar = _grammar(delimiter) if delimiter else None
        self._limit = limit
        self._at, self._line = at, line  # the last start that is known
        self._data, self._from = b"", 0  # what has been fed, and where in it that start is
        self._skipping = False  # inside of a record beyond the limit: the next line is the next start

    def feed(self, block: bytes) -> None:
        """The bytes that follow."""
        self._data, self._from = self._data[self._from :] + block, 0

    def find(self, mark: int) -> Start | None:
        """The first start at or after `mark`, the file's end being one; None until more has been fed.

        Marks must not descend.
        """
        while self._at < mark or self._skipping:
            if not self._step(mark - self._at + self._from):
                return None
        return self._at, self._line

    def _step(self, mark: int) -> bool:
        """To a later start, no further than `mark` asks for; False where what has been fed does not tell one."""
        data, begin = self._data, self._from
        if self._skipping:
            return self._skip(data.find(b"\n", begin) + 1)
        quote = data.find(b'"', begin) if self._grammar else -1
        plain = data.rfind(b"\n", begin, len(data) if quote < 0 else quote) + 1
        if plain:  # the lines up to there hold no quote, so that each is a record
            self._move(plain if mark > plain else data.find(b"\n", max(mark - 1, begin)) + 1)
            return True
        end = 0 if quote < 0 else self._record_end(data, begin)
        if 0 < end <= begin + self._limit:
            self._move(end)
            return True
        if len(data) <= begin + self._limit:
            return False
        return self._skip(data.find(b"\n", begin + self._limit) + 1)

    def _skip(self, end: int) -> bool:
        """To the line that begins at `end`, or, where that is 0, over all that there is."""
        self._skipping = not end
        self._move(end or len(self._data))
        return not self._skipping

    def _record_end(self, data: bytes, begin: int) -> int:
        """Behind the line feed of the record that begins at `begin`; 0 where it is not there yet."""
        assert self._grammar is not None
        fields, quoted = self._grammar
        if self._at == 0 and data.startswith(BOM):
            begin += len(BOM)
        last = fields.match(data, begin)
        end = last.end() if last else begin
        if data.startswith(b'"', end):
            closed = quoted.match(data, end)
            if closed is None:
                return 0
            end = closed.end()
        # What follows is not within quotes. Well-formed or not, no line feed of it is data.
        return data.find(b"\n", end) + 1

    def _move(self, to: int) -> None:
        self._line += self._data.count(b"\n", self._from, to)
        self._at += to - self._from
        self._from = to


def starts(blocks: Iterable[bytes], marks: Iterable[int], scanner: Starts) -> Iterator[Start]:
    """For each of the ascending marks the first start at or after it, as long as there is one."""
    source = iter(blocks)
    for mark in marks:
        while (found := scanner.find(mark)) is None:
            block = next(source, None)
            if block is None:
                return
            scanner.feed(block)
        yield found


def _grammar(delimiter: str) -> tuple[re.Pattern[bytes], re.Pattern[bytes]]:
    """All the fields of a record but its last, as far as they are well-formed; and one field in quotes."""
    mark = re.escape(delimiter.encode())
    quoted = rb'"[^"]*+(?:""[^"]*+)*+"'
    unquoted = rb'[^"\r\n%b][^\r\n%b]*+' % (mark, mark)
    return re.compile(rb"(?:(?:%b|%b)?+%b)*+" % (quoted, unquoted, mark)), re.compile(quoted)
