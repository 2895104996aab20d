"""AWS's errors in the domain's words: the one place where botocore's exceptions are looked at and sorted.

A message names the operation, the resource, AWS's code and its request id. What AWS quotes of the values it was sent
is cut out, and the original exception is not chained: botocore prints whole parameters into some of its messages.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    CredentialRetrievalError,
    HTTPClientError,
    IncompleteReadError,
    MetadataRetrievalError,
    NoCredentialsError,
    ResponseStreamingError,
)

from batchmill.domain.errors import BatchmillError, Conflict, Gone, Transient

_GONE = frozenset(
    {
        "404",
        "NoSuchKey",
        "NoSuchVersion",
        "NoSuchBucket",
        "ResourceNotFoundException",
        "NonExistentQueue",
        "QueueDoesNotExist",
        "StateMachineDoesNotExist",
        "ExecutionDoesNotExist",
        # S3 answers so for a version that is a delete marker
        "MethodNotAllowed",
        "405",
    }
)
_CONFLICT = frozenset({"412", "PreconditionFailed", "ConditionalCheckFailedException"})
_DENIED = frozenset(
    {
        "401",
        "403",
        "AccessDenied",
        "AccessDeniedException",
        "ExpiredToken",
        "ExpiredTokenException",
        "Forbidden",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "KmsAccessDenied",
        "SignatureDoesNotMatch",
        "UnauthorizedOperation",
        "UnrecognizedClientException",
    }
)
_TRANSIENT = frozenset(
    {
        "BandwidthLimitExceeded",
        "ConditionalRequestConflict",
        "ExecutionLimitExceeded",
        "KmsThrottled",
        "LimitExceededException",
        "OperationAborted",
        "OverLimit",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestTimeout",
        "RequestTimeoutException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)
_TRANSIENT_BOTO = (
    ConnectionError,
    CredentialRetrievalError,
    HTTPClientError,
    IncompleteReadError,
    MetadataRetrievalError,
    ResponseStreamingError,
)
_QUOTED_VALUE = re.compile(r"value '.*?' at ", re.IGNORECASE | re.DOTALL)
_MESSAGE_LIMIT = 300


def error_code(error: ClientError) -> str:
    """AWS's code without SQS's prefix: `NonExistentQueue` for `AWS.SimpleQueueService.NonExistentQueue`."""
    return str(error.response.get("Error", {}).get("Code", "")).rsplit(".", 1)[-1]


def classify(
    error: ClientError | BotoCoreError,
    resource: str,
    conflict: type[BatchmillError] = Conflict,
    gone: type[BatchmillError] = Gone,
) -> BatchmillError:
    """The domain's error for botocore's: `conflict` where a condition failed, `gone` where there is nothing.

    Transient for throttling, 5xx, timeouts and connections; a plain BatchmillError for the rest (denials first of all).
    """
    if isinstance(error, ClientError):
        return _kind(error, conflict, gone)(_said(error, resource))
    if isinstance(error, _TRANSIENT_BOTO):
        return Transient(f"{resource}: {type(error).__name__}: no whole answer came")
    if isinstance(error, NoCredentialsError):
        return BatchmillError(f"{resource}: no AWS credentials found; set a profile or a role")
    return BatchmillError(f"{resource}: {type(error).__name__}")


@contextmanager
def translated(
    resource: str, conflict: type[BatchmillError] = Conflict, gone: type[BatchmillError] = Gone
) -> Iterator[None]:
    """Turns what botocore raises inside into the domain's errors; `resource` is what they name. See `classify`."""
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise classify(error, resource, conflict, gone) from None


def _kind(error: ClientError, conflict: type[BatchmillError], gone: type[BatchmillError]) -> type[BatchmillError]:
    code, status = error_code(error), _status(error)
    if code in _CONFLICT:
        return conflict
    if code in _TRANSIENT or status >= 500 or status == 429:
        return Transient
    if code in _GONE or status == 404:
        return gone
    return BatchmillError


def _said(error: ClientError, resource: str) -> str:
    code, action = error_code(error), error.operation_name
    message = _QUOTED_VALUE.sub("value at ", str(error.response.get("Error", {}).get("Message", "")))[:_MESSAGE_LIMIT]
    request_id = error.response.get("ResponseMetadata", {}).get("RequestId", "none")
    if code in _DENIED:
        return f"AWS denied {action} on {resource} ({code}): {message} [request {request_id}]"
    return f"{action} on {resource}: {code} ({_status(error)}): {message} [request {request_id}]"


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
