"""CloudFormation's intrinsic functions, conditions and dependency order, without any service behind them.

A template is resolved in two steps. `prune` settles every condition (they may only look at parameters), so
that what a stack does not create is gone before anybody asks what depends on what. `resolve` then replaces
the functions that are left, resource by resource, in the order that `order` gives.
"""

from __future__ import annotations

import base64
import ipaddress
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import Any

from batchmill.domain.errors import UserError

_PLACEHOLDER = re.compile(r"\$\{(!?)([^}]*)\}")


class TemplateError(UserError):
    """A template, or a parameter of it, cannot be deployed as it is."""

    code = "invalid_template"


class _NoValue:
    """What `AWS::NoValue` stands for: the property or list item that holds it is left out."""


NO_VALUE = _NoValue()


@dataclass(frozen=True)
class Made:
    """A resource that exists: what `Ref` and `Fn::GetAtt` of its logical id give."""

    ref: str
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Scope:
    """What the functions of one template may look at.

    `parameters`: name to value (a string, or a list of strings for list types), pseudo parameters included.
    `made`: logical id to the resources that exist so far; it grows while a stack is deployed.
    """

    parameters: Mapping[str, Any]
    mappings: Mapping[str, Any] = field(default_factory=dict)
    made: Mapping[str, Made] = field(default_factory=dict)


def pseudo_parameters(stack: str, stack_id: str, region: str, account: str) -> dict[str, Any]:
    """The parameters that every template has without declaring them."""
    return {
        "AWS::AccountId": account,
        "AWS::NotificationARNs": [],
        "AWS::NoValue": NO_VALUE,
        "AWS::Partition": "aws",
        "AWS::Region": region,
        "AWS::StackId": stack_id,
        "AWS::StackName": stack,
        "AWS::URLSuffix": "amazonaws.com",
    }


def prune(value: Any, conditions: Mapping[str, bool]) -> Any:
    """The value with every `Fn::If` replaced by the branch that its condition picks."""
    if isinstance(value, list):
        return [prune(item, conditions) for item in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"Fn::If"}:
        name, yes, no = _arguments("Fn::If", value["Fn::If"], 3)
        if name not in conditions:
            raise TemplateError(f"Fn::If names the condition {name!r}, which the template does not have")
        return prune(yes if conditions[name] else no, conditions)
    return {key: prune(item, conditions) for key, item in value.items()}


def resolve(value: Any, scope: Scope) -> Any:
    """The value with every function replaced by its result, and what is `AWS::NoValue` left out.

    Raises TemplateError where a function is unknown, misused, or names something that does not exist.
    """
    if isinstance(value, list):
        items = [resolve(item, scope) for item in value]
        return [item for item in items if item is not NO_VALUE]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        name, argument = next(iter(value.items()))
        if name in _FUNCTIONS:
            return _FUNCTIONS[name](argument, scope)
        if str(name).startswith("Fn::"):
            raise TemplateError(f"{name} is not supported in the embedded stack")
    entries = {key: resolve(item, scope) for key, item in value.items()}
    return {key: item for key, item in entries.items() if item is not NO_VALUE}


def references(value: Any) -> set[str]:
    """The names that `Ref`, `Fn::GetAtt` and `Fn::Sub` in the value point at: logical ids and parameters."""
    return set(_references(value))


def order(resources: Mapping[str, Any]) -> list[str]:
    """The logical ids so that each stands after all it needs; otherwise as written.

    Raises TemplateError naming the resources of a cycle.
    """
    graph: dict[str, list[str]] = {}
    for logical_id, resource in resources.items():
        depends = resource.get("DependsOn", [])
        needed = references(resource.get("Properties", {})) | set([depends] if isinstance(depends, str) else depends)
        graph[logical_id] = [name for name in resources if name in needed]
    try:
        return list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        raise TemplateError(f"resources depend on each other in a circle: {' -> '.join(error.args[1])}") from None


