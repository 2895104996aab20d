"""What SqsQueue does with SQS's refusals."""

from __future__ import annotations

import pytest

from batchmill.adapters.sqs import SqsQueue
from batchmill.domain.errors import BatchmillError, Transient
from fakes.stubbed import answer, refuse, stubbed


@pytest.mark.parametrize(
    "code", ["ReceiptHandleIsInvalid", "AWS.SimpleQueueService.MessageNotInflight", "InvalidParameterValue"]
)
def test_every_way_of_saying_that_a_receipt_is_stale_is_ignored(code: str) -> None:
    client, stubber = stubbed("sqs")
    refuse(stubber, "change_message_visibility", code)
    refuse(stubber, "delete_message", code)
    SqsQueue(client).extend("queue", "receipt", 10)
    SqsQueue(client).delete("queue", "receipt")
    stubber.assert_no_pending_responses()


def test_other_refusals_are_told() -> None:
    client, stubber = stubbed("sqs")
    refuse(stubber, "delete_message", "RequestThrottled")
    with pytest.raises(Transient, match="queue"):
        SqsQueue(client).delete("queue", "receipt")
    refuse(stubber, "send_message", "AccessDenied", 403)
    with pytest.raises(BatchmillError, match="denied SendMessage"):
        SqsQueue(client).send("queue", "body")


def test_waits_and_visibility_are_held_to_what_sqs_takes() -> None:
    client, stubber = stubbed("sqs")
    expected = {"QueueUrl": "queue", "MaxNumberOfMessages": 1, "WaitTimeSeconds": 20, "VisibilityTimeout": 43_200}
    answer(stubber, "receive_message", {}, expected)
    assert SqsQueue(client).receive("queue", 60, 90_000) is None
    stubber.assert_no_pending_responses()
