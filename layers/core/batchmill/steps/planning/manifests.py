"""Lists of inputs: S3 Inventory's manifest.json, a text of URIs, JSON lines, or one JSON array."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import unquote_plus

from pydantic import BaseModel, ConfigDict, ValidationError

from batchmill.domain.batch import Input
from batchmill.domain.errors import Gone, InputInvalid, InputMissing, InputTooLarge
from batchmill.domain.formats import detect
from batchmill.domain.lines import BOM
from batchmill.domain.places import InputPlaces, bucket_and_key
from batchmill.domain.request import RowError
from batchmill.domain.unpacking import BadStream, Unpacked, Zstd
from batchmill.ports.objects import ObjectInfo, Objects
from batchmill.ports.tables import Tables
from batchmill.steps.shard.reading import blocks

LIST_BYTES = 64 * 1024 * 1024
"""A list as it unpacks: room for 50,000 keys of the longest that S3 takes."""

LINE_BYTES = 64 * 1024
"""A line of S3 Inventory's CSV holds a key of 1,024 bytes and some dozen short fields."""

Entry = tuple[str, Input | ObjectInfo]
"""An entry and its place in the list, for people: `line 3`."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore")

    key: str
    size: int | None = None


class _Inventory(BaseModel):
    """S3 Inventory's manifest.json, as far as it is read."""

    model_config = ConfigDict(extra="ignore")

    destinationBucket: str  # noqa: N815 - S3's names
    fileFormat: str  # noqa: N815
    fileSchema: str  # noqa: N815
    files: list[_Part]


@dataclass(frozen=True)
class Manifests:
    """Reads lists. Everything is read as it was pinned, and in bounded memory."""

    objects: Objects
    tables: Tables
    zstd: Zstd
    places: InputPlaces

    def entries(self, manifest: ObjectInfo) -> Iterator[Entry]:
        """What a list names, in its order. Raises InputInvalid naming the list, the entry and what is wrong."""
        uri = f"s3://{manifest.bucket}/{manifest.key}"
        empty = True
        for entry in self._entries(self._text(manifest, uri).strip(), uri):
            empty = False
            yield entry
        if empty:
            raise InputInvalid(f"{uri}: the manifest names no object")

    def _entries(self, body: str, uri: str) -> Iterator[Entry]:
        whole = _json(body) if body[:1] in ("[", "{") else None
        if isinstance(whole, dict) and "fileSchema" in whole:
            yield from self._inventory(whole, uri)
        elif isinstance(whole, list):
            yield from _given(uri, ((f"entry {n}", value) for n, value in enumerate(whole, start=1)))
        else:
            yield from _given(uri, _lines(body, uri))

    def _text(self, info: ObjectInfo, uri: str) -> str:
        found = bytearray()
        for block in self._content(info, uri):
            found += block
            if len(found) > LIST_BYTES:
                raise InputTooLarge(f"{uri}: a manifest of more than {LIST_BYTES:,} bytes: split it")
        try:
            return bytes(found).removeprefix(BOM).decode()
        except UnicodeDecodeError as error:
            raise InputInvalid(f"{uri}: not a list of s3:// URIs: not UTF-8 at byte {error.start + 1}") from None

    def _content(self, info: ObjectInfo, uri: str) -> Iterator[bytes]:
        source = blocks(self.objects, info, 0, info.size)
        head = next(source, b"")
        kind = detect(uri, head, "text").compression
        if kind == "none":
            yield from _chained(head, source)
            return
        unpacked = Unpacked(kind, _chained(head, source), self.zstd)
        try:
            for block in unpacked:
                if unpacked.bomb:
                    raise InputTooLarge(f"{uri}: unpacks to far more than any list holds")
                yield block
        except BadStream as error:
            raise InputInvalid(f"{uri}: damaged {kind} after {unpacked.given:,} bytes: {error}") from None

    def _inventory(self, data: Mapping[str, object], uri: str) -> Iterator[Entry]:
        try:
            inventory = _Inventory.model_validate(data)
        except ValidationError as error:
            fields = ", ".join(".".join(map(str, item["loc"])) for item in error.errors(include_url=False))
            raise InputInvalid(f"{uri}: not S3 Inventory's manifest.json: {fields}") from None
        bucket = inventory.destinationBucket.removeprefix("arn:aws:s3:::")
        for part in inventory.files:
            where = f"s3://{bucket}/{part.key}"
            if not self.places.allow(bucket, part.key):
                raise InputInvalid(f"{uri}: {self.places.refusal(where)}")
            rows = self._rows(inventory, self._pinned(bucket, part.key, uri), where)
            for number, row in enumerate(rows, start=1):
                item = _of_inventory(row, f"{where}: row {number}")
                if item:
                    yield f"row {number} of {part.key}", item

    def _pinned(self, bucket: str, key: str, uri: str) -> ObjectInfo:
        try:
            return self.objects.head(bucket, key)
        except Gone:
            raise InputMissing(f"{uri}: names s3://{bucket}/{key}, which is not there") from None

    def _rows(self, inventory: _Inventory, info: ObjectInfo, where: str) -> Iterator[Mapping[str, object]]:
        """Rows by column name, in lower case and without underscores: CSV and Parquet spell them differently."""
        if inventory.fileFormat == "Parquet":
            for row in self.tables.rows(info, 0, self.tables.footer(info).rows):
                if isinstance(row, RowError):
                    raise InputInvalid(f"{where}: {row.message}")
                yield {name.replace("_", ""): value for name, value in row.items()}
        elif inventory.fileFormat == "CSV":
            names = [name.strip().lower() for name in inventory.fileSchema.split(",")]
            try:
                for values in csv.reader(_decoded(self._content(info, where), where)):
                    named = dict(zip(names, values, strict=False))
                    yield {**named, "key": unquote_plus(named.get("key", ""))}  # in CSV alone keys are URL-encoded
            except csv.Error as error:
                raise InputInvalid(f"{where}: not CSV: {error}") from None
        else:
            raise InputInvalid(f"{where}: an inventory in {inventory.fileFormat}: have it written as CSV or Parquet")


