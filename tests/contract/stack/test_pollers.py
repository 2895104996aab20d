"""Queues mapped to functions: real SQS calls through the router, real environments behind them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aws_lambda_powertools.utilities.data_classes import SQSEvent
from aws_lambda_powertools.utilities.parser.models import SqsModel

from batchmill.local.pollers import InvalidMapping, QueueMapping, QueuePoller, check_visibility
from contract.stack.lambda_support import Functions, stack
from support.waiting import until


class Mapped:
    """A queue with a dead-letter queue, and what its function noted."""

    def __init__(self, functions: Functions, sqs: Any) -> None:
        self.functions = functions
        self.sqs = sqs
        self.dead_url = sqs.create_queue(QueueName="dead")["QueueUrl"]
        redrive = {"deadLetterTargetArn": "arn:aws:sqs:us-east-1:123456789012:dead", "maxReceiveCount": 2}
        attributes = {"VisibilityTimeout": "1", "RedrivePolicy": json.dumps(redrive)}
        self.url = sqs.create_queue(QueueName="work", Attributes=attributes)["QueueUrl"]
        self.pollers: list[QueuePoller] = []

    def map(self, function: str, **options: Any) -> None:
        self.functions.add(function)
        mapping = QueueMapping(self.url, "arn:aws:sqs:us-east-1:123456789012:work", function, **options)
        self.pollers.append(QueuePoller(mapping, self.sqs, self.functions.service))
        self.pollers[-1].start()

    def send(self, *bodies: str, **options: Any) -> None:
        for body in bodies:
            self.sqs.send_message(QueueUrl=self.url, MessageBody=body, **options)

    def events(self) -> list[Any]:
        """Every event that the function was called with so far."""
        if not self.functions.notes.exists():
            return []
        return [json.loads(line) for line in self.functions.notes.read_text().splitlines()]

    def bodies(self) -> list[str]:
        return [record["body"] for event in self.events() for record in event["Records"]]

    def left(self, url: str = "") -> int:
        """How many messages the queue has, seen or not."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        answer = self.sqs.get_queue_attributes(QueueUrl=url or self.url, AttributeNames=names)
        return sum(int(answer["Attributes"][name]) for name in names)


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[Mapped]:
    with stack(tmp_path, retry_seconds=(0.01, 0.01)) as (functions, client):
        mapped = Mapped(functions, client("sqs"))
        yield mapped
        for poller in mapped.pollers:
            poller.stop()


def test_a_message_is_the_record_that_powertools_knows_and_is_deleted(queue: Mapped) -> None:
    queue.map("notes")
    attributes = {
        "kind": {"DataType": "String", "StringValue": "drop"},
        "raw": {"DataType": "Binary", "BinaryValue": b"\x00\x01"},
    }
    queue.send('{"a": 1}', MessageAttributes=attributes)
    until(lambda: queue.events() and queue.left() == 0)
    event = queue.events()[0]
    parsed = SqsModel.model_validate(event).Records[0]
    assert (parsed.body, parsed.eventSource, parsed.awsRegion) == ('{"a": 1}', "aws:sqs", "us-east-1")
    assert parsed.eventSourceARN == "arn:aws:sqs:us-east-1:123456789012:work"
    assert parsed.attributes.ApproximateReceiveCount == "1"
    record = next(SQSEvent(event).records)
    assert record.json_body == {"a": 1}
    kind, raw = record.message_attributes["kind"], record.message_attributes["raw"]
    assert kind is not None
    assert raw is not None
    assert (kind.string_value, raw.binary_value) == ("drop", "AAE=")
    assert record.attributes.sent_timestamp.isdigit()
    assert set(event["Records"][0]["attributes"]) >= {
        "ApproximateReceiveCount",
        "SentTimestamp",
        "SenderId",
        "ApproximateFirstReceiveTimestamp",
    }


def test_a_message_that_fails_comes_back_alone_and_ends_as_a_dead_letter(queue: Mapped) -> None:
    queue.send("good 1", "bad", "good 2")
    queue.map("partial", report_batch_item_failures=True)
    until(lambda: queue.left(queue.dead_url) == 1 and queue.left() == 0)
    bodies = queue.bodies()
    assert (bodies.count("good 1"), bodies.count("good 2"), bodies.count("bad")) == (1, 1, 2)
    letter = queue.sqs.receive_message(QueueUrl=queue.dead_url)["Messages"][0]
    assert letter["Body"] == "bad"


