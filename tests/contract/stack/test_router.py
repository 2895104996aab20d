"""The one endpoint: which service answers, over what connections, and for how long a presigned URL holds."""

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from batchmill.local.router import Router
from contract.stack.stack_support import error_code

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


def test_every_service_that_a_template_touches_answers_at_the_one_endpoint(router: Router) -> None:
    assert router.client("sts").get_caller_identity()["Account"] == "123456789012"
    assert router.client("sns").list_topics()["Topics"] == []
    assert router.client("secretsmanager").list_secrets()["SecretList"] == []
    assert router.client("kms").list_keys()["Keys"] == []
    assert router.client("iam").list_roles()["Roles"] == []
    assert router.client("logs").describe_log_groups()["logGroups"] == []
    assert router.client("stepfunctions").list_state_machines()["stateMachines"] == []
    assert router.client("dynamodb").list_tables()["TableNames"] == []
    assert router.client("events").list_rules()["Rules"] == []


def test_a_mounted_application_wins_over_motos(router: Router) -> None:
    def tables(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "application/x-amz-json-1.0")])
        return [b'{"TableNames": ["ours"]}']

    other = Router()
    other.mount("dynamodb", tables)
    other.start()
    try:
        assert other.client("dynamodb").list_tables()["TableNames"] == ["ours"]
    finally:
        other.stop()


def test_a_service_the_stack_does_not_have_is_a_clear_error(router: Router) -> None:
    with pytest.raises(ClientError, match="no service kinesis"):
        router.client("kinesis").list_streams()


def test_one_connection_serves_many_requests(router: Router) -> None:
    s3 = router.client("s3")
    s3.create_bucket(Bucket="kept-alive")
    where = {"Bucket": "kept-alive", "Key": "key"}
    put = s3.generate_presigned_url("put_object", where).removeprefix(router.endpoint_url)
    head = s3.generate_presigned_url("head_object", where).removeprefix(router.endpoint_url)
    connection = http.client.HTTPConnection(urlsplit(router.endpoint_url).netloc)
    try:
        connection.connect()
        first = connection.sock
        for number in range(3):
            connection.request("PUT", put, body=str(number).encode())
            answer = connection.getresponse()
            answer.read()
            assert (answer.status, connection.sock) == (200, first)
        connection.request("HEAD", head)
        assert connection.getresponse().getheader("Content-Length") == "1"
        assert connection.sock is first
    finally:
        connection.close()


def test_nothing_of_a_request_or_its_error_reaches_the_terminal(
    router: Router, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ClientError):
        router.client("s3").head_object(Bucket="no-such-bucket", Key="k")
    with pytest.raises(ClientError):
        router.client("events").put_rule(Name="bad", EventPattern="not json")
    assert capfd.readouterr() == ("", "")


def test_a_presigned_url_needs_no_credentials_and_expires(router: Router, monkeypatch: pytest.MonkeyPatch) -> None:
    s3 = router.client("s3")
    s3.create_bucket(Bucket="presigned")
    s3.put_object(Bucket="presigned", Key="k", Body=b"body")
    url = s3.generate_presigned_url("get_object", {"Bucket": "presigned", "Key": "k"}, ExpiresIn=60)
    with urllib.request.urlopen(url) as answer:
        assert answer.read() == b"body"
    old = url.replace(url.split("X-Amz-Date=")[1][:16], "20200101T000000Z")
    with pytest.raises(urllib.error.HTTPError) as raised:
        urllib.request.urlopen(old)
    with raised.value as refused:
        assert refused.code == 403
        assert b"<Code>AccessDenied</Code>" in refused.read()


def test_a_url_presigned_the_old_way_goes_to_s3_and_expires_too(router: Router) -> None:
    old_way = boto3.session.Session().client(
        "s3",
        endpoint_url=router.endpoint_url,
        region_name="us-east-1",
        aws_access_key_id="a",
        aws_secret_access_key="b",
        config=Config(signature_version="s3"),
    )
    old_way.create_bucket(Bucket="old-way")
    url = old_way.generate_presigned_url("put_object", {"Bucket": "old-way", "Key": "k"}, ExpiresIn=60)
    with urllib.request.urlopen(urllib.request.Request(url, data=b"posted", method="PUT")) as answer:
        assert answer.status == 200
    assert old_way.get_object(Bucket="old-way", Key="k")["Body"].read() == b"posted"
    gone = old_way.generate_presigned_url("get_object", {"Bucket": "old-way", "Key": "k"}, ExpiresIn=-1)
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(gone).close()


def test_stopping_the_last_router_forgets_everything_and_a_new_one_starts_afresh(router: Router) -> None:
    router.stop()
    try:
        again = Router()
        again.start()
        try:
            again.client("s3").create_bucket(Bucket="short-lived")
        finally:
            again.stop()
    finally:
        router.start()
    with pytest.raises(ClientError) as raised:
        router.client("s3").head_bucket(Bucket="short-lived")
    assert error_code(raised.value) == "404"


def test_a_router_cannot_be_started_twice(router: Router) -> None:
    with pytest.raises(RuntimeError, match="already running"):
        router.start()


def test_conditional_updates_of_one_item_are_applied_one_by_one(router: Router) -> None:
    from concurrent.futures import ThreadPoolExecutor

    table = router.client("dynamodb")
    table.create_table(
        TableName="counters",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    table.put_item(TableName="counters", Item={"pk": {"S": "a"}, "n": {"N": "0"}, "m": {"N": "0"}})

    def claim(number: int) -> bool:
        try:
            table.update_item(
                TableName="counters",
                Key={"pk": {"S": "a"}},
                UpdateExpression="SET m = :next ADD n :one",
                ConditionExpression="m = :now",
                ExpressionAttributeValues={
                    ":one": {"N": "1"},
                    ":now": {"N": str(number // 8)},
                    ":next": {"N": str(number // 8 + 1)},
                },
            )
        except ClientError as error:
            assert error_code(error) == "ConditionalCheckFailedException"  # noqa: PT017 - counted below
            return False
        return True

    for turn in range(5):
        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(claim, range(turn * 8, turn * 8 + 8))) == 1
    item = table.get_item(TableName="counters", Key={"pk": {"S": "a"}})["Item"]
    assert json.dumps(item["n"]) == '{"N": "5"}'


def test_a_client_of_the_router_heeds_neither_a_profile_nor_a_proxy_of_the_user(
    router: Router, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "no-such-profile")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert router.client("sts").get_caller_identity()["Account"] == "123456789012"
