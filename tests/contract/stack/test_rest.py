"""The REST front as API Gateway is: its events, its limits, its own answers, over the template's real API."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import requests
from aws_lambda_powertools.utilities.parser.models import ApiGatewayAuthorizerToken, APIGatewayProxyEventModel

from batchmill.local.intrinsics import Made, Scope, pseudo_parameters, resolve
from batchmill.local.rest.definition import parse
from batchmill.local.rest.service import BODY_BYTES, EVENT_BYTES, Permission, RestService
from batchmill.local.runtime_api import Invocation
from batchmill.local.translate import translate

PROJECT = Path(__file__).parents[3]
ARN = "arn:aws:lambda:us-east-1:123456789012:function:"
API = "abcdef1234"
EXECUTE = f"arn:aws:execute-api:us-east-1:123456789012:{API}"
ANY_BODY = {"statusCode": 200, "headers": {"x-a": "b"}, "body": '{"ok": true}'}


def gateway_body() -> Any:
    """The body that the project's template gives its API, its functions in place."""
    resources = translate(PROJECT / "template.yaml", {}).section("Resources")
    made = {name: Made(name, {"Arn": ARN + name}) for name in ("ApiFunction", "AuthorizeFunction")}
    scope = Scope(pseudo_parameters("batchmill", "id", "us-east-1", "123456789012"), {}, made)
    return resolve(resources["Api"]["Properties"]["Body"], scope)


BODY = gateway_body()


class Functions:
    """The two functions, by hand. `events` has what each was called with."""

    def __init__(self) -> None:
        self.events: dict[str, list[Any]] = {"ApiFunction": [], "AuthorizeFunction": []}
        self.answer: Callable[[Any], Any] = lambda event: ANY_BODY
        self.policy: Callable[[Any], Any] = allow

    def invoke(self, name: str, payload: bytes) -> Invocation:
        event = json.loads(payload)
        self.events[name].append(event)
        try:
            said = (self.policy if name == "AuthorizeFunction" else self.answer)(event)
        except ValueError as error:
            return Invocation(json.dumps({"errorMessage": str(error)}).encode(), "Unhandled")
        return Invocation(json.dumps(said).encode(), None)


def allow(event: Mapping[str, Any], effect: str = "Allow") -> Any:
    statement = {"Action": "execute-api:Invoke", "Effect": effect, "Resource": f"{EXECUTE}/v1/*"}
    return {"principalId": "key", "policyDocument": {"Version": "2012-10-17", "Statement": [statement]}}


class Front:
    def __init__(self, timeout_ms: int | None = None, rate: float = 1000, burst: int = 1000) -> None:
        self.functions, self.now = Functions(), 0.0
        self.service = RestService(self.functions, lambda: self.now)
        self.service.start()
        body = json.loads(json.dumps(BODY))
        if timeout_ms:
            for verbs in body["paths"].values():
                verbs["x-amazon-apigateway-any-method"]["x-amazon-apigateway-integration"]["timeoutInMillis"] = (
                    timeout_ms
                )
        self.service.define(API, parse(body))
        self.service.stage(API, "v1", rate, burst)
        self.service.permit(Permission("ApiFunction", "apigateway.amazonaws.com", f"{EXECUTE}/*/*/batches"))
        self.service.permit(Permission("AuthorizeFunction", "apigateway.amazonaws.com", f"{EXECUTE}/authorizers/*"))

    def ask(self, method: str = "GET", path: str = "/v1/batches", key: str | None = "k", **more: Any) -> Any:
        headers = {**({"Authorization": f"Bearer {key}"} if key else {}), **more.pop("headers", {})}
        return requests.request(method, self.service.url + path, headers=headers, timeout=30, **more)


@pytest.fixture
def front() -> Iterator[Front]:
    front = Front()
    yield front
    front.service.stop()


def error(answer: Any, status: int) -> Any:
    """The body of an answer in OpenAI's shape, checked."""
    assert answer.status_code == status, answer.text
    assert answer.headers["x-request-id"]
    assert answer.headers["Content-Type"] == "application/json"
    detail = answer.json()["error"]
    assert set(detail) == {"message", "type", "param", "code"}
    return detail


def test_a_function_gets_api_gateways_proxy_event(front: Front) -> None:
    headers = {"Idempotency-Key": "é".encode(), "Content-Type": "application/json"}
    answer = front.ask("POST", "/v1/batches?a=1&a=2&b=", headers=headers, data='{"x": "ü"}'.encode())
    assert (answer.status_code, answer.json(), answer.headers["x-a"]) == (200, {"ok": True}, "b")
    [event] = front.functions.events["ApiFunction"]
    parsed = APIGatewayProxyEventModel.model_validate(event)
    assert (parsed.resource, parsed.path, parsed.httpMethod, parsed.body) == (
        "/batches",
        "/batches",
        "POST",
        '{"x": "ü"}',
    )
    assert parsed.queryStringParameters == {"a": "2", "b": ""}
    assert parsed.multiValueQueryStringParameters == {"a": ["1", "2"], "b": [""]}
    assert (parsed.requestContext.stage, parsed.requestContext.path) == ("v1", "/v1/batches")
    assert event["requestContext"]["authorizer"]["principalId"] == "key"
    assert event["headers"]["Authorization"] == "Bearer k"
    assert parsed.isBase64Encoded is False
    assert set(event) == set(APIGatewayProxyEventModel.model_fields) - {"version"}


