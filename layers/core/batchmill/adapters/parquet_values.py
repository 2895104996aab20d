"""Arrow's arrays as values that JSON has.

Nested lists and structs stay what they are, maps become objects; a decimal is text with all its digits; dates, times
and timestamps are ISO 8601 (a timestamp with a time zone in UTC, with `Z`); a duration is a number in its own unit;
binary is base64, a UUID its usual text. What JSON does not have (NaN, infinities, text that is not UTF-8, dates beyond
the year 9999) is told with its place, and is the row's error.
"""

from __future__ import annotations

import base64
import json
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from batchmill.domain.request import RowError

Faults = Mapping[int, RowError]
"""What is wrong with an array's values, by their places."""

_NOT_FINITE = RowError("invalid_value", "NaN or an infinity, which JSON does not have")
_NO_DATE = RowError("invalid_value", "a date or time beyond the years 0000 to 9999")
_NOT_UTF8 = RowError("invalid_utf8", "text that is not UTF-8")
_OUT_OF_RANGE = "<value"  # as Arrow writes one


class Values(NamedTuple):
    """An array's values in order, None for null and for what is at fault."""

    values: Sequence[Any]
    faults: Faults


def values(array: Any) -> Values:
    """The values of an Arrow array of any type that Parquet can hold.

    A dictionary's values are shared by all that name them: what the file holds once, memory holds once.
    """
    kind = array.type
    if pt.is_dictionary(kind):
        return _shared(array)
    if pt.is_struct(kind):
        return _struct(array)
    if pt.is_map(kind):
        return _lists(array, [array.keys, array.items], _object)
    if pt.is_list(kind) or pt.is_large_list(kind):
        return _lists(array, [array.values], lambda items: [item for (item,) in items])
    if pt.is_fixed_size_list(kind):
        return values(array.cast(pa.list_(kind.value_type)))
    return _leaf(array, kind)


def text_bytes(array: Any) -> int:
    """Bytes that the values would take if each were written out."""
    kind = array.type
    if pt.is_dictionary(kind):
        if not (pt.is_string(kind.value_type) or pt.is_binary(kind.value_type)):
            return int(array.nbytes)
        return pc.sum(pc.take(pc.binary_length(array.dictionary), array.indices)).as_py() or 0
    if pt.is_struct(kind):
        return sum(text_bytes(child) for child in array.flatten())
    if pt.is_map(kind):
        return sum(text_bytes(_part(array, child)) for child in (array.keys, array.items))
    if pt.is_list(kind) or pt.is_large_list(kind):
        return text_bytes(_part(array, array.values))
    return int(array.nbytes)


def value_bytes(value: object) -> int:
    """Bytes that a value takes at least when it is written as JSON."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return sum(len(key) + value_bytes(item) for key, item in value.items())
    return sum(map(value_bytes, value)) if isinstance(value, list) else 1


def _part(array: Any, child: Any) -> Any:
    """What of a list's child array the list itself reaches."""
    first, last = array.offsets[0].as_py(), array.offsets[-1].as_py()
    return child.slice(first, last - first)


def _shared(array: Any) -> Values:
    used = array.indices.drop_null().unique()
    found = values(array.dictionary.take(used))
    places = {index: n for n, index in enumerate(used.to_pylist())}
    at = [None if index is None else places[index] for index in array.indices.to_pylist()]
    faults = {n: found.faults[place] for n, place in enumerate(at) if place is not None and place in found.faults}
    return Values([None if place is None else found.values[place] for place in at], faults)


def _struct(array: Any) -> Values:
    names = [array.type.field(i).name for i in range(array.type.num_fields)]
    children = [values(child) for child in array.flatten()]
    rows = zip(*(child.values for child in children), strict=True) if children else iter([()] * len(array))
    there = array.is_valid().to_pylist()
    made = [dict(zip(names, row, strict=True)) if valid else None for row, valid in zip(rows, there, strict=True)]
    return Values(made, {n: fault for child in children for n, fault in child.faults.items()})


def _lists(array: Any, children: Sequence[Any], make: Callable[[Sequence[tuple[Any, ...]]], object]) -> Values:
    offsets = array.offsets.to_pylist()
    found = [values(_part(array, child)) for child in children]
    items = list(zip(*(child.values for child in found), strict=True))
    edges = [offset - offsets[0] for offset in offsets]
    there = array.is_valid().to_pylist()
    made = [make(items[edges[n] : edges[n + 1]]) if valid else None for n, valid in enumerate(there)]
    faults = {bisect_right(edges, n) - 1: fault for child in found for n, fault in child.faults.items()}
    return Values(made, {n: fault for n, fault in faults.items() if n < len(there) and there[n]})


def _object(items: Sequence[tuple[Any, ...]]) -> object:
    return {key if isinstance(key, str) else json.dumps(key): item for key, item in items}


def _leaf(array: Any, kind: Any) -> Values:
    if isinstance(kind, pa.BaseExtensionType):
        return _uuids(array.storage) if kind == pa.uuid() else values(array.storage)
    if pt.is_floating(kind):
        return _numbers(array if kind != pa.float16() else array.cast(pa.float32()))
    if pt.is_decimal(kind):
        return _texts(array.cast(pa.string()))
    if pt.is_timestamp(kind):
        utc = array.cast(pa.timestamp(kind.unit, "UTC")) if kind.tz else array
        return _dates(pc.replace_substring(utc.cast(pa.string()), " ", "T", max_replacements=1))
    if pt.is_date(kind) or pt.is_time(kind):
        return _dates(array.cast(pa.string()))
    if pt.is_duration(kind):
        return Values(array.cast(pa.int64()).to_pylist(), {})
    if pt.is_binary(kind) or pt.is_large_binary(kind) or pt.is_fixed_size_binary(kind):
        return Values([None if one is None else base64.b64encode(one).decode() for one in array.to_pylist()], {})
    return _texts(array)


def _texts(array: Any) -> Values:
    try:
        return Values(array.to_pylist(), {})
    except UnicodeDecodeError:
        found = [_text(one) for one in array.cast(pa.binary()).to_pylist()]
        faults = {n: one for n, one in enumerate(found) if isinstance(one, RowError)}
        return Values([None if isinstance(one, RowError) else one for one in found], faults)


def _text(value: bytes | None) -> str | RowError | None:
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return _NOT_UTF8


def _numbers(array: Any) -> Values:
    bad = pc.indices_nonzero(pc.invert(pc.is_finite(array))).to_pylist()
    return Values(array.to_pylist(), dict.fromkeys(bad, _NOT_FINITE))


def _dates(array: Any) -> Values:
    found = array.to_pylist()
    faults = {n: _NO_DATE for n, one in enumerate(found) if one is not None and one.startswith(_OUT_OF_RANGE)}
    return Values(found, faults)


def _uuids(array: Any) -> Values:
    return Values([None if one is None else str(UUID(bytes=one)) for one in array.to_pylist()], {})
