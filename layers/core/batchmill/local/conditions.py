"""The `Conditions` of a template, by which a stack has a resource or not, and its `Rules` about parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from batchmill.local.intrinsics import Scope, TemplateError, resolve


def evaluate(conditions: Mapping[str, Any], scope: Scope) -> dict[str, bool]:
    """Every condition by name, as true or false.

    Raises TemplateError for an unknown condition, a circle of them, or a function not allowed in one.
    """
    results: dict[str, bool] = {}
    for name in conditions:
        _named(name, conditions, scope, results, ())
    return results


def check_rules(rules: Mapping[str, Any], scope: Scope) -> None:
    """Raises TemplateError, in the rule's own words, for parameters that do not go together."""
    for name, rule in rules.items():
        assertions = {str(number): item for number, item in enumerate(rule["Assertions"])}
        when = {"when": rule["RuleCondition"]} if "RuleCondition" in rule else {}
        results = evaluate({**when, **{key: item["Assert"] for key, item in assertions.items()}}, scope)
        for key, item in assertions.items():
            if results.get("when", True) and not results[key]:
                raise TemplateError(f"the parameters are refused: {item.get('AssertDescription', name)}")


def _named(
    name: str,
    conditions: Mapping[str, Any],
    scope: Scope,
    results: dict[str, bool],
    path: tuple[str, ...],
) -> bool:
    if name in path:
        raise TemplateError(f"conditions depend on each other in a circle: {' -> '.join((*path, name))}")
    if name not in conditions:
        raise TemplateError(f"the condition {name!r} is used, but the template does not have it")
    if name not in results:
        results[name] = _truth(conditions[name], conditions, scope, results, (*path, name))
    return results[name]


def _truth(
    expression: Any,
    conditions: Mapping[str, Any],
    scope: Scope,
    results: dict[str, bool],
    path: tuple[str, ...],
) -> bool:
    function, argument = _one_function(expression, path)
    if function == "Condition":
        return _named(argument, conditions, scope, results, path)
    if not isinstance(argument, list):
        raise TemplateError(f"{function} in the condition {path[-1]} takes a list, not {argument!r}")
    if function == "Fn::Equals":
        left, right = (resolve(side, scope) for side in argument)
        return bool(_comparable(left) == _comparable(right))
    terms = [_truth(term, conditions, scope, results, path) for term in argument]
    if function == "Fn::Not":
        return not terms[0]
    return all(terms) if function == "Fn::And" else any(terms)


def _one_function(expression: Any, path: tuple[str, ...]) -> tuple[str, Any]:
    known = ("Fn::And", "Fn::Equals", "Fn::Not", "Fn::Or", "Condition")
    if isinstance(expression, dict) and len(expression) == 1:
        function, argument = next(iter(expression.items()))
        if function in known:
            return function, argument
    raise TemplateError(f"the condition {path[-1]} holds {expression!r} where one of {', '.join(known)} is needed")


def _comparable(value: Any) -> Any:
    """YAML's true and CloudFormation's "true" are one value."""
    return str(value).lower() if isinstance(value, bool) else value if isinstance(value, list) else str(value)
