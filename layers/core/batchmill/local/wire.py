"""Small pieces of AWS's wire protocols, for answers that the embedded stack gives before or instead of moto."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from werkzeug.test import run_wsgi_app
from werkzeug.wrappers import Response

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment


def json_answer(body: Mapping[str, Any]) -> Response:
    """A 200 of the JSON protocols."""
    return Response(json.dumps(body), 200, content_type="application/x-amz-json-1.0")


def json_error(code: str, message: str, status: int = 400, query_code: str | None = None) -> Response:
    """An error of the JSON protocols; `query_code` is the older name SQS's clients report."""
    response = Response(json.dumps({"__type": code, "message": message}), status)
    response.content_type = "application/x-amz-json-1.0"
    response.headers["x-amzn-errortype"] = code
    if query_code is not None:
        response.headers["x-amzn-query-error"] = f"{query_code};Sender"
    return response


def xml_error(code: str, message: str, status: int) -> Response:
    """An error of S3."""
    text = f"<Error><Code>{escape(code)}</Code><Message>{escape(message)}</Message></Error>"
    return Response('<?xml version="1.0" encoding="UTF-8"?>\n' + text, status, content_type="application/xml")


def call(app: "WSGIApplication", environ: "WSGIEnvironment") -> Response:
    """Runs an application and returns its whole answer."""
    parts, status, headers = run_wsgi_app(app, environ)
    try:
        body = b"".join(parts)
    finally:
        close = getattr(parts, "close", None)
        if close is not None:
            close()
    length = headers.get("Content-Length")
    response = Response(body, status, headers)
    if environ["REQUEST_METHOD"] == "HEAD" and length is not None:
        response.headers["Content-Length"] = length  # the object's, not the empty body's
    return response


def action_of(environ: "WSGIEnvironment") -> str:
    """The operation of a JSON-protocol request, such as `SendMessage`; empty where it names none."""
    target: str = environ.get("HTTP_X_AMZ_TARGET", "")
    return target.rpartition(".")[2]


def json_body(environ: "WSGIEnvironment") -> dict[str, Any]:
    """The request's JSON body, left in place for whoever reads it next. Raises `ValueError` where it is none."""
    stream = environ["wsgi.input"]
    raw = stream.read()
    stream.seek(0)
    body = json.loads(raw or b"{}")
    if not isinstance(body, dict):
        raise ValueError("the body is not a JSON object")
    return body
