import json
from dataclasses import replace
from pathlib import Path

import pytest

from batchmill.client import StackClient, file_sha256
from batchmill.contracts.intake import ENVELOPE, Submitted
from batchmill.contracts.manifest import Manifest, ManifestFile
from batchmill.contracts.outputs import StackOutputs
from batchmill.contracts.spec import BatchSpec
from batchmill.domain import ids
from batchmill.domain.batch import Batch, BatchStatus, Counts
from batchmill.domain.errors import BatchNotFound, Gone, InputMissing, NotPausable, SpecInvalid, Transient, UserError
from batchmill.domain.shard import Placement, Progress, ShardKey, ShardState, claimed, dispatched, renewed
from batchmill.domain.span import Span
from fakes.batches import MemoryBatches
from fakes.clock import FakeClock
from fakes.objects import MemoryObjects
from fakes.queue import MemoryQueue

NAMES = ("input", "data", "intake", "table", "machine", "cancel-function", "pause-function")
OUTPUTS = StackOutputs(*NAMES, readable_buckets=("elsewhere",))
SPEC = BatchSpec.model_validate({"endpoint": "/v1/embeddings", "input": "{{ a }}"})


class MemoryFiles:
    def __init__(self, objects: MemoryObjects) -> None:
        self._objects = objects
        self.uploads = 0

    def upload(self, path: Path, bucket: str, key: str) -> None:
        self.uploads += 1
        self._objects.put(bucket, key, path.read_bytes())

    def download(self, bucket: str, key: str, path: Path) -> None:
        path.write_bytes(self._objects.get(bucket, key))


class Calls:
    def __init__(self) -> None:
        self.made: list[tuple[str, bytes]] = []

    def invoke(self, name: str, payload: bytes) -> bytes:
        self.made.append((name, payload))
        return b"{}"


class Setting:
    def __init__(self) -> None:
        self.batches, self.objects = MemoryBatches(), MemoryObjects()
        self.queue, self.calls = MemoryQueue(FakeClock()), Calls()
        self.files = MemoryFiles(self.objects)
        self.client = StackClient(OUTPUTS, self.batches, self.objects, self.queue, self.files, self.calls)

    def sent(self) -> list[Submitted]:
        envelopes = [ENVELOPE.validate_json(message.body) for message in self.queue.messages["intake"]]
        return [envelope for envelope in envelopes if isinstance(envelope, Submitted)]

    def batch(self, status: BatchStatus = BatchStatus.IN_PROGRESS, shards: int = 1) -> Batch:
        batch = Batch(ids.batch_id("x"), status, {}, (), 1.0, 100.0, shards=shards, counts=Counts(10, 4, 3))
        self.batches.create(replace(batch, prompt_tokens=7))
        return batch


@pytest.fixture
def setting() -> Setting:
    return Setting()


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.csv"
    path.write_text("a\n1\n")
    return path


def test_a_submission_carries_its_pinned_inputs_and_the_id_that_intake_will_give(setting: Setting, rows: Path) -> None:
    batch_id = setting.client.submit([str(rows)], SPEC)
    (envelope,) = setting.sent()
    (item,) = envelope.detail.inputs
    assert item.key == f"uploads/{file_sha256(rows)}/rows.csv"
    assert item.etag == setting.objects.head("data", item.key).etag
    assert envelope.detail.spec == {"endpoint": "/v1/embeddings", "input": "{{ a }}"}
    assert batch_id == ids.batch_id(ids.digest("submit", envelope.detail.submission_id))


def test_the_same_file_submitted_twice_is_uploaded_once_and_one_batch(setting: Setting, rows: Path) -> None:
    first, second = (setting.client.submit([str(rows)], SPEC) for _ in range(2))
    assert first == second
    assert setting.files.uploads == 1


def test_another_content_is_another_batch(setting: Setting, rows: Path) -> None:
    first = setting.client.submit([str(rows)], SPEC)
    rows.write_text("a\n2\n")
    assert setting.client.submit([str(rows)], SPEC) != first


def test_an_s3_uri_is_used_in_place(setting: Setting) -> None:
    setting.objects.put("elsewhere", "k.csv", b"a\n1\n")
    setting.client.submit(["s3://elsewhere/k.csv"], SPEC)
    (item,) = setting.sent()[0].detail.inputs
    assert (item.bucket, item.key, setting.files.uploads) == ("elsewhere", "k.csv", 0)


