"""Names that are derived, never drawn: the same submission always gets the same ones."""

from __future__ import annotations

import hashlib
import re

EXECUTION_NAME_LIMIT = 80
"""Step Functions' limit on an execution name, in characters."""

_EXECUTION_NAME = re.compile(r"[0-9A-Za-z_-]+")
_BATCH_ID = re.compile(r"batch_[0-9a-f]{24}")


def digest(*fields: str) -> str:
    """The sha256 (hex) of fields, each preceded by its length so that no two lists collide."""
    joined = "".join(f"{len(field)}:{field}" for field in fields)
    return hashlib.sha256(joined.encode()).hexdigest()


def object_key(bucket: str, key: str, version: str) -> str:
    """The identity of a dropped object. `version` is its version id, or ETag + sequencer on an unversioned bucket."""
    return digest("object", bucket, key, version)


def submission_key(submission_id: str) -> str:
    """The identity of a batch that was submitted by name: client and intake derive the batch's id from it."""
    return digest("submit", submission_id)


def batch_id(submission_key: str) -> str:
    """`batch_` and 24 hex digits, the same for the same submission key."""
    return f"batch_{digest('batch', submission_key)[:24]}"


def is_batch_id(text: str) -> bool:
    """Whether text has the form of a batch id (so that it can stand in a key safely)."""
    return _BATCH_ID.fullmatch(text) is not None


def execution_name(batch: str, run: int, closing: int = 0) -> str:
    """The execution's name: `<batch>`, `<batch>-r<run>` for a rerun, `…-c<n>` for the n-th restart at close.

    Raises ValueError for a name that Step Functions would refuse.
    """
    name = batch + (f"-r{run}" if run else "") + (f"-c{closing}" if closing else "")
    if len(name) > EXECUTION_NAME_LIMIT or not _EXECUTION_NAME.fullmatch(name):
        raise ValueError(f"not a legal execution name: {name!r}")
    return name


def callback_id(batch: str, run: int, status: str) -> str:
    """The id of a final batch's callbacks: `evt_<batch>[-r<run>]-<status>`, the same at every delivery."""
    return f"evt_{batch}" + (f"-r{run}" if run else "") + f"-{status}"


def custom_id(shard: int, row: int) -> str:
    """The custom_id of a row whose user gave none: made of its place, `row-<shard>-<row in the shard>`."""
    return f"row-{shard:05d}-{row:06d}"


def results_prefix(batch: str, run: int) -> str:
    """Where a batch's parts lie, with a closing slash."""
    return f"batches/{batch}/results/" + (f"run={run}/" if run else "")


def part_key(batch: str, run: int, shard: int) -> str:
    """The key of a shard's part file."""
    return f"{results_prefix(batch, run)}part-{shard:05d}.parquet"


_PART = re.compile(r"batches/(batch_[0-9a-f]{24})/results/(?:run=(\d+)/)?part-(\d{5})\.parquet")


def parse_part_key(key: str) -> tuple[str, int, int] | None:
    """(batch, run, shard) of a part file's key, or None for any other key."""
    found = _PART.fullmatch(key)
    return (found[1], int(found[2] or 0), int(found[3])) if found else None


def run_prefix(batch: str, run: int) -> str:
    """Where a run's own documents (plan, manifest) and checkpoints lie, with a closing slash."""
    return f"batches/{batch}/" + (f"runs/{run}/" if run else "")


def manifest_key(batch: str, run: int) -> str:
    """The key of a run's manifest."""
    return f"{run_prefix(batch, run)}manifest.json"


def hashes_key(batch: str, run: int, shard: int, attempt: int, writer: str) -> str:
    """Where one writer of a part lays the hashes of its rows' custom_ids."""
    return f"{run_prefix(batch, run)}shards/{shard:05d}/ids-{attempt:05d}-{digest(writer)[:12]}"


def checkpoint_prefix(batch: str, run: int, shard: int, fingerprint: str) -> str:
    """Where a shard's checkpoints of one fingerprint lie, with a closing slash."""
    return f"{run_prefix(batch, run)}shards/{shard:05d}/{fingerprint}/"


def checkpoint_key(batch: str, run: int, shard: int, fingerprint: str, attempt: int, seq: int) -> str:
    """The key of one checkpoint: `<attempt>-<seq>.parquet`, so that a listing sorts by attempt."""
    return f"{checkpoint_prefix(batch, run, shard, fingerprint)}{attempt:05d}-{seq:06d}.parquet"
