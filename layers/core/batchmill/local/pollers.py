"""SQS event-source mappings: queues are polled, functions invoked, and what succeeded is deleted.

Ours and not moto's, which deletes messages of a mapped queue without calling anyone. What fails stays in the
queue: it is seen again after the queue's visibility time-out, and moved to a dead-letter queue by SQS itself.
"""

import concurrent.futures
import logging
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from batchmill.local.functions import FunctionNotFound, Invoker, ServiceStopped
from batchmill.local.sqs_events import events, failed_ids

WAIT_SECONDS = 10
"""How long a receive waits at the queue: it returns at once when a message is there."""
STOP_SECONDS = 2.0
"""How long invocations in flight have to end, so that their messages are deleted, when a poller stops."""

_ERROR_PAUSE_SECONDS = 1.0
_log = logging.getLogger(__name__)


class InvalidMapping(ValueError):
    """An event-source mapping that AWS would refuse; the message says why."""


@dataclass(frozen=True)
class QueueMapping:
    """Which queue calls which function, and how. Raises `InvalidMapping` for what AWS would refuse.

    `window_seconds` is how long a batch may be gathered (0: no longer than a receive). With `unwrap` each message's
    body is an event of its own, invoked asynchronously: the way of EventBridge and SNS to a function.
    """

    queue_url: str
    queue_arn: str
    function_name: str
    batch_size: int = 10
    window_seconds: int = 0
    report_batch_item_failures: bool = False
    unwrap: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.batch_size <= 10_000 or not 0 <= self.window_seconds <= 300:
            raise InvalidMapping(f"{self.queue_arn}: batches of 1 to 10000, windows of 0 to 300 s")
        if self.batch_size > 10 and self.window_seconds == 0:
            raise InvalidMapping(f"{self.queue_arn}: batches over 10 need a window of at least 1 s")


def check_visibility(sqs: Any, mapping: QueueMapping, timeout_seconds: int) -> None:
    """Raise `InvalidMapping` where the queue's visibility time-out is below the function's, as AWS does."""
    answer = sqs.get_queue_attributes(QueueUrl=mapping.queue_url, AttributeNames=["VisibilityTimeout"])
    visible = int(answer["Attributes"]["VisibilityTimeout"])
    if visible < timeout_seconds:
        raise InvalidMapping(
            f"Queue visibility timeout: {visible} seconds is less than Function timeout: {timeout_seconds} seconds"
            f" ({mapping.queue_arn}, {mapping.function_name})"
        )


