"""What EventBridge says of an object that was created."""

import io
import re
from typing import Any

import pytest
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

from batchmill.local.router import Router
from contract.stack.stack_support import Inbox, rule

CREATED = {"source": ["aws.s3"], "detail-type": ["Object Created"]}


@pytest.fixture(scope="module")
def s3(router: Router) -> Any:
    client = router.client("s3")
    for name in ("drops", "versioned", "silent"):
        client.create_bucket(Bucket=name)
    client.put_bucket_versioning(Bucket="versioned", VersioningConfiguration={"Status": "Enabled"})
    for name in ("drops", "versioned"):
        told: dict[str, Any] = {"EventBridgeConfiguration": {}}
        client.put_bucket_notification_configuration(Bucket=name, NotificationConfiguration=told)
    return client


@pytest.fixture
def inbox(router: Router, request: pytest.FixtureRequest) -> Any:
    name = re.sub(r"\W", "-", request.node.name)[:60]
    box = Inbox(router, name)
    rule(router, name, CREATED, box.arn)
    yield box
    router.client("events").remove_targets(Rule=name, Ids=["one"])


def test_a_put_is_told_in_the_shape_that_aws_documents(s3: Any, inbox: Inbox) -> None:
    etag = s3.put_object(Bucket="drops", Key="my profile/ä+b%20.csv", Body=b"12345")["ETag"].strip('"')
    [event] = inbox.expect(1)
    detail = event.pop("detail")
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", event.pop("id"))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", event.pop("time"))
    assert event == {
        "version": "0",
        "detail-type": "Object Created",
        "source": "aws.s3",
        "account": "123456789012",
        "region": "us-east-1",
        "resources": ["arn:aws:s3:::drops"],
    }
    assert re.fullmatch(r"[0-9a-f]{16}", detail["object"].pop("sequencer"))
    assert re.fullmatch(r"[0-9A-F]{16}", detail.pop("request-id"))
    assert detail == {
        "version": "0",
        "bucket": {"name": "drops"},
        "object": {"key": "my profile/ä+b%20.csv", "size": 5, "etag": etag},
        "requester": "123456789012",
        "source-ip-address": "127.0.0.1",
        "reason": "PutObject",
    }


def test_ids_differ_and_sequencers_grow(s3: Any, inbox: Inbox) -> None:
    for _ in range(5):
        s3.put_object(Bucket="drops", Key="again", Body=b"")
    told = inbox.expect(5)
    sequencers = [event["detail"]["object"]["sequencer"] for event in told]
    assert sequencers == sorted(set(sequencers))
    assert len({event["id"] for event in told}) == 5


def test_a_versioned_bucket_tells_the_version(s3: Any, inbox: Inbox) -> None:
    version = s3.put_object(Bucket="versioned", Key="k", Body=b"")["VersionId"]
    [event] = inbox.expect(1)
    assert event["detail"]["object"]["version-id"] == version


def test_a_copy_and_a_multipart_upload_are_told_once_each_by_their_own_names(s3: Any, inbox: Inbox) -> None:
    s3.put_object(Bucket="silent", Key="source", Body=b"abc")
    s3.copy_object(Bucket="drops", Key="copied", CopySource={"Bucket": "silent", "Key": "source"})
    parts = TransferConfig(multipart_threshold=5_242_880, multipart_chunksize=5_242_880)
    s3.upload_fileobj(io.BytesIO(b"x" * 5_300_000), "drops", "uploaded", Config=parts)
    told = [(event["detail"]["reason"], event["detail"]["object"]["size"]) for event in inbox.expect(2)]
    assert told == [("CopyObject", 3), ("CompleteMultipartUpload", 5_300_000)]


def test_a_bucket_without_eventbridge_and_a_put_that_fails_tell_nothing(s3: Any, inbox: Inbox) -> None:
    s3.put_object(Bucket="silent", Key="k", Body=b"")
    s3.put_object(Bucket="drops", Key="taken", Body=b"")
    with pytest.raises(ClientError):
        s3.put_object(Bucket="drops", Key="taken", Body=b"", IfNoneMatch="*")
    s3.delete_object(Bucket="drops", Key="taken")
    s3.put_object(Bucket="drops", Key="last", Body=b"")
    assert [event["detail"]["object"]["key"] for event in inbox.expect(2)] == ["taken", "last"]
