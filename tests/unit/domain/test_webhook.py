from __future__ import annotations

import pytest

from batchmill.domain.errors import WebhookRefused
from batchmill.domain.webhook import LOOPBACK, URL_LIMIT, Target, checked, is_public, target
from support.webhooks import ADDRESSES_REFUSED, URLS_REFUSED

ADDRESSES_PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "52.94.236.248",
    "100.63.255.255",
    "100.128.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "2600:1f18::1",
    "2606:4700:4700::1111",
    "2a00:1450:4001:81b::200e",
]


@pytest.mark.parametrize("url", URLS_REFUSED)
def test_a_url_that_is_no_plain_public_name_is_refused_by_its_text(url: str) -> None:
    with pytest.raises(WebhookRefused):
        target(url)


@pytest.mark.parametrize("url", URLS_REFUSED)
def test_the_allow_list_of_this_machine_opens_nothing_else(url: str) -> None:
    try:
        found = target(url, LOOPBACK)
    except WebhookRefused:
        return
    assert found.local
    assert found.host in LOOPBACK


@pytest.mark.parametrize("address", ADDRESSES_REFUSED)
def test_an_address_that_is_not_public_is_refused(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ADDRESSES_PUBLIC)
def test_a_public_address_may_be_called(address: str) -> None:
    assert is_public(address)


def test_a_url_is_taken_apart_and_shown_without_path_and_query() -> None:
    found = target("https://Hooks.Example.com/a/b?token=hidden")
    assert found == Target("https", "hooks.example.com", 443, "/a/b?token=hidden")
    assert (found.shown, found.host_header) == ("https://hooks.example.com:443", "hooks.example.com")


@pytest.mark.parametrize("url", ["https://hooks.example.com", "https://hooks.example.com:443/"])
def test_the_port_and_the_path_may_be_left_out(url: str) -> None:
    assert target(url) == Target("https", "hooks.example.com", 443, "/")


def test_a_name_in_punycode_is_a_name() -> None:
    assert target("https://xn--bcher-kva.example/").host == "xn--bcher-kva.example"


def test_a_long_url_is_refused() -> None:
    with pytest.raises(WebhookRefused, match="at most 2048"):
        target("https://hooks.example.com/" + "a" * URL_LIMIT)


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("http://127.0.0.1:8080/hook", "127.0.0.1"),
        ("http://127.0.0.1:8080/hook", "127.0.0.1:8080"),
        ("https://localhost:8443/", "localhost"),
        ("http://[::1]:8080/", "::1"),
        ("http://[::1]:8080/", "[::1]:8080"),
    ],
)
def test_this_machine_may_be_called_where_the_allow_list_says_so(url: str, allowed: str) -> None:
    assert target(url, frozenset({allowed})).local


def test_another_port_than_the_allowed_one_is_refused() -> None:
    with pytest.raises(WebhookRefused):
        target("http://127.0.0.1:22/", frozenset({"127.0.0.1:8080"}))


def test_one_private_address_among_public_ones_refuses_them_all() -> None:
    with pytest.raises(WebhookRefused, match=r"10\.0\.0\.1, which is no public address"):
        checked(target("https://hooks.example.com/"), ["1.1.1.1", "10.0.0.1", "8.8.8.8"])


def test_addresses_keep_their_order_and_stand_once() -> None:
    found = checked(target("https://hooks.example.com/"), ["8.8.8.8", "1.1.1.1", "8.8.8.8"])
    assert found == ["8.8.8.8", "1.1.1.1"]


def test_an_allowed_name_must_be_at_this_machine() -> None:
    wanted = target("http://localhost:8080/", LOOPBACK)
    assert checked(wanted, ["127.0.0.1", "::1"]) == ["127.0.0.1", "::1"]
    for address in ("192.168.0.1", "1.1.1.1", "169.254.169.254", "nonsense"):
        with pytest.raises(WebhookRefused):
            checked(wanted, [address])


def test_what_is_no_address_is_not_public() -> None:
    assert not is_public("hooks.example.com")


@pytest.mark.parametrize(
    "url", ["https://user:hidden@hooks.example.com/", "https://10.0.0.1/?token=hidden", "ftp://x.y/hidden"]
)
def test_a_refusal_tells_neither_password_nor_path_nor_query(url: str) -> None:
    with pytest.raises(WebhookRefused) as caught:
        target(url)
    assert "hidden" not in str(caught.value)
