from __future__ import annotations

import pytest

from batchmill.adapters.functions import LambdaFunctions
from batchmill.domain.errors import Gone, Transient
from fakes.stubbed import answer, refuse, stubbed


def test_a_function_is_called_without_waiting_for_it() -> None:
    client, stubber = stubbed("lambda")
    asked = {"FunctionName": "cancel", "InvocationType": "Event", "Payload": b"{}"}
    answer(stubber, "invoke", {"StatusCode": 202}, asked)
    LambdaFunctions(client).begin("cancel", b"{}")
    stubber.assert_no_pending_responses()


@pytest.mark.parametrize(
    ("code", "status", "kind"), [("TooManyRequestsException", 429, Transient), ("ResourceNotFoundException", 404, Gone)]
)
def test_its_errors_are_the_domains(code: str, status: int, kind: type[Exception]) -> None:
    client, stubber = stubbed("lambda")
    refuse(stubber, "invoke", code, status)
    with pytest.raises(kind, match="function cancel"):
        LambdaFunctions(client).begin("cancel", b"{}")
