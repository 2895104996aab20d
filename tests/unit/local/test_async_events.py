"""Asynchronous events: tried three times, then dead."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from batchmill.local.async_events import AsyncEvents, DeadLetters
from batchmill.local.runtime_api import Invocation
from support.waiting import until

FAILED = Invocation(b'{"errorType": "Oops", "errorMessage": "no"}', "Unhandled")


class Letters(DeadLetters):
    """Keeps what would be sent, or raises."""

    def __init__(self, broken: bool = False) -> None:
        super().__init__("http://127.0.0.1:9")
        self.sent: list[tuple[str, bytes]] = []
        self.broken = broken

    def send(self, queue_arn: str, event: bytes, request_id: str, outcome: Invocation) -> None:
        if self.broken:
            raise ConnectionError("no queue")
        self.sent.append((queue_arn, event))


Start = Callable[[Callable[[str, bytes], Invocation], Letters], AsyncEvents]


@pytest.fixture
def start() -> Iterator[Start]:
    made: list[AsyncEvents] = []

    def begin(invoke: Callable[[str, bytes], Invocation], letters: Letters) -> AsyncEvents:
        made.append(AsyncEvents(invoke, (0.0, 0.0), letters))
        return made[-1]

    yield begin
    for events in made:
        events.begin_stop()
        events.finish_stop()


def test_an_event_that_fails_once_is_tried_again(start: Start) -> None:
    outcomes = [FAILED, Invocation(b"1", None)]
    letters = Letters()
    start(lambda name, event: outcomes.pop(0), letters).put("f", b"{}", "arn:dead")
    until(lambda: not outcomes)
    assert letters.sent == []


def test_an_event_that_fails_three_times_is_a_dead_letter(start: Start) -> None:
    calls: list[bytes] = []
    letters = Letters()

    def invoke(name: str, event: bytes) -> Invocation:
        calls.append(event)
        return FAILED

    start(invoke, letters).put("f", b"7", "arn:dead")
    until(lambda: letters.sent)
    assert (calls, letters.sent) == ([b"7"] * 3, [("arn:dead", b"7")])


def test_a_dead_letter_that_cannot_be_sent_is_in_the_log(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    start(lambda name, event: FAILED, Letters(broken=True)).put("f", b"7", "arn:dead")
    until(lambda: "did not take the event" in caplog.text)
    assert "failed 3 times" in caplog.text


def test_what_an_invocation_raises_is_in_the_log(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    def invoke(name: str, event: bytes) -> Invocation:
        raise OSError("no more processes")

    start(invoke, Letters()).put("f", b"7", None)
    until(lambda: "no more processes" in caplog.text)


def test_stopping_drops_what_waits_to_be_retried() -> None:
    failed = threading.Event()

    def invoke(name: str, event: bytes) -> Invocation:
        failed.set()
        return FAILED

    events = AsyncEvents(invoke, (3600.0,), Letters())
    events.put("f", b"7", None)
    assert failed.wait(10)
    events.begin_stop()
    events.finish_stop()
    until(lambda: not any(isinstance(thread, threading.Timer) for thread in threading.enumerate()))
    assert failed.is_set()
