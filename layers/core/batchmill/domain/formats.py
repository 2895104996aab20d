"""What an input is, from its name and its beginning: its format and its compression."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Literal, NamedTuple

from batchmill.domain.errors import InputInvalid
from batchmill.domain.lines import BOM

Format = Literal["openai", "jsonl", "csv", "tsv", "text", "parquet"]
"""OpenAI batch lines, one JSON object a line, RFC 4180 with commas or tabs, one text a line, Apache Parquet."""

Compression = Literal["none", "gzip", "zstd", "bzip2"]

HEAD_BYTES = 64 * 1024
"""Of an input's beginning, to tell its format by. Parquet is told by its name, or its first 4 bytes."""

OPENAI_FIELDS = frozenset({"custom_id", "method", "url", "body"})

PARQUET_MAGIC = b"PAR1"

_SUFFIXES: Mapping[str, Format] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".txt": "text",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".parquet": "parquet",
}
_COMPRESSED: Mapping[str, Compression] = {".gz": "gzip", ".bz2": "bzip2", ".zst": "zstd"}
_MAGIC: Mapping[Compression, re.Pattern[bytes]] = {
    "gzip": re.compile(rb"\x1f\x8b\x08"),
    "bzip2": re.compile(rb"BZh[1-9](?:1AY&SY|\x17\x72\x45\x38\x50\x90)"),
    "zstd": re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18"),  # a frame, or a frame to skip
}
_REFUSED: Mapping[bytes, str] = {
    b"\xff\xfe": "UTF-16 text: convert it to UTF-8",
    b"\xfe\xff": "UTF-16 text: convert it to UTF-8",
    b"PK\x03\x04": "a zip archive or an Excel workbook: unpack it, or save it as CSV",
    b"\xfd7zXZ\x00": "compressed with xz: compress it with gzip or zstd instead",
    b"PARE": "Parquet with an encrypted footer: write it without encryption",
    b"ORC": "ORC: write it as Parquet",
    b"Obj\x01": "Avro: write it as Parquet",
    b"%PDF": "a PDF",
}
"""Beginnings that no format of ours has, with what to do about them."""


class Detected(NamedTuple):
    """An input's format and compression. `format` is None where the name of a compressed or an empty one is no help."""

    format: Format | None
    compression: Compression


def detect(
    name: str,
    head: bytes,
    form: Format | Literal["auto"] = "auto",
    compression: Compression | Literal["auto"] = "auto",
) -> Detected:
    """The format and compression of the input `name` (a key or URI) that begins with `head`.

    What is given counts before the name, the content's signature before the name's suffix. Where the input is
    compressed, `head` says nothing of its format: ask again with `plain_name(name)` and what decompresses to.
    Raises InputInvalid, naming the input and what to do, for what is none of them.
    """
    packed = _compression(name, head) if compression == "auto" else compression
    if packed == "none":
        return Detected(_by_content(name, head) if form == "auto" else form, packed)
    found = named_format(name) if form == "auto" else form
    if found == "parquet":
        raise InputInvalid(f"{name}: Parquet within {packed} cannot be read in parts: decompress it")
    return Detected(found, packed)


def named_format(name: str) -> Format | None:
    """The format that a name's suffix tells, a compression's suffix left aside. JSON lines may be OpenAI's."""
    lower = plain_name(name).lower()
    return next((form for suffix, form in _SUFFIXES.items() if lower.endswith(suffix)), None)


def plain_name(name: str) -> str:
    """The name without the suffix of a compression."""
    suffix = next((suffix for suffix in _COMPRESSED if name.lower().endswith(suffix)), "")
    return name[: len(name) - len(suffix)]


def is_openai(line: Mapping[str, object]) -> bool:
    """Whether a JSON line has all the fields of OpenAI's batch lines."""
    return line.keys() >= OPENAI_FIELDS


def _compression(name: str, head: bytes) -> Compression:
    for known, magic in _MAGIC.items():
        if magic.match(head):
            return known
    told = next((known for suffix, known in _COMPRESSED.items() if name.lower().endswith(suffix)), None)
    if told and head:
        raise InputInvalid(f"{name}: named as {told}, but does not begin as it; give compression: none if it is plain")
    return "none"


def _by_content(name: str, head: bytes) -> Format | None:
    named = named_format(name)
    if head.startswith(PARQUET_MAGIC) or not head:
        return "parquet" if head else named
    for magic, what in _REFUSED.items():
        if head.startswith(magic):
            raise InputInvalid(f"{name}: {what}")
    if named == "parquet":
        raise InputInvalid(f"{name}: named as Parquet, which would begin with PAR1; give the format")
    if named is None or named == "jsonl":
        return _json_lines(name, head.removeprefix(BOM), named is not None)
    return named


def _json_lines(name: str, head: bytes, named: bool) -> Format:
    """OpenAI lines or plain ones, by the first line that is an object. The last line may go on past the head."""
    lines = [line for line in head.split(b"\n") if line.strip()]
    first = lines[0].strip() if lines else b""
    for line in lines if first not in (b"[", b"{") else ():
        if (found := _object(line)) is not None:
            return "openai" if is_openai(found) else "jsonl"
    if len(lines) == 1 and first.startswith(b"{"):
        return "jsonl"  # one long line
    if first.startswith(b"["):
        raise InputInvalid(f"{name}: a JSON array, where one object a line is needed (jq -c '.[]' makes lines of it)")
    if first.startswith(b"{"):
        raise InputInvalid(f"{name}: JSON over several lines, where one object a line is needed (jq -c . makes it so)")
    told = "" if named else ", and not named .csv, .tsv, .txt or .parquet"
    raise InputInvalid(f"{name}: not JSON lines (no line of its beginning is a JSON object){told}; give the format")


def _object(line: bytes) -> Mapping[str, object] | None:
    try:
        found = json.loads(line.decode())
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
