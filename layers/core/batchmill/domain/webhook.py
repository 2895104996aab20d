"""Which addresses a webhook may call: public ones, by name, over TLS. Everything else is refused.

The rule is a pure one. Whoever calls resolves the name once, has every address checked here, and connects to one of
those very addresses, so that no second answer of a name server can change the destination.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from batchmill.domain.errors import WebhookRefused

URL_LIMIT = 2048
"""Characters of a webhook's URL."""
TLS_PORT = 443
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
"""This machine by name and number: what an allow-list may hold."""

_PRINTABLE = re.compile(r"[\x21-\x7e]+")
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_PRIVATE_ZONES = frozenset({"localhost", "local", "internal", "intranet", "lan", "home", "corp", "onion", "test"})

# What is routed in public, less what only looks so. All else (mapped, compatible and translated IPv4, NAT64, unique
# local, link-local, site-local, multicast) is outside of 2000::/3.
_PUBLIC_V6 = ipaddress.IPv6Network("2000::/3")
_REFUSED_V6 = tuple(
    ipaddress.IPv6Network(network)
    for network in (
        "2001::/23",  # IETF's own: Teredo, ORCHID, benchmarks
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: an IPv4 address inside
        "3fff::/20",  # documentation
    )
)
_REFUSED_V4 = tuple(
    ipaddress.IPv4Network(network)
    for network in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",  # carriers' NAT
        "127.0.0.0/8",
        "169.254.0.0/16",  # link-local: the metadata of instances, tasks and functions
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",  # relays of 6to4
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
_ISATAP = frozenset({0x00005EFE, 0x02005EFE})


@dataclass(frozen=True)
class Target:
    """A webhook's URL, taken apart. `resource` is path and query. `local`: on the allow-list, this machine alone."""

    scheme: str
    host: str
    port: int
    resource: str
    local: bool = False

    @property
    def shown(self) -> str:
        """The URL as far as it may stand in a log: path and query may hold secrets."""
        return f"{self.scheme}://{_bracketed(self.host)}:{self.port}"

    @property
    def host_header(self) -> str:
        """The Host of the request."""
        usual = TLS_PORT if self.scheme == "https" else 80
        return _bracketed(self.host) if self.port == usual else f"{_bracketed(self.host)}:{self.port}"


def target(url: str, allowed: frozenset[str] = frozenset()) -> Target:
    """The parts of a URL that may be called as far as its text goes. Raises WebhookRefused, naming the host at most.

    `allowed` are hosts of this machine (`127.0.0.1`, or with a port `127.0.0.1:8080`) that may be called by plain
    HTTP and at any port; only the embedded stack has any.
    """
    if len(url) > URL_LIMIT or not _PRINTABLE.fullmatch(url) or "\\" in url:
        raise WebhookRefused(f"a webhook's URL is at most {URL_LIMIT} printable ASCII characters without a backslash")
    parts, port = _split(url)
    if "@" in parts.netloc or "#" in url:
        raise WebhookRefused("a webhook's URL has no user, no password and no fragment")
    host = parts.hostname or ""
    resource = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    number = port if port is not None else {"https": TLS_PORT, "http": 80}.get(parts.scheme, 0)
    if parts.scheme in ("https", "http") and {host, f"{_bracketed(host)}:{number}"} & allowed:
        return Target(parts.scheme, host, number, resource, local=True)
    if parts.scheme != "https":
        raise WebhookRefused("a webhook's URL begins with https://")
    if number != TLS_PORT:
        raise WebhookRefused(f"a webhook is called at port {TLS_PORT} only, not {number}")
    _check_name(host)
    return Target("https", host, TLS_PORT, resource)


def checked(wanted: Target, addresses: Iterable[str]) -> Sequence[str]:
    """The addresses that a name resolved to, in order, each once. Raises WebhookRefused if ANY may not be called."""
    found = list(dict.fromkeys(addresses))
    refused = [address for address in found if not _may_be_called(address, wanted.local)]
    if refused:
        raise WebhookRefused(f"{wanted.host} is at {refused[0]}, which is no public address")
    return found


def is_public(address: str) -> bool:
    """Whether an address in its canonical text is one of the public internet, with nothing else inside it."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv4Address):
        return parsed.is_global and not any(parsed in network for network in _REFUSED_V4)
    if parsed.scope_id or parsed not in _PUBLIC_V6 or any(parsed in network for network in _REFUSED_V6):
        return False
    return parsed.is_global and (int(parsed) >> 32) & 0xFFFFFFFF not in _ISATAP


def _may_be_called(address: str, local: bool) -> bool:
    if not local:
        return is_public(address)
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _split(url: str) -> tuple[SplitResult, int | None]:
    try:
        parts = urlsplit(url)
        return parts, parts.port
    except ValueError:
        raise WebhookRefused("a webhook's URL has a host and a port that can be read") from None


def _check_name(host: str) -> None:
    """A full name of DNS: at least two labels, the last of them no number in any notation, no zone of a private net."""
    labels = host.split(".")
    if len(host) > 253 or len(labels) < 2 or not all(_LABEL.fullmatch(label) for label in labels):
        raise WebhookRefused(f"a webhook's host is a full name such as hooks.example.com, not {host!r}")
    if _NUMBER.fullmatch(labels[-1]):
        raise WebhookRefused(f"a webhook's host is a name, not an address: {host!r}")
    if labels[-1] in _PRIVATE_ZONES or host.endswith("home.arpa"):
        raise WebhookRefused(f"a webhook's host is a public name, not {host!r}")


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
