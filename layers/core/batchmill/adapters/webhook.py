"""The notifier port over HTTPS: one POST, signed as Standard Webhooks say, to an address that was checked.

The name is resolved once, every address is checked, and the connection goes to one of those addresses, with the name
for SNI, Host and the certificate. No proxy is used and no redirect followed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import http.client
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress

from batchmill.contracts.callback import WebhookBody
from batchmill.domain.errors import BatchmillError, Transient, WebhookRefused
from batchmill.domain.webhook import Target, checked, target
from batchmill.ports.notifier import Callback

DEADLINE_S = 10.0
"""From the connection to the end of the answer."""
CONNECT_S = 5.0
ANSWER_LIMIT = 4096
"""Bytes of the answer that are read at most; nothing is done with them."""
BODY_LIMIT = 64 * 1024
SECRET_PREFIX = "whsec_"
GONE = 410
_ADDRESSES_TRIED = 2

Resolve = Callable[[str, int], Sequence[str]]
Connect = Callable[[str, int, float], socket.socket]


def resolved(host: str, port: int) -> Sequence[str]:
    """Every address of a name. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


def connected(address: str, port: int, timeout_s: float) -> socket.socket:
    """A connection to an address, which is a number: nothing is resolved. Raises OSError."""
    return socket.create_connection((address, port), timeout_s)


def signing_key(secret: str) -> bytes:
    """The key of a secret's text: base64, with the prefix that Standard Webhooks give it or without.

    Raises BatchmillError for anything else.
    """
    try:
        key = base64.b64decode(secret.strip().removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if not key:
        raise BatchmillError(f"the webhooks' secret must be base64, with {SECRET_PREFIX} before it or without")
    return key


def signature(key: bytes, event_id: str, timestamp: int, body: bytes) -> str:
    """`v1,` and the base64 of HMAC-SHA256 over `<id>.<timestamp>.<body>`."""
    signed = f"{event_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


class WebhookNotifier:
    """Implements `ports.notifier.Notifier`.

    `secret` gives the signing secret's text as it is now (so that a new one is used at once); `now` seconds since the
    epoch; `allowed` is as in `domain.webhook.target`.
    """

    def __init__(
        self,
        secret: Callable[[], str],
        now: Callable[[], float],
        allowed: frozenset[str] = frozenset(),
        resolve: Resolve = resolved,
        connect: Connect = connected,
    ) -> None:
        self._secret = secret
        self._now = now
        self._allowed = allowed
        self._resolve = resolve
        self._connect = connect
        self._tls = ssl.create_default_context()

    def deliver(self, callback: Callback) -> None:
        """POST it; an answer of 2xx is success. Raises WebhookRefused (also for 410), Transient for all else."""
        if callback.webhook_url is None:
            return
        wanted = target(callback.webhook_url, self._allowed)
        addresses = self._addresses(wanted)
        body, headers = self._signed(callback)
        headers["Host"] = wanted.host_header
        try:
            with self._open(wanted, addresses) as connection:
                status = _post(connection, wanted.resource, body, headers)
        except (OSError, http.client.HTTPException) as error:
            raise Transient(f"the webhook at {wanted.shown}: {type(error).__name__}") from None
        if status == GONE:
            raise WebhookRefused(f"the webhook at {wanted.shown} is gone for good ({status})")
        if not 200 <= status <= 299:
            raise Transient(f"the webhook at {wanted.shown} answered {status}")

    def _addresses(self, wanted: Target) -> Sequence[str]:
        try:
            found = self._resolve(wanted.host, wanted.port)
        except OSError as error:
            raise Transient(f"the webhook's host {wanted.host} cannot be resolved: {type(error).__name__}") from None
        if not found:
            raise Transient(f"the webhook's host {wanted.host} has no address")
        return checked(wanted, found)

    def _signed(self, callback: Callback) -> tuple[bytes, dict[str, str]]:
        data = callback.data
        told = WebhookBody(type=f"batch.{data.status}", timestamp=data.finished_at, data=data)
        body, timestamp = told.model_dump_json().encode(), int(self._now())
        if len(body) > BODY_LIMIT:
            raise WebhookRefused(f"the callback of {data.batch_id} is over {BODY_LIMIT} bytes")
        return body, {
            "Content-Type": "application/json",
            "User-Agent": "batchmill",
            "Connection": "close",
            "webhook-id": data.event_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature(signing_key(self._secret()), data.event_id, timestamp, body),
        }

    @contextmanager
    def _open(self, wanted: Target, addresses: Sequence[str]) -> Iterator[http.client.HTTPConnection]:
        with ExitStack() as exits:
            stream = exits.enter_context(self._first(wanted, addresses))
            stream.settimeout(DEADLINE_S)
            if wanted.scheme == "https":
                stream = exits.enter_context(
                    self._tls.wrap_socket(stream, server_hostname=wanted.host, do_handshake_on_connect=False)
                )
            exits.enter_context(_deadline(stream))
            if isinstance(stream, ssl.SSLSocket):
                stream.do_handshake()
            connection = http.client.HTTPConnection(wanted.host, wanted.port)
            connection.auto_open = 0  # it never connects by itself: that would resolve the name again
            connection.sock = stream
            yield exits.enter_context(closing(connection))

    def _first(self, wanted: Target, addresses: Sequence[str]) -> socket.socket:
        """A connection to the first of the addresses that takes one. Raises the last one's OSError."""
        *others, last = addresses[:_ADDRESSES_TRIED]
        for address in others:
            with suppress(OSError):
                return self._connect(address, wanted.port, CONNECT_S)
        return self._connect(last, wanted.port, CONNECT_S)


def _post(connection: http.client.HTTPConnection, resource: str, body: bytes, headers: Mapping[str, str]) -> int:
    """The status of the answer. Of its body a little is read, so that the receiver is not cut off, and dropped."""
    connection.request("POST", resource, body, dict(headers))
    with connection.getresponse() as answer:
        with suppress(OSError, http.client.HTTPException):
            answer.read(ANSWER_LIMIT)
        return answer.status


@contextmanager
def _deadline(stream: socket.socket) -> Iterator[None]:
    """Ends the connection after the deadline, however slowly the other side drips: a socket's timeout is per read."""

    def end() -> None:
        with suppress(OSError):
            socket.socket.shutdown(stream, socket.SHUT_RDWR)

    timer = threading.Timer(DEADLINE_S, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
