"""Where the inputs of batches may lie: what a deployment's roles may read, and so what is accepted."""

from __future__ import annotations

from dataclasses import dataclass

from batchmill.domain.batch import Input
from batchmill.domain.errors import SpecInvalid

UPLOADS = "uploads/"
"""The one prefix of the data bucket that inputs may lie under."""
_SHOWN = 200


@dataclass(frozen=True)
class InputPlaces:
    """The input bucket, the data bucket's uploads, and `others`: buckets that the deployment names beside its own."""

    input_bucket: str
    data_bucket: str
    others: tuple[str, ...] = ()

    def check(self, item: Input, field: str) -> None:
        """Raises SpecInvalid for an input that lies elsewhere; `field` is the one of the submission that names it."""
        if item.bucket in (self.input_bucket, *self.others):
            return
        if item.bucket == self.data_bucket and item.key.startswith(UPLOADS):
            return
        names = [f"{self.input_bucket}/", f"{self.data_bucket}/{UPLOADS}", *(f"{name}/" for name in self.others)]
        places = ", ".join(f"s3://{name}" for name in names)
        mend = "copy it there, or have the stack deployed with its bucket among ReadableBuckets"
        raise SpecInvalid(f"{field}: {item.uri[:_SHOWN]!r} lies under none of {places}: {mend}", field)
