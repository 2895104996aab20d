from __future__ import annotations

import pytest

from batchmill.adapters.secrets import ManagedSecrets
from batchmill.domain.errors import Gone, Transient
from fakes.stubbed import answer, refuse, stubbed

ARN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:key-AbCdEf"


def test_a_secret_is_its_text() -> None:
    client, stubber = stubbed("secretsmanager")
    answer(stubber, "get_secret_value", {"SecretString": "key"}, {"SecretId": ARN})
    assert ManagedSecrets(client).read(ARN) == "key"


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [("ThrottlingException", 400, Transient), ("ResourceNotFoundException", 400, Gone)],
)
def test_its_errors_are_the_domains(code: str, status: int, kind: type[Exception]) -> None:
    client, stubber = stubbed("secretsmanager")
    refuse(stubber, "get_secret_value", code, status)
    with pytest.raises(kind):
        ManagedSecrets(client).read(ARN)
