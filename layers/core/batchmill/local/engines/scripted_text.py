"""What the scripted engine says: derived from the request alone, so that a test knows each row's answer."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any

from batchmill.local.engines.wire import RequestRefused


def prompt_text(body: Mapping[str, Any]) -> str:
    """The text of a chat, completion or embedding request: its messages' contents, or its prompt or input.

    Contents that are not text are taken as JSON; several are joined by newlines. Raises RequestRefused if none.
    """
    if "messages" in body:
        messages = body["messages"]
        if not isinstance(messages, list) or not messages:
            raise RequestRefused("messages must be a list that is not empty", param="messages")
        return "\n".join(_as_text(m.get("content") if isinstance(m, dict) else m) for m in messages)
    for field in ("prompt", "input"):
        if field in body:
            return _as_text(body[field])
    raise RequestRefused("the request has none of messages, prompt and input")


def expected_text(prompt: str) -> str:
    """The whole answer to a prompt: `scripted ` and the first 16 hex digits of the prompt's sha256."""
    return "scripted " + hashlib.sha256(prompt.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def expected_json(prompt: str) -> str:
    """The whole answer where the request asks for a JSON object."""
    return json.dumps({"scripted": expected_text(prompt).split()[1]})


def expected_vector(text: str, dimensions: int = 8) -> list[float]:
    """The embedding of a text, of length 1."""
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    raw = [int.from_bytes(digest[4 * i : 4 * i + 4], "little") / 2**31 - 1 for i in range(dimensions)]
    length = math.sqrt(sum(x * x for x in raw)) or 1.0
    return [x / length for x in raw]


def answer_text(body: Mapping[str, Any], prompt: str) -> str:
    """The answer that a request with this body gets, if nothing goes wrong."""
    wanted = body.get("response_format")
    if isinstance(wanted, dict) and wanted.get("type") in ("json_object", "json_schema"):
        return expected_json(prompt)
    return expected_text(prompt)


def inputs(body: Mapping[str, Any]) -> list[str]:
    """The texts of an embedding request. Raises RequestRefused on an empty or missing input."""
    given = body.get("input")
    texts: list[Any] = given if isinstance(given, list) else [given]
    if not texts or not all(isinstance(text, str) for text in texts):
        raise RequestRefused("input must be a string or a list of strings", param="input")
    return texts


def token_limit(body: Mapping[str, Any]) -> int | None:
    """The request's own bound on its answer, in tokens. Raises RequestRefused if it is no positive number."""
    limit = body.get("max_completion_tokens", body.get("max_tokens"))
    if limit is not None and (not isinstance(limit, int) or limit < 1):
        raise RequestRefused(f"max_tokens must be at least 1, got {limit!r}", param="max_tokens")
    return limit


def _as_text(content: object) -> str:
    return content if isinstance(content, str) else json.dumps(content, sort_keys=True)
