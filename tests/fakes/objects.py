"""S3 in memory."""

from __future__ import annotations

import hashlib
import itertools
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar
from urllib.parse import quote

from batchmill.domain.errors import AlreadyExists, Gone, InputChanged, InputMissing
from batchmill.ports.objects import ObjectInfo

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class _Version:
    info: ObjectInfo
    body: bytes
    deleted: bool = False


Hook = Callable[[str, str, str], None]
"""Called with the operation's name, the bucket and the key."""


@dataclass
class MemoryObjects:
    """Implements `ports.objects.Objects`. Buckets exist as they are named; those in `versioned` keep versions.

    `on_created` is called after each write, as S3's Object Created event is sent. `before` and `after` are called
    around each operation and may raise, `after` when the write has taken place: a lost answer. `temporary` holds the
    keys of what was written so.
    """

    versioned: frozenset[str] = frozenset()
    on_created: Callable[[ObjectInfo], None] | None = None
    before: Hook | None = None
    after: Hook | None = None
    temporary: set[str] = field(default_factory=set)
    _stored: dict[tuple[str, str], list[_Version]] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def head(self, bucket: str, key: str, version_id: str | None = None) -> ObjectInfo:
        return self._around("head", bucket, key, lambda: self._find(bucket, key, version_id).info)

    def get(self, bucket: str, key: str, version_id: str | None = None) -> bytes:
        return self._around("get", bucket, key, lambda: self._find(bucket, key, version_id).body)

    def read(self, pinned: ObjectInfo, start: int, end: int) -> bytes:
        def cut() -> bytes:
            try:
                found = self._find(pinned.bucket, pinned.key, pinned.version_id)
            except Gone as error:
                raise InputMissing(str(error)) from None
            if found.info.etag != pinned.etag:
                raise InputChanged(f"{pinned.key} was overwritten")
            return found.body[start:end]

        return b"" if start >= end else self._around("read", pinned.bucket, pinned.key, cut)

    def put(
        self,
        bucket: str,
        key: str,
        body: bytes,
        content_type: str = "application/octet-stream",
        *,
        temporary: bool = False,
    ) -> None:
        self._written("put", bucket, key, lambda: self._store(bucket, key, body, {}, temporary))

    def create(
        self, bucket: str, key: str, body: bytes, metadata: Mapping[str, str], *, temporary: bool = False
    ) -> None:
        def store() -> ObjectInfo:
            with self._lock:
                if self.exists(bucket, key):
                    raise AlreadyExists(f"{key} is there already")
                return self._store(bucket, key, body, metadata, temporary)

        self._written("create", bucket, key, store)

    def presign(self, bucket: str, key: str, seconds: int) -> str:
        return f"https://{bucket}.memory/{quote(key)}?X-Amz-Expires={seconds}&X-Amz-Signature=fake"

    def list(self, bucket: str, prefix: str) -> Iterator[ObjectInfo]:
        self._around("list", bucket, prefix, lambda: None)
        for at, key in sorted(self._stored):
            if at == bucket and key.startswith(prefix) and self.exists(bucket, key):
                yield replace(self._stored[at, key][-1].info, version_id=None, metadata={})

    def delete(self, bucket: str, key: str) -> None:
        """Not of the port: what a user may do. Leaves a delete marker in a versioned bucket."""
        if bucket in self.versioned:
            there = self._find(bucket, key, None)
            self._stored[bucket, key].append(replace(there, deleted=True))
        else:
            self._stored.pop((bucket, key), None)

    def delete_version(self, bucket: str, key: str, version_id: str) -> None:
        """Not of the port: take one version away for good."""
        versions = self._stored[bucket, key]
        versions[:] = [each for each in versions if each.info.version_id != version_id]

    def exists(self, bucket: str, key: str) -> bool:
        """Not of the port, and calls no hook."""
        versions = self._stored.get((bucket, key), [])
        return bool(versions) and not versions[-1].deleted

    def keys(self, bucket: str) -> Sequence[str]:
        """Not of the port: every key of a bucket, sorted."""
        return [key for at, key in sorted(self._stored) if at == bucket and self.exists(bucket, key)]

    def _find(self, bucket: str, key: str, version_id: str | None) -> _Version:
        versions = self._stored.get((bucket, key), [])
        if version_id is None:
            versions = versions[-1:]
        for version in versions:
            if not version.deleted and version_id in (None, version.info.version_id):
                return version
        raise Gone(f"s3://{bucket}/{key}: nothing is there")

    def _store(
        self, bucket: str, key: str, body: bytes, metadata: Mapping[str, str], temporary: bool = False
    ) -> ObjectInfo:
        if temporary:
            self.temporary.add(key)
        version_id = f"v{next(self._numbers)}" if bucket in self.versioned else None
        own = {name.lower(): value for name, value in metadata.items()}
        etag = hashlib.md5(body, usedforsecurity=False).hexdigest()
        info = ObjectInfo(bucket, key, len(body), etag, version_id, own)
        earlier = self._stored.get((bucket, key), []) if version_id else []
        self._stored[bucket, key] = [*earlier, _Version(info, bytes(body))]
        return info

    def _written(self, operation: str, bucket: str, key: str, store: Callable[[], ObjectInfo]) -> None:
        def store_and_tell() -> None:
            info = store()
            if self.on_created:
                self.on_created(info)

        self._around(operation, bucket, key, store_and_tell)

    def _around(self, operation: str, bucket: str, key: str, act: Callable[[], _Result]) -> _Result:
        if self.before:
            self.before(operation, bucket, key)
        result = act()
        if self.after:
            self.after(operation, bucket, key)
        return result
