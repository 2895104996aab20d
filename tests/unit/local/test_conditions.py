from __future__ import annotations

from typing import Any

import pytest

from batchmill.local.conditions import check_rules, evaluate
from batchmill.local.intrinsics import Scope, TemplateError

SCOPE = Scope({"Size": "big", "On": "true", "Count": "3"})
BIG = {"Fn::Equals": [{"Ref": "Size"}, "big"]}
SMALL = {"Fn::Equals": [{"Ref": "Size"}, "small"]}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (BIG, True),
        (SMALL, False),
        ({"Fn::Equals": [{"Ref": "On"}, True]}, True),
        ({"Fn::Equals": [{"Ref": "Count"}, 3]}, True),
        ({"Fn::Not": [SMALL]}, True),
        ({"Fn::And": [BIG, SMALL]}, False),
        ({"Fn::Or": [SMALL, BIG]}, True),
        ({"Fn::And": [{"Condition": "Other"}, BIG]}, True),
    ],
)
def test_a_condition_is_true_where_cloudformation_says_so(expression: Any, expected: bool) -> None:
    results = evaluate({"Asked": expression, "Other": BIG}, SCOPE)

    assert results == {"Asked": expected, "Other": True}


@pytest.mark.parametrize(
    ("conditions", "words"),
    [
        ({"A": {"Condition": "B"}, "B": {"Fn::Not": [{"Condition": "A"}]}}, "A -> B -> A"),
        ({"A": {"Condition": "Nobody"}}, "Nobody"),
        ({"A": {"Ref": "Size"}}, "condition A"),
        ({"A": {"Fn::Equals": [{"Ref": "Queue"}, "x"]}}, "Queue"),
    ],
)
def test_a_condition_that_cannot_be_settled_is_named(conditions: Any, words: str) -> None:
    with pytest.raises(TemplateError, match=words):
        evaluate(conditions, SCOPE)


def rule(assertion: Any, condition: Any = None) -> dict[str, Any]:
    """One rule, with its assertion in words."""
    when = {} if condition is None else {"RuleCondition": condition}
    return {"Sizes": {**when, "Assertions": [{"Assert": assertion, "AssertDescription": "be big or be gone"}]}}


@pytest.mark.parametrize("rules", [rule(BIG), rule(BIG, BIG), rule(SMALL, SMALL), {}])
def test_parameters_that_go_together_are_taken(rules: Any) -> None:
    check_rules(rules, SCOPE)


@pytest.mark.parametrize("rules", [rule(SMALL), rule(SMALL, BIG)])
def test_parameters_that_do_not_go_together_are_refused_in_the_rules_words(rules: Any) -> None:
    with pytest.raises(TemplateError, match="parameters are refused: be big or be gone"):
        check_rules(rules, SCOPE)
