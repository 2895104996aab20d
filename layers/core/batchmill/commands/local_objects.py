"""Files of this machine read as the steps read objects, beside real ones in S3."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path

from batchmill.domain.errors import Gone, InputMissing
from batchmill.ports.objects import ObjectInfo, Objects

FILES = ""
"""The bucket that files lie in, by their paths."""

HELD = "(held)"
"""The bucket of what is held in memory."""

_FILES_URI = "s3:///"


def told(message: str) -> str:
    """A message of the steps, files being called by their paths."""
    return message.replace(_FILES_URI, "")


class LocalObjects:
    """The reading half of `ports.objects.Objects`. `remote` makes what reads S3, where that is asked for."""

    def __init__(self, remote: Callable[[], Objects]) -> None:
        self._make = remote
        self.held: dict[str, bytes] = {}

    @cached_property
    def _remote(self) -> Objects:
        return self._make()

    def head(self, bucket: str, key: str, version_id: str | None = None) -> ObjectInfo:
        """What is there. Raises Gone."""
        if bucket != FILES:
            return self._remote.head(bucket, key, version_id)
        try:
            return ObjectInfo(FILES, key, Path(key).stat().st_size, "")
        except OSError as error:
            raise Gone(f"{key}: {error.strerror}") from None

    def read(self, pinned: ObjectInfo, start: int, end: int) -> bytes:
        """Bytes [start, end). Raises InputChanged, InputMissing and Transient."""
        if pinned.bucket == HELD:
            return self.held[pinned.key][start:end]
        if pinned.bucket != FILES:
            return self._remote.read(pinned, start, end)
        try:
            with Path(pinned.key).open("rb") as file:
                file.seek(start)
                return file.read(max(0, end - start))
        except OSError as error:
            raise InputMissing(f"{pinned.key}: {error.strerror}") from None

    def list(self, bucket: str, prefix: str) -> Iterator[ObjectInfo]:
        """The objects of S3 under a prefix."""
        return self._remote.list(bucket, prefix)
