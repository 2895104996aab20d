"""When the fronts of the services that keep something say that it changed: before anybody is told that it did."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from batchmill.domain.errors import Transient

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


class NotKept(Transient):
    """A change is in memory but not in the data folder; whoever asked for it is answered with the service's 5xx.

    The next request of the service tries again to keep it.
    """


class Durability(Protocol):
    """Told of each request, under the lock of its service, after moto has run it. Every method may raise NotKept."""

    def objects_changed(self, events: Sequence[dict[str, Any]]) -> None:
        """A request to S3 has run; `events` are what it will publish."""
        ...

    def events_published(self, events: Sequence[dict[str, Any]]) -> None:
        """Events are in the queues of those who wait for them. Called outside S3's lock."""
        ...

    def items_changed(self, environ: WSGIEnvironment) -> None:
        """A request to DynamoDB has run."""
        ...

    def messages_changed(self) -> None:
        """A request to SQS has run."""
        ...

    def secrets_changed(self) -> None:
        """A request to Secrets Manager has run."""
        ...


class MemoryOnly:
    """Keeps nothing."""

    def objects_changed(self, events: Sequence[dict[str, Any]]) -> None:
        """Do nothing."""

    def events_published(self, events: Sequence[dict[str, Any]]) -> None:
        """Do nothing."""

    def items_changed(self, environ: WSGIEnvironment) -> None:
        """Do nothing."""

    def messages_changed(self) -> None:
        """Do nothing."""

    def secrets_changed(self) -> None:
        """Do nothing."""


def memory_only() -> Durability:
    """What a front uses that nobody gave anything else."""
    return _MEMORY


_MEMORY = MemoryOnly()
