"""Request bodies: the template that a spec stands for, and what a body says to us beside the engine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import orjson

from batchmill.contracts.spec import BatchSpec
from batchmill.domain.errors import SpecInvalid
from batchmill.domain.request import Endpoint

ANY_OBJECT: Mapping[str, object] = {"type": "object"}
"""The schema of an answer that must be a JSON object of any form."""

FORMATS = frozenset({"response_format", "structured_outputs"})
"""The fields of a body that may ask for an answer of a form: OpenAI's and vLLM's."""

_MARKS = ("{{", "{%", "{#")


def body_source(spec: BatchSpec) -> dict[str, Any]:
    """The template of a request's body that a spec's `body`, `input`, `prompt` or `messages` stands for, with `params`.

    Raises SpecInvalid where the spec has none, or one that its endpoint does not take.
    """
    return {**_source(spec), **spec.params}


def template_sha256(spec: BatchSpec) -> str:
    """The hash, in hex, of the template as JSON; empty where rows bring their own bodies.

    The order of keys counts: an answer has its properties in the order of its schema's.
    """
    text = json.dumps(body_source(spec), separators=(",", ":")) if spec.ways else ""
    return hashlib.sha256(text.encode()).hexdigest() if text else ""


def wanted_schema(body: Mapping[str, Any]) -> object | None:
    """The JSON schema that a body asks its answer to fit, by OpenAI's field or by vLLM's; None for no such wish.

    A schema that stands there as text is parsed. Raises SpecInvalid for one that is none.
    """
    wanted = body.get("response_format")
    wanted = wanted if isinstance(wanted, dict) else {}
    if wanted.get("type") == "json_object":
        return ANY_OBJECT
    if wanted.get("type") == "json_schema":
        named = wanted.get("json_schema")
        if not isinstance(named, dict) or "schema" not in named:
            raise SpecInvalid("response_format: json_schema needs a schema within it")
        schema: object = named["schema"]
        return schema
    constrained = body.get("structured_outputs")
    if not isinstance(constrained, dict):
        return None
    given = constrained.get("json")
    if given is None:
        return ANY_OBJECT if constrained.get("json_object") else None
    return _parsed(given) if isinstance(given, str) else given


def fixed_schema(spec: BatchSpec) -> object | None:
    """The schema that every row of a spec has; None where rows may differ, or have none. Raises SpecInvalid."""
    source = body_source(spec) if spec.ways else spec.params
    return None if templated([source.get(name) for name in FORMATS]) else wanted_schema(source)


def check_repair(spec: BatchSpec) -> None:
    """Raises SpecInvalid where outputs are to be repaired that are no chat's, or that have no schema to fit."""
    if not spec.repair:
        return
    if spec.endpoint != Endpoint.CHAT:
        raise SpecInvalid(f"repair: goes with {Endpoint.CHAT}, not with {spec.endpoint}", "repair")
    if spec.ways and not any(body_source(spec).get(name) for name in FORMATS):
        raise SpecInvalid("repair: needs a schema to fit: give response_format in params", "repair")


def written(body: object) -> bytes:
    """A body as it is sent: JSON, its keys in their order, which a schema's properties are answered in.

    Infinity and NaN cannot come here: whoever reads or renders a row refuses them (orjson would write null).
    Raises ValueError, TypeError or RecursionError for what is no JSON.
    """
    try:
        return orjson.dumps(body)
    except TypeError:
        # Numbers of more than 64 bits, and halves of surrogate pairs, which the engine must judge, not we.
        return json.dumps(body, separators=(",", ":"), allow_nan=False).encode("ascii")


def templated(value: object) -> bool:
    """Whether any text within a value holds a placeholder."""
    if isinstance(value, str):
        return any(mark in value for mark in _MARKS)
    if isinstance(value, dict):
        return any(templated(each) for each in value.values())
    return isinstance(value, list) and any(templated(each) for each in value)


def _source(spec: BatchSpec) -> Mapping[str, Any]:
    if spec.body is not None:
        return spec.body
    if spec.input is not None:
        if spec.endpoint in (Endpoint.CHAT, Endpoint.COMPLETIONS):
            raise SpecInvalid(f"input: {spec.endpoint} takes a prompt (or body), not an input")
        return {"input": spec.input}
    if spec.endpoint == Endpoint.COMPLETIONS and spec.prompt is not None:
        if other := [name for name in ("system", "messages", "image") if getattr(spec, name) is not None]:
            raise SpecInvalid(f"{other[0]}: {spec.endpoint} takes a prompt alone")
        return {"prompt": spec.prompt}
    if not spec.ways:
        raise SpecInvalid(
            "rows need a template: give prompt or messages (chat), prompt (completions), input (embeddings and the "
            "like) or body"
        )
    if spec.endpoint != Endpoint.CHAT:
        raise SpecInvalid(f"{spec.ways[0]}: {spec.endpoint} takes no {spec.ways[0]}; give input or body")
    return {"messages": _messages(spec)}


def _messages(spec: BatchSpec) -> list[dict[str, Any]]:
    """System, examples, prompt."""
    messages: list[dict[str, Any]] = []
    if spec.system is not None:
        messages.append({"role": "system", "content": spec.system})
    messages += [message.model_dump(exclude_none=True) for message in spec.messages or ()]
    if spec.prompt is not None:
        messages.append({"role": "user", "content": spec.prompt})
    if spec.image is not None:
        asked = next((message for message in reversed(messages) if message["role"] == "user"), None)
        if asked is None:
            raise SpecInvalid("image: no message of the user's to show it with")
        content = asked["content"]
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        asked["content"] = [*parts, {"type": "image_url", "image_url": {"url": spec.image}}]
    return messages


def _parsed(schema: str) -> object:
    try:
        parsed: object = json.loads(schema)
    except (ValueError, RecursionError):
        raise SpecInvalid("structured_outputs: json is neither a schema nor one as text") from None
    return parsed
