"""In front of moto's SQS: size limits in bytes, one request at a time, and long polls that do not spin.

Two receives at once can hand out one message twice in moto, and its long poll holds no lock that would prevent it.
"""

import importlib
import io
import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from werkzeug.wrappers import Response

from batchmill.local.account import ACCOUNT, REGION
from batchmill.local.keeping.durability import Durability, NotKept, memory_only
from batchmill.local.wire import action_of, call, json_body, json_error

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

MAX_MESSAGE_BYTES = 1024 * 1024
_SUSPECT_BYTES = MAX_MESSAGE_BYTES // 2  # a request's JSON can be smaller than its message only by its escapes
_RECHECK_SECONDS = 0.25  # how late a message may be seen whose visibility ran out


# Events and topics send within this process: what they add must not meet a delete that rebuilds the queue.
lock = threading.RLock()


class SqsFront:
    """The WSGI application for SQS. `stopping` ends long polls early."""

    def __init__(
        self, app: "WSGIApplication", stopping: threading.Event, durability: Callable[[], Durability] = memory_only
    ) -> None:
        self._app, self._durability = app, durability
        self._stopping = stopping

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answers one request."""
        action = action_of(environ)
        if action in ("SendMessage", "SendMessageBatch") and int(environ["CONTENT_LENGTH"]) > _SUSPECT_BYTES:
            refused = _too_long(action, json_body(environ))
            if refused is not None:
                return refused(environ, start_response)
        if action == "ReceiveMessage":
            return self._receive(environ)(environ, start_response)
        return self._run(environ)(environ, start_response)

    def _run(self, environ: "WSGIEnvironment") -> Response:
        with lock:
            response = call(self._app, environ)
            try:
                self._durability().messages_changed()
            except NotKept as trouble:
                return json_error("ServiceUnavailable", str(trouble), 503)
        return response

    def _receive(self, environ: "WSGIEnvironment") -> Response:
        body = json_body(environ)
        queue = _queue(str(body.get("QueueUrl", "")))
        default = queue.receive_message_wait_time_seconds if queue is not None else 0
        deadline = time.monotonic() + int(body.get("WaitTimeSeconds", default) or 0)
        while True:
            response = self._run(_without_wait(environ, body))
            left = deadline - time.monotonic()
            found = b'"Messages"' in response.get_data() and json.loads(response.get_data()).get("Messages")
            if found or queue is None or left <= 0 or response.status_code >= 400:
                return response
            if self._stopping.is_set():
                return response
            queue.wait_for_messages(min(left, _RECHECK_SECONDS))


def install() -> None:
    """Makes moto's queues safe to send to from any thread, and cheap to receive from.

    For each message it hands out, moto counts the whole queue three times, by way of datetimes.
    """
    models: Any = importlib.import_module("moto.sqs.models")

    def within_retention(backend: Any, queue_name: str, message: Any) -> bool:
        kept_for: float = backend.get_queue(queue_name).message_retention_period
        return bool(kept_for + message.sent_timestamp / 1000 > time.time())

    original = getattr(models.Queue.add_message, "moto", models.Queue.add_message)

    def add_message(queue: Any, message: Any) -> None:
        with lock:
            original(queue, message)

    add_message.moto = original  # type: ignore[attr-defined]
    models.Queue.add_message = add_message
    models.SQSBackend.is_message_valid_based_on_retention_period = within_retention
    models.unix_time_millis = lambda: time.time() * 1000


def _without_wait(environ: "WSGIEnvironment", body: Mapping[str, Any]) -> "WSGIEnvironment":
    raw = json.dumps({**body, "WaitTimeSeconds": 0}).encode()
    return {**environ, "wsgi.input": io.BytesIO(raw), "CONTENT_LENGTH": str(len(raw))}


def _queue(url: str) -> Any:
    from moto.sqs.models import sqs_backends

    return sqs_backends[ACCOUNT][REGION].queues.get(url.rsplit("/", 1)[-1])


def _too_long(action: str, body: Mapping[str, Any]) -> Response | None:
    if action == "SendMessage":
        if message_bytes(body) <= MAX_MESSAGE_BYTES:
            return None
        reason = f"One or more parameters are invalid. Reason: Message must be shorter than {MAX_MESSAGE_BYTES} bytes."
        return json_error("com.amazonaws.sqs#InvalidParameterValue", reason, query_code="InvalidParameterValue")
    total = sum(message_bytes(entry) for entry in body.get("Entries", []))
    if total <= MAX_MESSAGE_BYTES:
        return None
    reason = f"Batch requests cannot be longer than {MAX_MESSAGE_BYTES} bytes. You have sent {total} bytes."
    return json_error(
        "com.amazonaws.sqs#BatchRequestTooLong", reason, query_code="AWS.SimpleQueueService.BatchRequestTooLong"
    )


def message_bytes(entry: Mapping[str, Any]) -> int:
    """What SQS counts of a message: its body and its attributes' names, types and values, in bytes of UTF-8."""
    total = len(str(entry.get("MessageBody", "")).encode())
    for name, value in (entry.get("MessageAttributes") or {}).items():
        total += len(name.encode()) + sum(len(str(part).encode()) for part in value.values())
    return total
