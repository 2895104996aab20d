"""Queues: limits in bytes, long polls, and no message to two consumers."""

import contextlib
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError, HTTPClientError

from batchmill.local.router import Router
from contract.stack.stack_support import error_code
from support.waiting import until

MEBIBYTE = 1024 * 1024


@pytest.fixture
def sqs(router: Router) -> Any:
    return router.client("sqs")


def test_a_message_may_be_a_mebibyte_and_no_more(sqs: Any) -> None:
    url = sqs.create_queue(QueueName="large")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="ü" * (MEBIBYTE // 2))
    attribute = {"a": {"DataType": "String", "StringValue": "b"}}
    for more in (
        {"MessageBody": "ü" * (MEBIBYTE // 2) + "x"},
        {"MessageBody": "x" * MEBIBYTE, "MessageAttributes": attribute},
    ):
        with pytest.raises(ClientError, match="shorter than 1048576 bytes") as raised:
            sqs.send_message(QueueUrl=url, **more)
        assert error_code(raised.value) == "InvalidParameterValue"


def test_a_queue_far_deeper_than_a_poll_gives_every_message_once(sqs: Any) -> None:
    url = sqs.create_queue(QueueName="deep", Attributes={"VisibilityTimeout": "600"})["QueueUrl"]
    for start in range(0, 1500, 10):
        entries = [{"Id": str(i), "MessageBody": str(start + i)} for i in range(10)]
        sqs.send_message_batch(QueueUrl=url, Entries=entries)
    taken: Counter[str] = Counter()
    while found := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        taken.update(message["Body"] for message in found)
        gone = [{"Id": str(i), "ReceiptHandle": message["ReceiptHandle"]} for i, message in enumerate(found)]
        sqs.delete_message_batch(QueueUrl=url, Entries=gone)
    assert taken == {str(i): 1 for i in range(1500)}


def test_a_batch_may_be_a_mebibyte_altogether(sqs: Any) -> None:
    url = sqs.create_queue(QueueName="batches")["QueueUrl"]
    half = "x" * (MEBIBYTE // 2)
    fits = [{"Id": "a", "MessageBody": half}, {"Id": "b", "MessageBody": half}]
    assert len(sqs.send_message_batch(QueueUrl=url, Entries=fits)["Successful"]) == 2
    with pytest.raises(ClientError) as raised:
        sqs.send_message_batch(QueueUrl=url, Entries=[*fits, {"Id": "c", "MessageBody": "x"}])
    assert error_code(raised.value) == "AWS.SimpleQueueService.BatchRequestTooLong"


def test_a_long_poll_ends_with_the_message_that_arrives(sqs: Any) -> None:
    url = sqs.create_queue(QueueName="polled", Attributes={"ReceiveMessageWaitTimeSeconds": "20"})["QueueUrl"]
    with ThreadPoolExecutor(1) as pool:
        polling = pool.submit(sqs.receive_message, QueueUrl=url)
        sqs.send_message(QueueUrl=url, MessageBody="late")
        assert [message["Body"] for message in polling.result(timeout=10)["Messages"]] == ["late"]


def test_a_message_given_back_is_received_again_by_a_waiting_poll(sqs: Any) -> None:
    url = sqs.create_queue(QueueName="given-back")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="b")
    [first] = sqs.receive_message(QueueUrl=url)["Messages"]
    with ThreadPoolExecutor(1) as pool:
        polling = pool.submit(
            sqs.receive_message, QueueUrl=url, WaitTimeSeconds=20, MessageSystemAttributeNames=["All"]
        )
        sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=first["ReceiptHandle"], VisibilityTimeout=0)
        [second] = polling.result(timeout=10)["Messages"]
    assert second["Attributes"]["ApproximateReceiveCount"] == "2"


def test_stopping_the_router_ends_long_polls() -> None:
    router = Router()
    router.start()
    sqs = router.client("sqs")
    url = sqs.create_queue(QueueName="abandoned")["QueueUrl"]
    ended = threading.Event()

    def poll() -> None:
        with contextlib.suppress(HTTPClientError):  # the connection may be cut before the answer
            sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20)
        ended.set()

    threading.Thread(target=poll, daemon=True).start()
    router.stop()
    assert ended.wait(5)


def test_no_message_goes_to_two_consumers(sqs: Any) -> None:
    url = sqs.create_queue(QueueName="shared")["QueueUrl"]
    for start in range(0, 100, 10):
        entries = [{"Id": str(n), "MessageBody": str(n)} for n in range(start, start + 10)]
        sqs.send_message_batch(QueueUrl=url, Entries=entries)
    got: Counter[str] = Counter()

    def drain(_: int) -> None:
        while found := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=3).get("Messages"):
            got.update(message["Body"] for message in found)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(drain, range(6)))
    assert got == {str(n): 1 for n in range(100)}


def test_a_message_received_too_often_goes_to_the_dead_letters(sqs: Any) -> None:
    dead = sqs.create_queue(QueueName="dead")["QueueUrl"]
    policy = '{"deadLetterTargetArn": "arn:aws:sqs:us-east-1:123456789012:dead", "maxReceiveCount": 2}'
    url = sqs.create_queue(QueueName="alive", Attributes={"RedrivePolicy": policy})["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="poison")
    for _ in range(2):
        assert sqs.receive_message(QueueUrl=url, VisibilityTimeout=0)["Messages"]
    until(lambda: "Messages" not in sqs.receive_message(QueueUrl=url, VisibilityTimeout=0))
    assert [m["Body"] for m in sqs.receive_message(QueueUrl=dead)["Messages"]] == ["poison"]
