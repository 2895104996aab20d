"""What every queue owes dispatch and the worker."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from batchmill.adapters.aws_clients import sqs_client
from batchmill.adapters.sqs import SqsQueue
from batchmill.domain.errors import Gone
from batchmill.ports.queue import Queue, Received
from fakes.clock import FakeClock
from fakes.queue import MemoryQueue


@dataclass(frozen=True)
class Case:
    queue: Queue
    url: str
    pass_time: Callable[[], None]

    def take(self, visibility_seconds: int = 60) -> Received | None:
        return self.queue.receive(self.url, 0, visibility_seconds)

    def taken(self, visibility_seconds: int = 60) -> Received:
        found = self.take(visibility_seconds)
        assert found is not None
        return found

    def taken_in_time(self) -> Received:
        """The message, when its visibility has run out: within 10 seconds."""
        for _ in range(100):
            self.pass_time()
            if found := self.take():
                return found
        raise AssertionError("the message did not come back")


@pytest.fixture(params=["fake", "sqs"])
def case(request: pytest.FixtureRequest) -> Case:
    if request.param == "fake":
        clock = FakeClock()
        return Case(MemoryQueue(clock), "pool", lambda: clock.move(0.1))
    request.getfixturevalue("aws")
    client = sqs_client()
    return Case(SqsQueue(client), client.create_queue(QueueName="pool")["QueueUrl"], lambda: time.sleep(0.1))


def test_what_was_sent_is_received_once_at_a_time(case: Case) -> None:
    case.queue.send(case.url, '{"shard": 1}')
    assert case.taken().body == '{"shard": 1}'
    assert case.take() is None


def test_an_empty_queue_gives_nothing(case: Case) -> None:
    assert case.take() is None


def test_a_deleted_message_does_not_come_back(case: Case) -> None:
    case.queue.send(case.url, "one")
    case.queue.delete(case.url, case.taken(visibility_seconds=1).receipt)
    for _ in range(12):
        case.pass_time()
    assert case.take() is None


def test_a_message_given_back_is_there_at_once(case: Case) -> None:
    case.queue.send(case.url, "one")
    case.queue.extend(case.url, case.taken().receipt, 0)
    assert case.taken().body == "one"


def test_a_message_comes_back_when_its_visibility_runs_out(case: Case) -> None:
    case.queue.send(case.url, "one")
    first = case.taken(visibility_seconds=1)
    again = case.taken_in_time()
    assert (again.body, again.receipt != first.receipt) == ("one", True)


def test_a_message_keeps_its_id_however_often_it_is_taken_and_no_other_has_it(case: Case) -> None:
    for _ in range(2):
        case.queue.send(case.url, "one")
    first, other = case.taken(), case.taken()
    case.queue.extend(case.url, first.receipt, 0)
    again = case.taken()
    assert again.receipt != first.receipt
    assert again.message_id == first.message_id != other.message_id


def test_an_extended_message_stays_hidden(case: Case) -> None:
    case.queue.send(case.url, "one")
    case.queue.extend(case.url, case.taken(visibility_seconds=1).receipt, 60)
    for _ in range(12):
        case.pass_time()
    assert case.take() is None


def test_receipts_of_the_past_are_ignored(case: Case) -> None:
    case.queue.send(case.url, "one")
    receipt = case.taken().receipt
    case.queue.delete(case.url, receipt)
    case.queue.delete(case.url, receipt)
    case.queue.extend(case.url, receipt, 10)
    assert case.take() is None


def test_a_receipt_that_never_was_is_ignored(case: Case) -> None:
    case.queue.send(case.url, "one")
    case.queue.extend(case.url, "no-such-receipt", 10)
    case.queue.delete(case.url, "no-such-receipt")
    assert case.taken().body == "one"


@pytest.mark.usefixtures("aws")
def test_a_queue_that_is_not_there_is_gone() -> None:
    with pytest.raises(Gone, match="nowhere"):
        SqsQueue(sqs_client()).send("https://sqs.us-east-1.amazonaws.com/123456789012/nowhere", "one")
