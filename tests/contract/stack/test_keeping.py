"""A data folder behind the router: what clients wrote is there again in the next life, exactly."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st

from batchmill.local import bus, moto_app
from batchmill.local.account import ACCOUNT, REGION
from batchmill.local.keeping.durability import memory_only
from batchmill.local.keeping.folder import DataFolder
from batchmill.local.keeping.keeper import Keeper
from batchmill.local.keeping.secrets import FILE, kept_secrets
from batchmill.local.router import Router
from contract.stack.stack_support import error_code

VERSIONED, PLAIN, QUEUE, TABLE, SECRET = "versioned", "plain", "accepted", "records", "key"
KEYS = ["a", "a/b", "../up", "ключ ☂ %2F +"]


class Life:
    """One life of the services over a folder: buckets, a table and a queue, which a rule brings drops to."""

    def __init__(self, router: Router, folder: DataFolder) -> None:
        self.folder = folder
        self.s3, self.dynamodb, self.sqs, events = (
            _client(router, name) for name in ("s3", "dynamodb", "sqs", "events")
        )
        for bucket in (VERSIONED, PLAIN):
            self.s3.create_bucket(Bucket=bucket)
        self.s3.put_bucket_versioning(Bucket=VERSIONED, VersioningConfiguration={"Status": "Enabled"})
        self.s3.put_bucket_notification_configuration(
            Bucket=VERSIONED, NotificationConfiguration={"EventBridgeConfiguration": {}}
        )
        keys = [("pk", "HASH"), ("sk", "RANGE")]
        self.dynamodb.create_table(
            TableName=TABLE,
            KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in keys],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name, _ in keys],
            BillingMode="PAY_PER_REQUEST",
        )
        self.queue = self.sqs.create_queue(QueueName=QUEUE)["QueueUrl"]
        events.put_rule(Name="drops", EventPattern=json.dumps({"source": ["aws.s3"]}))
        events.put_targets(Rule="drops", Targets=[{"Id": "queue", "Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{QUEUE}"}])
        self.secrets = _client(router, "secretsmanager")
        self.secrets.create_secret(Name=SECRET, SecretString=kept_secrets(folder).get(SECRET, "generated"))
        keeper = Keeper(folder, [QUEUE])
        self.came_back = keeper.load()
        router.keep(keeper)

    def objects(self) -> dict[str, list[Any]]:
        """Every version of every object, as a client sees it."""
        return {bucket: self._versions(bucket) for bucket in (VERSIONED, PLAIN)}

    def _versions(self, bucket: str) -> list[Any]:
        listed = self.s3.list_object_versions(Bucket=bucket)
        found = []
        for one in listed.get("Versions", []):
            got = self.s3.get_object(Bucket=bucket, Key=one["Key"], VersionId=one["VersionId"], IfMatch=one["ETag"])
            told = {name: value for name, value in got.items() if name not in ("Body", "ResponseMetadata")}
            found.append((one, told, got["Body"].read()))
        return [*found, listed.get("DeleteMarkers", [])]

    def items(self) -> list[Any]:
        """Every item of the table."""
        items: list[Any] = self.dynamodb.scan(TableName=TABLE)["Items"]
        return sorted(items, key=str)

    def secret(self) -> str:
        """What the secret holds."""
        return str(self.secrets.get_secret_value(SecretId=SECRET)["SecretString"])

    def bodies(self) -> list[str]:
        """The queue's messages, which then are hidden for a while."""
        found = self.sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10).get("Messages", [])
        return sorted(message["Body"] for message in found)


@cache
def _client(router: Router, service: str) -> Any:
    return router.client(service)


@contextmanager
def life(router: Router, path: Path) -> Iterator[Life]:
    """Begins with nothing in memory, and ends without a word to the folder: all is forgotten, as if it were killed."""
    folder = DataFolder(path)
    try:
        yield Life(router, folder)
    finally:
        router.keep(memory_only())
        moto_app.reset()
        folder.close()


def put(one: Life, bucket: str, key: str, body: bytes) -> None:
    one.s3.put_object(Bucket=bucket, Key=key, Body=body, ContentType="text/x-mine", Metadata={"a-b": "1", "name": "x"})


