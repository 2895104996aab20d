"""The event that Lambda makes of SQS messages, and what it makes of the function's answer."""

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from batchmill.local.account import REGION

MAX_EVENT_BYTES = 6 * 1024 * 1024
"""What one invocation's event may hold; a batch over it goes as several."""


def record(message: Mapping[str, Any], queue_arn: str) -> dict[str, Any]:
    """Return the record of one message, as boto3 received it with all its attributes."""
    made = {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": dict(message.get("Attributes", {})),
        "messageAttributes": {name: _attribute(value) for name, value in message.get("MessageAttributes", {}).items()},
        "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": queue_arn,
        "awsRegion": REGION,
    }
    if "MD5OfMessageAttributes" in message:
        made["md5OfMessageAttributes"] = message["MD5OfMessageAttributes"]
    return made


def _attribute(value: Mapping[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {"stringListValues": [], "binaryListValues": [], "dataType": value["DataType"]}
    if "StringValue" in value:
        made["stringValue"] = value["StringValue"]
    if "BinaryValue" in value:
        made["binaryValue"] = base64.b64encode(value["BinaryValue"]).decode()
    return made


def events(messages: Sequence[Mapping[str, Any]], queue_arn: str) -> Iterator[tuple[bytes, list[Mapping[str, Any]]]]:
    """Yield (event, its messages) for a batch: one event, or several where one would be over 6 MB."""
    records: list[str] = []
    taken: list[Mapping[str, Any]] = []
    size = 0
    for message in messages:
        text = json.dumps(record(message, queue_arn))
        if taken and size + len(text) > MAX_EVENT_BYTES - 1024:
            yield _event(records), taken
            records, taken, size = [], [], 0
        records.append(text)
        taken.append(message)
        size += len(text) + 2
    if taken:
        yield _event(records), taken


def _event(records: Sequence[str]) -> bytes:
    return ('{"Records": [' + ", ".join(records) + "]}").encode()


def failed_ids(answer: bytes, message_ids: Sequence[str]) -> set[str]:
    """Return the messages that stay in the queue, by a function's answer under ReportBatchItemFailures.

    Nothing, `null`, `{}`, or an empty or null `batchItemFailures` is a success of all. An answer that is not of the
    shape, an empty or missing `itemIdentifier`, or one that is not in the batch, is a failure of all.
    """
    everything = set(message_ids)
    try:
        body = json.loads(answer) if answer.strip() else None
    except ValueError:
        return everything
    if body is None:
        return set()
    if not isinstance(body, dict):
        return everything
    entries = body.get("batchItemFailures")
    if entries is None:
        return set()
    if not isinstance(entries, list):
        return everything
    named = [entry.get("itemIdentifier") if isinstance(entry, dict) else None for entry in entries]
    if any(not isinstance(name, str) or name not in everything for name in named):
        return everything
    return {str(name) for name in named}
