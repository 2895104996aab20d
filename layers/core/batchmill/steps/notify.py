"""notify: delivers one message of the callback queue by its channel; what fails comes back later and later."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from batchmill.contracts.callback import CallbackMessage, ChannelName
from batchmill.domain.batch import Batch
from batchmill.domain.errors import BatchmillError, BatchNotFound, WebhookRefused
from batchmill.domain.retry import redelivery_seconds
from batchmill.ports.batches import Batches
from batchmill.ports.notifier import Callback, Notifier
from batchmill.ports.queue import Queue
from batchmill.steps.callbacks.outbox import webhook_url
from batchmill.steps.callbacks.telling import told

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Notify:
    """The step. `chance` draws from [0, 1), so that tests can say how long a failed delivery waits."""

    batches: Batches
    queue: Queue
    channels: Mapping[ChannelName, Notifier]
    chance: Callable[[], float]
    queue_url: str
    data_bucket: str

    def __call__(self, body: str, receipt: str, receives: int) -> None:
        """Deliver one message that was received for the `receives`-th time.

        What may be tried again is hidden in the queue for its wait, and raised so that it stays there. What cannot
        succeed (no such batch, a receiver that is gone or may not be called) is logged and done with.
        """
        try:
            message = CallbackMessage.model_validate_json(body)
        except ValidationError:
            log.error("notify: dropped a message of no known form")
            return
        try:
            self._deliver(message)
        except (BatchNotFound, WebhookRefused) as error:
            log.warning("notify: %s by %s is given up: %s", message.batch_id, message.channel, error)
        except BatchmillError as error:
            wait = redelivery_seconds(receives, self.chance())
            log.warning(
                "notify: %s by %s failed (try %d), again in %d s: %s",
                *(message.batch_id, message.channel, receives, wait, error),
            )
            self.queue.extend(self.queue_url, receipt, wait)
            raise

    def _deliver(self, message: CallbackMessage) -> None:
        batch = self.batches.get(message.batch_id)
        if not _is_of(message, batch):
            log.warning("notify: %s is not final in run %d, its message is dropped", batch.batch_id, message.run)
            return
        url = webhook_url(batch) if message.channel == "webhook" else None
        self.channels[message.channel].deliver(Callback(told(batch, self.data_bucket), url))
        log.info("notify: %s (%s) told by %s", batch.batch_id, batch.status.value, message.channel)


def _is_of(message: CallbackMessage, batch: Batch) -> bool:
    return batch.final and batch.run == message.run
