"""The events that API Gateway makes of a request: a REST API's proxy event, and that of a TOKEN authorizer."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from batchmill.local.account import ACCOUNT, REGION

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_IDENTITY = (
    "accessKey",
    "accountId",
    "apiKey",
    "apiKeyId",
    "caller",
    "cognitoAuthenticationProvider",
    "cognitoAuthenticationType",
    "cognitoIdentityId",
    "cognitoIdentityPoolId",
    "principalOrgId",
    "user",
    "userArn",
)


@dataclass(frozen=True)
class Asked:
    """One request. `path` is without the stage, and decoded."""

    api_id: str
    stage: str
    method: str
    path: str
    query: Mapping[str, Sequence[str]]
    headers: Mapping[str, str]
    body: bytes
    source_ip: str
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    at: float = field(default_factory=time.time)

    @property
    def arn(self) -> str:
        """What policies and permissions name: `…:<api>/<stage>/GET/batches`."""
        return f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{self.api_id}/{self.stage}/{self.method}{self.path}"

    def header(self, name: str) -> str | None:
        """A header's value, whatever its case."""
        return next((value for key, value in self.headers.items() if key.lower() == name.lower()), None)


def read(api_id: str, environ: WSGIEnvironment) -> Asked | None:
    """The request of a WSGI environment; None for a path without a stage."""
    stage, _, rest = environ["PATH_INFO"].lstrip("/").partition("/")
    if not stage:
        return None
    raw: str = environ.get("QUERY_STRING", "")
    return Asked(
        api_id=api_id,
        stage=stage,
        method=environ["REQUEST_METHOD"],
        # WSGI gives the bytes of a path as latin-1.
        path="/" + rest.encode("latin-1").decode(errors="replace"),
        query=parse_qs(raw, keep_blank_values=True),
        headers=_headers(environ),
        body=environ["wsgi.input"].read(),
        source_ip=environ.get("REMOTE_ADDR", "127.0.0.1"),
    )


def _headers(environ: WSGIEnvironment) -> dict[str, str]:
    named = {key[5:]: value for key, value in environ.items() if key.startswith("HTTP_")}
    if environ.get("CONTENT_TYPE"):
        named["CONTENT_TYPE"] = environ["CONTENT_TYPE"]
    return {name.replace("_", "-").title(): str(value) for name, value in named.items()}


def proxy_event(
    asked: Asked, resource: str, parameters: Mapping[str, str], principal: str | None, domain: str
) -> dict[str, Any]:
    """What a function behind a proxy integration is called with."""
    headers = {**asked.headers, "X-Forwarded-For": asked.source_ip, "X-Forwarded-Proto": "http"}
    return {
        "resource": resource,
        "path": asked.path,
        "httpMethod": asked.method,
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": {name: values[-1] for name, values in asked.query.items()} or None,
        "multiValueQueryStringParameters": {name: list(values) for name, values in asked.query.items()} or None,
        "pathParameters": dict(parameters) or None,
        "stageVariables": None,
        "requestContext": _context(asked, resource, principal, domain),
        "body": asked.body.decode(errors="replace") if asked.body else None,
        "isBase64Encoded": False,
    }


def _context(asked: Asked, resource: str, principal: str | None, domain: str) -> dict[str, Any]:
    told: dict[str, Any] = {
        "accountId": ACCOUNT,
        "apiId": asked.api_id,
        "domainName": domain,
        "domainPrefix": asked.api_id,
        "extendedRequestId": asked.request_id.replace("-", "")[:15] + "=",
        "httpMethod": asked.method,
        "identity": {
            **dict.fromkeys(_IDENTITY),
            "sourceIp": asked.source_ip,
            "userAgent": asked.header("User-Agent"),
        },
        "path": f"/{asked.stage}{asked.path}",
        "protocol": "HTTP/1.1",
        "requestId": asked.request_id,
        "requestTime": datetime.fromtimestamp(asked.at, UTC).strftime("%d/%b/%Y:%H:%M:%S +0000"),
        "requestTimeEpoch": int(asked.at * 1000),
        "resourceId": uuid.uuid5(uuid.NAMESPACE_URL, resource).hex[:6],
        "resourcePath": resource,
        "stage": asked.stage,
    }
    if principal is not None:
        told["authorizer"] = {"principalId": principal, "integrationLatency": 0}
    return told


def token_event(asked: Asked, token: str) -> dict[str, str]:
    """What a TOKEN authorizer is called with."""
    return {"type": "TOKEN", "authorizationToken": token, "methodArn": asked.arn}
