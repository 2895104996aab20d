from __future__ import annotations

import bz2
import gzip
from typing import cast

import pyarrow as pa
import pytest

from batchmill.domain.errors import InputInvalid
from batchmill.domain.formats import Compression, Format, detect, named_format, plain_name

OPENAI = b'{"custom_id": "a", "method": "POST", "url": "/v1/embeddings", "body": {"input": "x"}}\n'
ROW = b'{"text": "x"}\n'
CSV = b"a,b\n1,2\n"
PARQUET = b"PAR1\x15\x04\x15\x20"


def zstd(data: bytes) -> bytes:
    return cast(bytes, pa.compress(data, codec="zstd", asbytes=True))


@pytest.mark.parametrize(
    ("name", "head", "format"),
    [
        ("a.csv", CSV, "csv"),
        ("in/A.CSV", CSV, "csv"),
        ("a.tsv", CSV, "tsv"),
        ("a.txt", ROW, "text"),
        ("a.jsonl", ROW, "jsonl"),
        ("a.ndjson", ROW, "jsonl"),
        ("a.json", ROW, "jsonl"),
        ("a.jsonl", OPENAI, "openai"),
        ("a", b"\xef\xbb\xbf" + OPENAI, "openai"),
        ("no-suffix", ROW, "jsonl"),
        ("a.jsonl", b"\n not JSON\n" + OPENAI, "openai"),
        ("a.jsonl", b'{"text": "' + b"x" * 99, "jsonl"),
        ("a.parquet", PARQUET, "parquet"),
        ("part-0000", PARQUET, "parquet"),
        ("s3://bucket/a.b/x.snappy.parquet", PARQUET, "parquet"),
        ("a.csv", b"", "csv"),
        ("a", b"", None),
    ],
)
def test_a_plain_inputs_format_is_told_by_its_name_and_its_beginning(
    name: str, head: bytes, format: Format | None
) -> None:
    assert detect(name, head) == (format, "none")


@pytest.mark.parametrize(
    ("name", "head", "expected"),
    [
        ("a.csv.gz", gzip.compress(CSV), ("csv", "gzip")),
        ("a.jsonl.BZ2", bz2.compress(ROW), ("jsonl", "bzip2")),
        ("empty.jsonl.bz2", bz2.compress(b""), ("jsonl", "bzip2")),
        ("a.txt.zst", zstd(ROW), ("text", "zstd")),
        ("a.txt.zst", b"\x52\x2a\x4d\x18\x00\x00\x00\x00" + zstd(ROW), ("text", "zstd")),
        ("a.csv", gzip.compress(CSV), ("csv", "gzip")),
        ("no-suffix", gzip.compress(CSV), (None, "gzip")),
        ("empty.csv.gz", b"", ("csv", "none")),
    ],
)
def test_a_compression_is_told_by_its_signature_and_leaves_the_format_to_the_name(
    name: str, head: bytes, expected: tuple[Format | None, Compression]
) -> None:
    assert detect(name, head) == expected


def test_what_is_given_counts_before_name_and_content() -> None:
    assert detect("a.csv", CSV, "text") == ("text", "none")
    assert detect("a.bin", b"\x00", "csv") == ("csv", "none")
    assert detect("a.gz", CSV, "csv", "none") == ("csv", "none")
    assert detect("a.txt", b"BZh91AY&SY", "text", "none") == ("text", "none")
    assert detect("a", CSV, "csv", "gzip") == ("csv", "gzip")


@pytest.mark.parametrize(
    ("name", "head", "words"),
    [
        ("a.csv.gz", CSV, "named as gzip, but does not begin as it"),
        ("a.parquet", CSV, "would begin with PAR1"),
        ("a.parquet.gz", gzip.compress(PARQUET), "Parquet within gzip cannot be read in parts: decompress it"),
        ("a.parquet", b"PARE", "encrypted footer"),
        ("a.csv", b"\xff\xfea\x00", "UTF-16"),
        ("a.xlsx", b"PK\x03\x04", "save it as CSV"),
        ("a.jsonl.xz", b"\xfd7zXZ\x00", "gzip or zstd instead"),
        ("a.json", b"[\n  {}\n]\n", "a JSON array"),
        ("a.json", b'{\n  "a": 1\n}\n', "JSON over several lines"),
        ("a.bin", b"\x00\x01 nonsense", "not named .csv, .tsv, .txt or .parquet; give the format"),
        ("a.jsonl", b"1\n2\n", "no line of its beginning is a JSON object); give the format"),
        ("a.jsonl", "{}\n".encode("utf-16-le"), "JSON over several lines"),
        ("a.jsonl", b"[" * 60_000 + b"\n", "a JSON array"),
    ],
)
def test_what_is_none_of_them_is_refused_with_what_to_do(name: str, head: bytes, words: str) -> None:
    with pytest.raises(InputInvalid) as error:
        detect(name, head)
    assert str(error.value).startswith(f"{name}: ")
    assert words in str(error.value)


def test_a_name_is_plain_without_its_compression() -> None:
    assert plain_name("s3://b/a.csv.GZ") == "s3://b/a.csv"
    assert plain_name("a.gz.csv") == "a.gz.csv"
    assert named_format("a.tsv.zst") == "tsv"
    assert named_format("a.doc") is None
