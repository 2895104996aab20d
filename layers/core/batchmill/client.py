"""One stack, deployed or embedded, as the command line sees it: submit, follow, cancel, fetch the results."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from pydantic import ValidationError

from batchmill.commands import submission
from batchmill.contracts.intake import INPUTS_LIMIT, Submission, Submitted, SubmittedInput
from batchmill.contracts.manifest import Manifest
from batchmill.contracts.outputs import StackOutputs
from batchmill.contracts.spec import BatchSpec
from batchmill.contracts.workflow import PauseInput
from batchmill.domain import ids
from batchmill.domain.batch import Batch, Input, pausing
from batchmill.domain.errors import BatchNotFound, Gone, InputMissing, Transient, UserError
from batchmill.domain.places import bucket_and_key
from batchmill.domain.shard import Progress, ShardState
from batchmill.ports.batches import Batches
from batchmill.ports.objects import Objects
from batchmill.ports.queue import Queue

_DOWNLOADS = 8
_HASH_BLOCK = 1024 * 1024


class Files(Protocol):
    """Whole files to and from object storage."""

    def upload(self, path: Path, bucket: str, key: str) -> None:
        """Put a local file there."""
        ...

    def download(self, bucket: str, key: str, path: Path) -> None:
        """Bring an object here. Raises Gone."""
        ...


class Functions(Protocol):
    """Functions that are asked and answer."""

    def invoke(self, name: str, payload: bytes) -> bytes:
        """Raises Transient where the function failed."""
        ...


@dataclass(frozen=True)
class Snapshot:
    """A batch at one moment. `batch` is None while intake has not seen it. `at`: seconds since the epoch.

    `rows` is an estimate until the batch is final; `states` counts shards, those not yet dispatched as planned.
    """

    batch_id: str
    at: float
    batch: Batch | None = None
    rows: int = 0
    progress: Progress = field(default_factory=Progress)
    states: Mapping[ShardState, int] | None = None

    @property
    def status(self) -> str:
        """The batch's status; `queued` while it has no record."""
        return self.batch.status.value if self.batch else "queued"

    @property
    def done(self) -> int:
        """Rows with an outcome."""
        return self.progress.ok + self.progress.errors

    @property
    def final(self) -> bool:
        """Whether nothing can follow."""
        return self.batch is not None and self.batch.final


@dataclass(frozen=True)
class Downloaded:
    """What was copied out. `files` in order; `manifest` is None where the batch has none."""

    folder: Path
    files: tuple[Path, ...]
    manifest: Manifest | None


