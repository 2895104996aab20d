"""Whether a request fits the model's context: looked at before it is sent, and so before it costs anything."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any, Literal

from batchmill.domain.errors import Transient
from batchmill.domain.request import Endpoint, Request, RowError
from batchmill.ports.engine import Engine
from batchmill.steps.shard.bodies import written

CHAT_TOKENS = 1024
"""Tokens that a model's own template of a chat may add beyond a request's bytes: marks, a date, a default system text.
An assumption with room to spare; where it does not hold, the engine refuses the row, with the same code."""

EDGE_TOKENS = 16
"""The same for what is no chat: the marks of its beginning and end."""

LISTINGS = 3
"""Tries to learn the context, before an engine counts as one that does not tell it."""

_CODE = "context_length_exceeded"
_TOKENIZE = "/tokenize"
_WRITING = (Endpoint.CHAT, Endpoint.COMPLETIONS)
_MEDIA = (b'"image_url"', b'"video_url"', b'"audio_url"', b'"input_audio"')


@dataclass
class Room:
    """What one engine has room for. Its context is asked for once; rows that may not fit are counted by its tokenizer.

    A token stands for one byte of text at least, so that a request of fewer bytes than there is room for tokens fits,
    uncounted. Where the engine does not tell its context, or has no tokenizer (vLLM's /tokenize), it is left to judge.
    """

    engine: Engine
    _context: int | None = None
    _left: int = LISTINGS
    _tokenizer: bool = True
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def fitted(self, request: Request, policy: Literal["error", "truncate", "send"]) -> Request | RowError:
        """The request as it is to be sent, or that it is too long."""
        if policy == "send":
            return request
        context = await self._ask_context() if self._left else self._context
        added = CHAT_TOKENS if request.url == Endpoint.CHAT else EDGE_TOKENS
        if context is None or len(request.payload) + added + request.max_tokens <= context:
            return request
        if any(mark in request.payload for mark in _MEDIA):
            return request  # what an image takes, the engine alone knows
        output = max(request.max_tokens, 1 if request.url in _WRITING else 0)
        prompt = await self._count(request)
        if prompt is None or prompt + output <= context:
            return request
        if policy == "truncate" and output < context:
            body = {**json.loads(request.payload), "truncate_prompt_tokens": context - output}
            return request._replace(payload=written(body))
        return RowError(
            _CODE,
            f"{prompt:,} tokens of prompt and {output:,} of output, where the model takes {context:,} in all: shorten "
            "the row, lower max_tokens, or say context: truncate",
        )

    async def _ask_context(self) -> int | None:
        async with self._asking:
            if self._left:
                try:
                    told = [tokens for tokens in (await self.engine.models()).values() if tokens]
                    self._context, self._left = min(told, default=None), 0
                except Transient:
                    self._left -= 1
        return self._context

    async def _count(self, request: Request) -> int | None:
        """Tokens of the request's longest prompt; None where nobody counts them."""
        body: dict[str, Any] = json.loads(request.payload)
        counts = []
        for prompt in _prompts(body):
            reply = await self.engine.send(_TOKENIZE, written(prompt)) if self._tokenizer else None
            if reply is None or reply.status != 200:
                self._tokenizer = reply is not None and reply.status not in (404, 405, 501)
                return None
            counts.append(_counted(reply.body))
        return None if None in counts else max((count for count in counts if count is not None), default=None)


def _prompts(body: dict[str, Any]) -> list[dict[str, Any]]:
    """What a request would have tokenized, each as a body of its own. A chat's is its own body."""
    if "messages" in body:
        return [body]
    given = body.get("prompt", body.get("input"))
    texts = given if isinstance(given, list) else [given]
    if not all(isinstance(text, str) for text in texts):
        return []  # tokens already, or an endpoint of another form
    return [{"model": body.get("model"), "prompt": text} for text in texts]


def _counted(answer: bytes) -> int | None:
    try:
        count = json.loads(answer)["count"]
    except (ValueError, LookupError, TypeError):
        return None
    return count if isinstance(count, int) else None
