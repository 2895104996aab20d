from __future__ import annotations

import json
from typing import Any

import pytest

from batchmill.domain.request import Outcome, Request, RowError
from batchmill.ports.engine import Reply
from batchmill.steps.shard.judging import MESSAGE_LIMIT, TryAgain, judge, outcome


def request(url: str = "/v1/chat/completions", **body: object) -> Request:
    return Request(row=3, custom_id="c", url=url, sha256="h", body={"model": "m", **body}, columns={"a": "b"})


def answered(answer: object, status: int = 200) -> Reply:
    return Reply(status, json.dumps(answer).encode(), latency_ms=12)


def chat(text: str, finish_reason: str = "stop") -> dict[str, object]:
    return {
        "model": "real-name",
        "choices": [{"index": 0, "finish_reason": finish_reason, "message": {"role": "assistant", "content": text}}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 4}},
    }


def outcome_of(reply: Reply, asked: Request | None = None) -> Outcome:
    asked = asked or request()
    judged = judge(asked, reply)
    assert not isinstance(judged, TryAgain)
    return outcome(asked, 7, reply, judged)


def test_a_chat_answer_is_a_result_with_its_tokens_and_hashes() -> None:
    made = outcome_of(answered(chat("hello")))
    assert (made.status, made.output_text, made.finish_reason, made.model) == ("ok", "hello", "stop", "real-name")
    assert (made.prompt_tokens, made.completion_tokens, made.cached_tokens, made.latency_ms) == (5, 2, 4, 12)
    assert (made.shard, made.row, made.custom_id, made.columns) == (7, 3, "c", {"a": "b"})
    assert made.response is not None
    assert json.loads(made.response) == chat("hello")
    assert made.request_sha256 != made.response_sha256


def test_a_chat_answer_that_is_json_stands_in_output_json_too() -> None:
    assert outcome_of(answered(chat('{"a": 1}'))).output_json == '{"a": 1}'
    assert outcome_of(answered(chat("plain"))).output_json is None


def test_a_completion_gives_its_text_and_an_embedding_its_vector() -> None:
    text = {"choices": [{"text": "hi", "finish_reason": "length"}]}
    assert outcome_of(answered(text), request("/v1/completions")).output_text == "hi"
    vector = {"data": [{"object": "embedding", "index": 0, "embedding": [0.5, 1]}]}
    assert outcome_of(answered(vector), request("/v1/embeddings")).output_json == "[0.5,1]"


def test_what_any_other_endpoint_answers_stands_in_output_json() -> None:
    classified = {"data": [{"index": 0, "label": "billing", "probs": [0.9, 0.1]}]}
    made = outcome_of(answered(classified), request("/v1/classify"))
    assert (made.output_text, json.loads(made.output_json or "")["probs"]) == ("billing", [0.9, 0.1])
    scores = {"data": [{"index": 0, "score": 0.1}, {"index": 1, "score": 0.2}]}
    made = outcome_of(answered(scores), request("/v1/score"))
    assert [item["score"] for item in json.loads(made.output_json or "")] == [0.1, 0.2]


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (answered({"error": {"message": "too long"}}, 400), "engine_rejected"),
        (answered({"message": "too long"}, 422), "engine_rejected"),
        (answered({"detail": "Not Found"}, 404), "engine_misconfigured"),
        (Reply(401, b"<html>", 1), "engine_misconfigured"),
        (answered({"error": {"message": "no"}}), "engine_rejected"),
        (answered({"object": "error", "message": "no"}), "engine_rejected"),
    ],
)
def test_the_rows_or_the_configurations_fault_is_an_error_at_once(reply: Reply, code: str) -> None:
    made = outcome_of(reply)
    assert (made.status, made.error_code, made.output_text) == ("error", code, None)
    assert made.error_message is not None
    assert made.error_message.startswith(f"HTTP {reply.status}: ")


@pytest.mark.parametrize(
    "reply",
    [
        Reply(0, b"", 1, error="ServerDisconnectedError"),
        answered({}, 429),
        answered({}, 500),
        Reply(200, b"<html>", 1),
        Reply(200, b"[]", 1),
        answered(chat("half an ans", "abort")),
        answered({"choices": chat("whole")["choices"] + chat("half", "abort")["choices"]}),  # type: ignore[operator]
        answered({"choices": []}),
        answered({}),
        Reply(302, b"", 1),
    ],
)
def test_what_is_no_answer_is_tried_again(reply: Reply) -> None:
    assert isinstance(judge(request(), reply), TryAgain)


@pytest.mark.parametrize(
    "body",
    [
        {"response_format": {"type": "json_schema", "json_schema": {}}},
        {"response_format": {"type": "json_object"}},
        {"structured_outputs": {"json": {"type": "object"}}},
    ],
)
def test_an_output_cut_short_under_a_schema_is_an_error_not_a_success(body: dict[str, Any]) -> None:
    cut = answered(chat('{"a": ', "length"))
    assert outcome_of(cut, request(**body)).error_code == "truncated"
    assert outcome_of(cut).ok
    assert outcome_of(cut, request(structured_outputs={"choice": ["a", "b"]})).ok


def test_an_engines_message_is_kept_short_because_it_may_quote_the_prompt() -> None:
    judged = judge(request(), answered({"error": {"message": "x" * 10_000}}, 400))
    assert isinstance(judged, RowError)
    assert len(judged.message) <= MESSAGE_LIMIT + len("HTTP 400: ")


def test_numbers_that_are_no_counts_are_left_out() -> None:
    odd = {**chat("x"), "usage": {"prompt_tokens": "5", "completion_tokens": True, "prompt_tokens_details": None}}
    made = outcome_of(answered(odd))
    assert (made.prompt_tokens, made.completion_tokens, made.cached_tokens) == (None, None, None)
