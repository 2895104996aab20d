"""Functions that AWS would refuse are refused here too."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from batchmill.local.function_spec import FunctionSpec, InvalidFunction, parse_reference

GOOD = FunctionSpec("app-intake", "intake.handler", Path(), (), {"A": "b"}, 30, 256)


def test_a_plain_function_is_fine() -> None:
    GOOD.check()
    assert GOOD.arn == "arn:aws:lambda:us-east-1:123456789012:function:app-intake"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"name": "x" * 65}, "1 to 64"),
        ({"name": "a.b"}, "1 to 64"),
        ({"name": ""}, "1 to 64"),
        ({"handler": "intake"}, "module.function"),
        ({"timeout_seconds": 901}, "1 to 900"),
        ({"timeout_seconds": 0}, "1 to 900"),
        ({"memory_mb": 64}, "128 to 10240"),
        ({"max_environments": 0}, "at least one"),
        ({"environment": {"AWS_REGION": "x", "_HANDLER": "y"}}, "AWS_REGION, _HANDLER"),
        ({"environment": {"A": "x" * 4096}}, "4097 bytes"),
    ],
)
def test_what_aws_refuses_is_refused(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidFunction, match=reason):
        replace(GOOD, **change).check()


@pytest.mark.parametrize(
    ("reference", "parsed"),
    [
        ("f", ("f", "")),
        ("f:$LATEST", ("f", "$LATEST")),
        ("function:f", ("f", "")),
        ("123456789012:function:f", ("f", "")),
        ("arn:aws:lambda:us-east-1:123456789012:function:f:live", ("f", "live")),
    ],
)
def test_a_reference_is_a_name_or_an_arn(reference: str, parsed: tuple[str, str]) -> None:
    assert parse_reference(reference) == parsed


@pytest.mark.parametrize("reference", ["", "a b", "arn:aws:sqs:us-east-1:123456789012:f", "x" * 65])
def test_anything_else_is_not_a_reference(reference: str) -> None:
    with pytest.raises(InvalidFunction):
        parse_reference(reference)
