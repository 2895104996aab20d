"""API Gateway: a REST API from its OpenAPI body, deployed at a stage."""

from __future__ import annotations

import uuid

from batchmill.local.function_spec import parse_reference
from batchmill.local.host import Wanted
from batchmill.local.intrinsics import Made, TemplateError
from batchmill.local.rest.definition import parse
from batchmill.local.rest.service import Permission

# Where a stage says nothing: the account's own.
_RATE, _BURST = 10_000.0, 5_000


def api(wanted: Wanted) -> Made:
    """AWS::ApiGateway::RestApi."""
    wanted.refuse("BodyS3Location", "BinaryMediaTypes", "Policy")
    api_id = uuid.uuid5(uuid.NAMESPACE_URL, f"{wanted.stack}/{wanted.logical_id}").hex[:10]
    wanted.host.rest.define(api_id, parse(wanted.need("Body")))
    return Made(api_id, {"RestApiId": api_id, "RootResourceId": api_id})


def deployment(wanted: Wanted) -> Made:
    """AWS::ApiGateway::Deployment: the API is what its body says; there is no other moment of it."""
    name = wanted.name(limit=64)
    return Made(name, {"DeploymentId": name})


def stage(wanted: Wanted) -> Made:
    """AWS::ApiGateway::Stage, with the throttle of all its methods."""
    wanted.refuse("Variables", "CanarySetting", "CacheClusterEnabled")
    rate, burst = _RATE, _BURST
    for said in wanted.get("MethodSettings", []):
        if (said.get("ResourcePath"), said.get("HttpMethod")) != ("/*", "*"):
            raise TemplateError("the embedded stack does the settings of all methods only")
        rate = float(said.get("ThrottlingRateLimit", rate))
        burst = int(said.get("ThrottlingBurstLimit", burst))
    name = wanted.need("StageName")
    wanted.host.rest.stage(wanted.need("RestApiId"), name, rate, burst)
    return Made(name)


def permission(wanted: Wanted) -> Made:
    """AWS::Lambda::Permission: API Gateway needs one here too; events and queues reach their functions without."""
    function = parse_reference(wanted.need("FunctionName"))[0]
    permission = Permission(function, wanted.need("Principal"), wanted.get("SourceArn", ""))
    wanted.host.rest.permit(permission)
    return Made(wanted.name())