def text(value: Any) -> str:
    """A scalar as CloudFormation writes it in a string: `true` for True, `5` for 5.

    Raises TemplateError for a list or a mapping.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    raise TemplateError(f"a string is needed where the template gives {value!r}")


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _references(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key == "Ref" and isinstance(item, str):
                yield item
            elif key == "Fn::GetAtt":
                yield _attribute_path(item)[0]
            elif key == "Fn::Sub":
                yield from _sub_references(item)
            else:
                yield from _references(item)


def _sub_references(argument: Any) -> Iterator[str]:
    template, values = _sub_arguments(argument)
    yield from _references(values)
    for literal, name in _PLACEHOLDER.findall(template):
        if not literal and name.strip() not in values:
            yield name.strip().split(".", 1)[0]


def _arguments(function: str, argument: Any, count: int) -> list[Any]:
    if not isinstance(argument, list) or len(argument) != count:
        raise TemplateError(f"{function} takes a list of {count} items, not {argument!r}")
    return argument


def _ref(argument: Any, scope: Scope) -> Any:
    if argument in scope.made:
        return scope.made[argument].ref
    if argument in scope.parameters:
        return scope.parameters[argument]
    raise TemplateError(f"Ref names {argument!r}, which is no parameter and no resource of the template")


def _attribute_path(argument: Any) -> tuple[str, str]:
    parts = argument.split(".", 1) if isinstance(argument, str) else argument
    if not isinstance(parts, list) or len(parts) < 2 or not all(isinstance(part, str) for part in parts):
        raise TemplateError(f"Fn::GetAtt takes a logical id and an attribute, not {argument!r}")
    return parts[0], ".".join(parts[1:])


def _get_att(argument: Any, scope: Scope) -> Any:
    logical_id, attribute = _attribute_path(argument)
    if logical_id not in scope.made:
        raise TemplateError(f"Fn::GetAtt names {logical_id!r}, which is no resource of the template")
    attributes = scope.made[logical_id].attributes
    if attribute not in attributes:
        known = ", ".join(sorted(attributes)) or "none"
        raise TemplateError(f"{logical_id} has no attribute {attribute!r} here (it has: {known})")
    return attributes[attribute]


def _sub_arguments(argument: Any) -> tuple[str, dict[str, Any]]:
    template, values = (argument, {}) if isinstance(argument, str) else _arguments("Fn::Sub", argument, 2)
    if not isinstance(template, str) or not isinstance(values, dict):
        raise TemplateError(f"Fn::Sub takes a string, or a string and a mapping, not {argument!r}")
    return template, values


def _sub(argument: Any, scope: Scope) -> str:
    template, values = _sub_arguments(argument)
    local = {name: resolve(value, scope) for name, value in values.items()}

    def fill(match: re.Match[str]) -> str:
        name = match[2].strip()
        if match[1]:
            return "${" + match[2] + "}"
        if name in local:
            return text(local[name])
        return text(_get_att(name, scope) if "." in name else _ref(name, scope))

    return _PLACEHOLDER.sub(fill, template)


def _join(argument: Any, scope: Scope) -> str:
    separator, items = _arguments("Fn::Join", argument, 2)
    return text(separator).join(text(item) for item in _list("Fn::Join", items, scope))


def _select(argument: Any, scope: Scope) -> Any:
    position, items = _arguments("Fn::Select", argument, 2)
    index, choices = int(text(resolve(position, scope))), _list("Fn::Select", items, scope)
    if not 0 <= index < len(choices):
        raise TemplateError(f"Fn::Select asks for item {index} of a list of {len(choices)}")
    return choices[index]


def _split(argument: Any, scope: Scope) -> list[str]:
    separator, source = _arguments("Fn::Split", argument, 2)
    return text(resolve(source, scope)).split(text(separator))


def _find_in_map(argument: Any, scope: Scope) -> Any:
    keys = [text(resolve(item, scope)) for item in _arguments("Fn::FindInMap", argument, 3)]
    found: Any = scope.mappings
    for key in keys:
        if not isinstance(found, Mapping) or key not in found:
            raise TemplateError(f"Fn::FindInMap finds no {' / '.join(keys)} in the template's Mappings")
        found = found[key]
    return found


def _zones(argument: Any, scope: Scope) -> list[str]:
    region = text(resolve(argument, scope)) or text(scope.parameters["AWS::Region"])
    return [f"{region}{letter}" for letter in "abcd"]


def _cidr(argument: Any, scope: Scope) -> list[str]:
    block, count, bits = (text(resolve(item, scope)) for item in _arguments("Fn::Cidr", argument, 3))
    try:
        parts = list(ipaddress.ip_network(block).subnets(new_prefix=32 - int(bits)))
    except ValueError as error:
        raise TemplateError(f"Fn::Cidr cannot divide {block} into blocks of {bits} bits: {error}") from None
    if int(count) > len(parts):
        raise TemplateError(f"Fn::Cidr is asked for {count} blocks of {bits} bits, and {block} has {len(parts)}")
    return [str(part) for part in parts[: int(count)]]


def _base64(argument: Any, scope: Scope) -> str:
    return base64.b64encode(text(resolve(argument, scope)).encode()).decode()


def _to_json(argument: Any, scope: Scope) -> str:
    return json.dumps(resolve(argument, scope), separators=(",", ":"))


def _import_value(argument: Any, _scope: Scope) -> Any:
    raise TemplateError(f"Fn::ImportValue {argument!r}: there are no other stacks to import from here")


def _list(function: str, argument: Any, scope: Scope) -> list[Any]:
    items = resolve(argument, scope)
    if not isinstance(items, list):
        raise TemplateError(f"{function} takes a list, not {items!r}")
    return items


_FUNCTIONS: Mapping[str, Callable[[Any, Scope], Any]] = {
    "Ref": _ref,
    "Fn::GetAtt": _get_att,
    "Fn::Sub": _sub,
    "Fn::Join": _join,
    "Fn::Select": _select,
    "Fn::Split": _split,
    "Fn::FindInMap": _find_in_map,
    "Fn::GetAZs": _zones,
    "Fn::Cidr": _cidr,
    "Fn::Base64": _base64,
    "Fn::ToJsonString": _to_json,
    "Fn::ImportValue": _import_value,
}
