"""What WebhookNotifier sends, and to whom it never does."""

from __future__ import annotations

import base64
import datetime
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from standardwebhooks import Webhook

from batchmill.adapters import webhook
from batchmill.adapters.webhook import WebhookNotifier, connected, signing_key
from batchmill.domain.errors import BatchmillError, Transient, WebhookRefused
from batchmill.domain.webhook import LOOPBACK
from support.told import BATCH_ID, callback
from support.webhooks import ADDRESSES_REFUSED, URLS_REFUSED, Receiver, receiving

SECRET = "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"
URL = "https://hooks.example.com/done?token=hidden"


class Network:
    """A name server whose answers a test scripts, and a connector that only counts."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.resolved: list[str] = []
        self.opened: list[tuple[str, int]] = []

    def resolve(self, host: str, port: int) -> Sequence[str]:
        self.resolved.append(host)
        return self.answers[min(len(self.resolved), len(self.answers)) - 1]

    def connect(self, address: str, port: int, timeout_s: float) -> socket.socket:
        self.opened.append((address, port))
        raise ConnectionRefusedError


def notifier(network: Network | None = None, allowed: frozenset[str] = frozenset()) -> WebhookNotifier:
    if network is None:
        return WebhookNotifier(lambda: SECRET, time.time, allowed)
    return WebhookNotifier(lambda: SECRET, time.time, allowed, network.resolve, network.connect)


def deliver(receiver: Receiver, path: str = "/done?token=hidden") -> None:
    notifier(allowed=LOOPBACK).deliver(callback(receiver.url + path))


@pytest.mark.parametrize("url", URLS_REFUSED)
def test_a_refused_url_is_neither_resolved_nor_called(url: str) -> None:
    network = Network(["1.1.1.1"])
    with pytest.raises(WebhookRefused):
        notifier(network).deliver(callback(url))
    assert (network.resolved, network.opened) == ([], [])


@pytest.mark.parametrize("address", ADDRESSES_REFUSED)
@pytest.mark.parametrize("others", [[], ["1.1.1.1"]], ids=["alone", "beside a public one"])
def test_no_socket_is_opened_where_a_name_leads_to_a_refused_address(address: str, others: list[str]) -> None:
    network = Network([*others, address])
    with pytest.raises(WebhookRefused):
        notifier(network).deliver(callback(URL))
    assert network.opened == []


def test_a_name_server_that_changes_its_mind_changes_nothing() -> None:
    network = Network(["1.1.1.1"], ["169.254.169.254"])
    with pytest.raises(Transient):
        notifier(network).deliver(callback(URL))
    assert network.resolved == ["hooks.example.com"]
    assert network.opened == [("1.1.1.1", 443)]
    with pytest.raises(WebhookRefused):
        notifier(network).deliver(callback(URL))
    assert network.opened == [("1.1.1.1", 443)]


def test_the_allow_list_leads_to_this_machine_and_to_none_besides() -> None:
    network = Network(["192.168.0.1"])
    with pytest.raises(WebhookRefused):
        notifier(network, LOOPBACK).deliver(callback("http://localhost:8080/"))
    assert network.opened == []


def test_the_second_address_is_tried_where_the_first_takes_no_connection_and_no_third() -> None:
    network = Network(["1.1.1.1", "8.8.8.8", "9.9.9.9"])
    with pytest.raises(Transient):
        notifier(network).deliver(callback(URL))
    assert network.opened == [("1.1.1.1", 443), ("8.8.8.8", 443)]


def test_a_name_that_cannot_be_resolved_is_tried_again() -> None:
    def fail(host: str, port: int) -> Sequence[str]:
        raise socket.gaierror("no such host")

    for resolve in (fail, Network([]).resolve):
        with pytest.raises(Transient, match=r"hooks\.example\.com"):
            WebhookNotifier(lambda: SECRET, time.time, resolve=resolve).deliver(callback(URL))


def test_a_receiver_verifies_what_it_gets_with_the_standards_own_library() -> None:
    with receiving(204) as receiver:
        deliver(receiver)
    [(path, headers, body)] = receiver.received
    told = Webhook(f"whsec_{SECRET}").verify(body, headers)
    assert path == "/done?token=hidden"
    assert (told["type"], told["data"]["batch_id"]) == ("batch.completed", BATCH_ID)
    assert headers["webhook-id"] == told["data"]["event_id"] == f"evt_{BATCH_ID}-completed"
    assert headers["Host"] == receiver.url.removeprefix("http://")
    assert told["data"] == json.loads(callback().data.model_dump_json())


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(status: int) -> None:
    with receiving(200) as other, receiving(status, headers={"Location": f"{other.url}/"}) as receiver:
        with pytest.raises(Transient, match=f"answered {status}"):
            deliver(receiver)
        assert len(receiver.received) == 1
        assert other.received == []


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 503])
def test_every_other_answer_is_tried_again(status: int) -> None:
    with receiving(status) as receiver, pytest.raises(Transient, match=f"answered {status}"):
        deliver(receiver)


def test_a_receiver_that_is_gone_is_never_called_again() -> None:
    with receiving(410) as receiver, pytest.raises(WebhookRefused, match="gone for good"):
        deliver(receiver)


@pytest.mark.parametrize("status", [302, 410, 500])
def test_what_is_raised_names_the_host_and_neither_path_nor_query(status: int) -> None:
    with receiving(status) as receiver:
        with pytest.raises(BatchmillError) as caught:
            deliver(receiver)
        assert receiver.url in str(caught.value)
        assert "done" not in str(caught.value)
        assert "hidden" not in str(caught.value)


@contextmanager
def talking(answer: bytes, endless: bool = False) -> Iterator[str]:
    """A server that says `answer` to whoever connects and then hangs up, or says it again and again."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def talk() -> None:
            with server.accept()[0] as peer, suppress(OSError):
                peer.recv(65536)
                peer.sendall(answer)
                while endless:
                    peer.sendall(answer)

        thread = threading.Thread(target=talk)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"
        thread.join()