def test_an_s3_prefix_stands_for_the_objects_under_it(setting: Setting) -> None:
    for key in ("in/b.csv", "in/a.csv", "other.csv"):
        setting.objects.put("elsewhere", key, b"a\n1\n")
    setting.client.submit(["s3://elsewhere/in/"], SPEC)
    (item,) = setting.sent()[0].detail.inputs
    assert (item.bucket, item.key, item.etag) == ("elsewhere", "in/", None)


def test_a_prefix_under_which_something_has_changed_is_another_batch(setting: Setting) -> None:
    setting.objects.put("elsewhere", "in/a.csv", b"a\n1\n")
    first, same = (setting.client.submit(["s3://elsewhere/in/"], SPEC) for _ in range(2))
    setting.objects.put("elsewhere", "in/b.csv", b"a\n1\n")
    assert first == same != setting.client.submit(["s3://elsewhere/in/"], SPEC)


@pytest.mark.parametrize("uri", ["s3://", "s3://elsewhere", "s3:///key"])
def test_a_uri_that_is_none_is_a_mistake(setting: Setting, uri: str) -> None:
    with pytest.raises(UserError, match="not an s3://bucket/key"):
        setting.client.submit([uri], SPEC)


@pytest.mark.parametrize("uri", ["s3://elsewhere/gone.csv", "s3://elsewhere/in/"])
def test_a_uri_that_names_nothing_is_missing(setting: Setting, uri: str) -> None:
    with pytest.raises(InputMissing, match=r"s3://elsewhere"):
        setting.client.submit([uri], SPEC)


@pytest.mark.parametrize("uri", ["s3://nowhere/k.csv", "s3://nowhere/", "s3://data/batches/x/results/"])
def test_a_uri_that_the_stack_may_not_read_is_refused_before_it_is_looked_up(setting: Setting, uri: str) -> None:
    said = f"'{uri}' lies under none of s3://input/, s3://data/uploads/, s3://elsewhere/: .*ReadableBuckets"
    with pytest.raises(SpecInvalid, match=said):
        setting.client.submit([uri], SPEC)
    assert setting.queue.messages == {}


def test_a_batch_that_intake_has_not_seen_is_queued(setting: Setting) -> None:
    snapshot = setting.client.snapshot(ids.batch_id("x"), 1.0)
    assert (snapshot.status, snapshot.final, snapshot.done) == ("queued", False, 0)


def test_what_is_no_batch_id_is_never_asked_for(setting: Setting) -> None:
    with pytest.raises(BatchNotFound, match="no batch id"):
        setting.client.snapshot("../x", 1.0)


def test_a_running_batchs_progress_is_the_sum_over_its_shards(setting: Setting) -> None:
    batch = setting.batch(shards=3)
    place = Placement("ecs", "default", "f")
    for n in range(2):
        key = ShardKey(batch.batch_id, 0, n)
        setting.batches.change_shard(key, Span(0, n, n + 1), lambda old: dispatched(old, "token", place, 9.0, 1.0))
        setting.batches.update_shard(key, lambda old: claimed(old, 1, "m-1", "me", 1.0))
        setting.batches.update_shard(key, lambda old: renewed(old, 1, Progress(2, 1, 5, 6), 2.0))
    snapshot = setting.client.snapshot(batch.batch_id, 2.0)
    assert snapshot.progress == Progress(4, 2, 10, 12)
    assert snapshot.rows == 10
    assert snapshot.states is not None
    assert (snapshot.states[ShardState.RUNNING], snapshot.states[ShardState.PLANNED]) == (2, 1)


def test_a_final_batchs_numbers_are_its_own(setting: Setting) -> None:
    batch = setting.batch(BatchStatus.COMPLETED)
    snapshot = setting.client.snapshot(batch.batch_id, 2.0)
    assert snapshot.final
    assert snapshot.progress == Progress(4, 3, 7, 0)


def test_cancel_asks_the_cancel_function_for_a_batch_that_exists(setting: Setting) -> None:
    with pytest.raises(BatchNotFound):
        setting.client.cancel(ids.batch_id("x"))
    batch = setting.batch()
    setting.client.cancel(batch.batch_id)
    ((name, payload),) = setting.calls.made
    assert (name, json.loads(payload)) == ("cancel-function", {"batch_id": batch.batch_id})


