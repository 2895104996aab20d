"""Who may call: the authorizer's policy, evaluated, and kept as long as the template says."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from batchmill.local.rest.definition import Authorizer
from batchmill.local.rest.events import Asked, token_event
from batchmill.local.rest.responses import Refused
from batchmill.local.runtime_api import Invocation

Invoke = Callable[[str, Mapping[str, Any], str], Invocation]
"""Calls a function (ARN, event, the ARN that its permission must cover)."""

_ACTION = "execute-api:Invoke"
_UNAUTHORIZED = "Unauthorized"
"""The one error message by which an authorizer says 401 itself."""


class Authorizing:
    """Asks authorizers, and keeps their answers by token, as API Gateway does: one policy serves every path."""

    def __init__(self, invoke: Invoke, clock: Callable[[], float] = time.monotonic) -> None:
        self._invoke, self._clock = invoke, clock
        self._kept: dict[tuple[str, str], tuple[float, Mapping[str, Any]]] = {}
        self._lock = threading.Lock()

    def principal(self, authorizer: Authorizer, asked: Asked) -> str:
        """Who calls. Raises Refused: UNAUTHORIZED, ACCESS_DENIED, or AUTHORIZER_… where the function does not work."""
        token = asked.header(authorizer.header)
        if not token or (authorizer.pattern and not authorizer.pattern.fullmatch(token)):
            raise Refused("UNAUTHORIZED")
        policy = self._policy(authorizer, asked, token)
        try:
            allowed = permits(policy["policyDocument"], asked.arn)
            who = str(policy["principalId"])
        except (KeyError, TypeError, AttributeError) as error:
            raise Refused("AUTHORIZER_CONFIGURATION_ERROR", "its answer is no policy") from error
        if not allowed:
            raise Refused("ACCESS_DENIED")
        return who

    def _policy(self, authorizer: Authorizer, asked: Asked, token: str) -> Mapping[str, Any]:
        key, now = (authorizer.name, token), self._clock()
        with self._lock:
            until, policy = self._kept.get(key, (0.0, {}))
        if now < until:
            return policy
        outcome = self._invoke(
            authorizer.function_arn, token_event(asked, token), f"{_api(asked)}/authorizers/{authorizer.name}"
        )
        answer = json.loads(outcome.payload or b"null")
        if outcome.function_error is not None:
            said = answer.get("errorMessage") if isinstance(answer, dict) else ""
            raise Refused("UNAUTHORIZED" if said == _UNAUTHORIZED else "AUTHORIZER_FAILURE")
        if not isinstance(answer, dict):
            raise Refused("AUTHORIZER_CONFIGURATION_ERROR", "its answer is no policy")
        with self._lock:
            self._kept[key] = (now + authorizer.keeps_s, answer)
        return answer


def _api(asked: Asked) -> str:
    return asked.arn.split("/", 1)[0]


def permits(document: Mapping[str, Any], arn: str) -> bool:
    """Whether a policy lets this call through: some statement allows it, and none denies it."""
    effects = [
        statement["Effect"]
        for statement in _many(document["Statement"])
        if any(covers(action, _ACTION) for action in _many(statement["Action"]))
        and any(covers(resource, arn) for resource in _many(statement["Resource"]))
    ]
    return "Allow" in effects and "Deny" not in effects


def covers(pattern: str, text: str) -> bool:
    """Whether an IAM pattern (`*` and `?`) covers a text."""
    parts = (".*" if char == "*" else "." if char == "?" else re.escape(char) for char in pattern)
    return re.fullmatch("".join(parts), text) is not None


def _many(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list) else [value]
