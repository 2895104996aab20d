"""moto's objects, written through to a data folder and brought back from it.

Kept of an object version: its place among its key's versions, version id, ETag, time, body, content type and all
other metadata, storage class, checksums, encryption, and the tags that it was written with. Not kept: later tags,
access lists, locks, the parts that a finished multipart upload was made of, and uploads that are not finished.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

from moto.s3.models import FakeDeleteMarker, FakeKey
from moto.s3.utils import _VersionedKeyStore

from batchmill.local.account import ACCOUNT, REGION
from batchmill.local.keeping.folder import DataFolder, KeptVersion

_CHECKSUM = ("checksum_algorithm", "checksum_value", "checksum_type", "checksum_parts")
_ENCRYPTION = ("encryption", "kms_key_id", "bucket_key_enabled")
_MARK = "batchmill_kept"
"""Set on moto's object of a version that is in the folder."""


class WatchedKeys(_VersionedKeyStore):
    """moto's store of a bucket's keys that notes which of them changed, as (bucket, key)."""

    def __init__(self, bucket: str, changed: set[tuple[str, str]]) -> None:
        super().__init__()
        self._bucket, self._changed = bucket, changed

    def __setitem__(self, key: str, value: Any) -> None:
        self._changed.add((self._bucket, key))
        super().__setitem__(key, value)

    def setlist(self, key: str, list_: Any) -> None:
        """Replaces a key's versions."""
        self._changed.add((self._bucket, key))
        super().setlist(key, list_)

    def pop(self, key: str) -> None:  # type: ignore[override]
        """Removes a key."""
        self._changed.add((self._bucket, key))
        super().pop(key)


class KeptObjects:
    """The objects of the buckets that moto's `backend` has now. Used under the lock of S3's front."""

    def __init__(self, folder: DataFolder, backend: Any) -> None:
        self._folder, self._tagger = folder, backend.tagger
        self._buckets = dict(backend.buckets)
        self._changed: set[tuple[str, str]] = set()

    def load(self) -> int:
        """Put back what the folder holds, over what there is, and watch from now on; how many versions came back."""
        count = 0
        for name, bucket in self._buckets.items():
            early = bucket.keys  # what somebody wrote while the stack was being deployed
            bucket.keys = WatchedKeys(name, self._changed)
            for key, versions in early.iterlists():
                bucket.keys.setlist(key, versions)
            back: dict[str, list[Any]] = {}
            for kept in self._folder.versions(name):
                versions = back.setdefault(kept.key, [])
                versions.append(_restored(name, kept, versions))
                self._tag(versions[-1], kept.about.get("tags"))
                count += 1
            for key, versions in back.items():
                _VersionedKeyStore.setlist(bucket.keys, key, versions)
        return count

    def save(self, events: Sequence[dict[str, Any]]) -> None:
        """Keep what has changed since the last time, and events to be published. Raises NotKept; nothing is kept then.

        What could not be kept is tried again at the next call.
        """
        if not self._changed and not events:
            return
        written: dict[int, str | None] = {}
        fresh: list[tuple[str, str, Any]] = []
        kept = False
        try:
            for bucket, key in sorted(self._changed):
                fresh += [(bucket, key, one) for one in self._versions(bucket, key) if not hasattr(one, _MARK)]
            for _, _, one in fresh:
                written[id(one)] = self._write_body(one)
            self._commit(fresh, written, events)
            kept = True
        finally:
            if not kept:
                self._folder.forget_bodies([body for body in written.values() if body])
        for _, _, one in fresh:
            setattr(one, _MARK, True)
        self._changed.clear()

    def _commit(
        self, fresh: Sequence[tuple[str, str, Any]], written: Mapping[int, str | None], events: Sequence[dict[str, Any]]
    ) -> None:
        with self._folder.changes() as changes:
            for bucket, key in self._changed:
                there = {one.version_id for one in self._versions(bucket, key)}
                for gone in self._folder.version_ids(bucket, key) - there:
                    changes.drop_version(bucket, key, gone)
            for bucket, key, one in fresh:
                changes.put_version(bucket, key, one.version_id, self._about(one), written[id(one)])
            for event in events:
                changes.put_event(event)

    def _about(self, version: Any) -> dict[str, Any]:
        if isinstance(version, FakeDeleteMarker):
            return {"modified": version.last_modified.isoformat()}
        return {**_about(version), "tags": self._tagger.get_tag_dict_for_resource(version.arn)}

    def _tag(self, version: Any, tags: Mapping[str, str] | None) -> None:
        if tags:
            self._tagger.tag_resource(version.arn, [{"Key": name, "Value": value} for name, value in tags.items()])

    def _versions(self, bucket: str, key: str) -> list[Any]:
        return list(self._buckets[bucket].keys.getlist(key, []))

    def _write_body(self, version: Any) -> str | None:
        if isinstance(version, FakeDeleteMarker):
            return None
        with version.lock:
            version._value_buffer.seek(0)
            return self._folder.write_body(version._value_buffer)


def _about(version: Any) -> dict[str, Any]:
    return {
        "modified": version.last_modified.isoformat(),
        "size": version.size,
        "etag": version.etag.strip('"'),
        "versioned": version._is_versioned,
        "metadata": dict(version.metadata),
        "storage": version.storage_class,
        "redirect": version.website_redirect_location,
        **{name: getattr(version, name) for name in (*_CHECKSUM, *_ENCRYPTION)},
    }


def _restored(bucket: str, kept: KeptVersion, older: Sequence[Any]) -> Any:
    version = _marker(bucket, kept, older) if kept.body is None else _key(bucket, kept)
    version.last_modified = datetime.datetime.fromisoformat(kept.about["modified"])
    setattr(version, _MARK, True)
    return version


def _marker(bucket: str, kept: KeptVersion, older: Sequence[Any]) -> Any:
    if older:
        hidden = older[-1]
    else:  # all that it hid has been deleted
        hidden = FakeKey(kept.key, b"", ACCOUNT, REGION, bucket_name=bucket)
        hidden.dispose()
    marker = FakeDeleteMarker(hidden)
    marker._version_id = kept.version
    return marker


def _key(bucket: str, kept: KeptVersion) -> Any:
    about = kept.about
    key = FakeKey(
        kept.key,
        b"",
        ACCOUNT,
        REGION,
        storage=about["storage"],
        etag=about["etag"],
        is_versioned=about["versioned"],
        version_id=kept.version,
        bucket_name=bucket,
        **{name: about[name] for name in _ENCRYPTION},
    )
    assert kept.body is not None
    with kept.body.open("rb") as file:
        while block := file.read(1024 * 1024):
            key._value_buffer.write(block)
    key.contentsize = about["size"]
    key.website_redirect_location = about["redirect"]
    key.metadata.update(about["metadata"])
    for name in _CHECKSUM:
        setattr(key, name, about[name])
    return key
