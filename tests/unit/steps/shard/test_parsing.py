"""That the fast parser and the exact one say the same, wherever a number or a bracket stands."""

from __future__ import annotations

import pytest

from batchmill.domain import jsonl
from batchmill.steps.shard.parsing import parsed


@pytest.mark.parametrize("digits", range(17, 24))
def test_an_integer_of_any_length_is_exact_wherever_it_stands_in_the_line(digits: int) -> None:
    for shift in range(20):
        number = int("9876543210"[shift % 9] * digits)
        line = b'{"text": "%s", "n": %d, "m": [-%d]}' % (b"x" * shift, number, number)
        assert parsed(line) == {"text": "x" * shift, "n": number, "m": [-number]}


@pytest.mark.parametrize("number", [2**63 - 1, 2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1, 10**30])
def test_the_ends_of_64_bits_are_exact(number: int) -> None:
    assert parsed(b'{"n": %d}' % number) == {"n": number}


@pytest.mark.parametrize("levels", [99, 100, 101, 300])
@pytest.mark.parametrize(("opens", "closes"), [(b"[", b"]"), (b'{"a":', b"}"), (b'[{"a":', b"}]")])
def test_nesting_is_refused_at_the_same_level_as_by_the_exact_parser(levels: int, opens: bytes, closes: bytes) -> None:
    times = (levels - 1) // len(closes)
    line = b'{"deep": ' + opens * times + b"1" + closes * times + b"}"
    assert parsed(line) == jsonl.parsed(line)
    assert isinstance(parsed(line), dict) == (1 + times * len(closes) <= jsonl.DEPTH_LIMIT)


def test_brackets_in_a_text_are_no_nesting() -> None:
    line = b'{"text": "%s", "more": %s}' % (b"[{" * 1000, b"[" + b",".join([b"{}"] * 500) + b"]")
    assert parsed(line) == {"text": "[{" * 1000, "more": [{}] * 500}