class QueuePoller:
    """Polls one queue in one thread, and invokes up to `concurrency` batches at once. `sqs` is a boto3 client."""

    def __init__(self, mapping: QueueMapping, sqs: Any, functions: Invoker, concurrency: int = 4) -> None:
        self._mapping = mapping
        self._sqs = sqs
        self._functions = functions
        self._slots = threading.Semaphore(concurrency)
        self._workers = ThreadPoolExecutor(concurrency, thread_name_prefix=f"poll-{mapping.function_name}")
        self._in_flight: set[Future[None]] = set()
        self._stopping = threading.Event()
        # A daemon: a receive that waits at the queue is not worth waiting for when the stack stops.
        self._thread = threading.Thread(target=self._run, name=f"poll-{mapping.queue_arn}", daemon=True)

    def start(self) -> None:
        """Begin to poll."""
        self._thread.start()

    def stop(self) -> None:
        """Take no more messages, and wait at most two seconds for invocations in flight.

        Stop the functions next: that ends what still runs, and its messages stay in the queue.
        """
        self._stopping.set()
        concurrent.futures.wait(list(self._in_flight), STOP_SECONDS)
        self._workers.shutdown(wait=False, cancel_futures=True)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._slots.acquire()
            handed_over = False
            try:
                messages = self._receive()
                handed_over = bool(messages) and self._hand_over(messages)
            except (BotoCoreError, ClientError) as problem:
                self._pause(problem)
            finally:
                if not handed_over:
                    self._slots.release()

    def _pause(self, problem: Exception) -> None:
        if not self._stopping.is_set():
            _log.warning("queue %s cannot be polled just now: %s", self._mapping.queue_arn, problem)
            self._stopping.wait(_ERROR_PAUSE_SECONDS)

    def _receive(self) -> list[Mapping[str, Any]]:
        """Return a batch: what one receive gives, or with a window what comes while it is open."""
        limit = 1 if self._mapping.unwrap else self._mapping.batch_size
        messages = self._receive_once(limit, WAIT_SECONDS)
        closes = time.monotonic() + self._mapping.window_seconds
        while messages and len(messages) < limit and not self._stopping.is_set():
            left = closes - time.monotonic()
            if left <= 0:
                break
            more = self._receive_once(limit - len(messages), int(left))
            messages.extend(more)
            if not more and left < 1:
                self._stopping.wait(left)
        return messages

    def _receive_once(self, limit: int, wait_seconds: int) -> list[Mapping[str, Any]]:
        answer = self._sqs.receive_message(
            QueueUrl=self._mapping.queue_url,
            MaxNumberOfMessages=min(limit, 10),
            WaitTimeSeconds=wait_seconds,
            MessageSystemAttributeNames=["All"],
            MessageAttributeNames=["All"],
        )
        found: list[Mapping[str, Any]] = answer.get("Messages", [])
        return found

    def _hand_over(self, messages: list[Mapping[str, Any]]) -> bool:
        """Give a batch to a worker; a batch that came too late goes back to the queue. Return whether it was given."""
        if self._stopping.is_set():
            self._give_back(messages)
            return False
        try:
            future = self._workers.submit(self._work, messages)
        except RuntimeError:  # shut down in between
            self._give_back(messages)
            return False
        self._in_flight.add(future)
        future.add_done_callback(self._worked)
        return True

    def _worked(self, future: Future[None]) -> None:
        self._in_flight.discard(future)
        self._slots.release()
        if not future.cancelled() and (problem := future.exception()) is not None:
            _log.error("a batch of %s stays in its queue", self._mapping.queue_arn, exc_info=problem)

    def _work(self, messages: Sequence[Mapping[str, Any]]) -> None:
        try:
            if self._mapping.unwrap:
                for message in messages:
                    self._functions.invoke_event(self._mapping.function_name, message["Body"].encode())
                self._delete(messages)
                return
            for event, its_messages in events(messages, self._mapping.queue_arn):
                self._delete(self._succeeded(event, its_messages))
        except ServiceStopped:
            _log.debug("%s stays in its queue: the functions are stopping", self._mapping.queue_arn)
        except FunctionNotFound:
            _log.error("%s is mapped to %s, which is not there", self._mapping.queue_arn, self._mapping.function_name)
        except (BotoCoreError, ClientError) as problem:
            self._pause(problem)

    def _succeeded(self, event: bytes, messages: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """Invoke the function on one event, and return the messages that are done with."""
        outcome = self._functions.invoke(self._mapping.function_name, event)
        if outcome.function_error is not None:
            return []
        if not self._mapping.report_batch_item_failures:
            return messages
        failed = failed_ids(outcome.payload, [message["MessageId"] for message in messages])
        return [message for message in messages if message["MessageId"] not in failed]

    def _delete(self, messages: Sequence[Mapping[str, Any]]) -> None:
        for start in range(0, len(messages), 10):
            entries = [
                {"Id": str(place), "ReceiptHandle": message["ReceiptHandle"]}
                for place, message in enumerate(messages[start : start + 10])
            ]
            answer = self._sqs.delete_message_batch(QueueUrl=self._mapping.queue_url, Entries=entries)
            for failure in answer.get("Failed", []):
                _log.warning("a message of %s was not deleted: %s", self._mapping.queue_arn, failure.get("Message"))

    def _give_back(self, messages: Sequence[Mapping[str, Any]]) -> None:
        for message in messages:
            self._sqs.change_message_visibility(
                QueueUrl=self._mapping.queue_url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0
            )
