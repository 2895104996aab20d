"""What Lambda makes of messages, and of a function's answer about them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from batchmill.local.sqs_events import MAX_EVENT_BYTES, events, failed_ids, record

ARN = "arn:aws:sqs:us-east-1:123456789012:work"


def _message(name: str, body: str = "hello") -> dict[str, Any]:
    return {"MessageId": name, "ReceiptHandle": f"r-{name}", "Body": body, "MD5OfBody": "5d41", "Attributes": {}}


@pytest.mark.parametrize(
    "answer", [b"", b"null", b"{}", b'{"batchItemFailures": []}', b'{"batchItemFailures": null}', b'{"other": 1}']
)
def test_an_empty_answer_is_a_success_of_all(answer: bytes) -> None:
    assert failed_ids(answer, ["a", "b"]) == set()


def test_only_the_named_messages_stay() -> None:
    answer = {"batchItemFailures": [{"itemIdentifier": "b"}, {"itemIdentifier": "b"}]}
    assert failed_ids(json.dumps(answer).encode(), ["a", "b"]) == {"b"}


@pytest.mark.parametrize(
    "answer",
    [
        "not json",
        '"ok"',
        "[]",
        '{"batchItemFailures": {}}',
        '{"batchItemFailures": ["b"]}',
        '{"batchItemFailures": [{"itemIdentifier": ""}]}',
        '{"batchItemFailures": [{"itemIdentifier": null}]}',
        '{"batchItemFailures": [{"ItemIdentifier": "b"}]}',
        '{"batchItemFailures": [{"itemIdentifier": "b"}, {"itemIdentifier": "nobody"}]}',
    ],
)
def test_a_malformed_answer_or_an_unknown_message_fails_the_whole_batch(answer: str) -> None:
    assert failed_ids(answer.encode(), ["a", "b"]) == {"a", "b"}


def test_a_record_has_no_md5_of_attributes_without_attributes() -> None:
    made = record(_message("a"), ARN)
    assert made["messageAttributes"] == {}
    assert "md5OfMessageAttributes" not in made


def test_a_batch_over_six_megabytes_goes_as_several_events() -> None:
    messages = [_message(str(n), "x" * 1024 * 1024) for n in range(8)]
    made = list(events(messages, ARN))
    assert [len(event) <= MAX_EVENT_BYTES for event, _ in made] == [True, True]
    assert [m["MessageId"] for _, its in made for m in its] == [str(n) for n in range(8)]
    for event, its in made:
        assert [r["messageId"] for r in json.loads(event)["Records"]] == [m["MessageId"] for m in its]
