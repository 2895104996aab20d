"""Objects of any size that are stored nowhere, in a store that counts what is asked of it.

The content is made from the offset: the same bytes at every reading, whatever the ranges.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from batchmill.domain.errors import AlreadyExists, Gone
from batchmill.ports.objects import ObjectInfo

INPUT, DATA = "input", "data"
ETAG = "sparse"
TILE_BYTES = 1024 * 1024
"""At least. Of rows of many lengths; beyond it they come again."""

HEADER = b"id,subject,body\n"
"""Of the CSV."""

Content = Callable[[int, int], bytes]
"""The bytes of an object from an offset to another, which lie within it."""

_WORDS = ["order", "parcel", "lamp", "invoice", "carrier", "refund", "never", "arrived", "twice", "broken", "shop"]


@dataclass
class CountingObjects:
    """Implements `ports.objects.Objects`: sparse objects under INPUT, and in memory whatever a step writes.

    `requests` (of any kind) and `bytes_read` are of INPUT alone.
    """

    inputs: Mapping[str, tuple[int, Content]]
    requests: int = 0
    bytes_read: int = 0
    written: dict[str, bytes] = field(default_factory=dict)

    def head(self, bucket: str, key: str, version_id: str | None = None) -> ObjectInfo:
        """As the port says."""
        if bucket == INPUT:
            self.requests += 1
            return ObjectInfo(bucket, key, self.inputs[key][0], ETAG, version_id)
        return ObjectInfo(bucket, key, len(self.get(bucket, key)), ETAG)

    def get(self, bucket: str, key: str, version_id: str | None = None) -> bytes:
        """As the port says, of what was written."""
        if key not in self.written:
            raise Gone(f"no {key} in {bucket} (version {version_id})")
        return self.written[key]

    def read(self, pinned: ObjectInfo, start: int, end: int) -> bytes:
        """As the port says, of a sparse object."""
        size, content = self.inputs[pinned.key]
        end = min(end, size)
        self.requests += 1
        self.bytes_read += max(0, end - start)
        return content(start, end) if start < end else b""

    def put(
        self,
        bucket: str,  # noqa: ARG002 - there is one bucket to write to
        key: str,
        body: bytes,
        content_type: str = "",  # noqa: ARG002
        *,
        temporary: bool = False,  # noqa: ARG002
    ) -> None:
        """As the port says."""
        self.written[key] = body

    def create(
        self,
        bucket: str,
        key: str,
        body: bytes,
        metadata: Mapping[str, str],  # noqa: ARG002 - nobody reads it back
        *,
        temporary: bool = False,
    ) -> None:
        """As the port says."""
        if key in self.written:
            raise AlreadyExists(f"{key} is there already")
        self.put(bucket, key, body, temporary=temporary)

    def presign(self, bucket: str, key: str, seconds: int) -> str:
        """As the port says."""
        return f"https://{bucket}.invalid/{key}?seconds={seconds}"

    def list(self, bucket: str, prefix: str) -> Iterator[ObjectInfo]:
        """As the port says."""
        self.requests += bucket == INPUT
        held = {key: size for key, (size, _) in self.inputs.items()} if bucket == INPUT else {}
        held |= {key: len(body) for key, body in self.written.items()} if bucket != INPUT else {}
        return iter([ObjectInfo(bucket, key, held[key], ETAG) for key in sorted(held) if key.startswith(prefix)])


def tiled(tile: bytes, head: bytes = b"") -> Content:
    """`head`, then `tile` over and over."""

    def read(start: int, end: int) -> bytes:
        found = head[start:end]
        low, high = max(start - len(head), 0), max(end - len(head), 0)
        first = low % len(tile)
        times = (first + high - low) // len(tile) + 1
        return found + (tile * times if times > 1 else tile)[first : first + high - low]

    return read


def ending(tail: bytes, size: int) -> Content:
    """Zeros, of which nothing is stored, and at the end of `size` bytes `tail`; the first bytes are its last four."""
    begin = size - len(tail)

    def read(start: int, end: int) -> bytes:
        magic = tail[-4:][start:end]
        hole = bytes(max(0, min(end, begin) - start - len(magic)))
        return magic + hole + tail[max(start - begin, 0) : max(end - begin, 0)]

    return read


def stored(path: Path) -> Content:
    """A real file's."""
    file = os.open(path, os.O_RDONLY)
    return lambda start, end: os.pread(file, end - start, start)


def jsonl_tile() -> bytes:
    """Rows {id, subject, body} of 100 to 1,000 bytes."""
    rows = ({"id": f"row-{n}", "subject": subject, "body": body} for n, (subject, body) in enumerate(_texts()))
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def csv_tile() -> bytes:
    """The same as CSV without line breaks in its fields, to follow HEADER."""
    return b"".join(f"row-{n},{subject},{body}\n".encode() for n, (subject, body) in enumerate(_texts()))


def _texts() -> Iterator[tuple[str, str]]:
    drawn, made = random.Random(4), 0
    while made < TILE_BYTES:
        subject, body = (" ".join(drawn.choices(_WORDS, k=drawn.randint(*span))) for span in ((2, 6), (8, 140)))
        made += len(subject) + len(body)
        yield subject, body
