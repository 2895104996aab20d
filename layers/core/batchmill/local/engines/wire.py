"""OpenAI's answer shapes, as far as the local engines speak them."""

from __future__ import annotations

import base64
import json
import struct
import time
from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web

Json = dict[str, Any]
"""A JSON object, as parsed or about to be dumped."""


class RequestRefused(Exception):
    """A request that the engine answers with an error in OpenAI's shape; `status` is the HTTP status."""

    def __init__(self, message: str, status: int = 400, param: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.param = param


_TYPES = {400: "BadRequestError", 404: "NotFoundError", 429: "RateLimitError", 503: "ServiceUnavailableError"}


def error(message: str, status: int = 400, param: str | None = None, **headers: str) -> web.Response:
    """An error in OpenAI's shape. `headers`: names with `_` for `-`."""
    kind = _TYPES.get(status, "InternalServerError")
    body = {"error": {"message": message, "type": kind, "param": param, "code": status}}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return web.json_response(body, status=status, headers=named)


async def read_json(request: web.Request) -> Json:
    """The request's body. Raises RequestRefused if it is no JSON object."""
    try:
        body = json.loads(await request.read())
    except ValueError as fault:
        raise RequestRefused(f"the body is not JSON: {fault}") from fault
    if not isinstance(body, dict):
        raise RequestRefused("the body must be a JSON object")
    return body


def usage(prompt_tokens: int, completion_tokens: int = 0, cached_tokens: int = 0) -> Json:
    """OpenAI's `usage`, counts in tokens."""
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
        "prompt_tokens_details": {"cached_tokens": cached_tokens},
    }


def chat_completion(name: str, model: str, text: str, finish_reason: str, counts: Json) -> Json:
    """A `chat.completion` with one choice."""
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish_reason}
    return _answer(name, "chat.completion", model, [choice], counts)


def completion(name: str, model: str, text: str, finish_reason: str, counts: Json) -> Json:
    """A `text_completion` with one choice."""
    choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": finish_reason}
    return _answer(name, "text_completion", model, [choice], counts)


def embeddings(model: str, vectors: Sequence[Sequence[float]], encoding: str, counts: Json) -> Json:
    """A list of embeddings; `encoding` is "float", or "base64" of little-endian float32."""
    data = [
        {"object": "embedding", "index": index, "embedding": encode_vector(vector, encoding)}
        for index, vector in enumerate(vectors)
    ]
    return {"object": "list", "model": model, "data": data, "usage": counts}


def encode_vector(vector: Sequence[float], encoding: str) -> list[float] | str:
    """One embedding as OpenAI sends it. Raises RequestRefused on an encoding that is neither of the two."""
    if encoding == "float":
        return list(vector)
    if encoding == "base64":
        return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode("ascii")
    raise RequestRefused(f"encoding_format must be float or base64, not {encoding!r}", param="encoding_format")


def models(names: Sequence[str], **facts: object) -> Json:
    """The list of /v1/models; `facts` are added to each."""
    created = int(time.time())
    data = [{"id": name, "object": "model", "created": created, "owned_by": "batchmill", **facts} for name in names]
    return {"object": "list", "data": data}


def _answer(name: str, kind: str, model: str, choices: Sequence[Mapping[str, object]], counts: Json) -> Json:
    created = int(time.time())
    return {
        "id": name, "object": kind, "created": created, "model": model, "choices": list(choices), "usage": counts
    }  # fmt: skip
