"""Custom ids that several rows of a batch have: found once all parts stand, by hashes that the parts' writers lay.

Only of inputs that plan could not look through. A hash has 64 bits: of 20 million different ids two have the same one
with a probability of 1 in 90,000.
"""

from __future__ import annotations

import hashlib
import logging
from array import array
from bisect import bisect_left
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from batchmill.contracts.manifest import DuplicateIdsFound, PartMetadata
from batchmill.contracts.plan import PlanDocument
from batchmill.domain import ids
from batchmill.domain.errors import Gone, Transient
from batchmill.domain.request import Outcome
from batchmill.domain.shard import ShardKey
from batchmill.ports.objects import Objects

ROWS_LIMIT = 20_000_000
"""Rows of a batch whose hashes are compared: 160 MB, in a function of 1 GB."""

READS_AT_ONCE = 16

_HASH_BYTES = 8
_BUCKETS = 64
_BUCKET = 2 ** (8 * _HASH_BYTES) // _BUCKETS

log = logging.getLogger(__name__)


def lay_hashes(objects: Objects, bucket: str, document: PlanDocument, outcomes: Sequence[Outcome], name: str) -> None:
    """Lay the sorted hashes of the rows' own custom_ids under this key, where somebody will look at them.

    Trouble is logged: the batch will say that its ids were not compared, which is not worth a shard.
    """
    if not document.own_ids or document.ids_checked:
        return
    own = (one.custom_id for one in outcomes if one.custom_id != ids.custom_id(one.shard, one.row))
    hashes = array("Q", sorted(int.from_bytes(_digest(text)) for text in own))
    try:
        objects.put(bucket, name, hashes.tobytes(), temporary=True)
    except Transient as error:
        log.warning("hashes of custom_ids were not written: %s: %s", name, error)


def duplicates(
    objects: Objects, bucket: str, document: PlanDocument, keys: Sequence[ShardKey], parts: Sequence[PartMetadata]
) -> DuplicateIdsFound | None:
    """How many rows have a custom_id that a row before them has; None where the rows have none of their own.

    Raises Transient.
    """
    if not document.own_ids:
        return None
    if document.ids_checked:
        return DuplicateIdsFound(checked=True)
    if sum(part.rows for part in parts) > ROWS_LIMIT:
        return DuplicateIdsFound(checked=False)
    names = [
        ids.hashes_key(key.batch_id, key.run, key.shard, part.attempt, part.writer)
        for key, part in zip(keys, parts, strict=True)
    ]
    with ThreadPoolExecutor(READS_AT_ONCE) as pool:
        found = list(pool.map(lambda name: _read(objects, bucket, name), names))
    laid = [hashes for hashes in found if hashes is not None]
    if len(laid) < len(found):
        return DuplicateIdsFound(checked=False)
    return DuplicateIdsFound(checked=True, count=sum(_again(laid, n) for n in range(_BUCKETS)))


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=_HASH_BYTES).digest()


def _read(objects: Objects, bucket: str, name: str) -> array[int] | None:
    try:
        return array("Q", objects.get(bucket, name))
    except (Gone, ValueError):
        return None


def _again(laid: Sequence[array[int]], n: int) -> int:
    """How many hashes stand there already, of the `n`-th range of them: as objects of Python's they take much room."""
    low, high = n * _BUCKET, (n + 1) * _BUCKET
    own = [value for hashes in laid for value in hashes[bisect_left(hashes, low) : bisect_left(hashes, high)]]
    return len(own) - len(set(own))
