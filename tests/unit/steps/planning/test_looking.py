"""The beginnings of inputs: how each is compressed, whether they agree, and how few of many are read."""

from __future__ import annotations

import bz2
import gzip
import io
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batchmill.adapters import zstd
from batchmill.adapters.parquet import ParquetTables
from batchmill.contracts.spec import BatchSpec
from batchmill.domain.errors import EmptyInput, InputInvalid
from batchmill.steps.planning.looking import LOOKED_AT, Looked, Looking
from fakes.objects import MemoryObjects

INPUT = "input"
ROWS = b'{"text": "a"}\n' * 3
CSV = b"a;b\n1;2\n3;4\n"


class Setting:
    def __init__(self) -> None:
        self.read: list[str] = []
        self.objects = MemoryObjects(before=lambda operation, _, key: self.read.append(key))
        self.looking = Looking(self.objects, ParquetTables(self.objects), zstd.unpacked)

    def look(self, files: dict[str, bytes], **spec: Any) -> Looked:
        for key, body in files.items():
            self.objects.put(INPUT, key, body)
        found = [self.objects.head(INPUT, key) for key in files]
        self.read.clear()
        return self.looking(found, BatchSpec.model_validate(spec))


@pytest.fixture
def setting() -> Setting:
    return Setting()


def zstandard(data: bytes) -> bytes:
    return bytes(pa.compress(data, codec="zstd", asbytes=True))


def parquet(**columns: list[Any]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


@pytest.mark.parametrize(
    ("key", "body", "kind"),
    [
        ("a.jsonl", ROWS, "none"),
        ("a.jsonl.gz", gzip.compress(ROWS), "gzip"),
        ("a.jsonl.bz2", bz2.compress(ROWS), "bzip2"),
        ("a.jsonl.zst", zstandard(ROWS), "zstd"),
        ("a.jsonl", gzip.compress(ROWS), "gzip"),
        ("no name tells", zstandard(ROWS), "zstd"),
    ],
)
def test_the_content_says_how_it_is_compressed_and_what_is_in_it(
    setting: Setting, key: str, body: bytes, kind: str
) -> None:
    looked = setting.look({key: body})
    assert list(looked.compressions) == [kind]
    assert (looked.head.format, looked.head.columns, looked.head.rows) == ("jsonl", ("text",), 3)
    assert looked.head.whole


def test_a_compressed_csvs_delimiter_and_header_are_found_within(setting: Setting) -> None:
    head = setting.look({"x/a.csv.gz": gzip.compress(CSV)}).head
    assert (head.format, head.delimiter, head.header) == ("csv", ";", ("a", "b"))


def test_no_more_than_a_sample_of_a_large_compressed_input_is_unpacked(setting: Setting) -> None:
    body = gzip.compress(b'{"text": "%s"}\n' % (b"a" * 990) * 20_000)
    looked = setting.look({"a.jsonl.gz": body})
    assert not looked.head.whole
    assert 200 < looked.head.rows < 2000


def test_a_compression_that_is_given_counts(setting: Setting) -> None:
    with pytest.raises(InputInvalid, match=r"s3://input/a\.jsonl: damaged gzip"):
        setting.look({"a.jsonl": ROWS}, compression="gzip")


@pytest.mark.parametrize("cut", [5, 20])
def test_a_damaged_input_is_named_at_once(setting: Setting, cut: int) -> None:
    with pytest.raises(InputInvalid, match=r"s3://input/a\.jsonl\.gz: damaged gzip: .* cut off"):
        setting.look({"a.jsonl.gz": gzip.compress(ROWS)[:cut]})


@pytest.mark.parametrize("key", ["a.parquet.gz", "a.gz"])
def test_a_table_within_a_compressed_file_is_refused_with_what_to_do(setting: Setting, key: str) -> None:
    with pytest.raises(InputInvalid, match="Parquet within gzip"):
        setting.look({key: gzip.compress(parquet(a=["x"]))})


@pytest.mark.parametrize(
    ("files", "what"),
    [
        ({"a.csv": CSV, "b.jsonl": ROWS}, "format"),
        ({"a.csv": CSV, "b.csv": b"a;c\n1;2\n"}, "header"),
        ({"a.csv": CSV, "b.csv.gz": gzip.compress(b"a;c\n1;2\n")}, "header"),
        ({"a.csv": CSV, "b.jsonl.gz": gzip.compress(ROWS)}, "format"),
    ],
)
def test_inputs_that_differ_are_refused_by_name(setting: Setting, files: dict[str, bytes], what: str) -> None:
    first, second = files
    with pytest.raises(InputInvalid, match=f"s3://input/{second}: its {what} differs from s3://input/{first}'s"):
        setting.look(files)


def test_openai_lines_of_several_files_that_ask_for_several_models_are_refused(setting: Setting) -> None:
    line = b'{"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "%b"}}\n'
    with pytest.raises(InputInvalid, match="its model differs from"):
        setting.look({"a.jsonl": line % b"one", "b.jsonl": line % b"two"})


def test_empty_inputs_say_nothing_and_nothing_but_them_is_refused(setting: Setting) -> None:
    looked = setting.look({"a.csv": b"", "b.jsonl.gz": gzip.compress(ROWS), "c": b""})
    assert list(looked.compressions) == ["none", "gzip", "none"]
    assert set(looked.samples) == {1}
    with pytest.raises(EmptyInput):
        setting.look({"a.csv": b""})


def test_an_input_without_rows_agrees_with_any(setting: Setting) -> None:
    looked = setting.look({"a.csv": b"x;y\n", "b.csv": CSV, "c.csv": b"\n\n"})
    assert looked.head.header == ("a", "b")


def test_of_many_inputs_some_of_each_ending_are_read_and_stand_for_the_others(setting: Setting) -> None:
    files = {f"{i:04d}.jsonl": ROWS for i in range(1000)} | {f"{i:04d}.jsonl.gz": gzip.compress(ROWS) for i in range(9)}
    looked = setting.look(files)
    assert len(set(setting.read)) <= LOOKED_AT
    assert len(setting.read) <= 3 * LOOKED_AT
    assert {"0000.jsonl", "0999.jsonl", "0000.jsonl.gz", "0008.jsonl.gz"} <= set(setting.read)
    assert [kind for kind in looked.compressions if kind == "gzip"] == ["gzip"] * 9


def test_inputs_of_one_ending_that_are_compressed_in_part_are_refused(setting: Setting) -> None:
    files = {"a.jsonl": ROWS, "b.jsonl": gzip.compress(ROWS)}
    with pytest.raises(InputInvalid, match=r"s3://input/b\.jsonl: its compression \(gzip\) is not that of"):
        setting.look(files)


def test_numbered_names_are_one_ending(setting: Setting) -> None:
    files = {f"part.{i:05d}": ROWS for i in range(300)} | {f"x.2024-01-{i:02d}.jsonl": ROWS for i in range(1, 29)}
    setting.look(files)
    assert len(set(setting.read)) <= LOOKED_AT
