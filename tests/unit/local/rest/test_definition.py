from __future__ import annotations

from typing import Any

import pytest

from batchmill.local.intrinsics import TemplateError
from batchmill.local.rest.definition import parse

ARN = "arn:aws:lambda:us-east-1:123456789012:function:{}"
URI = "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{}/invocations"


def method(function: str = "f", **more: Any) -> dict[str, Any]:
    uri = URI.format(ARN.format(function))
    return {"x-amazon-apigateway-integration": {"type": "aws_proxy", "uri": uri, **more}}


def body(paths: dict[str, Any], scheme: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"paths": paths, "components": {"securitySchemes": {"Key": scheme} if scheme else {}}}


def test_a_fixed_path_goes_before_a_parameter_and_that_before_a_greedy_one() -> None:
    paths = {
        "/{proxy+}": {"get": method("greedy")},
        "/batches/{id}": {"get": method("one")},
        "/batches/new": {"get": method("new")},
    }
    definition = parse(body(paths))
    found = {path: definition.find(path, "GET") for path in ("/batches/new", "/batches/7", "/batches/7/x")}
    named = {path: hit and hit[1].function_arn.rsplit(":", 1)[1] for path, hit in found.items()}
    assert named == {"/batches/new": "new", "/batches/7": "one", "/batches/7/x": "greedy"}


def test_a_method_of_its_own_goes_before_any() -> None:
    paths = {"/a": {"x-amazon-apigateway-any-method": method("any"), "post": method("post")}}
    definition = parse(body(paths))
    arns = [hit[1].function_arn for name in ("POST", "PUT") if (hit := definition.find("/a", name))]
    assert arns == [ARN.format("post"), ARN.format("any")]
    assert parse(body({"/a": {"post": method()}})).find("/a", "GET") is None


def test_parameters_of_a_path_are_decoded() -> None:
    found = parse(body({"/a/{id}": {"get": method()}})).find("/a/x%20y", "GET")
    assert found is not None
    assert found[2] == {"id": "x y"}


@pytest.mark.parametrize(
    "wrong",
    [
        body({"/a": {"get": {"x-amazon-apigateway-integration": {"type": "http", "uri": "http://x"}}}}),
        body({"/a": {"get": method(uri="arn:aws:apigateway:us-east-1:sqs:path/x")}}),
        body({"/a": {"get": method(timeoutInMillis=60_000)}}),
        body({}, {"name": "Authorization", "x-amazon-apigateway-authorizer": {"type": "request"}}),
    ],
)
def test_what_is_not_emulated_is_an_error(wrong: dict[str, Any]) -> None:
    with pytest.raises(TemplateError):
        parse(wrong)
