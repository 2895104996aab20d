"""Lines of a byte range, and which of them belong to it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Line:
    """One line without its line feed. `offset` is its first byte's place in the object."""

    offset: int
    data: bytes


def owned_lines(blocks: Iterable[bytes], start: int, end: int) -> Iterator[Line]:
    """The lines whose first byte lies in [start, end).

    `blocks` are the object's bytes from max(start - 1, 0) on: the byte before the range tells whether a line begins at
    its start. They are read only as far as the last owned line goes, which may be past `end`.
    """
    offset = max(start - 1, 0)
    inside_foreign_line = start > 0
    pending = b""
    for block in blocks:
        *lines, rest = (pending + block).split(b"\n")
        for data in lines:
            if inside_foreign_line:
                inside_foreign_line = False
            elif offset >= end:
                return
            else:
                yield Line(offset, data)
            offset += len(data) + 1
        pending = rest
        if not inside_foreign_line and offset >= end:
            return
    if pending and not inside_foreign_line and offset < end:
        yield Line(offset, pending)


def count_starts(blocks: Iterable[bytes], starts: Iterable[int]) -> tuple[list[int], int]:
    """For each of the ascending `starts`, the 1-based number of the first line that begins at or after it.

    Also returns how many lines the whole has. `blocks` are the whole object, in order.
    """
    wanted = list(starts)
    numbers: list[int] = []
    newlines, at, last = 0, 0, b"\n"
    for block in blocks:
        while len(numbers) < len(wanted) and wanted[len(numbers)] <= at + len(block):
            start = wanted[len(numbers)]
            numbers.append(_first_line(start, newlines, block, at))
        newlines += block.count(b"\n")
        at += len(block)
        last = block[-1:] or last
    numbers += [newlines + 2] * (len(wanted) - len(numbers))
    return numbers, newlines + (last != b"\n")


def _first_line(start: int, newlines: int, block: bytes, at: int) -> int:
    # Lines that begin before `start`: the one at byte 0, and one after each newline at a place before start - 1.
    if start == 0:
        return 1
    before = newlines + block.count(b"\n", 0, max(start - 1 - at, 0))
    return before + 2
