"""An engine in memory, its answers scripted by the text that it is asked."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

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


@dataclass
class ScriptedEngine:
    """Implements `ports.engine.Engine`. `asked` counts what was asked, `answered` what got its answer.

    While `gate` is not set, no request is answered.
    """

    script: Script = lambda text, before: None
    is_healthy: bool = True
    asked: Counter[str] = field(default_factory=Counter)
    answered: Counter[str] = field(default_factory=Counter)
    most_at_once: int = 0
    gate: asyncio.Event | None = None
    _now: int = 0

    async def send(self, url_path: str, body: Mapping[str, object]) -> Reply:
        text = str(body.get("input"))
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

    async def healthy(self) -> bool:
        return self.is_healthy

    async def close(self) -> None:
        return
