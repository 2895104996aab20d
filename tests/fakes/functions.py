"""Functions and secrets in memory."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from batchmill.domain.errors import Gone


@dataclass
class MemoryFunctions:
    """Implements `ports.functions.Functions`: `begun` has what was set going, in order; `before` may raise."""

    before: Callable[[], None] | None = None
    begun: list[tuple[str, Any]] = field(default_factory=list)

    def begin(self, name: str, payload: bytes) -> None:
        if self.before:
            self.before()
        self.begun.append((name, json.loads(payload)))


@dataclass
class MemorySecrets:
    """Implements `ports.secrets.Secrets`: `reads` counts; `before` may raise."""

    values: dict[str, str] = field(default_factory=dict)
    before: Callable[[], None] | None = None
    reads: int = 0

    def read(self, name: str) -> str:
        self.reads += 1
        if self.before:
            self.before()
        if name not in self.values:
            raise Gone(f"no secret {name}")
        return self.values[name]
