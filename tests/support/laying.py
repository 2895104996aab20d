"""Compressed inputs being laid, in small: pieces of 2,000 bytes, and every call and its time in the test's hand."""

from __future__ import annotations

import bz2
import gzip
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pyarrow as pa
import pytest

from batchmill.adapters import zstd
from batchmill.domain import unpacking
from batchmill.domain.formats import Compression
from batchmill.domain.pieces import PieceSizes
from batchmill.steps.planning import relaying
from batchmill.steps.planning.relaying import Packed, Relaying
from fakes.clock import FakeClock
from fakes.objects import MemoryObjects

INPUT, DATA, PREFIX = "input", "data", "batches/b/plan/laid/"
PACK: dict[Compression, Callable[[bytes], bytes]] = {
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "bzip2": bz2.compress,
    "zstd": lambda data: bytes(pa.compress(data, codec="zstd", asbytes=True)),
}


def in_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sizes under which a few kilobytes are many pieces."""
    monkeypatch.setattr(relaying, "SIZES", PieceSizes(limit=2000, record=500, mark=300))
    monkeypatch.setattr(relaying, "READ_BYTES", 700)
    monkeypatch.setattr(unpacking, "BLOCK_BYTES", 300)
    monkeypatch.setattr(unpacking, "FEED_BYTES", 200)
    monkeypatch.setattr(zstd, "BLOCK_BYTES", 300)


@dataclass
class Laying:
    """`step`: seconds that pass with each write, so that a call runs out of its time."""

    step: float = 0.0
    clock: FakeClock = field(default_factory=FakeClock)
    packed: list[Packed] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.objects = MemoryObjects(before=self._before)
        self.relaying = Relaying(self.objects, self.clock, zstd.unpacked, DATA, PREFIX)
        self.reads = 0

    def add(self, kind: Compression, body: bytes, delimiter: str | None = None) -> Packed:
        key = f"in/{len(self.packed)}.{kind}"
        self.objects.put(INPUT, key, body)
        self.packed.append(Packed(len(self.packed), self.objects.head(INPUT, key), kind, delimiter))
        return self.packed[-1]

    def call(self, seconds: float = 720.0) -> bool:
        """One call; whether all is laid then."""
        self.relaying(self.packed, self.relaying.laid(), self.clock.now() + seconds)
        return all(one.whole(self.relaying.laid()) for one in self.packed)

    def pieces(self, number: int = 0) -> list[bytes]:
        return [self.objects.get(DATA, info.key) for _, info in self.relaying.laid().get(number, ())]

    def content(self, number: int = 0) -> bytes:
        return b"".join(self.pieces(number))

    def _before(self, operation: str, bucket: str, key: str) -> None:
        self.reads += operation == "read"
        if operation == "create":
            self.clock.move(self.step)


def rows(count: int, seed: int = 1) -> bytes:
    drawn = random.Random(seed)
    return b"".join(b'{"text": "row %d %d"}\n' % (i, drawn.randrange(10**9)) for i in range(count))


def lines_of(setting: Laying) -> Iterator[tuple[int, bytes]]:
    """Each piece of the first input with the number of the line it begins with, by its name."""
    return (
        (name.first_line, body) for (name, _), body in zip(setting.relaying.laid()[0], setting.pieces(), strict=True)
    )
