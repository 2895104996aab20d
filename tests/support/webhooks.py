"""URLs and addresses that no webhook may call, and a receiver on this machine."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

URLS_REFUSED = [
    "",
    "hooks.example.com",
    "//hooks.example.com/",
    "http://hooks.example.com/",
    "ftp://hooks.example.com/",
    "file:///etc/passwd",
    "gopher://hooks.example.com/",
    "https:///path",
    "https://hooks.example.com:8443/",
    "https://hooks.example.com:80/",
    "https://hooks.example.com:22/",
    "https://hooks.example.com:0/",
    "https://hooks.example.com:99999/",
    "https://hooks.example.com:port/",
    # users, fragments and what some parsers read another host from
    "https://user@hooks.example.com/",
    "https://user:password@hooks.example.com/",
    "https://hooks.example.com@169.254.169.254/",
    "https://169.254.169.254#@hooks.example.com/",
    "https://hooks.example.com/#fragment",
    "https://hooks.example.com\\@169.254.169.254/",
    "https:\\\\hooks.example.com/",
    "https://hooks.example.com/\r\nX-Injected: yes",
    "https://hooks.example.com/a b",
    "https://hooks.exa\tmple.com/",
    " https://hooks.example.com/",
    "https://hooks.example.com%2f.evil.example/",
    "https://hooks.example.com%00.evil.example/",
    # addresses in every notation: decimal, octal, hexadecimal, short, mixed
    "https://127.0.0.1/",
    "https://10.0.0.1/",
    "https://169.254.169.254/latest/meta-data/",
    "https://1.1.1.1/",
    "https://2130706433/",
    "https://2852039166/",
    "https://017700000001/",
    "https://0177.0.0.1/",
    "https://0251.0376.0251.0376/",
    "https://0x7f000001/",
    "https://0x7f.0.0.1/",
    "https://0xa9.0xfe.0xa9.0xfe/",
    "https://127.0.0.0x1/",
    "https://127.1/",
    "https://127.0.1/",
    "https://169.254.43518/",
    "https://0/",
    "https://0.0.0.0/",
    "https://[::]/",
    "https://[::1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:a9fe:a9fe]/",
    "https://[::169.254.169.254]/",
    "https://[64:ff9b::a9fe:a9fe]/",
    "https://[64:ff9b:1::a9fe:a9fe]/",
    "https://[2002:a9fe:a9fe::]/",
    "https://[fd00:ec2::254]/",
    "https://[fe80::1%25eth0]/",
    "https://[2606:4700:4700::1111]/",
    "https://[::1/",
    # names of private zones, and names that are none
    "https://localhost/",
    "https://LOCALHOST/",
    "https://hook.localhost/",
    "https://metadata.google.internal/",
    "https://ip-10-0-0-1.ec2.internal/",
    "https://printer.local/",
    "https://router.home.arpa/",
    "https://metadata/",
    "https://hooks.example.com./",
    "https://127.0.0.1./",
    "https://localhost./",
    "https://.example.com/",
    "https://hooks..example.com/",
    "https://-hooks.example.com/",
    "https://ho_oks.example.com/",
    "https://*.example.com/",
    "https://" + "a" * 64 + ".example.com/",
    # characters that only look like ASCII
    "https://127\u30020\u30020\u30021/",
    "https://127\uff0e0\uff0e0\uff0e1/",
    "https://hooks\u3002example\u3002com/",
    "https://\u2460\u2461\u2466.\u24ea.\u24ea.\u2460/",
    "https://\uff4c\uff4f\uff43\uff41\uff4c\uff48\uff4f\uff53\uff54/",
    "https://b\u00fccher.example/",
    "https://hooks.example\u200b.com/",
]

ADDRESSES_REFUSED = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "100.127.255.255",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "169.254.170.2",
    "169.254.169.253",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.0.9",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::a9fe:a9fe",
    "::ffff:10.0.0.1",
    "::ffff:1.1.1.1",
    "::ffff:169.254.169.254",
    "::ffff:0:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b::101:101",
    "64:ff9b:1::a9fe:a9fe",
    "100::1",
    "2001::1",
    "2001:0:a9fe:a9fe::1",
    "2001:20::1",
    "2001:db8::1",
    "2002:a9fe:a9fe::1",
    "2002:7f00:1::",
    "2002:101:101::",
    "2600:1f18::5efe:a9fe:a9fe",
    "2600:1f18::200:5efe:a9fe:a9fe",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fd00:ec2::23",
    "fe80::1",
    "fe80::1%eth0",
    "2600:1f18::1%eth0",
    "fec0::1",
    "ff02::1",
]


@dataclass
class Receiver:
    """An HTTP server on this machine. Answers one status after the other, the last one for ever, and keeps all."""

    statuses: Sequence[int] = (200,)
    headers: dict[str, str] = field(default_factory=dict)
    received: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""

    def status(self) -> int:
        """The status of the answer to the request that has just been kept."""
        return self.statuses[min(len(self.received), len(self.statuses)) - 1]


@contextmanager
def receiving(*statuses: int, headers: dict[str, str] | None = None) -> Iterator[Receiver]:
    """A receiver at a free port of loopback, stopped at the end."""
    receiver = Receiver(statuses or (200,), headers or {})
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            with lock:
                receiver.received.append((self.path, dict(self.headers), body))
                status = receiver.status()
            self.send_response(status)
            for name, value in receiver.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(b"thank you")

        def log_message(self, format: str, *args: object) -> None:
            """Nothing is written to the terminal."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    receiver.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