def delete_version(one: Life, bucket: str, key: str, body: bytes) -> None:
    """Deletes the version, or marker, that the body's length picks."""
    listed = one.s3.list_object_versions(Bucket=bucket, Prefix=key)
    there = [each for kind in ("Versions", "DeleteMarkers") for each in listed.get(kind, []) if each["Key"] == key]
    if there:
        one.s3.delete_object(Bucket=bucket, Key=key, VersionId=there[len(body) % len(there)]["VersionId"])


def copy(one: Life, bucket: str, key: str, body: bytes) -> None:
    put(one, PLAIN, "source", body)
    one.s3.copy_object(Bucket=bucket, Key=key, CopySource={"Bucket": PLAIN, "Key": "source"})


def delete(one: Life, bucket: str, key: str, body: bytes) -> None:
    one.s3.delete_object(Bucket=bucket, Key=key)


def delete_many(one: Life, bucket: str, key: str, body: bytes) -> None:
    one.s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key}, {"Key": KEYS[0]}]})


STEPS = st.tuples(
    st.sampled_from([put, put, copy, delete, delete_version, delete_many]),
    st.sampled_from([VERSIONED, PLAIN]),
    st.sampled_from(KEYS),
    st.binary(max_size=9),
)


@settings(deadline=None, max_examples=8)
@given(first=st.lists(STEPS, max_size=10), then=st.lists(STEPS, max_size=3))
def test_any_history_of_objects_is_there_in_the_next_life_and_goes_on(
    router: Router, first: list[Any], then: list[Any]
) -> None:
    with TemporaryDirectory() as name:
        histories = [first, then, []]
        before: Any = None
        for history in histories:
            with life(router, Path(name, "data")) as one:
                if before is not None:
                    assert one.objects() == before
                for step, bucket, key, body in history:
                    step(one, bucket, key, body)
                before = one.objects()


def test_a_multipart_upload_keeps_its_etag_and_a_pinned_version_can_be_read(router: Router, tmp_path: Path) -> None:
    body = os.urandom(6 * 1024 * 1024)
    with life(router, tmp_path) as one:
        config = TransferConfig(multipart_threshold=5 * 1024 * 1024, multipart_chunksize=5 * 1024 * 1024)
        extra = {"ContentType": "text/csv", "Metadata": {"attempt": "3"}}
        one.s3.upload_fileobj(io.BytesIO(body), VERSIONED, "big", Config=config, ExtraArgs=extra)
        pinned = one.s3.head_object(Bucket=VERSIONED, Key="big")
        one.s3.put_object(Bucket=VERSIONED, Key="big", Body=b"overwritten")
        one.s3.create_multipart_upload(Bucket=VERSIONED, Key="never finished")
    assert pinned["ETag"].endswith('-2"')
    with life(router, tmp_path) as one:
        got = one.s3.get_object(
            Bucket=VERSIONED, Key="big", VersionId=pinned["VersionId"], IfMatch=pinned["ETag"], Range="bytes=100-199"
        )
        assert got["Body"].read() == body[100:200]
        assert (got["ContentType"], got["Metadata"]) == ("text/csv", {"attempt": "3"})
        with pytest.raises(ClientError) as refused:
            one.s3.put_object(Bucket=VERSIONED, Key="big", Body=b"late", IfNoneMatch="*")
        assert error_code(refused.value) == "PreconditionFailed"


def test_items_are_there_in_the_next_life_however_they_were_written(router: Router, tmp_path: Path) -> None:
    def item(n: int, **more: Any) -> dict[str, Any]:
        return {"pk": {"S": "p"}, "sk": {"S": str(n)}, **more}

    with life(router, tmp_path) as one:
        rich = {"m": {"M": {"b": {"B": b"\x00\xff"}, "l": {"L": [{"N": "1.5"}, {"NULL": True}]}}}, "s": {"SS": ["x"]}}
        for n in range(6):
            one.dynamodb.put_item(TableName=TABLE, Item=item(n, **rich))
        one.dynamodb.delete_item(TableName=TABLE, Key=item(0))
        update = {"UpdateExpression": "SET m = :v", "ExpressionAttributeValues": {":v": {"S": "new"}}}
        one.dynamodb.update_item(TableName=TABLE, Key=item(1), **update)
        one.dynamodb.batch_write_item(
            RequestItems={TABLE: [{"DeleteRequest": {"Key": item(2)}}, {"PutRequest": {"Item": item(7)}}]}
        )
        one.dynamodb.transact_write_items(TransactItems=[{"Put": {"TableName": TABLE, "Item": item(8)}}])
        with pytest.raises(ClientError):
            one.dynamodb.put_item(TableName=TABLE, Item=item(3), ConditionExpression="attribute_not_exists(pk)")
        before = one.items()
    assert len(before) == 6
    with life(router, tmp_path) as one:
        assert one.items() == before


