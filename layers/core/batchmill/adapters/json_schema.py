"""The schemas port over the jsonschema library, which is loaded with the first schema: most batches have none."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from batchmill.domain.errors import SpecInvalid
from batchmill.ports.schemas import Misfit

if TYPE_CHECKING:
    from jsonschema import ValidationError

KEPT = 64
"""Compiled schemas kept: OpenAI lines may each bring their own."""

SCHEMA_LIMIT = 256 * 1024
"""Characters of a schema as JSON."""

_QUOTED = 200


class JsonSchemas:
    """Implements `ports.schemas.Schemas` for drafts 3 to 2020-12, by `$schema`, else 2020-12. Threads may share it."""

    def __init__(self) -> None:
        self._compiled: dict[str, Misfit] = {}

    def compile(self, schema: object) -> Misfit:
        """Raises SpecInvalid, naming the place in the schema."""
        text = _as_json(schema)
        found = self._compiled.get(text)
        if found is None:
            found = _compile(schema)
            while len(self._compiled) >= KEPT:
                self._compiled.pop(next(iter(self._compiled)), None)
            self._compiled[text] = found
        return found


def _as_json(schema: object) -> str:
    try:
        text = json.dumps(schema, sort_keys=True)
    except (TypeError, ValueError, RecursionError):
        raise SpecInvalid("the schema is nested too deeply, or holds what JSON cannot") from None
    if len(text) > SCHEMA_LIMIT:
        raise SpecInvalid(f"the schema is longer than {SCHEMA_LIMIT:,} characters")
    return text


def _compile(given: object) -> Misfit:
    from jsonschema import Draft202012Validator, SchemaError
    from jsonschema.validators import validator_for
    from referencing import Registry

    if not isinstance(given, dict | bool):
        raise SpecInvalid("a JSON schema is an object")
    schema: Any = given
    kind = validator_for(schema, default=Draft202012Validator)
    try:
        kind.check_schema(schema)
    except SchemaError as error:
        raise SpecInvalid(f"no JSON schema: at {_path(error.path)}: {error.message[:_QUOTED]}") from None
    except RecursionError:
        raise SpecInvalid("the schema is nested too deeply") from None
    _check_references(schema)
    # An empty registry: nothing is ever fetched from a URL that a schema names.
    validator = kind(schema, registry=Registry())

    def misfit(value: Any) -> str | None:
        try:
            error = next(validator.iter_errors(value), None)
        except RecursionError:
            return "the output, or the schema, is nested too deeply"
        except Exception as error:  # noqa: BLE001 - a schema of a user's over an output of a model: the row's, whatever
            return f"the schema cannot be applied: {type(error).__name__}"
        return None if error is None else _told(error)

    return misfit


def _check_references(schema: object) -> None:
    """Raises SpecInvalid for a reference to what the schema does not hold."""
    from referencing import Registry
    from referencing.exceptions import Unresolvable
    from referencing.jsonschema import DRAFT202012

    resource = DRAFT202012.create_resource(schema if isinstance(schema, dict) else {})
    base = resource.id() or ""
    resolver = Registry().with_resource(base, resource).crawl().resolver(base)
    for reference in _references(schema):
        try:
            resolver.lookup(reference)
        except Unresolvable:
            raise SpecInvalid(f"the schema refers to what it does not hold: {reference[:_QUOTED]}") from None


def _references(schema: object) -> Iterator[str]:
    left = [schema]
    while left:
        each = left.pop()
        if isinstance(each, dict):
            yield from (each[name] for name in ("$ref", "$dynamicRef") if isinstance(each.get(name), str))
            left += each.values()
        elif isinstance(each, list):
            left += each


def _told(error: ValidationError) -> str:
    """Where, and what of the schema is not met. jsonschema's own message would quote the output."""
    rule: Any = error.validator_value
    if error.validator == "required" and isinstance(error.instance, dict):
        lacking = ", ".join(repr(name) for name in rule if name not in error.instance)
        return f"{_path(error.absolute_path)}: lacks {lacking}"
    return f"{_path(error.absolute_path)}: must satisfy {json.dumps({str(error.validator): rule})[:_QUOTED]}"


def _path(steps: Iterable[str | int]) -> str:
    return "$" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)
