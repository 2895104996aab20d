"""What a request to S3 is checked and unpacked for before it is stored."""

import base64
import io
import zlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchmill.local.s3_body import object_path, refusal, unchunk

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def environ(body: bytes = b"", query: str = "", uri: str = "/bucket/key", **headers: str) -> dict[str, Any]:
    return {"wsgi.input": io.BytesIO(body), "QUERY_STRING": query, "RAW_URI": uri, "PATH_INFO": uri, **headers}


def chunked(parts: list[bytes], trailer: bytes = b"") -> bytes:
    framed = b"".join(b"%x;chunk-signature=00\r\n%b\r\n" % (len(part), part) for part in parts if part)
    return framed + b"0\r\n" + trailer + b"\r\n"


@given(st.lists(st.binary(max_size=50), max_size=5))
def test_chunks_are_joined_whatever_they_hold(parts: list[bytes]) -> None:
    body = b"".join(parts)
    asked = environ(
        chunked(parts),
        HTTP_X_AMZ_CONTENT_SHA256="STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        HTTP_CONTENT_ENCODING="aws-chunked,gzip",
        HTTP_X_AMZ_DECODED_CONTENT_LENGTH=str(len(body)),
    )
    assert unchunk(asked) is None
    assert (asked["wsgi.input"].read(), asked["CONTENT_LENGTH"]) == (body, str(len(body)))
    assert asked["HTTP_CONTENT_ENCODING"] == "gzip"
    assert not asked["HTTP_X_AMZ_CONTENT_SHA256"].startswith("STREAMING")


def test_a_trailing_checksum_becomes_the_objects() -> None:
    crc = base64.b64encode(zlib.crc32(b"abc").to_bytes(4, "big"))
    asked = environ(chunked([b"abc"], b"x-amz-checksum-crc32:" + crc + b"\r\n"), HTTP_CONTENT_ENCODING="aws-chunked")
    assert unchunk(asked) is None
    assert asked["HTTP_X_AMZ_CHECKSUM_CRC32"] == crc.decode()
    assert "HTTP_CONTENT_ENCODING" not in asked


def test_a_plain_body_is_left_alone() -> None:
    asked = environ(b"5\r\nabcde\r\n0\r\n\r\n")
    assert unchunk(asked) is None
    assert asked["wsgi.input"].read() == b"5\r\nabcde\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"5\r\nabc", b"IncompleteBody"),
        (b"no length", b"IncompleteBody"),
        (chunked([b"abcd"]), b"IncompleteBody"),
        (chunked([b"abc"], b"x-amz-checksum-crc32:AAAAAA==\r\n"), b"BadDigest"),
        (chunked([b"abc"], b"x-amz-checksum-crc32:not base64\r\n"), b"BadDigest"),
    ],
)
def test_a_broken_body_is_refused(body: bytes, code: bytes) -> None:
    asked = environ(body, HTTP_CONTENT_ENCODING="aws-chunked", HTTP_X_AMZ_DECODED_CONTENT_LENGTH="3")
    refused = unchunk(asked)
    assert refused is not None
    assert (refused.status_code, b"<Code>" + code + b"</Code>" in refused.get_data()) == (400, True)


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("X-Amz-Date=20260101T235930Z&X-Amz-Expires=60", None),
        ("X-Amz-Date=20260101T235930Z&X-Amz-Expires=10", 403),
        ("X-Amz-Date=20260101T235930Z&X-Amz-Expires=604801", 400),
        ("X-Amz-Date=20260101T235930Z&X-Amz-Expires=0", 400),
        ("X-Amz-Date=yesterday&X-Amz-Expires=60", 400),
        ("X-Amz-Expires=60", 400),
        (f"Expires={int((NOW + timedelta(seconds=1)).timestamp())}&Signature=s", None),
        (f"Expires={int((NOW - timedelta(seconds=1)).timestamp())}&Signature=s", 403),
        ("Expires=1", None),
        ("", None),
    ],
)
def test_a_presigned_url_is_refused_once_its_time_is_over(query: str, status: int | None) -> None:
    refused = refusal(environ(query=query), NOW)
    assert (None if refused is None else refused.status_code) == status


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("/bucket/a%2Fb%20c?x=1", ("bucket", "a/b c")),
        ("/bucket", ("bucket", "")),
        ("/", ("", "")),
        ("/bucket/a//b", ("bucket", "a//b")),
        ("http://127.0.0.1:4566/bucket/a%20b?x=1", ("bucket", "a b")),
    ],
)
def test_the_path_names_bucket_and_key(uri: str, path: tuple[str, str]) -> None:
    assert object_path(environ(uri=uri)) == path
