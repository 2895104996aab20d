"""How long SQS takes a message to be."""

import pytest

from batchmill.local.sqs_front import message_bytes


@pytest.mark.parametrize(
    ("entry", "size"),
    [
        ({"MessageBody": "abc"}, 3),
        ({"MessageBody": "äö"}, 4),
        ({"MessageBody": "", "MessageAttributes": None}, 0),
        ({"MessageBody": "a", "MessageAttributes": {"nä": {"DataType": "String", "StringValue": "v"}}}, 1 + 3 + 6 + 1),
    ],
)
def test_a_message_is_as_long_as_its_body_and_attributes_in_bytes(entry: dict[str, object], size: int) -> None:
    assert message_bytes(entry) == size