def _of_inventory(fields: Mapping[str, object], where: str) -> Input | ObjectInfo | None:
    """An object of the inventory; None for what is no data: a delete marker, an old version, an empty object."""
    bucket, key = fields.get("bucket"), fields.get("key")
    if not isinstance(bucket, str) or not isinstance(key, str) or not bucket or not key:
        raise InputInvalid(f"{where}: without a bucket and a key")
    size, etag = str(fields.get("size") or "0"), str(fields.get("etag") or "")
    version = str(fields.get("versionid") or "") or None
    gone = _is(fields, "isdeletemarker", True) or _is(fields, "islatest", False) or key.endswith("/")
    if gone or ("size" in fields and size == "0"):
        return None
    if size.isdigit() and "size" in fields and etag:
        return ObjectInfo(bucket, key, int(size), etag.strip('"'), version)
    return Input(bucket, key, version)


def _is(fields: Mapping[str, object], name: str, value: bool) -> bool:
    return str(fields.get(name, "")).lower() == str(value).lower()


def _given(uri: str, values: Iterable[tuple[str, object]]) -> Iterator[Entry]:
    for place, value in values:
        try:
            yield place, _input(value)
        except ValueError as error:
            raise InputInvalid(f"{uri}: {place}: {error}") from None


def _input(value: object) -> Input:
    if isinstance(value, str):
        bucket, key = bucket_and_key(value)
        version = None
    elif isinstance(value, dict) and isinstance(value.get("bucket"), str) and isinstance(value.get("key"), str):
        bucket, key, version = value["bucket"], value["key"], value.get("version_id")
        if version is not None and not isinstance(version, str):
            raise ValueError("version_id must be a string")
    else:
        raise ValueError("neither an s3:// URI nor an object with bucket and key")
    if not key or key.endswith("/"):
        raise ValueError(f"a prefix, where an object is needed: s3://{bucket}/{key}"[:300])
    return Input(bucket, key, version)


def _lines(body: str, uri: str) -> Iterator[tuple[str, object]]:
    for n, line in enumerate(body.split("\n"), start=1):
        text = line.strip("\r\t ")
        if not text:
            continue
        value = _json(text) if text[0] in '{"' else text
        if value is None:
            raise InputInvalid(f"{uri}: line {n}: not JSON")
        yield f"line {n}", value


def _json(text: str) -> object:
    """The value, or None where it is no JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _chained(head: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield head
    yield from rest


def _decoded(content: Iterable[bytes], where: str) -> Iterator[str]:
    pending = b""
    for block in content:
        *lines, pending = (pending + block).split(b"\n")
        if len(pending) > LINE_BYTES:
            raise InputInvalid(f"{where}: not S3 Inventory's CSV: a line of more than {LINE_BYTES:,} bytes")
        yield from (line.decode(errors="replace") + "\n" for line in lines)
    if pending:
        yield pending.decode(errors="replace")
