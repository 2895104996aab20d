"""A template's `Parameters`: defaults, and the checks that CloudFormation makes before creating anything."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from batchmill.local.intrinsics import TemplateError, text

_KINDS = re.compile(r"CommaDelimitedList|(List<)?(String|Number|AWS::EC2::[A-Za-z0-9:]+)(?(1)>)")


def settle(declared: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, str | list[str]]:
    """The value of every declared parameter: what is given, else its default.

    Numbers stay strings, as in CloudFormation; list types become lists of strings.
    Raises TemplateError for a parameter that is unknown, has no value, or has one that is refused.
    """
    unknown = sorted(set(given) - set(declared))
    if unknown:
        raise TemplateError(f"the template has no parameter {', '.join(unknown)}")
    return {name: _value(name, declaration, given) for name, declaration in declared.items()}


def _value(name: str, declaration: Mapping[str, Any], given: Mapping[str, Any]) -> str | list[str]:
    kind = declaration.get("Type", "String")
    if name not in given and "Default" not in declaration:
        raise TemplateError(f"the parameter {name} needs a value: it has no default")
    raw = given[name] if name in given else declaration["Default"]
    if not _KINDS.fullmatch(kind):
        raise TemplateError(f"the parameter {name} has the type {kind}, which the embedded stack does not know")
    if kind.startswith(("CommaDelimitedList", "List<")):
        whole = ",".join(text(item) for item in raw) if isinstance(raw, list) else text(raw)
        items = [item.strip() for item in whole.split(",")] if whole else []
        for item in items:
            _check(name, kind, declaration, item)
        return items
    _check(name, kind, declaration, text(raw))
    return text(raw)


def _check(name: str, kind: str, declaration: Mapping[str, Any], value: str) -> None:
    if "Number" in kind:
        _check_number(name, declaration, value)
    allowed = declaration.get("AllowedValues")
    if allowed is not None and value not in [text(item) for item in allowed]:
        choices = ", ".join(text(item) for item in allowed)
        raise _refused(name, declaration, f"{value!r} is none of: {choices}")
    pattern = declaration.get("AllowedPattern")
    if pattern is not None and not re.fullmatch(pattern, value):
        raise _refused(name, declaration, f"{value!r} does not match {pattern}")
    if len(value) < int(declaration.get("MinLength", 0)):
        raise _refused(name, declaration, f"{value!r} is shorter than {declaration['MinLength']} characters")
    if "MaxLength" in declaration and len(value) > int(declaration["MaxLength"]):
        raise _refused(name, declaration, f"{value!r} is longer than {declaration['MaxLength']} characters")


def _check_number(name: str, declaration: Mapping[str, Any], value: str) -> None:
    try:
        number = float(value)
    except ValueError:
        raise _refused(name, declaration, f"{value!r} is not a number") from None
    if "MinValue" in declaration and number < float(declaration["MinValue"]):
        raise _refused(name, declaration, f"{value} is less than {declaration['MinValue']}")
    if "MaxValue" in declaration and number > float(declaration["MaxValue"]):
        raise _refused(name, declaration, f"{value} is more than {declaration['MaxValue']}")


def _refused(name: str, declaration: Mapping[str, Any], reason: str) -> TemplateError:
    hint = declaration.get("ConstraintDescription")
    return TemplateError(f"the parameter {name} is refused: {reason}" + (f" ({hint})" if hint else ""))
