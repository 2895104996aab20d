"""What computes: an OpenAI-compatible server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Reply:
    """What came back for one request. `status` is HTTP's, 0 where no whole answer came; then `error` says why."""

    status: int
    body: bytes
    latency_ms: int
    retry_after_s: float | None = None
    error: str = ""


class Engine(Protocol):
    """One OpenAI-compatible server."""

    async def send(self, url_path: str, payload: bytes) -> Reply:
        """POST `payload`, JSON, to a path such as /v1/chat/completions. Never raises for the engine's faults."""
        ...

    async def models(self) -> Mapping[str, int | None]:
        """The models served, in the server's order: of each its context in tokens, where told. Raises Transient."""
        ...

    async def healthy(self) -> bool:
        """Whether the engine takes requests now."""
        ...

    async def close(self) -> None:
        """Let connections go."""
        ...
