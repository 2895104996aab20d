"""API Gateway's own answers: what each type is by default, and what the template makes of it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from werkzeug.wrappers import Response

# Type: status and message without a template's word.
DEFAULTS: Mapping[str, tuple[int, str]] = {
    "ACCESS_DENIED": (403, "User is not authorized to access this resource"),
    "API_CONFIGURATION_ERROR": (500, "Internal server error"),
    "AUTHORIZER_CONFIGURATION_ERROR": (500, "Internal server error"),
    "AUTHORIZER_FAILURE": (500, "Internal server error"),
    "INTEGRATION_FAILURE": (504, "Internal server error"),
    "INTEGRATION_TIMEOUT": (504, "Endpoint request timed out"),
    "MISSING_AUTHENTICATION_TOKEN": (403, "Missing Authentication Token"),
    "REQUEST_TOO_LARGE": (413, "Request Too Long"),
    "THROTTLED": (429, "Too Many Requests"),
    "UNAUTHORIZED": (401, "Unauthorized"),
}
_TEMPLATE = '{"message":$context.error.messageString}'
_HEADER = "gatewayresponse.header."
_VARIABLE = re.compile(r"\$context\.[\w.]+")


class Refused(Exception):
    """A request that API Gateway answers itself. `status` where the type's own is not what is answered."""

    def __init__(self, kind: str, why: str = "", status: int | None = None) -> None:
        super().__init__(f"{kind}: {why}" if why else kind)
        self.kind, self.status = kind, status


def rendered(refused: Refused, responses: Mapping[str, Mapping[str, Any]], request_id: str) -> Response:
    """The answer: the type's own response of the template, else the template's default of its class, else AWS's."""
    status, message = DEFAULTS[refused.kind]
    general = responses.get("DEFAULT_4XX" if status < 500 else "DEFAULT_5XX", {})
    said = responses.get(refused.kind, general)
    values = {
        "$context.error.message": message,
        "$context.error.messageString": json.dumps(message),
        "$context.error.responseType": refused.kind,
        "$context.requestId": request_id,
    }
    template = said.get("responseTemplates", {}).get("application/json", _TEMPLATE)
    body = _VARIABLE.sub(lambda found: values.get(found[0], ""), template)
    answer = Response(body, int(said.get("statusCode") or refused.status or status), content_type="application/json")
    answer.headers["x-amzn-RequestId"] = request_id
    answer.headers["x-amzn-ErrorType"] = refused.kind.title().replace("_", "") + "Exception"
    for name, value in said.get("responseParameters", {}).items():
        literal = value.strip("'") if value.startswith("'") else values.get(f"${value}", "")
        answer.headers[name.removeprefix(_HEADER)] = literal
    return answer
