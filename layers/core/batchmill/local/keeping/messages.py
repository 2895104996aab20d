"""The messages of a queue in moto, written through to a data folder and brought back from it.

For queues whose messages cannot be made again from anything else: what was accepted, and not yet taken by anybody.
A message is kept until it is deleted; only its body is. One that moved to a dead-letter queue is kept as one of the
queue it came from, and after a restart is tried again from there.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from batchmill.local.keeping.durability import NotKept
from batchmill.local.keeping.folder import DataFolder

LOG = logging.getLogger(__name__)


class KeptMessages:
    """The messages of one queue. `lock` is that of SQS's front, which whoever changes a queue holds."""

    def __init__(self, folder: DataFolder, queue: Any, lock: AbstractContextManager[Any]) -> None:
        self._folder, self._queue, self._lock = folder, queue, lock
        self._kept: set[str] = set()
        self._added: list[Any] = []

    @property
    def name(self) -> str:
        """The queue's name."""
        return str(self._queue.name)

    def load(self, send: Callable[[str], None]) -> int:
        """Send again what the folder holds (`send` takes a body), and watch from now on; how many came back."""
        with self._lock:
            before = self._folder.messages(self.name)
            for body in before.values():
                send(body)
            self._kept, self._added = set(before), list(self._queue._messages)
            self._watch()
            self.save()
        return len(before)

    def save(self) -> None:
        """Keep what has changed since the last time. Raises NotKept; then it is tried again at the next call."""
        with self._lock:
            now = self._queue._messages
            if not self._added and len(now) == len(self._kept):
                return  # nothing came, so nothing can have gone either
            fresh, gone = self._added, set[str]()
            if len(now) != len(self._kept) + len(fresh):
                there = {message.id for message in now}
                fresh = [message for message in now if message.id not in self._kept]
                gone = self._kept - there
            with self._folder.changes() as changes:
                for name in gone:
                    changes.drop_message(name)
                for message in fresh:
                    changes.put_message(self.name, message.id, message.body)
            self._kept -= gone
            self._kept |= {message.id for message in fresh}
            self._added = []

    def _watch(self) -> None:
        original = self._queue.add_message

        def add_message(message: Any) -> None:
            with self._lock:
                original(message)
                self._added.append(message)
                try:
                    self.save()
                except NotKept as trouble:  # a client is told by the front; an event is published again at the start
                    LOG.info("a message of %s is not kept yet: %s", self.name, trouble)

        self._queue.add_message = add_message
