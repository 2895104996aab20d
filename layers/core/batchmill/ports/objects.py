"""Object storage: S3 as the steps see it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True)
class ObjectInfo:
    """One object in one version. `size` in bytes; `metadata` is the user's own, keys in lower case."""

    bucket: str
    key: str
    size: int
    etag: str
    version_id: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


class Objects(Protocol):
    """Reads, conditional writes and listings. Every method may raise Transient."""

    def head(self, bucket: str, key: str, version_id: str | None = None) -> ObjectInfo:
        """What is there, metadata included. Raises Gone."""
        ...

    def get(self, bucket: str, key: str, version_id: str | None = None) -> bytes:
        """A whole (small) object. Raises Gone."""
        ...

    def read(self, pinned: ObjectInfo, start: int, end: int) -> bytes:
        """Bytes [start, end) of exactly that version, cut at the object's end.

        Raises InputChanged where the object was overwritten, InputMissing where it is gone.
        """
        ...

    def put(
        self,
        bucket: str,
        key: str,
        body: bytes,
        content_type: str = "application/octet-stream",
        *,
        temporary: bool = False,
    ) -> None:
        """Write, replacing what is there. What is temporary may be removed by the store, weeks later."""
        ...

    def create(
        self, bucket: str, key: str, body: bytes, metadata: Mapping[str, str], *, temporary: bool = False
    ) -> None:
        """Write only where nothing is (If-None-Match: *), temporary as with `put`. Raises AlreadyExists.

        A lost answer is settled by the caller: HEAD, and compare the metadata.
        """
        ...

    def presign(self, bucket: str, key: str, seconds: int) -> str:
        """A URL by which anybody may read the object, for so long. Whether there is one is not looked at."""
        ...

    def list(self, bucket: str, prefix: str) -> Iterator[ObjectInfo]:
        """The objects under a prefix in key order, without their metadata."""
        ...
