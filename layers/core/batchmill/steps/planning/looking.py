"""The beginnings of a batch's inputs: how each is compressed, and what they all hold.

Of thousands of objects some are looked at, of every ending of a name; the others are taken to be as those. Where one is
not, its rows are errors that say so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import cast

from batchmill.contracts.plan import PinnedObject
from batchmill.contracts.spec import BatchSpec
from batchmill.domain.errors import EmptyInput, InputInvalid
from batchmill.domain.formats import PARQUET_MAGIC, Compression, detect
from batchmill.domain.unpacking import BadStream, Unpacked, Zstd
from batchmill.ports.objects import ObjectInfo, Objects
from batchmill.ports.tables import Tables
from batchmill.steps.shard.sampling import SAMPLE_BYTES, Sample, sample

LOOKED_AT = 64
"""Objects that are looked at where there are more, one of each ending at least."""

LOOKS_AT_ONCE = 16

MAGIC_BYTES = 16
"""All that tells a compression."""

READ_BYTES = 256 * 1024
"""Read at once of a compressed object's beginning, until some of it is unpacked."""

_ENDING = re.compile(r"(?:\.[A-Za-z][A-Za-z0-9_]{0,11}){0,2}\Z")
"""`.csv.gz` of `2024.01.csv.gz`: what a name says of a format and a compression."""


@dataclass(frozen=True)
class Looked:
    """`head` is what all inputs have in common; `samples` are by the number of the object that was looked at.

    `compressions` are of all objects, in their order.
    """

    head: Sample
    samples: Mapping[int, Sample]
    compressions: Sequence[Compression]


@dataclass(frozen=True)
class Looking:
    """Looks at objects' beginnings."""

    objects: Objects
    tables: Tables
    zstd: Zstd

    def __call__(self, found: Sequence[ObjectInfo], spec: BatchSpec) -> Looked:
        """Raises EmptyInput, and InputInvalid naming the input that cannot be read or does not agree with the first."""
        groups: dict[str, list[int]] = {}
        for i, info in enumerate(found):
            if info.size:
                groups.setdefault(_ending(info.key), []).append(i)
        if not groups:
            raise EmptyInput("every input is empty (0 bytes)")
        each = LOOKED_AT if len(found) <= LOOKED_AT else max(1, LOOKED_AT // len(groups))
        chosen = sorted(i for members in groups.values() for i in _spread(members, each))
        with ThreadPoolExecutor(LOOKS_AT_ONCE) as pool:
            looks = dict(zip(chosen, pool.map(lambda i: self._look(found[i], spec), chosen), strict=True))
        compressions: list[Compression] = ["none"] * len(found)
        for members in groups.values():
            kind = _one_kind({i: looks[i][0] for i in members if i in looks}, found)
            for i in members:
                compressions[i] = kind
        samples = {i: told for i, (_, told) in looks.items()}
        return Looked(_agreed(samples, found), samples, compressions)

    def _look(self, info: ObjectInfo, spec: BatchSpec) -> tuple[Compression, Sample]:
        item = PinnedObject(
            bucket=info.bucket, key=info.key, size=info.size, etag=info.etag, version_id=info.version_id
        )
        first = self.objects.read(info, 0, MAGIC_BYTES)
        kind = detect(item.uri, first, "text", spec.compression).compression
        if kind == "none":
            return kind, sample(self.objects, self.tables, item, spec)
        detect(item.uri, first, spec.format, kind)  # which refuses what cannot be unpacked in a stream
        head = self._unpacked(info, kind, item.uri)
        if head.startswith(PARQUET_MAGIC):
            detect(item.uri, head, "parquet", kind)
        content = item.model_copy(update={"size": len(head), "version_id": None})
        return kind, sample(cast(Objects, _Held(head)), self.tables, content, spec)

    def _unpacked(self, info: ObjectInfo, kind: Compression, uri: str) -> bytes:
        """The beginning of what a compressed object holds: all of it, or more than a sample is."""
        reads = (self.objects.read(info, at, min(at + READ_BYTES, info.size)) for at in range(0, info.size, READ_BYTES))
        found = bytearray()
        try:
            for block in Unpacked(kind, reads, self.zstd):
                found += block
                if len(found) > SAMPLE_BYTES:
                    break
        except BadStream as error:
            raise InputInvalid(f"{uri}: damaged {kind}: {error}: compress it anew") from None
        return bytes(found)


class _Held:
    """The one method of `Objects` that sampling calls, over what has been unpacked."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def read(self, pinned: ObjectInfo, start: int, end: int) -> bytes:  # noqa: ARG002 - there is one object
        return self._data[start:end]


def _ending(key: str) -> str:
    name = key.rpartition("/")[2]
    found = _ENDING.search(name)
    return found[0].lower() if found else ""


def _spread(members: Sequence[int], most: int) -> list[int]:
    """Some of them, the first and the last among these."""
    if len(members) <= most:
        return list(members)
    return [members[k * (len(members) - 1) // max(1, most - 1)] for k in range(most)]


def _one_kind(kinds: Mapping[int, Compression], found: Sequence[ObjectInfo]) -> Compression:
    first, *others = kinds.items()
    for i, kind in others:
        if kind != first[1]:
            raise InputInvalid(
                f"s3://{found[i].bucket}/{found[i].key}: its compression ({kind}) is not that of "
                f"s3://{found[first[0]].bucket}/{found[first[0]].key} ({first[1]}): give each the ending of its own"
            )
    return first[1]


def _agreed(samples: Mapping[int, Sample], found: Sequence[ObjectInfo]) -> Sample:
    """What the first that has rows says. Raises InputInvalid naming the first input that does not agree with it."""
    (first, head), *others = [(i, one) for i, one in samples.items() if one.rows or not one.whole] or samples.items()
    for i, other in others:
        pairs = {
            "format": (other.format, head.format),
            "header": (other.header, head.header),
            "delimiter": (other.delimiter, head.delimiter),
            "model": (other.model, head.model),
        }
        what = next((name for name, (one, two) in pairs.items() if one != two), None)
        if what:
            raise InputInvalid(
                f"s3://{found[i].bucket}/{found[i].key}: its {what} differs from "
                f"s3://{found[first].bucket}/{found[first].key}'s: submit a batch for each"
            )
    return head
