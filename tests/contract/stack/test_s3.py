"""S3 as its clients see it: bodies, ranges, conditions."""

import base64
import http.client
import io
import os
import zlib
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

from batchmill.local.router import Router
from contract.stack.stack_support import error_code

BUCKET = "the-bucket"


@pytest.fixture
def s3(router: Router) -> Any:
    client = router.client("s3")
    client.create_bucket(Bucket=BUCKET)
    return client


def _presigned_put(router: Router, s3: Any, key: str) -> tuple[http.client.HTTPConnection, str]:
    url = s3.generate_presigned_url("put_object", {"Bucket": BUCKET, "Key": key})
    return http.client.HTTPConnection(urlsplit(url).netloc), url.removeprefix(router.endpoint_url)


def _streamed(body: bytes, crc: int) -> bytes:
    checksum = base64.b64encode(crc.to_bytes(4, "big")).decode()
    half = len(body) // 2
    chunks = [f"{len(part):x}\r\n".encode() + part + b"\r\n" for part in (body[:half], body[half:])]
    return b"".join(chunks) + f"0\r\nx-amz-checksum-crc32:{checksum}\r\n\r\n".encode()


def _put_streamed(router: Router, s3: Any, body: bytes, crc: int) -> int:
    connection, path = _presigned_put(router, s3, "streamed")
    headers = {
        "Content-Encoding": "aws-chunked",
        "X-Amz-Content-Sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        "X-Amz-Decoded-Content-Length": str(len(body)),
        "X-Amz-Trailer": "x-amz-checksum-crc32",
    }
    try:
        connection.request("PUT", path, body=_streamed(body, crc), headers=headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()


def test_a_body_in_aws_chunks_with_a_trailing_checksum_is_stored_as_its_bytes(router: Router, s3: Any) -> None:
    body = os.urandom(100_000)
    assert _put_streamed(router, s3, body, zlib.crc32(body)) == 200
    stored = s3.get_object(Bucket=BUCKET, Key="streamed")
    assert stored["Body"].read() == body
    assert "ContentEncoding" not in stored


def test_a_trailing_checksum_that_does_not_agree_is_refused(router: Router, s3: Any) -> None:
    assert _put_streamed(router, s3, b"some bytes", zlib.crc32(b"other bytes")) == 400


def test_a_body_in_http_chunks_is_stored_as_its_bytes(router: Router, s3: Any) -> None:
    connection, path = _presigned_put(router, s3, "chunked")
    try:
        connection.request("PUT", path, body=iter([b"one,", b"two"]), encode_chunked=True)
        assert connection.getresponse().status == 200
    finally:
        connection.close()
    assert s3.get_object(Bucket=BUCKET, Key="chunked")["Body"].read() == b"one,two"


async def test_aiohttp_puts_and_gets_over_one_session(router: Router, s3: Any) -> None:
    where = {"Bucket": BUCKET, "Key": "aio"}
    put, get = s3.generate_presigned_url("put_object", where), s3.generate_presigned_url("get_object", where)
    async with aiohttp.ClientSession() as session:
        for number in range(3):
            async with session.put(put, data=f"body {number}".encode()) as answer:
                assert answer.status == 200
            async with session.get(get, headers={"Range": "bytes=5-"}) as answer:
                assert (answer.status, await answer.read()) == (206, str(number).encode())


def test_a_large_upload_in_parts_keeps_its_bytes(s3: Any) -> None:
    body = os.urandom(11_000_000)
    parts = TransferConfig(multipart_threshold=5_242_880, multipart_chunksize=5_242_880)
    s3.upload_fileobj(io.BytesIO(body), BUCKET, "large", Config=parts, ExtraArgs={"Metadata": {"attempt_no": "2"}})
    stored = s3.get_object(Bucket=BUCKET, Key="large")
    assert stored["Body"].read() == body
    assert stored["ETag"].endswith('-3"')
    assert stored["Metadata"] == {"attempt_no": "2"}


def test_a_condition_on_the_etag_holds_for_heads_reads_and_ranges(s3: Any) -> None:
    etag = s3.put_object(Bucket=BUCKET, Key="k", Body=b"0123456789")["ETag"]
    for given in (etag, etag.strip('"')):
        assert s3.head_object(Bucket=BUCKET, Key="k", IfMatch=given)["ContentLength"] == 10
        assert s3.get_object(Bucket=BUCKET, Key="k", IfMatch=given, Range="bytes=2-3")["Body"].read() == b"23"
    s3.put_object(Bucket=BUCKET, Key="k", Body=b"overwritten")
    for call, more in ((s3.head_object, {}), (s3.get_object, {}), (s3.get_object, {"Range": "bytes=0-1"})):
        with pytest.raises(ClientError) as raised:
            call(Bucket=BUCKET, Key="k", IfMatch=etag, **more)
        assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 412


@pytest.mark.parametrize(
    ("asked", "body", "content_range"),
    [
        ("bytes=0-0", b"0", "bytes 0-0/10"),
        ("bytes=7-", b"789", "bytes 7-9/10"),
        ("bytes=7-99", b"789", "bytes 7-9/10"),
        ("bytes=-4", b"6789", "bytes 6-9/10"),
        ("bytes=-99", b"0123456789", "bytes 0-9/10"),
        ("bytes=5-2", b"0123456789", None),
    ],
)
def test_a_range_is_read_as_s3_reads_it(s3: Any, asked: str, body: bytes, content_range: str | None) -> None:
    s3.put_object(Bucket=BUCKET, Key="k", Body=b"0123456789")
    answer = s3.get_object(Bucket=BUCKET, Key="k", Range=asked)
    assert (answer["Body"].read(), answer.get("ContentRange")) == (body, content_range)


@pytest.mark.parametrize(("asked", "body"), [("bytes=10-", b"0123456789"), ("bytes=0-", b"")])
def test_a_range_past_the_end_cannot_be_satisfied(s3: Any, asked: str, body: bytes) -> None:
    s3.put_object(Bucket=BUCKET, Key="k", Body=body)
    with pytest.raises(ClientError) as raised:
        s3.get_object(Bucket=BUCKET, Key="k", Range=asked)
    assert error_code(raised.value) == "InvalidRange"
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 416


def test_a_range_of_a_version_is_read_from_that_version(s3: Any) -> None:
    s3.create_bucket(Bucket="versioned")
    s3.put_bucket_versioning(Bucket="versioned", VersioningConfiguration={"Status": "Enabled"})
    first = s3.put_object(Bucket="versioned", Key="a/ü +%41.txt", Body=b"first")["VersionId"]
    s3.put_object(Bucket="versioned", Key="a/ü +%41.txt", Body=b"other")
    old = s3.get_object(Bucket="versioned", Key="a/ü +%41.txt", VersionId=first, Range="bytes=0-1")
    assert (old["Body"].read(), old["VersionId"]) == (b"fi", first)
    new = s3.get_object(Bucket="versioned", Key="a/ü +%41.txt", Range="bytes=0-1")
    assert new["Body"].read() == b"ot"


def test_a_range_does_not_copy_the_whole_object(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from moto.s3.models import FakeKey

    s3.put_object(Bucket=BUCKET, Key="k", Body=b"x" * 1000)

    def whole(key: FakeKey) -> bytes:
        raise AssertionError("the whole object was read")

    monkeypatch.setattr(FakeKey, "value", property(whole))
    assert s3.get_object(Bucket=BUCKET, Key="k", Range="bytes=10-19")["Body"].read() == b"x" * 10


def test_a_range_of_a_missing_key_says_that_it_is_missing(s3: Any) -> None:
    with pytest.raises(ClientError) as raised:
        s3.get_object(Bucket=BUCKET, Key="missing", Range="bytes=0-1")
    assert error_code(raised.value) == "NoSuchKey"


def _racing(writers: int, write: Any) -> list[str]:
    together = Barrier(writers)

    def one(number: int) -> str:
        together.wait()
        try:
            write(number)
        except ClientError as error:
            return error_code(error)
        return "won"

    with ThreadPoolExecutor(writers) as pool:
        return sorted(pool.map(one, range(writers)))


def test_of_two_multipart_commits_of_one_key_exactly_one_wins(s3: Any) -> None:
    for turn in range(5):
        key, uploads = f"part-{turn}", []
        for number in range(2):
            upload = s3.create_multipart_upload(Bucket=BUCKET, Key=key, Metadata={"attempt": str(number)})["UploadId"]
            where = {"Bucket": BUCKET, "Key": key, "UploadId": upload}
            part = s3.upload_part(PartNumber=1, Body=str(number).encode() * 1000, **where)
            uploads.append((where, [{"PartNumber": 1, "ETag": part["ETag"]}]))

        def commit(number: int, uploads: list[Any] = uploads) -> None:
            where, parts = uploads[number]
            s3.complete_multipart_upload(MultipartUpload={"Parts": parts}, IfNoneMatch="*", **where)

        assert _racing(2, commit) == ["PreconditionFailed", "won"]
        stored = s3.get_object(Bucket=BUCKET, Key=key)
        assert stored["Body"].read() == stored["Metadata"]["attempt"].encode() * 1000


def test_of_many_puts_of_a_new_key_exactly_one_wins(s3: Any) -> None:
    def put(number: int) -> None:
        s3.put_object(Bucket=BUCKET, Key="contended", Body=str(number).encode(), IfNoneMatch="*")

    assert _racing(8, put) == ["PreconditionFailed"] * 7 + ["won"]


def test_a_key_over_1024_bytes_is_refused(s3: Any) -> None:
    s3.put_object(Bucket=BUCKET, Key="ü" * 512, Body=b"")
    with pytest.raises(ClientError) as raised:
        s3.put_object(Bucket=BUCKET, Key="ü" * 512 + "x", Body=b"")
    assert error_code(raised.value) == "KeyTooLongError"


def test_a_form_content_type_does_not_eat_the_body(router: Router, s3: Any) -> None:
    connection, path = _presigned_put(router, s3, "curl")
    try:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        connection.request("PUT", path, body=b"a=b&c=d", headers=headers)
        assert connection.getresponse().status == 200
    finally:
        connection.close()
    assert s3.get_object(Bucket=BUCKET, Key="curl")["Body"].read() == b"a=b&c=d"
