from __future__ import annotations

from typing import Any

import pytest

from batchmill.local.intrinsics import TemplateError
from batchmill.local.parameters import settle


def test_what_is_given_wins_over_the_default() -> None:
    declared = {"Rows": {"Type": "Number", "Default": 1000}, "Model": {"Type": "String", "Default": "m"}}

    assert settle(declared, {"Rows": "5"}) == {"Rows": "5", "Model": "m"}


def test_list_types_become_lists_of_strings() -> None:
    declared = {"Zones": {"Type": "CommaDelimitedList", "Default": "a, b"}, "None": {"Type": "List<Number>"}}

    assert settle(declared, {"None": ""}) == {"Zones": ["a", "b"], "None": []}


@pytest.mark.parametrize(
    ("declaration", "value", "words"),
    [
        ({"AllowedValues": ["arm64", "x86_64"]}, "mips", "'mips' is none of: arm64, x86_64"),
        ({"AllowedPattern": "[a-z]+"}, "A1", "does not match"),
        ({"MinLength": 3}, "ab", "shorter than 3"),
        ({"MaxLength": 1}, "ab", "longer than 1"),
        ({"Type": "Number"}, "many", "not a number"),
        ({"Type": "Number", "MinValue": 1}, "0", "less than 1"),
        ({"Type": "Number", "MaxValue": 9}, "10", "more than 9"),
        ({"Type": "List<Number>", "MaxValue": 9}, "1,10", "more than 9"),
        ({"AllowedPattern": "x", "ConstraintDescription": "must be x"}, "y", "must be x"),
        ({"Type": "AWS::SSM::Parameter::Value<String>"}, "/a", "AWS::SSM::Parameter"),
    ],
)
def test_a_value_that_the_declaration_refuses_is_named(declaration: Any, value: str, words: str) -> None:
    with pytest.raises(TemplateError, match=f"Thing.*{words}"):
        settle({"Thing": declaration}, {"Thing": value})


def test_a_parameter_without_value_or_default_is_named() -> None:
    with pytest.raises(TemplateError, match="Thing needs a value"):
        settle({"Thing": {"Type": "String"}}, {})


def test_a_parameter_that_the_template_does_not_have_is_named() -> None:
    with pytest.raises(TemplateError, match="no parameter Typo"):
        settle({}, {"Typo": "x"})
