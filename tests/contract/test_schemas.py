"""What a compiler of JSON schemas owes the worker."""

from __future__ import annotations

from typing import Any

import pytest

from batchmill.adapters.json_schema import SCHEMA_LIMIT, JsonSchemas
from batchmill.domain.errors import SpecInvalid
from batchmill.ports.schemas import Schemas

TREE: dict[str, Any] = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "children": {"type": "array", "items": {"$ref": "#"}}},
    "required": ["name"],
    "additionalProperties": False,
}


@pytest.fixture(params=[JsonSchemas])
def schemas(request: pytest.FixtureRequest) -> Schemas:
    made: Schemas = request.param()
    return made


def test_what_fits_has_no_misfit(schemas: Schemas) -> None:
    assert schemas.compile(TREE)({"name": "a", "children": [{"name": "b"}]}) is None


@pytest.mark.parametrize(
    ("value", "misfit"),
    [
        ({}, "$: lacks 'name'"),
        ({"name": 1}, '$.name: must satisfy {"type": "string"}'),
        ({"name": "a", "children": [{"name": "b"}, {"name": None}]}, "$.children[1].name: must satisfy"),
        ({"name": "a", "secret": 1}, '$: must satisfy {"additionalProperties": false}'),
        ("secret", '$: must satisfy {"type": "object"}'),
    ],
)
def test_what_does_not_fit_is_told_by_place_and_rule_and_never_by_value(
    schemas: Schemas, value: object, misfit: str
) -> None:
    told = schemas.compile(TREE)(value)
    assert told is not None
    assert told.startswith(misfit)
    assert "secret" not in told


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ({"type": "nonsense"}, r"\$.type"),
        ({"properties": []}, r"\$.properties"),
        ({"pattern": "("}, r"\$.pattern"),
        ({"$ref": "#/$defs/nowhere"}, "#/\\$defs/nowhere"),
        ({"items": [{"$ref": "http://127.0.0.1:1/schema.json"}]}, "items"),
        ({"anyOf": [{"$ref": "http://127.0.0.1:1/schema.json"}]}, "http://127"),
        ("object", "is an object"),
        (None, "is an object"),
        ({"enum": ["x" * SCHEMA_LIMIT]}, "longer than"),
        ({"enum": [object()]}, "JSON"),
    ],
)
def test_what_is_no_schema_or_refers_outside_of_itself_is_refused(schemas: Schemas, schema: object, why: str) -> None:
    with pytest.raises(SpecInvalid, match=why):
        schemas.compile(schema)


def test_a_schema_may_be_of_an_older_draft_and_refer_within_itself(schemas: Schemas) -> None:
    old = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "definitions": {"n": {"type": "integer", "minimum": 3}},
        "items": {"$ref": "#/definitions/n"},
    }
    misfit = schemas.compile(old)
    assert misfit([3, 4]) is None
    assert misfit([2]) == '$[0]: must satisfy {"minimum": 3}'
    assert schemas.compile(True)({"any": "thing"}) is None
    assert schemas.compile(False)(1) is not None


def test_no_schema_and_no_output_raises_once_it_is_compiled(schemas: Schemas) -> None:
    assert schemas.compile({"$ref": "#"})(1) == "the output, or the schema, is nested too deeply"
    deep: object = 1
    for _ in range(100_000):
        deep = [deep]
    nested = {"$defs": {"a": {"items": {"$ref": "#/$defs/a"}}}, "$ref": "#/$defs/a"}
    assert schemas.compile(nested)(deep) == "the output, or the schema, is nested too deeply"
    assert schemas.compile({"multipleOf": 1e-300})(1e308) is not None


def test_the_same_schema_is_compiled_once(schemas: Schemas) -> None:
    assert schemas.compile({"type": "object", "title": "a"}) is schemas.compile({"title": "a", "type": "object"})
