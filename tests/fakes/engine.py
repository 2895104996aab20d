"""An engine in memory, its answers scripted by the text that it is asked."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from batchmill.domain.errors import Transient
from batchmill.ports.engine import Reply

Script = Callable[[str, int], Reply | None]
"""From the text asked and how often it was asked before, to the reply; None: a good one."""


def good(text: str) -> Reply:
    """An embedding's answer, the vector being the text's length."""
    body = {
        "object": "list",
        "model": "m",
        "data": [{"object": "embedding", "index": 0, "embedding": [len(text)]}],
        "usage": {"prompt_tokens": len(text), "total_tokens": len(text)},
    }
    return Reply(200, json.dumps(body).encode(), latency_ms=1)


def chat(text: str, finish_reason: str = "stop") -> Reply:
    """A chat's answer, of three tokens to two."""
    choice = {"index": 0, "finish_reason": finish_reason, "message": {"role": "assistant", "content": text}}
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 1}}
    return Reply(200, json.dumps({"model": "m", "choices": [choice], "usage": usage}).encode(), latency_ms=1)


@dataclass
class ScriptedEngine:
    """Implements `ports.engine.Engine`. `asked` counts what was asked, `answered` what got its answer.

    What was asked is a request's input, or the text of its last message. `sent` are all bodies, by path. While `gate`
    is not set, no request is answered. `served` None: no list of models. With `tokenizer` a word is a token.
    """

    script: Script = lambda text, before: None
    is_healthy: bool = True
    asked: Counter[str] = field(default_factory=Counter)
    answered: Counter[str] = field(default_factory=Counter)
    most_at_once: int = 0
    gate: asyncio.Event | None = None
    served: Mapping[str, int | None] | None = field(default_factory=lambda: {"m": None})
    listed: int = 0
    tokenizer: bool = False
    sent: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    _now: int = 0

    async def send(self, url_path: str, payload: bytes) -> Reply:
        body: dict[str, Any] = json.loads(payload)
        self.sent.append((url_path, body))
        if url_path == "/tokenize":
            count = len(_text(body).split())
            return Reply(200, json.dumps({"count": count}).encode(), 1) if self.tokenizer else Reply(404, b"{}", 1)
        text = str(body.get("input") if "messages" not in body else body["messages"][-1]["content"])
        before = self.asked[text]
        self.asked[text] += 1
        self._now += 1
        self.most_at_once = max(self.most_at_once, self._now)
        try:
            if self.gate is not None:
                await self.gate.wait()
            await asyncio.sleep(0)
        finally:
            self._now -= 1
        self.answered[text] += 1
        return self.script(text, before) or good(text)

    async def models(self) -> Mapping[str, int | None]:
        self.listed += 1
        if self.served is None:
            raise Transient("no list of models")
        return self.served

    async def healthy(self) -> bool:
        return self.is_healthy

    async def close(self) -> None:
        return


def _text(body: Mapping[str, Any]) -> str:
    return " ".join(str(one["content"]) for one in body["messages"]) if "messages" in body else str(body["prompt"])
