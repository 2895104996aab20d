"""authorize: whether a caller's key is the API's. In doubt nobody may call."""

from __future__ import annotations

import hmac
import logging
import threading

from batchmill.contracts.api import Policy, Presented
from batchmill.ports.clock import Clock
from batchmill.ports.secrets import Secrets

KEPT_SECONDS = 60.0
"""How long the key is used before it is read again: for so long a changed one is refused, and the old one taken."""
SHORTEST_KEY = 16
"""Characters; a shorter secret is a mistake, and lets nobody in."""

log = logging.getLogger(__name__)


class Authorize:
    """The step. `secret` is the ARN of the one that holds the key."""

    def __init__(self, secrets: Secrets, clock: Clock, secret: str) -> None:
        self._secrets, self._clock, self._secret = secrets, clock, secret
        self._lock = threading.Lock()
        self._key, self._read_at = b"", float("-inf")

    def __call__(self, presented: Presented) -> Policy:
        """A policy for the whole stage, since API Gateway keeps it for other paths too.

        Raises Transient or Gone where the key cannot be read: API Gateway then answers 500, and lets nobody in.
        """
        scheme, _, given = presented.token.partition(" ")
        right = hmac.compare_digest(given.strip().encode(errors="replace"), self._current())
        allowed = right and scheme.lower() == "bearer" and len(self._key) >= SHORTEST_KEY
        if not allowed:
            log.warning("authorize: a wrong key was refused")
        return _policy("Allow" if allowed else "Deny", stage_of(presented.method_arn))

    def _current(self) -> bytes:
        with self._lock:
            now = self._clock.now()
            if not 0 <= now - self._read_at < KEPT_SECONDS:
                self._key, self._read_at = self._secrets.read(self._secret).strip().encode(), now
            return self._key


def stage_of(method_arn: str) -> str:
    """`arn:…:<api>/<stage>/*/*` of the ARN of one call, `arn:…:<api>/<stage>/GET/batches`."""
    return "/".join([*method_arn.split("/", 2)[:2], "*", "*"])


def _policy(effect: str, resource: str) -> Policy:
    statement = {"Action": "execute-api:Invoke", "Effect": effect, "Resource": resource}
    return Policy(principalId="key", policyDocument={"Version": "2012-10-17", "Statement": [statement]})
