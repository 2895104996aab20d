"""What a REST API's OpenAPI body says: its resources, their methods, authorizers and gateway responses."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from batchmill.local.intrinsics import TemplateError

LONGEST_S = 29.0
"""How long API Gateway waits for an integration, in seconds."""
ANY = "ANY"

_INVOCATION = re.compile(r"arn:aws:apigateway:[^:]+:lambda:path/2015-03-31/functions/(arn:aws:lambda:.+)/invocations")
_PARAMETER = re.compile(r"\{(\w+)(\+?)\}")


@dataclass(frozen=True)
class Authorizer:
    """A TOKEN authorizer. `keeps_s`: how long its answer to one token stands, in seconds."""

    name: str
    function_arn: str
    header: str
    keeps_s: float
    pattern: re.Pattern[str] | None = None


@dataclass(frozen=True)
class Method:
    """One method of a resource: a function behind it, and who lets callers in."""

    function_arn: str
    authorizer: Authorizer | None
    timeout_s: float = LONGEST_S


@dataclass(frozen=True)
class Resource:
    """One path, as the template writes it: `/batches/{batch_id}`."""

    path: str
    methods: Mapping[str, Method]

    @property
    def pattern(self) -> re.Pattern[str]:
        """What a request's path must look like."""
        parts, end = [], 0
        for found in _PARAMETER.finditer(self.path):
            parts.append(re.escape(self.path[end : found.start()]))
            parts.append(f"(?P<{found[1]}>{'.+' if found[2] else '[^/]+'})")
            end = found.end()
        return re.compile("".join([*parts, re.escape(self.path[end:]), "/?"]))

    @property
    def rank(self) -> tuple[int, int]:
        """Fixed paths go before those with parameters, and those before greedy ones."""
        return ("+}" in self.path, self.path.count("{"))


@dataclass(frozen=True)
class Definition:
    """A whole API. `responses` are its gateway responses by type, as OpenAPI has them."""

    resources: tuple[Resource, ...]
    responses: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def find(self, path: str, method: str) -> tuple[Resource, Method, dict[str, str]] | None:
        """The resource and method of a request, with the path's parameters; None where there is none."""
        for resource in self.resources:
            found = resource.pattern.fullmatch(path)
            if found:
                there = resource.methods.get(method) or resource.methods.get(ANY)
                values = {name: unquote(value) for name, value in found.groupdict().items()}
                return (resource, there, values) if there else None
        return None


def parse(body: Mapping[str, Any]) -> Definition:
    """From the body of AWS::ApiGateway::RestApi, its functions resolved. Raises TemplateError for what is not done."""
    schemes = {**body.get("securityDefinitions", {}), **body.get("components", {}).get("securitySchemes", {})}
    authorizers = {name: _authorizer(name, scheme) for name, scheme in schemes.items()}
    resources = [
        Resource(path, {_name(verb): _method(path, said, authorizers) for verb, said in verbs.items()})
        for path, verbs in body["paths"].items()
    ]
    responses = body.get("x-amazon-apigateway-gateway-responses", {})
    return Definition(tuple(sorted(resources, key=lambda resource: resource.rank)), responses)


def _name(verb: str) -> str:
    return ANY if verb == "x-amazon-apigateway-any-method" else verb.upper()


def _function(uri: str) -> str:
    found = _INVOCATION.fullmatch(uri)
    if found is None:
        raise TemplateError(f"an API calls a Lambda function in the embedded stack, not {uri}")
    return found[1]


def _authorizer(name: str, scheme: Mapping[str, Any]) -> Authorizer:
    said = scheme.get("x-amazon-apigateway-authorizer", {})
    if said.get("type") != "token":
        raise TemplateError(f"authorizer {name}: the embedded stack does those of type token only")
    pattern = said.get("identityValidationExpression")
    return Authorizer(
        name=name,
        function_arn=_function(said["authorizerUri"]),
        header=scheme["name"],
        keeps_s=float(said.get("authorizerResultTtlInSeconds", 300)),
        pattern=re.compile(pattern) if pattern else None,
    )


def _method(path: str, said: Mapping[str, Any], authorizers: Mapping[str, Authorizer]) -> Method:
    integration = said.get("x-amazon-apigateway-integration", {})
    if integration.get("type") != "aws_proxy":
        raise TemplateError(f"{path}: the embedded stack does integrations of type aws_proxy only")
    named = [name for scheme in said.get("security", []) for name in scheme]
    timeout = float(integration.get("timeoutInMillis", LONGEST_S * 1000)) / 1000
    if timeout > LONGEST_S:
        raise TemplateError(f"{path}: API Gateway waits {LONGEST_S:g} s at most")
    return Method(_function(integration["uri"]), authorizers[named[0]] if named else None, timeout)
