"""JSON lines parsed several times as fast as the standard library does it, to the very same values."""

from __future__ import annotations

import orjson

from batchmill.domain import jsonl
from batchmill.domain.request import RowError

_SAME_DIGIT = bytes(48 if 48 <= byte <= 57 else byte for byte in range(256))
_LONG_NUMBER = b"0" * 19
"""Digits. An integer of more than 64 bits has as many at least, and orjson would make a float of it."""

_STEP, _SIGN = 9, b"00"
"""Of 19 digits in a row, two that stand _STEP apart are among every _STEP-th byte, side by side."""


def parsed(data: bytes) -> dict[str, object] | RowError:
    """As `domain.jsonl.parsed`, which has the last word on all that orjson does not take or might change."""
    suspect = _SIGN in data[::_STEP].translate(_SAME_DIGIT) and _LONG_NUMBER in data.translate(_SAME_DIGIT)
    if not suspect and not jsonl.deep(data):
        try:
            value = orjson.loads(data)
        except orjson.JSONDecodeError:
            pass
        else:
            if isinstance(value, dict):
                return value
    return jsonl.parsed(data)
