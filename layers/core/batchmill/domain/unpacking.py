"""The content of a compressed input, as a stream of small blocks.

A gzip file may be several members, a bzip2 file several streams, a zstd file several frames, one after the other: the
content is that of all. Nothing is ever held but one block, whatever a stream would unpack to.
"""

from __future__ import annotations

import bz2
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from batchmill.domain.formats import Compression

BLOCK_BYTES = 1024 * 1024
"""What is unpacked at once, at most."""

FEED_BYTES = 64 * 1024
"""What is fed to a decompressor at once, so that its input is never copied more than a few times."""

RATIO_LIMIT, RATIO_FREE_BYTES = 1000, 10_000_000
"""Bytes out for each byte in, from `RATIO_FREE_BYTES` of output on: text packs 3 to 30 times, logs of one line over and
over up to 1,000; deflate cannot do more than 1,032 (zlib's own documentation)."""


class BadStream(Exception):
    """A compressed stream that is damaged, cut off, or not of its kind. The message is the decompressor's own."""


class Zstd(Protocol):
    """What unpacks zstd, which no standard library of ours can."""

    def __call__(self, blocks: Iterable[bytes], /) -> Iterator[bytes]:
        """The content of the frames, in blocks of BLOCK_BYTES at most. Raises BadStream."""
        ...


class Unpacked:
    """The content of compressed blocks, in blocks of BLOCK_BYTES at most; iterate once.

    So far `taken` compressed bytes were read and `given` bytes have come out. `restart` is (taken, given) at the
    beginning of the latest gzip member or bzip2 stream: unpacking can begin anew there. Raises BadStream.
    """

    def __init__(self, kind: Compression, source: Iterable[bytes], zstd: Zstd) -> None:
        self._kind, self._source, self._zstd = kind, source, zstd
        self.taken = self.given = 0
        self.restart = (0, 0)

    def __iter__(self) -> Iterator[bytes]:
        for block in self._blocks():
            self.given += len(block)
            yield block

    @property
    def bomb(self) -> bool:
        """Whether more has come out than any honest file holds."""
        return self.given > RATIO_FREE_BYTES and self.given > RATIO_LIMIT * self.taken

    def _blocks(self) -> Iterator[bytes]:
        if self._kind == "zstd":
            return self._zstd(self._fed())
        return self._members(_Gzip if self._kind == "gzip" else _Bzip2)

    def _fed(self) -> Iterator[bytes]:
        for block in self._source:
            view = memoryview(block)
            for at in range(0, len(view), FEED_BYTES):
                piece = bytes(view[at : at + FEED_BYTES])
                self.taken += len(piece)
                yield piece

    def _members(self, new: Callable[[], _Member]) -> Iterator[bytes]:
        member: _Member | None = None
        for data in self._fed():
            while data or (member and not member.hungry):
                if member is None:
                    # gzip's own tools pad with zeros between members and after the last.
                    data = data.lstrip(b"\0") if self.given and new is _Gzip else data
                    if not data:
                        break
                    self.restart = (self.taken - len(data), self.given)
                    member = new()
                block = member.more(data)
                data = b""
                if block:
                    yield block
                if member.ended:
                    data, member = member.unused, None
        if member is not None:
            raise BadStream("it ends in the middle: it was cut off")


class _Member(Protocol):
    """One gzip member or bzip2 stream being unpacked."""

    @property
    def hungry(self) -> bool: ...

    @property
    def ended(self) -> bool: ...

    @property
    def unused(self) -> bytes: ...

    def more(self, data: bytes) -> bytes: ...


class _Gzip:
    def __init__(self) -> None:
        self._inner = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)

    @property
    def hungry(self) -> bool:
        return not self._inner.unconsumed_tail

    @property
    def ended(self) -> bool:
        return self._inner.eof

    @property
    def unused(self) -> bytes:
        return self._inner.unused_data

    def more(self, data: bytes) -> bytes:
        try:
            return self._inner.decompress(self._inner.unconsumed_tail + data, BLOCK_BYTES)
        except zlib.error as error:
            raise BadStream(str(error).rpartition(": ")[2]) from None


class _Bzip2:
    def __init__(self) -> None:
        self._inner = bz2.BZ2Decompressor()

    @property
    def hungry(self) -> bool:
        return self._inner.needs_input

    @property
    def ended(self) -> bool:
        return self._inner.eof

    @property
    def unused(self) -> bytes:
        return self._inner.unused_data

    def more(self, data: bytes) -> bytes:
        try:
            return self._inner.decompress(data, BLOCK_BYTES)
        except OSError as error:
            raise BadStream(str(error)) from None
