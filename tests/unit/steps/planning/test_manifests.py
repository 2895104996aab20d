"""Lists of inputs in each of their forms, and what is wrong with those that are none."""

from __future__ import annotations

import gzip
import io
import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batchmill.adapters import zstd
from batchmill.adapters.parquet import ParquetTables
from batchmill.domain.batch import Input
from batchmill.domain.errors import InputInvalid, InputMissing, InputTooLarge
from batchmill.domain.places import InputPlaces
from batchmill.ports.objects import ObjectInfo
from batchmill.steps.planning.manifests import Manifests
from fakes.objects import MemoryObjects

INPUT = "input"
SCHEMA = "Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size, LastModifiedDate, ETag"


class Setting:
    def __init__(self) -> None:
        self.objects = MemoryObjects()
        places = InputPlaces(INPUT, "data")
        self._manifests = Manifests(self.objects, ParquetTables(self.objects), zstd.unpacked, places)

    def read(self, body: bytes, key: str = "list") -> list[tuple[str, Input | ObjectInfo]]:
        self.objects.put(INPUT, key, body)
        return list(self._manifests.entries(self.objects.head(INPUT, key)))

    def inventory(self, bodies: dict[str, bytes], **changed: Any) -> list[Input | ObjectInfo]:
        for key, body in bodies.items():
            self.objects.put(INPUT, key, body)
        manifest = {
            "sourceBucket": INPUT,
            "destinationBucket": f"arn:aws:s3:::{INPUT}",
            "version": "2016-11-30",
            "creationTimestamp": "1593216000000",
            "fileFormat": "CSV",
            "fileSchema": SCHEMA,
            "files": [{"key": key, "size": len(body), "MD5checksum": "x"} for key, body in bodies.items()],
            **changed,
        }
        return [item for _, item in self.read(json.dumps(manifest, indent=2).encode(), "inv/manifest.json")]


@pytest.fixture
def setting() -> Setting:
    return Setting()


TWO = [Input(INPUT, "a b+c%20ü.csv"), Input(INPUT, "d.csv")]
URIS = [item.uri for item in TWO]


@pytest.mark.parametrize(
    "body",
    [
        "\n".join(URIS),
        "\r\n".join(["", *URIS, "", ""]),
        "\ufeff" + "\n".join(URIS) + "\n",
        json.dumps(URIS),
        json.dumps(URIS, indent=2),
        "\n".join(json.dumps(uri) for uri in URIS),
        "\n".join(json.dumps({"bucket": item.bucket, "key": item.key}) for item in TWO),
        json.dumps([{"bucket": item.bucket, "key": item.key, "version_id": None} for item in TWO]),
    ],
)
def test_a_list_may_be_text_json_lines_or_an_array(setting: Setting, body: str) -> None:
    assert [item for _, item in setting.read(body.encode())] == TWO


def test_one_json_object_is_a_list_of_one(setting: Setting) -> None:
    body = b'{"bucket": "input", "key": "a.csv", "version_id": "v7", "ignored": 1}'
    assert setting.read(body) == [("line 1", Input(INPUT, "a.csv", "v7"))]


def test_a_list_may_be_compressed(setting: Setting) -> None:
    assert [item for _, item in setting.read(gzip.compress("\n".join(URIS).encode()), "list.txt.gz")] == TWO


def test_entries_know_their_places(setting: Setting) -> None:
    assert [place for place, _ in setting.read("\n\n".join(URIS).encode())] == ["line 1", "line 3"]
    assert [place for place, _ in setting.read(json.dumps(URIS).encode())] == ["entry 1", "entry 2"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "list: the manifest names no object"),
        (b" \n\n", "list: the manifest names no object"),
        (b"[]", "names no object"),
        (b"s3://input/a\nhello\n", "line 2: not an s3://bucket/key: 'hello'"),
        (b"s3://input/a\ns3://input/folder/\n", "line 2: a prefix, where an object is needed"),
        (b'["s3://input/a", 5]', "entry 2: neither an s3:// URI nor an object"),
        (b'["s3://input/a", {"bucket": "input"}]', "entry 2: neither an s3:// URI nor an object"),
        (b'[{"bucket": "input", "key": "k", "version_id": 5}]', "entry 1: version_id must be a string"),
        (b'"s3://input/a"\n{"bucket": \n', "line 2: not JSON"),
        (b'{"prefix": "s3://input/"}', "line 1: neither an s3:// URI nor an object"),
        (b"s3://input/\xff\xfe", "not UTF-8 at byte 12"),
        (b"[" * 100_000, "line 1: not an s3://bucket/key"),
        (b'{"fileSchema": "Bucket, Key"}', "not S3 Inventory's manifest.json: destinationBucket, fileFormat, files"),
    ],
)
def test_what_is_no_list_says_what_is_wrong_and_where(setting: Setting, body: bytes, words: str) -> None:
    with pytest.raises(InputInvalid) as error:
        setting.read(body)
    assert words in str(error.value)
    assert "s3://input/list" in str(error.value)
    assert len(str(error.value)) < 500