def test_an_event_without_query_and_body_has_nulls_for_them(front: Front) -> None:
    front.ask()
    [event] = front.functions.events["ApiFunction"]
    names = ("queryStringParameters", "multiValueQueryStringParameters", "pathParameters", "stageVariables", "body")
    assert [event[name] for name in names] == [None] * 5


def test_an_authorizer_gets_the_token_and_the_methods_arn(front: Front) -> None:
    front.ask("POST")
    [event] = front.functions.events["AuthorizeFunction"]
    ApiGatewayAuthorizerToken.model_validate(event)
    assert event == {"type": "TOKEN", "authorizationToken": "Bearer k", "methodArn": f"{EXECUTE}/v1/POST/batches"}


def test_without_a_key_nobody_is_asked(front: Front) -> None:
    assert error(front.ask(key=None), 401)["code"] == "missing_api_key"
    assert front.functions.events == {"ApiFunction": [], "AuthorizeFunction": []}


def test_a_wrong_key_is_401_and_never_reaches_the_function(front: Front) -> None:
    front.functions.policy = lambda event: allow(event, "Deny")
    assert error(front.ask(), 401)["code"] == "invalid_api_key"
    assert front.functions.events["ApiFunction"] == []


@pytest.mark.parametrize("policy", [lambda event: int("x"), lambda event: None, lambda event: {"principalId": "k"}])
def test_an_authorizer_that_does_not_work_lets_nobody_in(front: Front, policy: Callable[[Any], Any]) -> None:
    front.functions.policy = policy
    assert error(front.ask(), 500)["type"] == "server_error"
    assert front.functions.events["ApiFunction"] == []


def test_an_authorizers_answer_is_kept_by_token_for_as_long_as_the_template_says(front: Front) -> None:
    for key in ("k", "k", "other"):
        front.ask(key=key)
    assert len(front.functions.events["AuthorizeFunction"]) == 2
    front.now += 61
    front.ask()
    assert len(front.functions.events["AuthorizeFunction"]) == 3


@pytest.mark.parametrize("path", ["/v1/files", "/v1/batches/x/y", "/v1/"])
def test_a_path_that_is_not_there_is_404_before_any_key(front: Front, path: str) -> None:
    assert error(front.ask(path=path, key=None), 404)["code"] == "not_found"


def test_another_stage_is_forbidden(front: Front) -> None:
    answer = front.ask(path="/v2/batches")
    assert (answer.status_code, answer.json()) == (403, {"message": "Forbidden"})


def test_a_body_over_10_mb_is_413(front: Front) -> None:
    assert error(front.ask("POST", data=b"x" * (BODY_BYTES + 1)), 413)["code"] == "request_too_large"
    assert front.functions.events["ApiFunction"] == []


def test_an_event_over_lambdas_6_mb_is_413(front: Front) -> None:
    assert error(front.ask("POST", data=b"x" * EVENT_BYTES), 413)["code"] == "request_too_large"
    assert front.functions.events["ApiFunction"] == []
    assert front.ask("POST", data=b"x" * (EVENT_BYTES - 10_000)).status_code == 200


def test_a_function_that_takes_too_long_is_504() -> None:
    front, done = Front(timeout_ms=50), threading.Event()
    front.functions.answer = lambda event: [done.wait(10), ANY_BODY][1]
    try:
        assert error(front.ask(), 504)["code"] == "INTEGRATION_TIMEOUT"
    finally:
        done.set()
        front.service.stop()


@pytest.mark.parametrize("answer", [lambda event: int("x"), lambda event: None, lambda event: {"body": "x"}])
def test_a_function_that_fails_is_502_without_its_words(front: Front, answer: Callable[[Any], Any]) -> None:
    front.functions.answer = answer
    assert error(front.ask(), 502)["message"] == "Internal server error"


def test_a_function_that_no_permission_covers_is_not_called(front: Front) -> None:
    assert error(front.ask(path="/v1/batches/x"), 500)["code"] == "API_CONFIGURATION_ERROR"
    assert front.functions.events["ApiFunction"] == []


def test_more_than_the_stages_burst_is_429_until_time_has_passed() -> None:
    front = Front(rate=1, burst=2)
    try:
        assert [front.ask().status_code for _ in range(2)] == [200, 200]
        answer = front.ask()
        assert (error(answer, 429)["code"], answer.headers["retry-after"]) == ("rate_limit_exceeded", "1")
        front.now += 1
        assert front.ask().status_code == 200
    finally:
        front.service.stop()
