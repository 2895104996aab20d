"""An input's beginning: its format, its columns, the size of its rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from batchmill.domain.csvrows import records
from batchmill.domain.errors import InputInvalid
from batchmill.domain.jsonl import json_rows
from batchmill.domain.lines import Line, owned_lines
from batchmill.domain.request import Row
from batchmill.ports.objects import ObjectInfo, Objects
from batchmill.steps.shard.reading import blocks

SAMPLE_BYTES = 256 * 1024
"""Read of an input's beginning. It decides no outcome, only sizes, and the default columns of JSON lines."""

OPENAI_FIELDS = frozenset({"custom_id", "method", "url", "body"})

Format = Literal["openai", "jsonl", "csv"]


@dataclass(frozen=True)
class Sample:
    """What an input's beginning shows: `rows` rows in `bytes` bytes, the header (CSV) and the columns."""

    format: Format
    columns: tuple[str, ...]
    header: tuple[str, ...] | None
    rows: int
    bytes: int


def sample(objects: Objects, info: ObjectInfo, asked: str) -> Sample:
    """Look at the beginning of an input. Raises InputInvalid where it is not what it should be."""
    where = f"s3://{info.bucket}/{info.key}"
    end = min(info.size, SAMPLE_BYTES)
    lines = list(owned_lines(blocks(objects, info, 0, end), 0, end))
    if len(lines) > 1 and end < info.size:
        lines.pop()  # a record may go on past the sample
    size = sum(len(line.data) + 1 for line in lines)
    if asked == "csv" or (asked == "auto" and _is_csv_name(info.key)):
        return _csv_sample(lines, size, where)
    rows = [row for row in json_rows(lines, 1) if not row.error]
    if asked == "auto" and not rows and lines:
        raise InputInvalid(
            f"{where}: not JSON lines (no line of its beginning is a JSON object) and not named .csv; give the format"
        )
    is_openai = asked == "openai" or (asked == "auto" and _is_openai(rows))
    columns = () if is_openai else _keys(rows)
    return Sample("openai" if is_openai else "jsonl", columns, None, len(lines), size)


def _csv_sample(lines: Sequence[Line], size: int, where: str) -> Sample:
    found = list(records(lines))
    if not found:
        return Sample("csv", (), (), 0, size)
    head = found[0]
    if head.error:
        raise InputInvalid(f"{where}: line 1, the header: {head.error.message}")
    names = head.fields
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InputInvalid(f"{where}: line 1, the header names a column twice: {', '.join(twice)}")
    return Sample("csv", names, names, len(found), size)


def _is_csv_name(key: str) -> bool:
    return key.lower().endswith(".csv")


def _is_openai(rows: Sequence[Row]) -> bool:
    return bool(rows) and set(rows[0].columns) >= OPENAI_FIELDS


def _keys(rows: Sequence[Row]) -> tuple[str, ...]:
    """The keys of the sampled rows in the order of their first appearance."""
    return tuple(dict.fromkeys(key for row in rows for key in row.columns if _is_text(key)))


def _is_text(key: str) -> bool:
    """JSON's escapes can make half a character, which no column of a file can be called by."""
    try:
        key.encode()
    except UnicodeEncodeError:
        return False
    return True
