"""What every format of parts owes worker, land and whoever reads checkpoints."""

from __future__ import annotations

from dataclasses import replace

import pytest

from batchmill.adapters.arrow import ArrowParts
from batchmill.domain.request import Outcome, RowError, error_outcome
from batchmill.ports.parts import Parts
from fakes.parts import JsonParts


@pytest.fixture(params=[JsonParts, ArrowParts])
def parts(request: pytest.FixtureRequest) -> Parts:
    made: Parts = request.param()
    return made


def outcome(row: int = 0, **columns: str | None) -> Outcome:
    return Outcome(
        custom_id=f"id-{row}",
        shard=3,
        row=row,
        status="ok",
        columns=columns,
        output_text="Grüße\x00 \U0001f600",
        output_json='{"a": 1}',
        response='{"id": "x"}',
        finish_reason="stop",
        prompt_tokens=5,
        completion_tokens=2**31,
        cached_tokens=0,
        latency_ms=12,
        model="m",
        backend="ecs",
        attempt=1,
        request_sha256="0" * 64,
        response_sha256="f" * 64,
        template_sha256="e" * 64,
        repairs=2,
    )


def test_outcomes_come_back_as_they_were_and_in_order(parts: Parts) -> None:
    outcomes = [outcome(row, text=f"row {row}", empty="", none=None) for row in (5, 1, 3)]
    outcomes.append(
        error_outcome(3, 9, "id-9", RowError("bad_json", "line 9"), dict.fromkeys(("text", "empty", "none")), 0)
    )
    assert parts.decode(parts.encode(outcomes, ["text", "empty", "none"])) == outcomes


def test_no_outcomes_are_a_file_as_well(parts: Parts) -> None:
    assert parts.decode(parts.encode([], ["text"])) == []


def test_columns_may_be_none(parts: Parts) -> None:
    assert parts.decode(parts.encode([outcome()], [])) == [outcome()]


def test_a_column_that_an_outcome_lacks_is_null(parts: Parts) -> None:
    (found,) = parts.decode(parts.encode([outcome(a="1", other="2")], ["a", "b"]))
    assert found.columns == {"a": "1", "b": None}


def test_columns_may_be_named_as_the_results_own(parts: Parts) -> None:
    outcomes = [outcome(status="open", input_status="x", shard="y")]
    assert parts.decode(parts.encode(outcomes, ["status", "input_status", "shard"])) == outcomes


def test_a_column_twice_is_refused(parts: Parts) -> None:
    with pytest.raises(ValueError, match="twice"):
        parts.encode([], ["a", "a"])


def test_half_a_surrogate_pair_is_replaced(parts: Parts) -> None:
    broken = replace(outcome(0, text="a\ud800b"), output_text="\udc00", error_message="\ud83d\ude00")
    (found,) = parts.decode(parts.encode([broken], ["text"]))
    assert (found.columns["text"], found.output_text) == ("a\ufffdb", "\ufffd")
    assert found.error_message == "\U0001f600"


def test_the_same_outcomes_are_the_same_bytes(parts: Parts) -> None:
    outcomes = [outcome(row, text=str(row % 7)) for row in range(300)]
    assert parts.encode(outcomes, ["text"]) == parts.encode(iter(outcomes), ("text",))


@pytest.mark.parametrize("body", [b"", b"hello", b'{"rows": []}', b"[]", b"PAR1" + bytes(60) + b"PAR1"])
def test_anything_else_is_refused(parts: Parts, body: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parts.decode(body)
