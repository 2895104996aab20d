from __future__ import annotations

import pytest

from batchmill.local.rest.authorizing import permits

ARN = "arn:aws:execute-api:us-east-1:123456789012:api/v1/GET/batches"
STAGE = "arn:aws:execute-api:us-east-1:123456789012:api/v1/*"


def statement(effect: str, resource: str, action: str = "execute-api:Invoke") -> dict[str, object]:
    return {"Effect": effect, "Action": [action], "Resource": [resource]}


@pytest.mark.parametrize(
    ("statements", "allowed"),
    [
        ([statement("Allow", STAGE)], True),
        ([statement("Allow", ARN.replace("GET", "???"))], True),
        ([statement("Allow", STAGE, "execute-api:*")], True),
        ([statement("Allow", ARN.replace("GET", "POST"))], False),
        ([statement("Allow", STAGE, "execute-api:ManageConnections")], False),
        ([statement("Allow", STAGE), statement("Deny", ARN)], False),
        ([statement("Deny", STAGE)], False),
        ([], False),
    ],
)
def test_a_policy_lets_through_what_it_allows_and_does_not_deny(
    statements: list[dict[str, object]], allowed: bool
) -> None:
    assert permits({"Statement": statements}, ARN) is allowed
