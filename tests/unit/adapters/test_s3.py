"""What S3Objects does when S3 does not simply succeed."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.stub import ANY, Stubber

from batchmill.adapters.s3 import S3Objects
from batchmill.domain.errors import AlreadyExists, BatchmillError, Gone, InputChanged, InputMissing, Transient
from batchmill.ports.objects import ObjectInfo
from fakes.stubbed import answer, refuse, stubbed

PINNED = ObjectInfo("in", "key", 10, "etag", "v1")


@pytest.fixture
def s3() -> tuple[S3Objects, Stubber]:
    client, stubber = stubbed("s3")
    return S3Objects(client, part_bytes=4, sleep=lambda _: None), stubber


def expect_upload(stubber: Stubber, parts: int) -> None:
    answer(stubber, "create_multipart_upload", {"UploadId": "u"})
    for number in range(1, parts + 1):
        sent: dict[str, Any] = {"Bucket": "out", "Key": "part", "UploadId": "u", "PartNumber": number, "Body": ANY}
        answer(stubber, "upload_part", {"ETag": f"e{number}"}, sent)


def expect_complete(stubber: Stubber, parts: int) -> None:
    listed = [{"PartNumber": number, "ETag": f"e{number}"} for number in range(1, parts + 1)]
    answer(
        stubber,
        "complete_multipart_upload",
        {},
        {"Bucket": "out", "Key": "part", "UploadId": "u", "MultipartUpload": {"Parts": listed}, "IfNoneMatch": "*"},
    )


def test_a_read_is_of_the_pinned_version_and_etag(s3: tuple[S3Objects, Stubber]) -> None:
    objects, stubber = s3
    refuse(stubber, "get_object", "PreconditionFailed", 412)
    with pytest.raises(InputChanged):
        objects.read(PINNED, 0, 5)
    refuse(stubber, "get_object", "NoSuchVersion", 404)
    with pytest.raises(InputMissing, match=r"s3://in/key \(bytes 0 to 5\)"):
        objects.read(PINNED, 0, 5)
    refuse(stubber, "get_object", "InvalidRange", 416)
    assert objects.read(PINNED, 20, 30) == b""
    expected = {"Bucket": "in", "Key": "key", "Range": "bytes=0-4", "IfMatch": '"etag"', "VersionId": "v1"}
    stubber.add_client_error("get_object", "SlowDown", "", 503, expected_params=expected)
    with pytest.raises(Transient):
        objects.read(PINNED, 0, 5)
    stubber.assert_no_pending_responses()


def test_a_put_that_meets_another_is_made_again(s3: tuple[S3Objects, Stubber]) -> None:
    objects, stubber = s3
    refuse(stubber, "put_object", "ConditionalRequestConflict", 409)
    answer(stubber, "put_object", {})
    objects.create("out", "part", b"1234", {})
    stubber.assert_no_pending_responses()


def test_a_put_that_meets_the_winner_tells_that_it_is_there(s3: tuple[S3Objects, Stubber]) -> None:
    objects, stubber = s3
    refuse(stubber, "put_object", "ConditionalRequestConflict", 409)
    refuse(stubber, "put_object", "PreconditionFailed", 412)
    with pytest.raises(AlreadyExists):
        objects.create("out", "part", b"1234", {})


def test_a_put_that_always_meets_others_is_transient(s3: tuple[S3Objects, Stubber]) -> None:
    objects, stubber = s3
    for _ in range(4):
        refuse(stubber, "put_object", "ConditionalRequestConflict", 409)
    with pytest.raises(Transient):
        objects.create("out", "part", b"1234", {})
    stubber.assert_no_pending_responses()


def test_a_large_body_goes_in_parts_with_the_condition_on_the_last_call(s3: tuple[S3Objects, Stubber]) -> None:
    objects, stubber = s3
    expect_upload(stubber, 3)
    expect_complete(stubber, 3)
    objects.create("out", "part", b"123456789", {"attempt": "1"})
    stubber.assert_no_pending_responses()


def test_an_upload_that_meets_another_is_started_anew(s3: tuple[S3Objects, Stubber]) -> None:
    objects, stubber = s3
    expect_upload(stubber, 2)
    refuse(stubber, "complete_multipart_upload", "ConditionalRequestConflict", 409)
    answer(stubber, "abort_multipart_upload", {}, {"Bucket": "out", "Key": "part", "UploadId": "u"})
    expect_upload(stubber, 2)
    expect_complete(stubber, 2)
    objects.create("out", "part", b"12345", {})
    stubber.assert_no_pending_responses()


@pytest.mark.parametrize(("abort_fails"), [False, True])
def test_an_upload_that_fails_is_aborted(s3: tuple[S3Objects, Stubber], abort_fails: bool) -> None:
    objects, stubber = s3
    expect_upload(stubber, 1)
    refuse(stubber, "upload_part", "SlowDown", 503)
    if abort_fails:
        refuse(stubber, "abort_multipart_upload", "InternalError", 500)
    else:
        answer(stubber, "abort_multipart_upload", {})
    with pytest.raises(Transient, match="SlowDown"):
        objects.create("out", "part", b"12345", {})
    stubber.assert_no_pending_responses()


def test_an_upload_that_was_there_and_is_not_may_have_been_completed(s3: tuple[S3Objects, Stubber]) -> None:
    objects, stubber = s3
    expect_upload(stubber, 2)
    refuse(stubber, "complete_multipart_upload", "NoSuchUpload", 404)
    with pytest.raises(Transient, match="may have been completed"):
        objects.create("out", "part", b"12345", {})
    stubber.assert_no_pending_responses()


def test_a_denied_write_is_no_conflict(s3: tuple[S3Objects, Stubber]) -> None:
    objects, stubber = s3
    refuse(stubber, "put_object", "AccessDenied", 403, "no")
    with pytest.raises(BatchmillError, match="denied PutObject on s3://out/part") as caught:
        objects.create("out", "part", b"", {})
    assert type(caught.value) is BatchmillError


def test_a_bucket_that_is_not_there_is_gone(s3: tuple[S3Objects, Stubber]) -> None:
    objects, stubber = s3
    refuse(stubber, "list_objects_v2", "NoSuchBucket", 404)
    with pytest.raises(Gone):
        list(objects.list("nowhere", ""))


def test_what_is_created_as_temporary_is_tagged_and_a_part_is_not(s3: tuple[S3Objects, Stubber]) -> None:
    objects, stubber = s3
    written = {"Bucket": "out", "Key": "piece", "Body": b"rows", "Metadata": {"a": "b"}, "IfNoneMatch": "*"}
    plain = {**written, "ContentType": "application/octet-stream"}
    answer(stubber, "put_object", {}, {**plain, "Tagging": "batchmill=temporary"})
    answer(stubber, "put_object", {}, plain)
    objects.create("out", "piece", b"rows", {"a": "b"}, temporary=True)
    objects.create("out", "piece", b"rows", {"a": "b"})


def test_what_is_temporary_is_tagged_so_that_a_lifecycle_rule_finds_it(s3: tuple[S3Objects, Stubber]) -> None:
    objects, stubber = s3
    plain = {"Bucket": "out", "Key": "checkpoint", "Body": b"rows", "ContentType": "application/octet-stream"}
    answer(stubber, "put_object", {}, {**plain, "Tagging": "batchmill=temporary"})
    answer(stubber, "put_object", {}, plain)
    objects.put("out", "checkpoint", b"rows", temporary=True)
    objects.put("out", "checkpoint", b"rows")
    stubber.assert_no_pending_responses()