def test_what_was_accepted_and_not_taken_is_in_the_queue_again(router: Router, tmp_path: Path) -> None:
    with life(router, tmp_path) as one:
        for body in ("taken", "received", "left ☂"):
            one.sqs.send_message(QueueUrl=one.queue, MessageBody=body)
        first, second = one.sqs.receive_message(QueueUrl=one.queue, MaxNumberOfMessages=2)["Messages"]
        assert (first["Body"], second["Body"]) == ("taken", "received")
        one.sqs.delete_message(QueueUrl=one.queue, ReceiptHandle=first["ReceiptHandle"])
    for _ in range(2):
        with life(router, tmp_path) as one:
            assert one.bodies() == ["left ☂", "received"]


def test_a_drop_that_nobody_took_is_in_the_queue_again_with_its_version(router: Router, tmp_path: Path) -> None:
    with life(router, tmp_path) as one:
        version = one.s3.put_object(Bucket=VERSIONED, Key="drop", Body=b"x")["VersionId"]
    with life(router, tmp_path) as one:
        (event,) = (json.loads(body) for body in one.bodies())
        assert (event["detail-type"], event["detail"]["object"]["version-id"]) == ("Object Created", version)


def test_a_secret_is_the_same_in_the_next_life_and_so_is_one_that_was_changed(router: Router, tmp_path: Path) -> None:
    with life(router, tmp_path) as one:
        assert kept_secrets(one.folder) == {SECRET: one.secret()} == {SECRET: "generated"}
        assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
        one.secrets.put_secret_value(SecretId=SECRET, SecretString="changed ☂")
    with life(router, tmp_path) as one:
        assert one.secret() == "changed ☂"


def test_an_event_whose_write_was_kept_is_published_by_the_next_life(
    router: Router, tmp_path: Path, monkeypatch: Any
) -> None:
    """The process is killed between the two, as it were."""
    with life(router, tmp_path) as one, monkeypatch.context() as killed:
        killed.setattr(bus, "deliver", lambda rule, event: one.folder.close())
        with pytest.raises(ClientError) as refused:
            put(one, VERSIONED, "drop", b"x")
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
    with life(router, tmp_path) as one:
        assert [json.loads(body)["detail"]["object"]["key"] for body in one.bodies()] == ["drop"]
        assert one.folder.events() == []


def test_a_write_that_cannot_be_kept_is_refused(router: Router, tmp_path: Path) -> None:
    with life(router, tmp_path) as one:
        put(one, PLAIN, "kept", b"kept")
        one.folder.close()
        writes: list[Callable[[], object]] = [
            lambda: put(one, PLAIN, "late", b"late"),
            lambda: one.s3.delete_object(Bucket=PLAIN, Key="kept"),
            lambda: one.dynamodb.put_item(TableName=TABLE, Item={"pk": {"S": "p"}, "sk": {"S": "late"}}),
            lambda: one.sqs.send_message(QueueUrl=one.queue, MessageBody="late"),
            lambda: one.secrets.put_secret_value(SecretId=SECRET, SecretString="late"),
        ]
        for write in writes:
            with pytest.raises(ClientError) as refused:
                write()
            assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] >= 500
    with life(router, tmp_path) as one:
        assert [version["Key"] for version, *_ in one.objects()[PLAIN][:-1]] == ["kept"]
        assert (one.items(), one.bodies(), one.came_back) == ([], [], 1)


def test_what_could_not_be_kept_for_a_while_is_kept_later(router: Router, tmp_path: Path, monkeypatch: Any) -> None:
    with life(router, tmp_path) as one:
        with monkeypatch.context() as full:
            full.setattr(one.folder, "_bodies", tmp_path / "a disk that is full")
            with pytest.raises(ClientError):
                put(one, PLAIN, "a", b"first")
            with pytest.raises(ClientError):
                one.s3.get_object(Bucket=PLAIN, Key="a")
        put(one, PLAIN, "b", b"second")
        before = one.objects()
    with life(router, tmp_path) as one:
        assert one.objects() == before
        assert len(before[PLAIN]) == 3
