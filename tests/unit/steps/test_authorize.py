from __future__ import annotations

import pytest

from batchmill.contracts.api import Presented
from batchmill.domain.errors import Gone, Transient
from batchmill.local.rest.authorizing import permits
from batchmill.steps.authorize import Authorize
from fakes.clock import FakeClock
from fakes.functions import MemorySecrets

KEY = "k" * 48
API = "arn:aws:execute-api:us-east-1:123456789012:abcdef1234"


class Gate:
    def __init__(self, key: str = KEY) -> None:
        self.secrets, self.clock = MemorySecrets({"arn": key}), FakeClock()
        self.step = Authorize(self.secrets, self.clock, "arn")

    def lets_in(self, token: str) -> bool:
        presented = Presented(type="TOKEN", authorizationToken=token, methodArn=f"{API}/v1/GET/batches")
        return permits(self.step(presented).policyDocument, f"{API}/v1/POST/batches/x/cancel")


@pytest.mark.parametrize("token", [f"Bearer {KEY}", f"bearer {KEY}", f"BEARER  {KEY} "])
def test_the_key_opens_every_path_of_the_stage(token: str) -> None:
    assert Gate().lets_in(token)


@pytest.mark.parametrize(
    "token",
    [
        "",
        "Bearer",
        "Bearer ",
        KEY,
        f"Basic {KEY}",
        f"Bearer {KEY}x",
        f"Bearer {KEY[:-1]}",
        "Bearer \ud800",
        "Bearer ключ",
    ],
)
def test_anything_else_does_not(token: str) -> None:
    assert not Gate().lets_in(token)


def test_a_policy_covers_no_other_stage_and_no_other_api() -> None:
    gate = Gate()
    token = Presented(type="TOKEN", authorizationToken=f"Bearer {KEY}", methodArn=f"{API}/v1/GET/batches")
    document = gate.step(token).policyDocument
    assert not permits(document, f"{API}/v2/GET/batches")
    assert not permits(document, f"{API[:-1]}5/v1/GET/batches")


@pytest.mark.parametrize("key", ["", "short"])
def test_a_secret_that_is_no_key_lets_nobody_in(key: str) -> None:
    assert not Gate(key).lets_in(f"Bearer {key}")


def test_the_key_is_kept_for_a_minute_and_then_read_again() -> None:
    gate = Gate()
    for _ in range(3):
        assert gate.lets_in(f"Bearer {KEY}")
    assert gate.secrets.reads == 1
    gate.secrets.values["arn"] = "n" * 48
    gate.clock.move(61)
    assert not gate.lets_in(f"Bearer {KEY}")
    assert gate.lets_in("Bearer " + "n" * 48)
    assert gate.secrets.reads == 2


@pytest.mark.parametrize("trouble", [Transient("busy"), Gone("no secret")])
def test_where_the_key_cannot_be_read_nobody_is_let_in_not_even_by_the_one_known(trouble: Exception) -> None:
    gate = Gate()
    assert gate.lets_in(f"Bearer {KEY}")
    gate.clock.move(61)

    def fail() -> None:
        raise trouble

    gate.secrets.before = fail
    with pytest.raises(type(trouble)):
        gate.lets_in(f"Bearer {KEY}")
