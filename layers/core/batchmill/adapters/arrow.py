"""The parts port over Parquet: the results schema, and outcomes to it and back.

The same outcomes give the same bytes (under one version of pyarrow): nothing in a file depends on time or machine.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import islice
from operator import attrgetter
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from batchmill.domain.request import RESULT_COLUMNS, Outcome, carried_name

FORMAT = b"2"
"""The version of the results format, in the schema's metadata under `batchmill`."""

_FORMAT_KEY, _COLUMNS_KEY = b"batchmill", b"batchmill.columns"
_TABLE_ROWS, _GROUP_TABLES = 5000, 10
"""Rows that are turned into columns together, few enough for a processor's cache, and how many such a row group has."""

# Tokens are 64 bit as well: they come from an engine, and no number of its may cost a shard.
_TYPES = {
    "shard": pa.int32(),
    "row": pa.int32(),
    "attempt": pa.int32(),
    "repairs": pa.int32(),
    "prompt_tokens": pa.int64(),
    "completion_tokens": pa.int64(),
    "cached_tokens": pa.int64(),
    "latency_ms": pa.int64(),
}
_BEFORE, _AFTER = RESULT_COLUMNS[:3], RESULT_COLUMNS[3:]
_FEW_VALUES = ("status", "finish_reason", "error_code", "error_message", "model", "backend", "template_sha256")


def results_schema(columns: Sequence[str]) -> pa.Schema:
    """The schema of every part of a batch that carries `columns`. Raises ValueError where one is named twice."""
    fields = [*_fields(_BEFORE), *(pa.field(name, pa.string()) for name in _names(columns)), *_fields(_AFTER)]
    return pa.schema(fields, metadata={_FORMAT_KEY: FORMAT, _COLUMNS_KEY: json.dumps(list(columns)).encode()})


class ArrowParts:
    """Implements `ports.parts.Parts`."""

    def encode(self, outcomes: Iterable[Outcome], columns: Sequence[str]) -> bytes:
        """One Parquet file, zstd, `columns` carried over in the order given. Raises ValueError for a column twice.

        A column that an outcome lacks is null; one that it has beside `columns` is left out.
        """
        schema = results_schema(columns)
        sink = pa.BufferOutputStream()
        with pq.ParquetWriter(
            sink, schema, compression="zstd", use_dictionary=[*_FEW_VALUES, *_names(columns)]
        ) as writer:
            rows = iter(outcomes)
            tables = (_table(some, columns, schema) for some in iter(lambda: list(islice(rows, _TABLE_ROWS)), []))
            while group := list(islice(tables, _GROUP_TABLES)):
                writer.write_table(pa.concat_tables(group))
        return bytes(sink.getvalue())

    def decode(self, body: bytes) -> list[Outcome]:
        """What encode was given. Raises ValueError for anything else."""
        try:
            table = pq.read_table(pa.BufferReader(body))
        except (pa.ArrowException, OSError) as error:
            raise ValueError(f"not a results file: {type(error).__name__}") from None
        metadata = table.schema.metadata or {}
        if metadata.get(_FORMAT_KEY) != FORMAT:
            raise ValueError(f"not a results file of format {FORMAT.decode()}")
        columns = json.loads(metadata[_COLUMNS_KEY])
        own = [table.column(name).to_pylist() for name in RESULT_COLUMNS]
        carried = [table.column(name).to_pylist() for name in _names(columns)]
        return [
            Outcome(**dict(zip(RESULT_COLUMNS, values, strict=True)), columns=dict(zip(columns, texts, strict=True)))
            for values, texts in zip(zip(*own, strict=True), _rows(carried, table.num_rows), strict=True)
        ]


def _fields(names: Sequence[str]) -> list[pa.Field]:
    return [pa.field(name, _TYPES.get(name, pa.string())) for name in names]


def _names(columns: Sequence[str]) -> list[str]:
    """The carried columns' names in the file: UTF-8, and no two alike."""
    twice = [name for name, count in Counter(columns).items() if count > 1]
    if twice:
        raise ValueError(f"a column is carried over twice: {twice[0]!r}")
    names: list[str] = []
    for column in columns:
        name = _mended(carried_name(column)) or ""
        while name in names:  # `status` becomes `input_status`, which the input may have had as well
            name = f"input_{name}"
        names.append(name)
    return names


def _table(outcomes: Sequence[Outcome], columns: Sequence[str], schema: pa.Schema) -> pa.Table:
    before = [_own(outcomes, name) for name in _BEFORE]
    carried = [_strings([outcome.columns.get(name) for outcome in outcomes]) for name in columns]
    return pa.Table.from_arrays([*before, *carried, *(_own(outcomes, name) for name in _AFTER)], schema=schema)


def _own(outcomes: Sequence[Outcome], name: str) -> Any:
    values = list(map(attrgetter(name), outcomes))
    kind = _TYPES.get(name)
    if kind is None:
        return _strings(values)
    try:
        return pa.array(values, type=kind)
    except OverflowError:
        if kind != pa.int64():
            raise
        return pa.array([value if value is not None and _fits(value) else None for value in values], type=kind)


def _fits(value: int) -> bool:
    return -(2**63) <= value < 2**63


def _strings(values: list[str | None]) -> Any:
    try:
        return pa.array(values, type=pa.string())
    except UnicodeEncodeError:
        return pa.array([_mended(value) for value in values], type=pa.string())


def _mended(text: str | None) -> str | None:
    """Text that UTF-8 can carry.

    JSON may escape half a surrogate pair (`\\ud800`), which Parquet's strings cannot hold: U+FFFD stands in for it.
    """
    return text and text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _rows(columns: list[list[str | None]], count: int) -> Iterable[tuple[str | None, ...]]:
    return zip(*columns, strict=True) if columns else iter([()] * count)
