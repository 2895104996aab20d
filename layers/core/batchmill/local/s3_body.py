"""What a request to S3 is checked and unpacked for before moto sees it: presigned time, chunked bodies, keys."""

import base64
import binascii
import zlib
from datetime import UTC, datetime
from io import BytesIO
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit

from werkzeug.wrappers import Response

from batchmill.local.wire import xml_error

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_MAX_KEY_BYTES = 1024
_MAX_PRESIGNED_SECONDS = 7 * 24 * 3600


def refusal(environ: "WSGIEnvironment", now: datetime) -> Response | None:
    """The error S3 answers to an expired presigned URL or an over-long key; None where the request may go on."""
    query = parse_qs(environ.get("QUERY_STRING", ""))
    try:
        expires = _expiry(query)
    except ValueError:
        return xml_error("AuthorizationQueryParametersError", "X-Amz-Date or X-Amz-Expires is not valid", 400)
    if expires is not None and now.timestamp() > expires:
        return xml_error("AccessDenied", "Request has expired", 403)
    if len(object_path(environ)[1].encode()) > _MAX_KEY_BYTES:
        return xml_error("KeyTooLongError", "Your key is too long", 400)
    return None


def object_path(environ: "WSGIEnvironment") -> tuple[str, str]:
    """(bucket, key) of a path-style request; the key is empty for a request about the bucket."""
    raw = str(environ.get("RAW_URI") or environ["PATH_INFO"]).split("?", 1)[0]
    if raw.startswith(("http://", "https://")):  # the whole address, as AWS's C runtime writes it
        raw = urlsplit(raw).path
    bucket, _, key = unquote(raw).lstrip("/").partition("/")
    return bucket, key


def _expiry(query: dict[str, list[str]]) -> float | None:
    if "X-Amz-Expires" in query:
        seconds = int(query["X-Amz-Expires"][0])
        if not 0 < seconds <= _MAX_PRESIGNED_SECONDS:
            raise ValueError("X-Amz-Expires is out of range")
        signed = datetime.strptime(query.get("X-Amz-Date", [""])[0], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        return signed.timestamp() + seconds
    if "Expires" in query and "Signature" in query:  # signed the old way: an absolute time
        return float(query["Expires"][0])
    return None


def unchunk(environ: "WSGIEnvironment") -> Response | None:
    """Replaces an aws-chunked body by what it carries; None, or the error S3 answers to a broken one.

    A trailing CRC32 is checked; other trailing checksums are taken as they come. Signatures of chunks are not read.
    """
    encodings = [part.strip() for part in environ.get("HTTP_CONTENT_ENCODING", "").split(",")]
    streaming = environ.get("HTTP_X_AMZ_CONTENT_SHA256", "").startswith("STREAMING-")
    if not streaming and "aws-chunked" not in encodings:
        return None
    raw = environ["wsgi.input"].read()
    try:
        body, trailers = _chunks(raw)
    except ValueError:
        return xml_error("IncompleteBody", "The request body terminated unexpectedly", 400)
    length = environ.pop("HTTP_X_AMZ_DECODED_CONTENT_LENGTH", None)
    if length is not None and int(length) != len(body):
        return xml_error("IncompleteBody", "x-amz-decoded-content-length is not the body's length", 400)
    if not _crc32_agrees(body, trailers):
        return xml_error("BadDigest", "The CRC32 you specified did not match the calculated checksum.", 400)
    _rewrite(environ, body, trailers, [part for part in encodings if part not in ("", "aws-chunked")])
    return None


def _chunks(raw: bytes) -> tuple[bytes, dict[str, str]]:
    parts, at = [], 0
    while True:
        end = raw.index(b"\r\n", at)
        size = int(raw[at:end].split(b";", 1)[0], 16)
        at = end + 2
        if size == 0:
            break
        if len(raw) < at + size + 2:
            raise ValueError("the body ends within a chunk")
        parts.append(raw[at : at + size])
        at += size + 2
    trailers = {}
    for line in raw[at:].split(b"\r\n"):
        name, separator, value = line.decode("latin-1").partition(":")
        if separator:
            trailers[name.strip().lower()] = value.strip()
    return b"".join(parts), trailers


def _crc32_agrees(body: bytes, trailers: dict[str, str]) -> bool:
    given = trailers.get("x-amz-checksum-crc32")
    if given is None:
        return True
    try:
        return base64.b64decode(given, validate=True) == zlib.crc32(body).to_bytes(4, "big")
    except binascii.Error:
        return False


def _rewrite(environ: "WSGIEnvironment", body: bytes, trailers: dict[str, str], encodings: list[str]) -> None:
    environ["wsgi.input"] = BytesIO(body)
    environ["CONTENT_LENGTH"] = str(len(body))
    environ["HTTP_X_AMZ_CONTENT_SHA256"] = "UNSIGNED-PAYLOAD"
    environ.pop("HTTP_X_AMZ_TRAILER", None)
    environ.pop("HTTP_CONTENT_ENCODING", None)
    if encodings:
        environ["HTTP_CONTENT_ENCODING"] = ",".join(encodings)
    for name, value in trailers.items():
        if name.startswith("x-amz-checksum-"):
            environ["HTTP_" + name.upper().replace("-", "_")] = value