@pytest.mark.parametrize("paused", [True, False])
def test_pause_asks_the_pause_function_for_a_batch_that_may_be_paused(setting: Setting, paused: bool) -> None:
    with pytest.raises(BatchNotFound):
        setting.client.pause(ids.batch_id("x"), paused)
    batch = setting.batch()
    setting.client.pause(batch.batch_id, paused)
    ((name, payload),) = setting.calls.made
    assert (name, json.loads(payload)) == ("pause-function", {"batch_id": batch.batch_id, "paused": paused, "seen": 0})


def test_pause_asks_nobody_for_a_batch_that_is_ending(setting: Setting) -> None:
    batch = setting.batch(BatchStatus.CANCELLING)
    with pytest.raises(NotPausable, match="cannot pause a batch with status 'cancelling'"):
        setting.client.pause(batch.batch_id, True)
    assert setting.calls.made == []


def manifest(batch: Batch, sha256: str) -> bytes:
    file = ManifestFile(
        key=ids.part_key(batch.batch_id, 0, 0),
        rows=1,
        ok=1,
        errors=0,
        bytes=4,
        sha256=sha256,
        prompt_tokens=0,
        completion_tokens=0,
        attempt=1,
        object=0,
        start=0,
        end=4,
    )
    whole = Manifest(
        batchmill="0.1.0",
        batch_id=batch.batch_id,
        run=0,
        status="completed",
        endpoint="/v1/embeddings",
        model=None,
        created_at="",
        finished_at="",
        rows=1,
        ok=1,
        errors=0,
        prompt_tokens=0,
        completion_tokens=0,
        bytes=4,
        columns=(),
        inputs=(),
        files=(file,),
    )
    return whole.model_dump_json().encode()


PART = b"part"


def test_download_brings_the_runs_own_parts_and_its_manifest(setting: Setting, tmp_path: Path) -> None:
    batch = setting.batch(BatchStatus.COMPLETED)
    setting.objects.put("data", ids.part_key(batch.batch_id, 0, 0), PART)
    setting.objects.put("data", ids.part_key(batch.batch_id, 1, 0), b"another run's")
    setting.objects.put("data", ids.results_prefix(batch.batch_id, 0) + "stray.txt", b"no part")
    (tmp_path / "part").write_bytes(PART)
    setting.objects.put(
        "data", ids.run_prefix(batch.batch_id, 0) + "manifest.json", manifest(batch, file_sha256(tmp_path / "part"))
    )
    found = setting.client.download(batch, tmp_path / "out")
    assert [path.name for path in found.files] == ["part-00000.parquet"]
    assert found.files[0].read_bytes() == PART
    assert found.manifest is not None
    assert sorted(path.name for path in (tmp_path / "out").rglob("*")) == [
        "manifest.json",
        "part-00000.parquet",
        "results",
    ]


def test_a_part_that_is_not_the_manifests_is_not_kept(setting: Setting, tmp_path: Path) -> None:
    batch = setting.batch(BatchStatus.COMPLETED)
    setting.objects.put("data", ids.part_key(batch.batch_id, 0, 0), b"other")
    setting.objects.put("data", ids.run_prefix(batch.batch_id, 0) + "manifest.json", manifest(batch, "0" * 64))
    with pytest.raises(Transient, match="sha256"):
        setting.client.download(batch, tmp_path)
    assert list((tmp_path / "results").iterdir()) == []


def test_a_batch_without_a_manifest_still_gives_its_parts(setting: Setting, tmp_path: Path) -> None:
    batch = setting.batch(BatchStatus.FAILED)
    found = setting.client.download(batch, tmp_path)
    assert (found.manifest, found.files) == (None, ())


def test_a_manifest_is_read_without_a_copy_and_may_not_be_there(setting: Setting) -> None:
    batch = setting.batch(BatchStatus.COMPLETED)
    assert setting.client.manifest(batch) is None
    key = ids.run_prefix(batch.batch_id, batch.run) + "manifest.json"
    setting.objects.put("data", key, manifest(batch, "0" * 64))
    found = setting.client.manifest(batch)
    assert (found and found.batch_id, found and found.error_codes) == (batch.batch_id, {})
    setting.objects.put("data", key, b"{}")
    with pytest.raises(Transient, match="not a manifest that this version reads"):
        setting.client.manifest(batch)


def test_a_file_that_is_gone_is_missing(tmp_path: Path) -> None:
    with pytest.raises(InputMissing):
        file_sha256(tmp_path / "gone")


def test_memory_files_raise_gone_as_s3_does(setting: Setting, tmp_path: Path) -> None:
    with pytest.raises(Gone):
        setting.files.download("data", "nothing", tmp_path / "x")
