"""zstd unpacked, by pyarrow's codec: several frames one after the other, frames to be skipped among them."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator

from batchmill.domain.unpacking import BLOCK_BYTES, BadStream


def unpacked(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Implements `domain.unpacking.Zstd`. Raises BadStream; whatever `blocks` raises comes through as it is.

    A frame whose window is larger than 128 MiB (`zstd --long=28` and up) is a BadStream: memory stays bounded.
    """
    import pyarrow as pa  # only where there is zstd: it takes half a second

    stream = pa.CompressedInputStream(pa.PythonFile(_Reader(blocks), mode="r"), "zstd")
    while True:
        try:
            block = stream.read(BLOCK_BYTES)
        except (OSError, pa.ArrowInvalid) as error:
            raise BadStream(str(error)) from None
        if not block:
            return
        yield block


class _Reader(io.RawIOBase):
    """An iterator of blocks as a file."""

    def __init__(self, blocks: Iterable[bytes]) -> None:
        super().__init__()
        self._blocks = iter(blocks)
        self._rest = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes, b"" at the end."""
        while not self._rest:
            try:
                self._rest = next(self._blocks)
            except StopIteration:
                return b""
        cut = len(self._rest) if size < 0 else size
        data, self._rest = self._rest[:cut], self._rest[cut:]
        return data
