"""The objects port over S3. ETags are without their quotes everywhere, as S3's events have them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, TypedDict

from botocore.exceptions import BotoCoreError, ClientError

from batchmill.adapters.aws_errors import classify, error_code, translated
from batchmill.domain.errors import AlreadyExists, InputChanged, InputMissing, Transient
from batchmill.ports.objects import ObjectInfo

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

LOG = logging.getLogger(__name__)

PART_BYTES = 16 * 1024 * 1024
"""Bodies above this go by multipart upload, in parts of this size (bytes). S3 takes 5 MiB to 5 GiB, 10,000 of them."""
TEMPORARY = "batchmill=temporary"
"""The tag, as a query string, of what a lifecycle rule of the bucket may remove."""
_CREATE_TRIES = 4
_CONTENT_TYPES = {"parquet": "application/vnd.apache.parquet", "json": "application/json"}


class S3Objects:
    """Implements `ports.objects.Objects`. Threads may share it."""

    def __init__(
        self, client: S3Client, part_bytes: int = PART_BYTES, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._s3 = client
        self._part_bytes = part_bytes
        self._sleep = sleep

    def head(self, bucket: str, key: str, version_id: str | None = None) -> ObjectInfo:
        """What is there, metadata included. Raises Gone."""
        with translated(_uri(bucket, key)):
            if version_id is None:
                found = self._s3.head_object(Bucket=bucket, Key=key)
            else:
                found = self._s3.head_object(Bucket=bucket, Key=key, VersionId=version_id)
        return ObjectInfo(
            bucket=bucket,
            key=key,
            size=found["ContentLength"],
            etag=_bare(found["ETag"]),
            version_id=found.get("VersionId"),
            metadata={name.lower(): value for name, value in found["Metadata"].items()},
        )

    def get(self, bucket: str, key: str, version_id: str | None = None) -> bytes:
        """A whole (small) object. Raises Gone."""
        with translated(_uri(bucket, key)):
            if version_id is None:
                return self._s3.get_object(Bucket=bucket, Key=key)["Body"].read()
            return self._s3.get_object(Bucket=bucket, Key=key, VersionId=version_id)["Body"].read()

    def read(self, pinned: ObjectInfo, start: int, end: int) -> bytes:
        """Bytes [start, end) of exactly that version, cut at the object's end.

        Raises InputChanged where the object was overwritten, InputMissing where it is gone.
        """
        if start >= end:
            return b""
        resource = f"{_uri(pinned.bucket, pinned.key)} (bytes {start} to {end})"
        try:
            with translated(resource, conflict=InputChanged, gone=InputMissing):
                return self._read(pinned, f"bytes={start}-{end - 1}")
        except _PastTheEnd:
            return b""

    def _read(self, pinned: ObjectInfo, span: str) -> bytes:
        # If-Match also beside a version: the "null" version of a suspended bucket can be overwritten.
        bucket, key, etag = pinned.bucket, pinned.key, f'"{pinned.etag}"'
        try:
            if pinned.version_id is None:
                found = self._s3.get_object(Bucket=bucket, Key=key, Range=span, IfMatch=etag)
            else:
                found = self._s3.get_object(
                    Bucket=bucket, Key=key, Range=span, IfMatch=etag, VersionId=pinned.version_id
                )
            return found["Body"].read()
        except ClientError as error:
            if error_code(error) in ("InvalidRange", "416"):
                raise _PastTheEnd from None
            raise

    def put(
        self,
        bucket: str,
        key: str,
        body: bytes,
        content_type: str = "application/octet-stream",
        *,
        temporary: bool = False,
    ) -> None:
        """Write, replacing what is there. What is temporary gets a tag, and the bucket's lifecycle rule removes it."""
        with translated(_uri(bucket, key)):
            if temporary:
                self._s3.put_object(Bucket=bucket, Key=key, Body=body, ContentType=content_type, Tagging=TEMPORARY)
            else:
                self._s3.put_object(Bucket=bucket, Key=key, Body=body, ContentType=content_type)

    def create(
        self, bucket: str, key: str, body: bytes, metadata: Mapping[str, str], *, temporary: bool = False
    ) -> None:
        """Write only where nothing is (If-None-Match: *), temporary as with `put`. Raises AlreadyExists.

        AlreadyExists may speak of this very call's own object: botocore tries again where an answer was lost, and
        meets what it wrote. Transient may hide a write that took place. HEAD and compare the metadata after either.
        """
        once = self._create_at_once if len(body) <= self._part_bytes else self._create_in_parts
        for attempt in range(1, _CREATE_TRIES + 1):
            try:
                return once(bucket, key, body, dict(metadata), TEMPORARY if temporary else "")
            except ClientError as error:
                # 409: another conditional write to this key was under way. AWS says: put again, or, for a multipart
                # upload, start it anew. Whoever won is then seen as a 412.
                if error_code(error) != "ConditionalRequestConflict":
                    raise classify(error, _uri(bucket, key), conflict=AlreadyExists) from None
                LOG.info("a write to %s met another, try %d", _uri(bucket, key), attempt)
                self._sleep(0.1 * 2**attempt)
            except BotoCoreError as error:
                raise classify(error, _uri(bucket, key)) from None
        raise Transient(f"{_uri(bucket, key)}: {_CREATE_TRIES} conditional writes met other writes to the same key")

    def _create_at_once(self, bucket: str, key: str, body: bytes, metadata: dict[str, str], tags: str) -> None:
        self._s3.put_object(
            Bucket=bucket,
            Key=key,
            Body=body,
            Metadata=metadata,
            ContentType=_content_type(key),
            IfNoneMatch="*",
            **_tagged(tags),
        )

    def _create_in_parts(self, bucket: str, key: str, body: bytes, metadata: dict[str, str], tags: str) -> None:
        upload = self._s3.create_multipart_upload(
            Bucket=bucket, Key=key, Metadata=metadata, ContentType=_content_type(key), **_tagged(tags)
        )["UploadId"]
        try:
            parts = self._upload_parts(bucket, key, upload, body)
            self._complete(bucket, key, upload, parts)
        except (ClientError, BotoCoreError):
            self._abort(bucket, key, upload)
            raise

    def _upload_parts(self, bucket: str, key: str, upload: str, body: bytes) -> list[CompletedPartTypeDef]:
        view, size = memoryview(body), self._part_bytes
        parts: list[CompletedPartTypeDef] = []
        for number, start in enumerate(range(0, len(body), size), start=1):
            piece = bytes(view[start : start + size])
            answer = self._s3.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=number, Body=piece)
            parts.append({"PartNumber": number, "ETag": answer["ETag"]})
        return parts

    def _complete(self, bucket: str, key: str, upload: str, parts: list[CompletedPartTypeDef]) -> None:
        try:
            self._s3.complete_multipart_upload(
                Bucket=bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": parts}, IfNoneMatch="*"
            )
        except ClientError as error:
            if error_code(error) != "NoSuchUpload":
                raise
            # The first answer was lost and botocore asked again, or the bucket's rules ended the upload: unknown.
            raise Transient(f"{_uri(bucket, key)}: the upload is no longer there; it may have been completed") from None

    def _abort(self, bucket: str, key: str, upload: str) -> None:
        try:
            self._s3.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload)
        except (ClientError, BotoCoreError) as error:
            # The bucket's lifecycle rule takes what is left; the reason for aborting matters more.
            LOG.warning("%s", classify(error, _uri(bucket, key)))

    def presign(self, bucket: str, key: str, seconds: int) -> str:
        """A URL by which anybody may read the object, for so long, signed here by SigV4 and with this role's rights.

        It ends with the role's session where that is sooner. Whether there is an object is not looked at.
        """
        with translated(_uri(bucket, key)):
            return self._s3.generate_presigned_url(
                "get_object", Params={"Bucket": bucket, "Key": key}, ExpiresIn=seconds
            )

    def list(self, bucket: str, prefix: str) -> Iterator[ObjectInfo]:
        """The objects under a prefix in key order, without their metadata."""
        with translated(_uri(bucket, prefix)):
            for page in self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
                for item in page.get("Contents", []):
                    yield ObjectInfo(bucket, item["Key"], item["Size"], _bare(item["ETag"]))


class _Tags(TypedDict, total=False):
    Tagging: str


class _PastTheEnd(Exception):
    """The range starts behind the object's last byte."""


def _uri(bucket: str, key: str) -> str:
    return f"s3://{bucket}/{key}"


def _bare(etag: str) -> str:
    return etag.strip('"')


def _tagged(tags: str) -> _Tags:
    return {"Tagging": tags} if tags else {}  # an empty one would ask for a right that parts' writers lack


def _content_type(key: str) -> str:
    return _CONTENT_TYPES.get(key.rsplit(".", 1)[-1], "application/octet-stream")
