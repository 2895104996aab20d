"""Lambda's API as boto3 sees it, in front of the embedded functions."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from contract.stack.lambda_support import Functions, stack
from support.waiting import until


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[tuple[Functions, Any]]:
    with stack(tmp_path, retry_seconds=(0.01, 0.01)) as (made, client):
        yield made, client


def _code(error: pytest.ExceptionInfo[ClientError]) -> tuple[str, int]:
    response: Any = error.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


@pytest.mark.parametrize(
    "name",
    [
        "echo",
        "echo:$LATEST",
        "123456789012:function:echo",
        "arn:aws:lambda:us-east-1:123456789012:function:echo",
        "arn:aws:lambda:us-east-1:123456789012:function:echo:$LATEST",
    ],
)
def test_a_function_is_called_by_name_or_arn(embedded: tuple[Functions, Any], name: str) -> None:
    made, client = embedded
    made.add("echo")
    answer = client("lambda").invoke(FunctionName=name, Payload=b'{"a": 1}')
    assert json.loads(answer["Payload"].read()) == {"a": 1}
    assert (answer["StatusCode"], answer["ExecutedVersion"]) == (200, "$LATEST")
    assert "FunctionError" not in answer


def test_a_failing_function_is_an_answer_with_a_function_error(embedded: tuple[Functions, Any]) -> None:
    made, client = embedded
    made.add("fails")
    answer = client("lambda").invoke(FunctionName="fails", Payload=b"1", LogType="Tail")
    assert (answer["StatusCode"], answer["FunctionError"]) == (200, "Unhandled")
    assert json.loads(answer["Payload"].read())["errorType"] == "ValueError"
    assert "ValueError: bad 1" in base64.b64decode(answer["LogResult"]).decode()


def test_a_dry_run_runs_nothing(embedded: tuple[Functions, Any]) -> None:
    made, client = embedded
    made.add("echo")
    assert client("lambda").invoke(FunctionName="echo", InvocationType="DryRun")["StatusCode"] == 204
    assert made.service.pids() == []


def test_a_function_that_is_not_there_is_resource_not_found(embedded: tuple[Functions, Any]) -> None:
    _, client = embedded
    with pytest.raises(ClientError) as error:
        client("lambda").invoke(FunctionName="nobody")
    assert _code(error) == ("ResourceNotFoundException", 404)
    assert "function:nobody" in str(error.value)


@pytest.mark.parametrize(("kind", "limit"), [("RequestResponse", 6 * 1024 * 1024), ("Event", 1024 * 1024)])
def test_a_payload_over_the_limit_is_refused(embedded: tuple[Functions, Any], kind: str, limit: int) -> None:
    made, client = embedded
    made.add("prints")
    at_the_limit = b'"' + b"x" * (limit - 2) + b'"'
    assert client("lambda").invoke(FunctionName="prints", InvocationType=kind, Payload=at_the_limit)["StatusCode"] < 300
    with pytest.raises(ClientError) as error:
        client("lambda").invoke(FunctionName="prints", InvocationType=kind, Payload=at_the_limit + b" ")
    assert _code(error) == ("RequestEntityTooLargeException", 413)


def test_a_payload_that_is_not_json_is_refused(embedded: tuple[Functions, Any]) -> None:
    made, client = embedded
    made.add("echo")
    with pytest.raises(ClientError) as error:
        client("lambda").invoke(FunctionName="echo", Payload=b"{")
    assert _code(error) == ("InvalidRequestContentException", 400)


def test_functions_are_described(embedded: tuple[Functions, Any]) -> None:
    made, client = embedded
    arn = made.add("echo", timeout_seconds=9, variables={"A": "b"})
    described = client("lambda").get_function(FunctionName=arn)["Configuration"]
    assert (described["FunctionArn"], described["Timeout"], described["State"]) == (arn, 9, "Active")
    assert described["Environment"]["Variables"]["A"] == "b"
    assert client("lambda").get_function_configuration(FunctionName="echo")["MemorySize"] == 256
    assert [listed["FunctionName"] for listed in client("lambda").list_functions()["Functions"]] == ["echo"]


def test_what_the_api_does_not_have_is_a_clear_error(embedded: tuple[Functions, Any]) -> None:
    _, client = embedded
    with pytest.raises(ClientError) as error:
        client("lambda").list_event_source_mappings()
    assert _code(error) == ("UnknownOperationException", 404)


def test_an_event_is_taken_at_once_and_run_later(embedded: tuple[Functions, Any]) -> None:
    made, client = embedded
    made.add("notes")
    answer = client("lambda").invoke(FunctionName="notes", InvocationType="Event", Payload=b'{"n": 1}')
    assert answer["StatusCode"] == 202
    assert answer["Payload"].read() == b""
    until(made.notes.exists)
    until(lambda: made.notes.read_text() == '{"n": 1}\n')


def test_an_event_that_fails_is_retried_twice_and_then_a_dead_letter(embedded: tuple[Functions, Any]) -> None:
    made, client = embedded
    sqs = client("sqs")
    url = sqs.create_queue(QueueName="dead")["QueueUrl"]
    made.add("notes", dead_letter_arn="arn:aws:sqs:us-east-1:123456789012:dead")
    made.folder.joinpath("notes.jsonl.fail").touch()
    client("lambda").invoke(FunctionName="notes", InvocationType="Event", Payload=b'{"n": 1}')
    answer = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20, MessageAttributeNames=["All"])
    letter = answer["Messages"][0]
    assert letter["Body"] == '{"n": 1}'
    assert letter["MessageAttributes"]["ErrorMessage"]["StringValue"] == "told to"
    assert made.notes.read_text().count("\n") == 3