class StackClient:
    """Everything the commands do with a stack. Methods may raise Transient, and UserError for lack of access."""

    def __init__(
        self,
        outputs: StackOutputs,
        batches: Batches,
        objects: Objects,
        queue: Queue,
        files: Files,
        functions: Functions,
    ) -> None:
        self.outputs = outputs
        self._batches, self._objects, self._queue = batches, objects, queue
        self._files, self._functions = files, functions

    def submit(self, inputs: Sequence[str], spec: BatchSpec) -> str:
        """Bring local files to the data bucket, send one submission to intake; returns the batch id.

        `inputs` are local paths and s3:// URIs, of objects or (with a slash at the end) of prefixes. Raises
        InputMissing for a URI that names nothing, SpecInvalid for one that the stack may not read.
        """
        if len(inputs) > INPUTS_LIMIT:
            raise UserError(
                f"{len(inputs)} inputs, at most {INPUTS_LIMIT} a batch: put them under one s3:// prefix, or list them "
                "in a manifest"
            )
        pinned = [self._pin(name) for name in inputs]
        key = submission.submission_id([(item.bucket, item.key, identity) for item, identity in pinned], spec)
        detail = Submission(submission_id=key, inputs=[item for item, _ in pinned], spec=submission.canonical(spec))
        envelope = Submitted.model_validate({"detail-type": "Batch Submitted", "detail": detail})
        self._queue.send(self.outputs.intake_queue_url, envelope.model_dump_json(by_alias=True))
        return ids.batch_id(ids.submission_key(key))

    def get(self, batch_id: str) -> Batch:
        """One batch's record. Raises BatchNotFound."""
        if not ids.is_batch_id(batch_id):
            raise BatchNotFound(f"{batch_id!r} is no batch id: they look like batch_ and 24 hex digits")
        return self._batches.get(batch_id)

    def snapshot(self, batch_id: str, now: float) -> Snapshot:
        """How far a batch is. A batch without a record gives a snapshot without one."""
        try:
            batch = self.get(batch_id)
        except BatchNotFound:
            if not ids.is_batch_id(batch_id):
                raise
            return Snapshot(batch_id, now)
        shards = list(self._batches.shards(batch_id, batch.run))
        states = Counter(shard.state for shard in shards)
        states[ShardState.PLANNED] += max(batch.shards - len(shards), 0)
        if batch.final:
            counts = batch.counts
            progress = Progress(counts.completed, counts.failed, batch.prompt_tokens, batch.completion_tokens)
            return Snapshot(batch_id, now, batch, counts.total, progress, states)
        return Snapshot(batch_id, now, batch, batch.counts.total, _sum(shard.progress for shard in shards), states)

    def recent(self, limit: int) -> Sequence[Batch]:
        """The newest batches first."""
        return self._batches.recent(limit)

    def cancel(self, batch_id: str) -> Mapping[str, object]:
        """Ask for a batch's end; returns what the cancel function says. Raises BatchNotFound."""
        self.get(batch_id)
        payload = json.dumps({"batch_id": batch_id}).encode()
        answer = json.loads(self._functions.invoke(self.outputs.cancel_function, payload) or b"{}")
        return answer if isinstance(answer, dict) else {}

    def pause(self, batch_id: str, paused: bool) -> None:
        """Have a batch paused, or go on, unless others change that meanwhile. Raises BatchNotFound, NotPausable."""
        batch = self.get(batch_id)
        pausing(batch, paused, 0.0)  # of the function, the refusal would be a failure
        asked = PauseInput(batch_id=batch_id, paused=paused, seen=batch.pausings)
        self._functions.invoke(self.outputs.pause_function, asked.model_dump_json().encode())

    def download(self, batch: Batch, folder: Path) -> Downloaded:
        """Copy a run's parts to `folder`/results and its manifest to `folder`/manifest.json, each file whole or not
        at all. Raises UserError where a file does not match the manifest.
        """
        bucket = self.outputs.data_bucket
        results = folder / "results"
        results.mkdir(parents=True, exist_ok=True)
        manifest = self._manifest(batch, folder)
        hashes = {file.key: file.sha256 for file in manifest.files} if manifest else {}
        keys = [
            item.key
            for item in self._objects.list(bucket, ids.results_prefix(batch.batch_id, batch.run))
            if (part := ids.parse_part_key(item.key)) and part[:2] == (batch.batch_id, batch.run)
        ]

        def fetch(key: str) -> Path:
            path = results / Path(key).name
            self._fetch(bucket, key, path, hashes.get(key))
            return path

        with ThreadPoolExecutor(_DOWNLOADS) as pool:
            return Downloaded(folder, tuple(pool.map(fetch, keys)), manifest)

    def manifest(self, batch: Batch) -> Manifest | None:
        """What a finished run says of itself; None where it has none. Raises Transient for one that cannot be read."""
        key = _manifest_key(batch)
        try:
            return _parsed(self._objects.get(self.outputs.data_bucket, key), key)
        except Gone:
            return None

    def _manifest(self, batch: Batch, folder: Path) -> Manifest | None:
        path = folder / "manifest.json"
        try:
            self._fetch(self.outputs.data_bucket, _manifest_key(batch), path, None)
        except Gone:
            return None
        return _parsed(path.read_bytes(), str(path))

    def _fetch(self, bucket: str, key: str, path: Path, sha256: str | None) -> None:
        part = path.with_name(path.name + ".partial")
        try:
            self._files.download(bucket, key, part)
            if sha256 is not None and file_sha256(part) != sha256:
                raise Transient(f"s3://{bucket}/{key}: its sha256 is not the manifest's: fetch the results again")
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)

    def _pin(self, name: str) -> tuple[SubmittedInput, str]:
        """An input and its identity: its version or ETag; of a prefix, all that lies under it now."""
        if not name.startswith(submission.S3_SCHEME):
            item = self._upload(Path(name))
            return item, item.version_id or item.etag or ""
        try:
            named = Input(*bucket_and_key(name))
        except ValueError as error:
            raise UserError(str(error)) from None
        self.outputs.places.check(named, "inputs")
        if named.kind == "object":
            item = self._head(named.bucket, named.key)
            return item, item.version_id or item.etag or ""
        found = [part for info in self._objects.list(named.bucket, named.key) for part in (info.key, info.etag)]
        if not found:
            raise InputMissing(f"{name}: no object under it")
        return SubmittedInput(bucket=named.bucket, key=named.key), ids.digest(*found)

    def _head(self, bucket: str, key: str) -> SubmittedInput:
        try:
            info = self._objects.head(bucket, key)
        except Gone:
            raise InputMissing(f"s3://{bucket}/{key}: no such object") from None
        return SubmittedInput(bucket=bucket, key=key, version_id=info.version_id, etag=info.etag)

    def _upload(self, path: Path) -> SubmittedInput:
        """A file under the hash of its content, sent only where it is not there yet."""
        bucket, key = self.outputs.data_bucket, f"uploads/{file_sha256(path)}/{path.name}"
        try:
            self._objects.head(bucket, key)
        except Gone:
            self._files.upload(path, bucket, key)
        return self._head(bucket, key)


def file_sha256(path: Path) -> str:
    """A file's sha256 (hex), read in blocks. Raises InputMissing."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputMissing(f"{path}: {error.strerror}") from None


def _manifest_key(batch: Batch) -> str:
    return ids.run_prefix(batch.batch_id, batch.run) + "manifest.json"


def _parsed(manifest: bytes, where: str) -> Manifest:
    try:
        return Manifest.model_validate_json(manifest)
    except ValidationError as error:
        raise Transient(f"{where}: not a manifest that this version reads ({error.error_count()} faults)") from None


def _sum(parts: Iterable[Progress]) -> Progress:
    ok = errors = prompt = completion = 0
    for part in parts:
        ok, errors = ok + part.ok, errors + part.errors
        prompt, completion = prompt + part.prompt_tokens, completion + part.completion_tokens
    return Progress(ok, errors, prompt, completion)
