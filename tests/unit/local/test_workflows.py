"""Which executions may start."""

import json

import pytest

from batchmill.local.workflows import start_refusal


@pytest.mark.parametrize("name", ["", "x" * 81, *(f"a{c}b" for c in ' <>{}[]?*"#%\\^|~`$&,;:/\n\x00\x85\ufffe')])
def test_a_name_aws_refuses_is_refused(name: str) -> None:
    refused = start_refusal({"name": name})
    assert refused is not None
    assert json.loads(refused.get_data())["__type"] == "InvalidName"


@pytest.mark.parametrize("name", ["a", "x" * 80, "batch_a-r2.b", "ä"])
def test_a_name_aws_takes_is_taken(name: str) -> None:
    assert start_refusal({"name": name, "input": "{}"}) is None


@pytest.mark.parametrize("value", ['"' + "x" * (256 * 1024 - 1) + '"', '"' + "ü" * (128 * 1024) + '"', "{", "nope"])
def test_an_input_too_large_or_no_json_is_refused(value: str) -> None:
    refused = start_refusal({"input": value})
    assert refused is not None
    assert json.loads(refused.get_data())["__type"] == "InvalidExecutionInput"
