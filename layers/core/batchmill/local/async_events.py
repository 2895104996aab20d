"""Asynchronous invocations: a queue, two retries, and a dead-letter queue."""

import logging
import threading
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from batchmill.local.account import REGION
from batchmill.local.environment_pool import ServiceStopped
from batchmill.local.router import ACCESS_KEY, SECRET_KEY
from batchmill.local.runtime_api import Invocation

_WORKERS = 32
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Event:
    function_name: str
    payload: bytes
    request_id: str
    dead_letter_arn: str | None
    failures: int = 0


class DeadLetters:
    """Sends events that could not be processed to SQS queues, the way Lambda does."""

    def __init__(self, endpoint_url: str) -> None:
        self._endpoint_url = endpoint_url
        self._client: Any = None

    def send(self, queue_arn: str, event: bytes, request_id: str, outcome: Invocation) -> None:
        """Send the event itself, with RequestID, ErrorCode and ErrorMessage (1 KB at most) as attributes."""
        sqs = self._sqs()
        url = sqs.get_queue_url(QueueName=queue_arn.rpartition(":")[2])["QueueUrl"]
        kind, message = outcome.error()
        attributes = {
            "RequestID": {"DataType": "String", "StringValue": request_id},
            "ErrorCode": {"DataType": "Number", "StringValue": "200"},
            "ErrorMessage": {"DataType": "String", "StringValue": (message or kind or "unknown")[:1024]},
        }
        sqs.send_message(QueueUrl=url, MessageBody=event.decode(), MessageAttributes=attributes)

    def _sqs(self) -> Any:
        if self._client is None:
            import boto3

            session: Any = boto3.session.Session()
            self._client = session.client(
                "sqs",
                endpoint_url=self._endpoint_url,
                region_name=REGION,
                aws_access_key_id=ACCESS_KEY,
                aws_secret_access_key=SECRET_KEY,
            )
        return self._client


def _report(future: "Future[None]") -> None:
    """Log what a worker raised: nobody else looks at it."""
    if not future.cancelled() and (problem := future.exception()) is not None:
        _log.error("an asynchronous event was lost", exc_info=problem)


class AsyncEvents:
    """Runs queued events in a few threads of its own. `pauses` are the seconds before each retry."""

    def __init__(
        self, invoke: Callable[[str, bytes], Invocation], pauses: Sequence[float], dead_letters: DeadLetters
    ) -> None:
        self._invoke = invoke
        self._pauses = tuple(pauses)
        self._dead_letters = dead_letters
        self._workers = ThreadPoolExecutor(_WORKERS, thread_name_prefix="lambda-async")
        self._timers: set[threading.Timer] = set()
        self._lock = threading.Lock()
        self._stopped = False

    def put(self, function_name: str, payload: bytes, dead_letter_arn: str | None) -> str:
        """Queue an event and return its request id."""
        event = _Event(function_name, payload, str(uuid.uuid4()), dead_letter_arn)
        self._submit(event)
        return event.request_id

    def _submit(self, event: _Event) -> None:
        with self._lock:
            if not self._stopped:
                self._workers.submit(self._run, event).add_done_callback(_report)

    def _run(self, event: _Event) -> None:
        try:
            outcome = self._invoke(event.function_name, event.payload)
        except ServiceStopped:
            return
        if outcome.function_error is None:
            return
        if event.failures < len(self._pauses):
            self._retry(replace(event, failures=event.failures + 1), self._pauses[event.failures])
            return
        self._give_up(event, outcome)

    def _retry(self, event: _Event, pause: float) -> None:
        timer: threading.Timer

        def due() -> None:
            with self._lock:
                self._timers.discard(timer)
            self._submit(event)

        timer = threading.Timer(pause, due)
        timer.daemon = True
        with self._lock:
            if not self._stopped:
                self._timers.add(timer)
                timer.start()

    def _give_up(self, event: _Event, outcome: Invocation) -> None:
        kind, message = outcome.error()
        where = event.dead_letter_arn
        what = "dropped" if where is None else f"sent to {where}"
        _log.warning(
            "function %s failed %d times on an asynchronous event, which is %s: %s: %s",
            event.function_name, event.failures + 1, what, kind, message,
        )  # fmt: skip
        if where is None or self._stopped:
            return
        try:
            self._dead_letters.send(where, event.payload, event.request_id, outcome)
        except Exception:  # noqa: BLE001 (the event is lost whatever the client raised, as on AWS)
            _log.exception("the dead-letter queue %s did not take the event", where)

    def begin_stop(self) -> None:
        """Drop what is queued and what waits to be retried."""
        with self._lock:
            self._stopped = True
            for timer in self._timers:
                timer.cancel()
            self._timers.clear()
        self._workers.shutdown(wait=False, cancel_futures=True)

    def finish_stop(self) -> None:
        """Wait for the events in flight to end: their environments must have been ended before."""
        self._workers.shutdown(wait=True)