@pytest.mark.parametrize("answer", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1"])
def test_an_answer_that_is_none_is_tried_again(answer: bytes) -> None:
    with talking(answer) as url, pytest.raises(Transient, match=r"127\.0\.0\.1"):
        notifier(allowed=LOOPBACK).deliver(callback(url))


def test_an_endless_answer_is_not_read_to_its_end() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 100000000000\r\n\r\n"
    with talking(head + b"x" * 65536, endless=True) as url:
        notifier(allowed=LOOPBACK).deliver(callback(url))


def test_a_receiver_that_says_nothing_to_an_end_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "DEADLINE_S", 0.2)
    with talking(b"HTTP/1.1 100 Continue\r\n\r\n", endless=True) as url, pytest.raises(Transient):
        notifier(allowed=LOOPBACK).deliver(callback(url))


def test_without_a_url_nothing_is_done() -> None:
    network = Network(["1.1.1.1"])
    notifier(network).deliver(callback())
    assert network.resolved == []


@pytest.mark.parametrize("secret", [SECRET, f"whsec_{SECRET}", f" {SECRET}\n"])
def test_the_secret_is_base64_with_or_without_its_prefix(secret: str) -> None:
    assert signing_key(secret) == base64.b64decode(SECRET)


@pytest.mark.parametrize("secret", ["", "whsec_", "no base64!", "abc"])
def test_another_secret_is_an_error_that_does_not_tell_it(secret: str) -> None:
    with pytest.raises(BatchmillError, match="must be base64") as caught:
        signing_key(secret)
    assert "no base64!" not in str(caught.value)


class Trusting(WebhookNotifier):
    """Takes one certificate for good that nobody else does."""

    def __init__(self, certificate: Path, connect: Any) -> None:
        super().__init__(lambda: SECRET, time.time, resolve=Network(["1.1.1.1"]).resolve, connect=connect)
        self._tls = ssl.create_default_context(cafile=str(certificate))


@contextmanager
def secure(folder: Path, name: str) -> Iterator[tuple[int, Path, list[str | None]]]:
    """A TLS server with a certificate of `name`: its port, the certificate, and the names that it was asked for."""
    certificate, key = certificate_of(folder, name)
    asked: list[str | None] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.sni_callback = lambda _, server_name, __: asked.append(server_name)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def talk() -> None:
            with server.accept()[0] as raw, suppress(OSError), context.wrap_socket(raw, server_side=True) as peer:
                request = b""
                while not request.endswith(b"}}"):
                    request += peer.recv(65536)
                asked.extend(line for line in request.decode().splitlines() if line.startswith("Host:"))
                peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

        thread = threading.Thread(target=talk)
        thread.start()
        yield server.getsockname()[1], certificate, asked
        thread.join()


def certificate_of(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "certificate.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "certificate.pem", folder / "key.pem"


def test_the_checked_address_is_connected_to_under_the_names_own_certificate(tmp_path: Path) -> None:
    with secure(tmp_path, "hooks.example.com") as (port, certificate, asked):
        opened: list[str] = []

        def connect(address: str, wanted: int, timeout_s: float) -> socket.socket:
            opened.append(f"{address}:{wanted}")
            return connected("127.0.0.1", port, timeout_s)

        Trusting(certificate, connect).deliver(callback(URL))
    assert opened == ["1.1.1.1:443"]
    assert asked == ["hooks.example.com", "Host: hooks.example.com"]


def test_a_certificate_of_another_name_is_refused_before_anything_is_said(tmp_path: Path) -> None:
    with secure(tmp_path, "other.example.com") as (port, certificate, asked):
        trusting = Trusting(certificate, lambda _, __, timeout_s: connected("127.0.0.1", port, timeout_s))
        with pytest.raises(Transient, match="SSLCertVerificationError"):
            trusting.deliver(callback(URL))
    assert asked == ["hooks.example.com"]
