"""Which of AWS's errors is which of ours, and what their messages hold."""

from __future__ import annotations

import pytest
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
    ReadTimeoutError,
    ResponseStreamingError,
)

from batchmill.adapters.aws_errors import classify, error_code, translated
from batchmill.domain.errors import AlreadyExists, BatchmillError, Conflict, Gone, InputMissing, Transient


def client_error(
    code: str, status: int = 400, message: str = "as AWS says", operation: str = "GetObject"
) -> ClientError:
    return ClientError(
        {
            "Error": {"Code": code, "Message": message},
            "ResponseMetadata": {
                "HTTPStatusCode": status,
                "RequestId": "R1",
                "HostId": "",
                "HTTPHeaders": {},
                "RetryAttempts": 0,
            },
        },
        operation,
    )


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("404", 404, Gone),
        ("NoSuchKey", 404, Gone),
        ("NoSuchVersion", 404, Gone),
        ("MethodNotAllowed", 405, Gone),
        ("ResourceNotFoundException", 400, Gone),
        ("AWS.SimpleQueueService.NonExistentQueue", 400, Gone),
        ("StateMachineDoesNotExist", 400, Gone),
        ("PreconditionFailed", 412, Conflict),
        ("412", 412, Conflict),
        ("ConditionalCheckFailedException", 400, Conflict),
        ("ThrottlingException", 400, Transient),
        ("ProvisionedThroughputExceededException", 400, Transient),
        ("SlowDown", 503, Transient),
        ("InternalError", 500, Transient),
        ("503", 503, Transient),
        ("RequestTimeout", 400, Transient),
        ("ConditionalRequestConflict", 409, Transient),
        ("TooMany", 429, Transient),
        ("AccessDenied", 403, BatchmillError),
        ("ValidationException", 400, BatchmillError),
    ],
)
def test_each_code_has_its_kind(code: str, status: int, kind: type[BatchmillError]) -> None:
    assert type(classify(client_error(code, status), "s3://bucket/key")) is kind


@pytest.mark.parametrize(
    "error",
    [
        EndpointConnectionError(endpoint_url="https://s3"),
        ConnectTimeoutError(endpoint_url="https://s3"),
        ReadTimeoutError(endpoint_url="https://s3"),
        ResponseStreamingError(error="broken"),
    ],
)
def test_a_broken_connection_is_transient(error: BotoCoreError) -> None:
    assert type(classify(error, "s3://bucket/key")) is Transient


def test_missing_credentials_are_said_so() -> None:
    assert "no AWS credentials" in str(classify(NoCredentialsError(), "s3://bucket/key"))


def test_a_denial_names_action_and_resource() -> None:
    error = classify(client_error("AccessDenied", 403, "User x is not authorized"), "s3://bucket/key")
    assert str(error) == (
        "AWS denied GetObject on s3://bucket/key (AccessDenied): User x is not authorized [request R1]"
    )


def test_a_call_may_name_its_own_kinds() -> None:
    with pytest.raises(AlreadyExists), translated("s3://bucket/key", conflict=AlreadyExists):
        raise client_error("PreconditionFailed", 412)
    with pytest.raises(InputMissing), translated("s3://bucket/key", gone=InputMissing):
        raise client_error("NoSuchKey", 404)


def test_other_exceptions_pass() -> None:
    with pytest.raises(ZeroDivisionError), translated("s3://bucket/key"):
        raise ZeroDivisionError


def test_no_value_that_was_sent_is_told() -> None:
    quoting = "1 validation error detected: Value 'a secret\nprompt' at 'cause' failed to satisfy constraint: too long"
    with pytest.raises(BatchmillError, match="value at 'cause' failed") as caught, translated("a token"):
        raise client_error("ValidationException", message=quoting)
    assert "secret" not in str(caught.value)
    assert caught.value.__suppress_context__
    with pytest.raises(BatchmillError) as refused, translated("a token"):
        raise ParamValidationError(report="Invalid type for parameter body, value: a secret prompt")
    assert "secret" not in str(refused.value)


def test_the_services_prefix_is_no_part_of_a_code() -> None:
    assert error_code(client_error("AWS.SimpleQueueService.NonExistentQueue")) == "NonExistentQueue"
