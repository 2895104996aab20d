"""Calls of the API, as API Gateway brings them to the function."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from batchmill.local.rest.events import Asked, proxy_event

DOMAIN = "abcdef1234.execute-api.us-east-1.amazonaws.com"


def event(
    method: str,
    path: str,
    body: Any = None,
    headers: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
    request_id: str = "request-1",
) -> dict[str, Any]:
    """A proxy event; `body` is JSON-able data, or bytes as they are."""
    raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    asked = Asked(
        "abcdef1234",
        "v1",
        method,
        path,
        {name: [value] for name, value in (query or {}).items()},
        headers or {},
        raw,
        "203.0.113.7",
        request_id,
    )
    parts = path.split("/")
    resource = "/".join(["/{batch_id}" if n == 2 else part for n, part in enumerate(parts)]).replace("//", "/")
    return proxy_event(asked, resource, {"batch_id": unquote(parts[2])} if len(parts) > 2 else {}, "key", DOMAIN)
