"""S3 URIs, and where the inputs of batches may lie: what a deployment's roles may read, and so what is accepted."""

from __future__ import annotations

from dataclasses import dataclass

from batchmill.domain.batch import Input
from batchmill.domain.errors import SpecInvalid

SCHEME = "s3://"
UPLOADS = "uploads/"
"""The one prefix of the data bucket that inputs may lie under."""

KEY_LIMIT = 1024
"""Bytes of a key: S3's own limit."""

_SHOWN = 200


def bucket_and_key(uri: str) -> tuple[str, str]:
    """The two parts of `s3://bucket/key`; the key as it is, with its spaces, `+` and `%`, and empty for a whole bucket.

    Raises ValueError for anything else.
    """
    bucket, slash, key = uri.removeprefix(SCHEME).partition("/")
    if not uri.startswith(SCHEME) or not bucket or not slash or len(key.encode(errors="replace")) > KEY_LIMIT:
        raise ValueError(f"not an s3://bucket/key: {uri[:_SHOWN]!r}")
    return bucket, key


@dataclass(frozen=True)
class InputPlaces:
    """The input bucket, the data bucket's uploads, and `others`: buckets that the deployment names beside its own."""

    input_bucket: str
    data_bucket: str
    others: tuple[str, ...] = ()

    def allow(self, bucket: str, key: str) -> bool:
        """Whether an object, or what lies under a prefix, may be read as an input."""
        own = bucket == self.data_bucket and key.startswith(UPLOADS)
        return own or bucket in (self.input_bucket, *self.others)

    def check(self, item: Input, field: str) -> None:
        """Raises SpecInvalid for an input that lies elsewhere; `field` is the one of the submission that names it."""
        if not self.allow(item.bucket, item.key):
            raise SpecInvalid(f"{field}: {self.refusal(item.uri)}", field)

    def refusal(self, uri: str) -> str:
        """Why an input that lies elsewhere is refused, and what to do."""
        mend = "copy it there, or have the stack deployed with its bucket among ReadableBuckets"
        return f"{uri[:_SHOWN]!r} lies under none of {self}: {mend}"

    def __str__(self) -> str:
        names = [f"{self.input_bucket}/", f"{self.data_bucket}/{UPLOADS}", *(f"{name}/" for name in self.others)]
        return ", ".join(SCHEME + name for name in names)
