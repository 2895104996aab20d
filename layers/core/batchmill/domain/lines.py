"""Lines of a byte range, and which of them belong to it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from batchmill.domain.request import RowError

BOM = b"\xef\xbb\xbf"
"""The byte order mark that a file may begin with. Readers take it off the line at byte 0."""

LINE_LIMIT = 16 * 1024 * 1024
"""Bytes of a line, or of a CSV record, with its last line feed. What is longer is an error, and is never held whole."""

TOO_LONG = RowError(
    "line_too_long",
    f"longer than {LINE_LIMIT // 2**20} MiB, which no row may be (is a line break or a closing quote missing?)",
)

Line = tuple[int, bytes | None]
"""The place of a line's first byte in the object, and the line without its line feed; None for one that is too long.

(A plain tuple: one is made for each line there is.)
"""


def owned_lines(blocks: Iterable[bytes], start: int, end: int, limit: int = LINE_LIMIT) -> Iterator[Line]:
    """The lines whose first byte lies in [start, end); one beyond `limit` bytes is not held.

    `blocks` are the object's bytes from max(start - 1, 0) on: the byte before the range tells whether a line begins at
    its start. They are read only as far as the last owned line goes, which may be past `end`.
    """
    at, foreign = max(start - 1, 0), start > 0
    held: list[bytes] = []  # the pieces of the line at `at`, which has not ended yet
    length = 0
    for block in blocks:
        first, *others = block.split(b"\n")
        held.append(first)
        length += len(first)
        if others:
            if at >= end:
                return
            if not foreign:
                yield at, b"".join(held) if length < limit else None
            foreign = False
            at += length + 1
            held = [others.pop()]
            for data in others:
                if at >= end:
                    return
                yield at, data if len(data) < limit else None
                at += len(data) + 1
            length = len(held[0])
        if foreign or length >= limit:
            held.clear()
            if at + length >= end:
                break  # whatever line comes next, it is not ours
        elif at >= end:
            return
    if length and not foreign and at < end:
        yield at, b"".join(held) if length < limit else None
