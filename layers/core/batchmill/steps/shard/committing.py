"""The commit: the one conditional write that makes one attempt's results the shard's results."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from batchmill.contracts.manifest import PartMetadata
from batchmill.contracts.plan import PlanDocument
from batchmill.domain import ids
from batchmill.domain.errors import AlreadyExists, Gone, NotAPart, Transient
from batchmill.domain.request import Outcome
from batchmill.domain.shard import Progress, ShardKey
from batchmill.domain.span import Span
from batchmill.ports.objects import Objects
from batchmill.ports.parts import Parts
from batchmill.steps.shard.identities import lay_hashes

WRITES = 4
"""Tries at the write itself, before its trouble is the caller's."""

LAND_WRITER = "land"
"""The writer's name in a part that no worker wrote."""


@dataclass(frozen=True)
class Committed:
    """The part that stands: who wrote it, what it holds, and whether it is ours."""

    metadata: PartMetadata
    won: bool


def tally(outcomes: Sequence[Outcome]) -> Progress:
    """Counts and tokens over outcomes."""
    return Progress(
        ok=sum(outcome.ok for outcome in outcomes),
        errors=sum(not outcome.ok for outcome in outcomes),
        prompt_tokens=sum(outcome.prompt_tokens or 0 for outcome in outcomes),
        completion_tokens=sum(outcome.completion_tokens or 0 for outcome in outcomes),
    )


def tally_of(part: PartMetadata) -> Progress:
    """The counts that a part's metadata carries."""
    return Progress(part.ok, part.errors, part.prompt_tokens, part.completion_tokens)


def standing_part(objects: Objects, bucket: str, key: ShardKey) -> PartMetadata | None:
    """The metadata of the shard's part, or None while there is none. Raises NotAPart for a stranger's object."""
    try:
        info = objects.head(bucket, ids.part_key(key.batch_id, key.run, key.shard))
    except Gone:
        return None
    try:
        return PartMetadata.parse(info.metadata)
    except ValidationError:
        raise NotAPart(f"s3://{bucket}/{info.key} was not written by a commit: remove it") from None


def commit(
    objects: Objects,
    parts: Parts,
    bucket: str,
    key: ShardKey,
    document: PlanDocument,
    span: Span,
    outcomes: Sequence[Outcome],
    attempt: int,
    writer: str,
) -> Committed:
    """Write the shard's part where there is none; whoever wrote it, return the one that stands.

    `writer` tells this attempt from any other of the same number (a land has none of its own). Raises Transient after
    several writes that had no answer and left nothing.
    """
    ordered = sorted(outcomes, key=lambda outcome: outcome.row)
    body = parts.encode(ordered, document.columns)
    metadata = _describe(ordered, body, span, attempt, writer)
    name = ids.part_key(key.batch_id, key.run, key.shard)
    beside = ids.hashes_key(key.batch_id, key.run, key.shard, attempt, writer)
    lay_hashes(objects, bucket, document, ordered, beside)  # first: a part that stands is not without them
    for left in reversed(range(WRITES)):
        try:
            objects.create(bucket, name, body, metadata.as_metadata())
        except (AlreadyExists, Transient) as error:
            # The write may have happened though its answer was lost: what stands in the bucket decides.
            standing = standing_part(objects, bucket, key)
            if standing is not None:
                return Committed(standing, (standing.writer, standing.attempt) == (writer, attempt))
            if not left:
                raise Transient(f"could not write {name}: {error}") from error
        else:
            return Committed(metadata, won=True)
    raise AssertionError("the last write returns or raises")


def _describe(ordered: Sequence[Outcome], body: bytes, span: Span, attempt: int, writer: str) -> PartMetadata:
    counts = tally(ordered)
    return PartMetadata(
        attempt=attempt,
        writer=writer,
        object=span.object,
        start=span.start,
        end=span.end,
        rows=len(ordered),
        ok=counts.ok,
        errors=counts.errors,
        prompt_tokens=counts.prompt_tokens,
        completion_tokens=counts.completion_tokens,
        bytes=len(body),
        sha256=hashlib.sha256(body).hexdigest(),
        error_codes=dict(Counter(outcome.error_code or "unknown" for outcome in ordered if not outcome.ok)),
    )
