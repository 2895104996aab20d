"""A pool's queue of shards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Received:
    """A message taken from a queue. `receipt` names this taking of it, `message_id` the message itself."""

    body: str
    receipt: str
    message_id: str


class Queue(Protocol):
    """At-least-once messages. Every method may raise Transient."""

    def send(self, queue_url: str, body: str) -> None:
        """Put a message in."""
        ...

    def receive(self, queue_url: str, wait_seconds: int, visibility_seconds: int) -> Received | None:
        """Take one message, waiting up to `wait_seconds` for it; others do not see it for `visibility_seconds`."""
        ...

    def extend(self, queue_url: str, receipt: str, visibility_seconds: int) -> None:
        """Hide the message for that long from now; 0 gives it back. A receipt of the past is ignored."""
        ...

    def delete(self, queue_url: str, receipt: str) -> None:
        """The message is done with. A receipt of the past is ignored."""
        ...