def test_without_reporting_a_batch_succeeds_whatever_is_returned(queue: Mapped) -> None:
    queue.send("good", "bad")
    queue.map("partial")
    until(lambda: len(queue.bodies()) == 2 and queue.left() == 0)
    assert queue.left(queue.dead_url) == 0


def test_a_function_that_raises_keeps_its_whole_batch_until_it_succeeds(queue: Mapped) -> None:
    failing = queue.functions.folder / "notes.jsonl.fail"
    failing.touch()
    queue.send("one", "two")
    queue.map("notes", report_batch_item_failures=True)
    until(lambda: len(queue.bodies()) >= 2)
    assert queue.left() == 2
    failing.unlink()
    until(lambda: queue.left() == 0)
    counts = [record["attributes"]["ApproximateReceiveCount"] for e in queue.events() for record in e["Records"]]
    assert sorted(counts) == ["1", "1", "2", "2"]


def test_a_function_that_dies_keeps_its_message(queue: Mapped) -> None:
    queue.send("one")
    queue.map("kills_itself")
    until(lambda: queue.left(queue.dead_url) == 1)
    assert queue.left() == 0


def test_a_batch_is_no_larger_than_was_asked_for(queue: Mapped) -> None:
    queue.send(*(str(n) for n in range(7)))
    queue.map("notes", batch_size=3)
    until(lambda: len(queue.bodies()) == 7 and queue.left() == 0)
    assert max(len(event["Records"]) for event in queue.events()) == 3


def test_a_window_gathers_more_than_one_receive_gives(queue: Mapped) -> None:
    queue.send(*(str(n) for n in range(25)))
    queue.map("notes", batch_size=25, window_seconds=20)
    until(lambda: len(queue.bodies()) == 25 and queue.left() == 0)
    assert [len(event["Records"]) for event in queue.events()] == [25]


def test_batches_are_worked_on_at_the_same_time(queue: Mapped) -> None:
    together = queue.functions.folder / "together"
    together.mkdir()
    queue.sqs.set_queue_attributes(QueueUrl=queue.url, Attributes={"VisibilityTimeout": "60"})
    queue.send(*[json.dumps({"folder": str(together), "count": 3})] * 3)
    queue.map("meets_records", batch_size=1)
    until(lambda: queue.left() == 0)
    assert queue.left(queue.dead_url) == 0


def test_an_unwrapped_message_is_the_event_itself(queue: Mapped) -> None:
    queue.map("notes", unwrap=True)
    queue.send('{"detail-type": "Scheduled Event"}')
    until(lambda: queue.events() and queue.left() == 0)
    assert queue.events() == [{"detail-type": "Scheduled Event"}]


def test_an_unwrapped_message_that_fails_is_tried_three_times_and_dropped(
    queue: Mapped, caplog: pytest.LogCaptureFixture
) -> None:
    (queue.functions.folder / "notes.jsonl.fail").touch()
    queue.map("notes", unwrap=True)
    queue.send('{"n": 1}')
    until(lambda: "dropped" in caplog.text)
    assert queue.events() == [{"n": 1}] * 3
    assert (queue.left(), queue.left(queue.dead_url)) == (0, 0)


def test_a_stopped_poller_takes_no_more_messages(queue: Mapped) -> None:
    queue.map("notes")
    queue.send("before")
    until(lambda: queue.left() == 0)
    queue.pollers[0].stop()
    queue.send("after")
    until(lambda: _visible(queue) == 1)
    assert queue.bodies() == ["before"]


def _visible(queue: Mapped) -> int:
    answer = queue.sqs.get_queue_attributes(QueueUrl=queue.url, AttributeNames=["ApproximateNumberOfMessages"])
    return int(answer["Attributes"]["ApproximateNumberOfMessages"])


def test_a_queue_whose_messages_come_back_before_the_function_times_out_is_refused(queue: Mapped) -> None:
    mapping = QueueMapping(queue.url, "arn:aws:sqs:us-east-1:123456789012:work", "notes")
    check_visibility(queue.sqs, mapping, 1)
    with pytest.raises(InvalidMapping, match="1 seconds is less than Function timeout: 30 seconds"):
        check_visibility(queue.sqs, mapping, 30)
