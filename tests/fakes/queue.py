"""SQS in memory, its visibility by the test's clock."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from batchmill.ports.clock import Clock
from batchmill.ports.queue import Received


@dataclass
class Message:
    """A message as it lies in the queue. `visible_at` in seconds since the epoch; `receipt` is its latest taking's."""

    body: str
    visible_at: float
    message_id: str
    receipt: str = ""
    receives: int = 0


@dataclass
class MemoryQueue:
    """Implements `ports.queue.Queue`. Queues exist as they are named; receive never waits.

    Only the latest receipt of a message counts, and only while it is hidden, as a careful user of SQS must assume.
    `before` is called first in every operation with its name, and may raise. `sent` is what was ever put in.
    """

    clock: Clock
    before: Callable[[str], None] | None = None
    messages: dict[str, list[Message]] = field(default_factory=dict)
    sent: dict[str, list[str]] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def send(self, queue_url: str, body: str) -> None:
        self._begin("send")
        self.messages.setdefault(queue_url, []).append(
            Message(body, self.clock.now(), f"message-{next(self._numbers)}")
        )
        self.sent.setdefault(queue_url, []).append(body)

    def receive(self, queue_url: str, wait_seconds: int, visibility_seconds: int) -> Received | None:
        self._begin("receive")
        with self._lock:
            for message in self.messages.get(queue_url, []):
                if message.visible_at <= self.clock.now():
                    message.receives += 1
                    message.receipt = f"receipt-{next(self._numbers)}"
                    message.visible_at = self.clock.now() + visibility_seconds
                    return Received(message.body, message.receipt, message.message_id)
            return None

    def extend(self, queue_url: str, receipt: str, visibility_seconds: int) -> None:
        self._begin("extend")
        for message in self._held(queue_url, receipt):
            message.visible_at = self.clock.now() + visibility_seconds

    def delete(self, queue_url: str, receipt: str) -> None:
        self._begin("delete")
        for message in self._held(queue_url, receipt):
            self.messages[queue_url].remove(message)

    def again(self, queue_url: str) -> None:
        """Not of the port: every message comes back now, as SQS may do at any time."""
        for message in self.messages.get(queue_url, []):
            message.visible_at = self.clock.now()

    def depth(self, queue_url: str) -> int:
        """Not of the port: messages in the queue, hidden ones included."""
        return len(self.messages.get(queue_url, []))

    def _begin(self, operation: str) -> None:
        if self.before:
            self.before(operation)

    def _held(self, queue_url: str, receipt: str) -> list[Message]:
        now = self.clock.now()
        return [each for each in self.messages.get(queue_url, []) if each.receipt == receipt and each.visible_at > now]
