"""That the API of the template answers everything in one shape, and that its functions may do what they do."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from batchmill.domain.places import UPLOADS
from batchmill.local.intrinsics import prune, references
from batchmill.local.translate import translate
from batchmill.steps.batch.answers import METHODS
from template.reading import ROOT, as_list

[API] = ROOT.of("Serverless::Api").values()
TYPES = ["UNAUTHORIZED", "ACCESS_DENIED", "DEFAULT_4XX", "DEFAULT_5XX", "THROTTLED", "REQUEST_TOO_LARGE"]


def allowed(role: str) -> dict[str, Any]:
    """What a role may do: resources by action."""
    return {
        action: statement["Resource"]
        for owner, statement in ROOT.statements()
        if owner == role and statement["Effect"] == "Allow" and "Principal" not in statement
        for action in as_list(statement["Action"])
    }


@pytest.mark.parametrize("kind", [*TYPES, "MISSING_AUTHENTICATION_TOKEN"])
def test_what_api_gateway_answers_itself_has_openais_shape_and_a_request_id(kind: str) -> None:
    response = API["GatewayResponses"][kind]
    assert response["ResponseParameters"]["Headers"]["x-request-id"] == "context.requestId"
    template = response["ResponseTemplates"]["application/json"].replace("$context.error.messageString", '"m"')
    detail = json.loads(template)["error"]
    assert set(detail) == {"message", "type", "param", "code"}
    assert detail["type"].endswith("_error")


def test_every_path_asks_for_the_key_and_no_method_is_left_out() -> None:
    events = ROOT.of("Serverless::Function")["ApiFunction"]["Events"].values()
    assert {event["Properties"]["Path"] for event in events} == set(METHODS)
    assert {event["Properties"]["Method"] for event in events} == {"any"}
    assert API["Auth"]["DefaultAuthorizer"] in API["Auth"]["Authorizers"]


def test_the_stage_is_throttled_traced_and_logs_neither_keys_nor_bodies() -> None:
    [settings] = API["MethodSettings"]
    assert (settings["ResourcePath"], settings["HttpMethod"]) == ("/*", "*")
    assert 0 < settings["ThrottlingRateLimit"] <= settings["ThrottlingBurstLimit"]
    assert settings["DataTraceEnabled"] is False
    assert API["TracingEnabled"] is True
    logged = json.loads(API["AccessLogSetting"]["Format"])
    assert not re.search(r"header|body|authoriz", json.dumps(logged), re.IGNORECASE)


@pytest.mark.parametrize("sets", [True, False])
def test_a_stage_that_logs_waits_for_the_accounts_role_where_the_stack_sets_it(sets: bool) -> None:
    assert "DependsOn" not in ROOT.resources["Api"]
    body = translate(ROOT.path, {}).body["Resources"]
    [stage] = [item for item in body.values() if item["Type"] == "AWS::ApiGateway::Stage"]
    made = prune(stage, {"SetsApiLogRole": sets})
    assert ("ApiAccount" in references(made)) is sets


def test_the_front_reads_the_inputs_that_it_accepts_and_no_others() -> None:
    resources = allowed("ApiRole")["s3:GetObject"]
    assert resources == [
        {"Fn::Sub": "${InputBucket.Arn}/*"},
        {"Fn::Sub": "${DataBucket.Arn}/" + UPLOADS + "*"},
    ]


def test_the_front_writes_nothing_into_buckets_and_the_authorizer_reads_one_secret() -> None:
    assert not [action for action in allowed("ApiRole") if action.startswith("s3:Put")]
    secrets = {
        action: resource
        for action, resource in allowed("AuthorizeRole").items()
        if action.startswith("secretsmanager:")
    }
    assert secrets == {"secretsmanager:GetSecretValue": {"Ref": "ApiKey"}}
    assert not [action for action in allowed("AuthorizeRole") if action.startswith(("s3:", "dynamodb:", "sqs:"))]


def test_the_key_is_made_by_the_stack_and_told_by_its_secret_alone() -> None:
    [secret] = [s for name, s in ROOT.of("SecretsManager::Secret").items() if name == "ApiKey"]
    assert secret["GenerateSecretString"]["PasswordLength"] >= 32
    outputs = ROOT.document["Outputs"]
    assert {"ApiUrl", "OpenAiBaseUrl", "ApiKeySecretArn"} <= set(outputs)
    assert outputs["ApiKeySecretArn"]["Value"] == {"Ref": "ApiKey"}
