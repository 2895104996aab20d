"""What a submission names, and the objects that it stands for."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from batchmill.adapters import zstd
from batchmill.adapters.parquet import ParquetTables
from batchmill.domain.batch import Input
from batchmill.domain.errors import InputChanged, InputInvalid, InputMissing, InputTooLarge
from batchmill.domain.places import InputPlaces
from batchmill.ports.objects import ObjectInfo
from batchmill.steps.planning.manifests import Manifests
from batchmill.steps.planning.pinning import Pinning
from fakes.objects import MemoryObjects

INPUT, DATA = "input", "data"
PLACES = InputPlaces(INPUT, DATA)


class Setting:
    def __init__(self, versioned: bool = False) -> None:
        self.calls: list[str] = []
        self.objects = MemoryObjects(frozenset({INPUT} if versioned else ()), before=self._called)
        manifests = Manifests(self.objects, ParquetTables(self.objects), zstd.unpacked, PLACES)
        self.pinning = Pinning(self.objects, manifests, PLACES)

    def put(self, *keys: str, body: bytes = b"x") -> None:
        for key in keys:
            self.objects.put(INPUT, key, body)

    def pin(self, *keys: str, manifest: bool = False) -> Sequence[ObjectInfo]:
        self.calls.clear()
        return self.pinning([Input(INPUT, key) for key in keys], manifest)

    def _called(self, operation: str, bucket: str, key: str) -> None:
        self.calls.append(operation)


@pytest.fixture
def setting() -> Setting:
    return Setting()


def test_objects_are_pinned_in_the_order_given_each_by_one_head(setting: Setting) -> None:
    setting.put("b.csv", "a.csv")
    found = setting.pin("b.csv", "a.csv")
    assert [info.key for info in found] == ["b.csv", "a.csv"]
    assert found[0] == setting.objects.head(INPUT, "b.csv")
    assert setting.calls[:2] == ["head", "head"]


def test_a_prefix_is_what_lies_under_it_in_key_order_by_one_listing(setting: Setting) -> None:
    setting.put("in/b.csv", "in/a.csv", "in/deep/er.csv", "inner.csv")
    found = setting.pin("in/")
    assert [info.key for info in found] == ["in/a.csv", "in/b.csv", "in/deep/er.csv"]
    assert setting.calls == ["list"]
    assert found[0].etag == setting.objects.head(INPUT, "in/a.csv").etag
    assert found[0].size == 1


@pytest.mark.parametrize("key", ["in/a folder/", "in/ü/", "in/a+b/", "in/50%/", "in/%41/", "in/?x=1#y/"])
def test_a_prefix_may_hold_any_characters(setting: Setting, key: str) -> None:
    setting.put(f"{key}rows.csv", "in/A/rows.csv", "in/a b/rows.csv")
    assert [info.key for info in setting.pin(key)] == [f"{key}rows.csv"]


def test_what_is_no_data_is_left_out_of_a_prefix(setting: Setting) -> None:
    setting.put("in/", "in/sub/", "in/empty.csv", body=b"")
    setting.put("in/_SUCCESS", "in/.rows.csv.crc", "in/go.batch.yaml", "in/go.batch.yml", "in/sub/.hidden")
    setting.put("in/sub/rows.csv")
    assert [info.key for info in setting.pin("in/")] == ["in/sub/rows.csv"]


def test_a_folders_marker_may_hold_something_and_is_no_data_either(setting: Setting) -> None:
    setting.put("in/folder/", body=b"not empty")
    setting.put("in/folder/rows.csv")
    assert [info.key for info in setting.pin("in/folder/")] == ["in/folder/rows.csv"]


@pytest.mark.parametrize("keys", [[], ["in/_SUCCESS"]])
def test_a_prefix_without_data_is_missing(setting: Setting, keys: list[str]) -> None:
    setting.put(*keys)
    with pytest.raises(InputMissing, match="s3://input/in/: no object under this prefix"):
        setting.pin("in/")


def test_a_whole_bucket_is_a_prefix(setting: Setting) -> None:
    setting.put("a.csv", "b/c.csv")
    assert [info.key for info in setting.pin("")] == ["a.csv", "b/c.csv"]


def test_an_object_that_was_overwritten_since_it_was_submitted_is_named(setting: Setting) -> None:
    setting.put("a.csv")
    with pytest.raises(InputChanged, match=r"s3://input/a\.csv: overwritten"):
        setting.pinning([Input(INPUT, "a.csv", etag='"other"')], False)


def test_an_objects_version_is_the_one_that_was_submitted() -> None:
    setting = Setting(versioned=True)
    setting.put("a.csv", body=b"one")
    version = setting.objects.head(INPUT, "a.csv").version_id
    setting.put("a.csv", body=b"three")
    (found,) = setting.pinning([Input(INPUT, "a.csv", version)], False)
    assert found.size == 3


@pytest.mark.parametrize("place", [("elsewhere", "a.csv"), (DATA, "batches/b/results/"), (DATA, "profiles/p.yaml")])
def test_inputs_outside_of_their_places_are_refused(setting: Setting, place: tuple[str, str]) -> None:
    with pytest.raises(InputInvalid, match=r"lies under none of s3://input/, s3://data/uploads/: copy it there"):
        setting.pinning([Input(*place)], False)


def test_the_same_object_twice_is_refused(setting: Setting) -> None:
    setting.put("in/a.csv")
    with pytest.raises(InputInvalid, match=r"s3://input/in/a\.csv: named twice"):
        setting.pin("in/", "in/a.csv")


def test_more_objects_than_shards_are_refused_early(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("batchmill.steps.planning.pinning.OBJECTS_LIMIT", 3)
    setting.put("in/a", "in/b", "in/c")
    assert len(setting.pin("in/")) == 3
    setting.put("in/d")
    with pytest.raises(InputTooLarge, match="more than 3 objects"):
        setting.pin("in/")


def test_a_manifests_entries_are_headed_and_stand_for_it(setting: Setting) -> None:
    setting.put("b.csv", "a.csv")
    setting.put("list.txt", body=b"s3://input/b.csv\ns3://input/a.csv\n")
    assert [info.key for info in setting.pin("list.txt", manifest=True)] == ["b.csv", "a.csv"]


def test_a_manifest_does_not_lead_out_of_the_inputs_places(setting: Setting) -> None:
    setting.objects.put(DATA, "batches/b/results/part-00000.parquet", b"secret")
    uris = ["s3://input/list.json", "s3://data/batches/b/results/part-00000.parquet"]
    setting.put("list.json", body=json.dumps(uris).encode())
    with pytest.raises(InputInvalid, match=r"list\.json: entry 2: .* lies under none of"):
        setting.pin("list.json", manifest=True)


def test_a_manifest_is_an_object(setting: Setting) -> None:
    setting.put("in/list.txt")
    with pytest.raises(InputInvalid, match="a manifest is one object"):
        setting.pin("in/", manifest=True)


def test_an_entry_that_is_not_there_is_named(setting: Setting) -> None:
    setting.put("list.txt", body=b"s3://input/gone.csv\n")
    with pytest.raises(InputMissing, match=r"s3://input/gone\.csv: no such object"):
        setting.pin("list.txt", manifest=True)
