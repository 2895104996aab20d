"""From the inputs that a submission names to the objects that a batch reads, each in one version.

An object stands for itself; a prefix for the objects under it, as one listing tells them; a manifest for what it lists.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from batchmill.domain.batch import Input
from batchmill.domain.errors import Gone, InputChanged, InputInvalid, InputMissing, InputTooLarge
from batchmill.domain.places import InputPlaces
from batchmill.ports.objects import ObjectInfo, Objects
from batchmill.steps.planning.manifests import Manifests

OBJECTS_LIMIT = 50_000
"""Objects of one batch: each is one shard at least, and a run has no more shards (`cutting.SHARDS_LIMIT`)."""

HEADS_AT_ONCE = 32
"""S3 takes 5,500 reads a second for a prefix; 32 at some 20 ms each are 1,600."""

NOT_INPUTS = (".batch.yaml", ".batch.yml")
"""Batch files are dropped beside the inputs that they name."""


@dataclass(frozen=True)
class Pinning:
    """Pins inputs. `places` says where they may lie: a list must not lead out of there."""

    objects: Objects
    manifests: Manifests
    places: InputPlaces

    def __call__(self, inputs: Sequence[Input], are_manifests: bool) -> list[ObjectInfo]:
        """The objects, in the order of the inputs, a prefix's in key order and a manifest's in its own.

        Raises InputMissing, InputChanged and InputInvalid naming the input and what is wrong, InputTooLarge for more
        than OBJECTS_LIMIT objects.
        """
        for item in inputs:
            self._check(item, item.uri)
        named = self._listed(inputs) if are_manifests else self._named(inputs)
        found = self._headed(_limited(named))
        return _each_once(found)

    def _named(self, inputs: Iterable[Input]) -> Iterator[Input | ObjectInfo]:
        for item in inputs:
            if item.kind == "prefix":
                yield from self._under(item)
            else:
                yield item

    def _under(self, item: Input) -> Iterator[ObjectInfo]:
        empty = True
        for info in self.objects.list(item.bucket, item.key):
            if _is_input(info):
                empty = False
                yield info
        if empty:
            raise InputMissing(f"{item.uri}: no object under this prefix that holds anything")

    def _listed(self, inputs: Iterable[Input]) -> Iterator[Input | ObjectInfo]:
        for item in inputs:
            if item.kind == "prefix":
                raise InputInvalid(f"{item.uri}: a manifest is one object, not a prefix")
            manifest = self._head(item)
            for place, entry in self.manifests.entries(manifest):
                self._check(entry, f"{item.uri}: {place}")
                yield entry

    def _check(self, item: Input | ObjectInfo, where: str) -> None:
        if not self.places.allow(item.bucket, item.key):
            raise InputInvalid(f"{where}: {self.places.refusal(f's3://{item.bucket}/{item.key}')}")

    def _headed(self, items: Sequence[Input | ObjectInfo]) -> list[ObjectInfo]:
        with ThreadPoolExecutor(HEADS_AT_ONCE) as pool:
            return list(pool.map(lambda item: self._head(item) if isinstance(item, Input) else item, items))

    def _head(self, item: Input) -> ObjectInfo:
        try:
            info = self.objects.head(item.bucket, item.key, item.version_id)
        except Gone:
            raise InputMissing(f"{item.uri}: no such object (or it may not be read)") from None
        if item.etag and not item.version_id and item.etag.strip('"') != info.etag.strip('"'):
            raise InputChanged(f"{item.uri}: overwritten since it was submitted")
        return info


def _is_input(info: ObjectInfo) -> bool:
    """Whether a listed object is data: no marker of a folder, not empty, not hidden (`_SUCCESS`), no batch file."""
    name = info.key.rpartition("/")[2]
    return bool(info.size) and bool(name) and not name.startswith(("_", ".")) and not name.endswith(NOT_INPUTS)


def _limited(items: Iterable[Input | ObjectInfo]) -> list[Input | ObjectInfo]:
    found: list[Input | ObjectInfo] = []
    for item in items:
        found.append(item)
        if len(found) > OBJECTS_LIMIT:
            raise InputTooLarge(
                f"more than {OBJECTS_LIMIT:,} objects: put small files together, or submit several batches"
            )
    return found


def _each_once(found: list[ObjectInfo]) -> list[ObjectInfo]:
    seen: set[tuple[str, str, str | None]] = set()
    for info in found:
        identity = (info.bucket, info.key, info.version_id)
        if identity in seen:
            raise InputInvalid(f"s3://{info.bucket}/{info.key}: named twice among the inputs: its rows would run twice")
        seen.add(identity)
    return found