def test_a_list_is_not_read_beyond_its_limit(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("batchmill.steps.planning.manifests.LIST_BYTES", 100)
    with pytest.raises(InputTooLarge, match="more than 100 bytes"):
        setting.read("\n".join(URIS * 3).encode())


def test_a_damaged_list_and_a_bomb_are_told_apart(setting: Setting) -> None:
    with pytest.raises(InputInvalid, match="damaged gzip"):
        setting.read(gzip.compress("\n".join(URIS).encode() * 99)[:-9], "list.txt.gz")
    with pytest.raises(InputTooLarge, match=r"unpacks to far more|more than"):
        setting.read(gzip.compress(bytes(80_000_000), 9), "list.txt.gz")


def csv_line(key: str, size: int = 5, etag: str = "abc", latest: str = "true", deleted: str = "false") -> str:
    return f'"{INPUT}","{key}","v1","{latest}","{deleted}","{size}","2024-01-01T00:00:00.000Z","{etag}"\n'


def test_an_inventory_pins_what_it_tells_and_its_keys_are_decoded(setting: Setting) -> None:
    first = csv_line("a+b%2Bc%25%C3%BC.csv") + csv_line("plain.csv", 7, "def")
    found = setting.inventory({"inv/1.csv.gz": gzip.compress(first.encode()), "inv/2.csv": csv_line("z").encode()})
    assert found == [
        ObjectInfo(INPUT, "a b+c%ü.csv", 5, "abc", "v1"),
        ObjectInfo(INPUT, "plain.csv", 7, "def", "v1"),
        ObjectInfo(INPUT, "z", 5, "abc", "v1"),
    ]


def test_an_inventory_leaves_out_what_is_no_data(setting: Setting) -> None:
    lines = [
        csv_line("old.csv", latest="false"),
        csv_line("gone.csv", deleted="true"),
        csv_line("folder/", 3),
        csv_line("empty.csv", 0),
        csv_line("kept.csv"),
    ]
    found = setting.inventory({"inv/1.csv": "".join(lines).encode()})
    assert [item.key for item in found] == ["kept.csv"]


def test_an_inventory_without_sizes_or_etags_names_objects_to_be_looked_up(setting: Setting) -> None:
    body = b'"input","a.csv","2024-01-01T00:00:00.000Z"\n'
    assert setting.inventory({"inv/1.csv": body}, fileSchema="Bucket, Key, LastModifiedDate") == [Input(INPUT, "a.csv")]


def test_an_inventory_may_be_parquet_where_keys_are_as_they_are(setting: Setting) -> None:
    rows = [
        {"bucket": INPUT, "key": "a+b%20.csv", "version_id": "v1", "is_latest": True, "is_delete_marker": False},
        {"bucket": INPUT, "key": "old", "version_id": "v0", "is_latest": False, "is_delete_marker": False},
    ]
    table = pa.Table.from_pylist([{**row, "size": 9, "e_tag": "abc"} for row in rows])
    sink = io.BytesIO()
    pq.write_table(table, sink)
    found = setting.inventory({"inv/1.parquet": sink.getvalue()}, fileFormat="Parquet", fileSchema="message s3 {}")
    assert found == [ObjectInfo(INPUT, "a+b%20.csv", 9, "abc", "v1")]


@pytest.mark.parametrize(
    ("files", "changed", "words"),
    [
        ({"inv/1.orc": b"ORC"}, {"fileFormat": "ORC"}, "an inventory in ORC: have it written as CSV or Parquet"),
        ({}, {"destinationBucket": "arn:aws:s3:::elsewhere", "files": [{"key": "k"}]}, "lies under none of"),
        ({"inv/1.csv": b"x" * 70_000}, {}, "a line of more than"),
        ({"inv/1.csv": b'"input",""\n'}, {}, "row 1: without a bucket and a key"),
        ({"inv/1.csv.gz": gzip.compress(b"x")[:-3]}, {}, "damaged gzip"),
        ({"inv/1.csv": b'"input","' + b"k" * 60_000 + b"\n" * 3}, {"fileSchema": "Key"}, "without a bucket"),
    ],
)
def test_an_inventory_that_cannot_be_used_is_refused(
    setting: Setting, files: dict[str, bytes], changed: dict[str, Any], words: str
) -> None:
    with pytest.raises(InputInvalid, match=words):
        setting.inventory(files, **changed)


def test_an_inventorys_file_that_is_not_there_is_named(setting: Setting) -> None:
    with pytest.raises(InputMissing, match=r"names s3://input/inv/9\.csv, which is not there"):
        setting.inventory({}, files=[{"key": "inv/9.csv"}])
