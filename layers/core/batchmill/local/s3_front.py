"""In front of moto's S3: one request at a time, ranges read as ranges, events that are true.

In moto two concurrent conditional writes can both win, and every ranged GET copies the whole object.
"""

import re
import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from werkzeug.wrappers import Response

from batchmill.local import bucket_events
from batchmill.local.account import ACCOUNT
from batchmill.local.keeping.durability import Durability, NotKept, memory_only
from batchmill.local.s3_body import object_path, refusal, unchunk
from batchmill.local.wire import call, xml_error

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_FORM = "application/x-www-form-urlencoded"  # a body of this type is parsed away before moto stores it
_RANGE = re.compile(r"bytes=(\d*)-(\d*)$")


class S3Front:
    """The WSGI application for S3. `publish` gets each "Object Created" event, after the write succeeded."""

    def __init__(
        self,
        app: "WSGIApplication",
        publish: Callable[[dict[str, Any]], None],
        durability: Callable[[], Durability] = memory_only,
    ) -> None:
        self._app = app
        self._publish, self._durability = publish, durability
        self._lock = threading.Lock()

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answers one request, and then publishes what it created."""
        refused = refusal(environ, datetime.now(UTC)) or unchunk(environ)
        if refused is not None:
            return refused(environ, start_response)
        _quote_conditions(environ)
        if environ.get("CONTENT_TYPE", "").startswith(_FORM) and environ["REQUEST_METHOD"] == "PUT":
            environ["CONTENT_TYPE"] = "binary/octet-stream"  # what curl and urllib say of any body
        try:
            return self._run(environ)(environ, start_response)
        except NotKept as trouble:
            return xml_error("ServiceUnavailable", str(trouble), 503)(environ, start_response)

    def _run(self, environ: "WSGIEnvironment") -> Response:
        """Runs the request, makes what it changed durable, and publishes what it created. Raises NotKept."""
        durability = self._durability()
        with self._lock, bucket_events.collecting() as created:
            response = self._ranged(environ) if "HTTP_RANGE" in environ else None
            response = response or call(self._app, environ)
            events = created.events() if response.status_code < 300 else []
            durability.objects_changed(events)
        for event in events:
            self._publish(event)
        durability.events_published(events)
        return response

    def _ranged(self, environ: "WSGIEnvironment") -> Response | None:
        """The answer to a GET of one range; None where moto's own answer will do (errors, odd ranges)."""
        wanted = _RANGE.match(environ["HTTP_RANGE"])
        if environ["REQUEST_METHOD"] != "GET" or wanted is None or wanted.group() == "bytes=-":
            return None
        asked = {name: value for name, value in environ.items() if name != "HTTP_RANGE"}
        head = call(self._app, {**asked, "REQUEST_METHOD": "HEAD"})
        if head.status_code != 200:
            return None
        key = _stored(environ)
        if key is None:
            return None
        span = _span(wanted.group(1), wanted.group(2), key.contentsize)
        if span is None:
            return xml_error("InvalidRange", "The requested range is not satisfiable", 416)
        start, end = span
        if start > end:
            return None  # S3 takes a range that ends before it starts for no range at all
        with key.lock:
            key._value_buffer.seek(start)
            body = key._value_buffer.read(end - start + 1)
        whole = ("content-length", "x-amz-checksum-")  # what would be said of the whole object
        headers = [(n, v) for n, v in head.headers if not n.lower().startswith(whole)]
        headers.append(("Content-Range", f"bytes {start}-{end}/{key.contentsize}"))
        return Response(body, 206, headers)


def _quote_conditions(environ: "WSGIEnvironment") -> None:
    """S3 takes an ETag in a condition with or without its quotes; moto's HEAD only with."""
    for name in ("HTTP_IF_MATCH", "HTTP_IF_NONE_MATCH"):
        value = environ.get(name, "*")
        if value != "*" and not value.startswith(('"', "W/")):
            environ[name] = f'"{value}"'


def _span(first: str, last: str, size: int) -> tuple[int, int] | None:
    if not first:
        start, end = max(size - int(last), 0), size - 1
        return (start, end) if int(last) and size else None
    start, end = int(first), min(int(last), size - 1) if last else size - 1
    return (start, end) if start < size else None


def _stored(environ: "WSGIEnvironment") -> Any:
    from moto.s3.models import s3_backends

    bucket, name = object_path(environ)
    version = parse_qs(environ.get("QUERY_STRING", "")).get("versionId", [None])[0]
    return s3_backends[ACCOUNT]["aws"].get_object(bucket, name, version_id=version)
