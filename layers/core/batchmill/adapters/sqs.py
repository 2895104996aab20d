"""The queue port over SQS."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from batchmill.adapters.aws_errors import error_code, translated
from batchmill.ports.queue import Received

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

LOG = logging.getLogger(__name__)

_LONGEST_WAIT_S = 20
_LONGEST_VISIBILITY_S = 43_200
# InvalidParameterValue is said of an expired receipt, and of a message that was hidden for 12 hours in all.
_STALE = frozenset({"ReceiptHandleIsInvalid", "MessageNotInflight", "InvalidParameterValue"})


class SqsQueue:
    """Implements `ports.queue.Queue` for standard queues. Threads may share it."""

    def __init__(self, client: SQSClient) -> None:
        self._sqs = client

    def send(self, queue_url: str, body: str) -> None:
        """Put a message in."""
        with translated(queue_url):
            self._sqs.send_message(QueueUrl=queue_url, MessageBody=body)

    def receive(self, queue_url: str, wait_seconds: int, visibility_seconds: int) -> Received | None:
        """Take one message, waiting up to `wait_seconds` (20 at most) for it; others do not see it meanwhile."""
        with translated(queue_url):
            found = self._sqs.receive_message(
                QueueUrl=queue_url,
                MaxNumberOfMessages=1,
                WaitTimeSeconds=min(wait_seconds, _LONGEST_WAIT_S),
                VisibilityTimeout=min(visibility_seconds, _LONGEST_VISIBILITY_S),
            ).get("Messages", [])
        return Received(found[0]["Body"], found[0]["ReceiptHandle"], found[0]["MessageId"]) if found else None

    def extend(self, queue_url: str, receipt: str, visibility_seconds: int) -> None:
        """Hide the message for that long from now; 0 gives it back. A receipt of the past is ignored.

        SQS hides a message for 12 hours in all from when it was received: what goes beyond is ignored as well.
        """
        with translated(queue_url), _stale_ignored(queue_url):
            self._sqs.change_message_visibility(
                QueueUrl=queue_url,
                ReceiptHandle=receipt,
                VisibilityTimeout=min(visibility_seconds, _LONGEST_VISIBILITY_S),
            )

    def delete(self, queue_url: str, receipt: str) -> None:
        """The message is done with. A receipt of the past is ignored."""
        with translated(queue_url), _stale_ignored(queue_url):
            self._sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=receipt)


@contextmanager
def _stale_ignored(queue_url: str) -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        if error_code(error) not in _STALE:
            raise
        LOG.info("a receipt of %s is of the past (%s)", queue_url, error_code(error))
