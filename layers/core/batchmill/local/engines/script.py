"""The script of the scripted engine: how long it takes, and what goes wrong when."""

from __future__ import annotations

import math
import random
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Probability = Annotated[float, Field(ge=0, le=1)]
Amount = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]


class FaultKind(StrEnum):
    """What can go wrong with one request."""

    RATE_LIMIT = "rate_limit"
    """429 with Retry-After."""
    UNAVAILABLE = "unavailable"
    """503 with Retry-After."""
    SERVER_ERROR = "server_error"
    """500."""
    BAD_REQUEST = "bad_request"
    """400: the row's own fault."""
    RESET = "reset"
    """The connection is dropped without an answer."""
    CUT = "cut"
    """The connection is dropped in the middle of the answer."""
    HANG = "hang"
    """No answer, ever; the connection stays open."""
    ABORT = "abort"
    """200 with partial text and `finish_reason: "abort"`, as vLLM does on SIGTERM."""
    LENGTH = "length"
    """200 with partial text and `finish_reason: "length"`."""
    GARBAGE = "garbage"
    """200 with a body that is not JSON."""
    POISON = "poison"
    """The engine dies."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Fault(_Frozen):
    """A fault and when it strikes. All conditions that are given must hold; with none it always strikes."""

    kind: FaultKind
    marker: str = ""
    """A text that the prompt must hold."""
    nth: tuple[int, ...] = ()
    """Arrival numbers since the engine's start, from 1."""
    probability: Probability = 1.0
    times: Count = 0
    """For each distinct body only at its first so many arrivals; 0: at every one."""

    def strikes(self, prompt: str, arrival: int, occurrence: int, chance: random.Random) -> bool:
        """Whether it hits this request: the `arrival`-th of all, the `occurrence`-th with its body (from 1)."""
        if self.times and occurrence > self.times:
            return False
        if self.nth and arrival not in self.nth:
            return False
        return self.marker in prompt and (self.probability >= 1 or chance.random() < self.probability)


class Latency(_Frozen):
    """How long an answer takes: log-normal about a median, and so much a token. Milliseconds."""

    median_ms: Amount = 0
    sigma: Amount = 0
    """Of the logarithm: 0 is constant, 0.5 lively, 1 heavy-tailed."""
    prompt_token_ms: Amount = 0
    """For each prompt token that was not in the prefix cache."""
    completion_token_ms: Amount = 0

    def seconds(self, new_prompt_tokens: int, completion_tokens: int, chance: random.Random) -> float:
        """The time for one answer, in seconds."""
        spread = math.exp(self.sigma * chance.gauss(0, 1)) if self.sigma else 1.0
        tokens = self.prompt_token_ms * new_prompt_tokens + self.completion_token_ms * completion_tokens
        return (self.median_ms * spread + tokens) / 1000


class Script(_Frozen):
    """Everything the scripted engine does besides answering."""

    seed: int = 0
    models: tuple[str, ...] = ()
    """Model names accepted, else 404; empty: any."""
    latency: Latency = Latency()
    faults: tuple[Fault, ...] = ()
    retry_after_s: Amount = 0.05
    """What 429 and 503 ask for."""
    max_running: Count = 0
    """Requests computed at once, the others wait; 0: no bound."""
    max_waiting: Count = 0
    """Requests that may wait, others get 429; 0: no bound."""
    max_prompt_tokens: Count = 0
    """Longer prompts get 400 as vLLM gives it; 0: no bound."""
    max_model_len: Count = 0
    """What /v1/models tells of the model's context, in tokens; 0: nothing. Longer prompts get 400 as well."""
    tokenizer: bool = False
    """Whether POST /tokenize counts tokens, as vLLM's does. A word is a token here."""
    completion_tokens: Positive = 8
    """Of each answer, unless the request asks for fewer (then `finish_reason` is length)."""
    dimensions: Annotated[int, Field(ge=1, le=8)] = 8
    """Of an embedding."""
    cache_blocks: Count = 0
    block_tokens: Positive = 16
    die_after: Count = 0
    """The engine dies at this arrival since its start, counted from 1; 0: never."""
    ready_after_s: Amount = 0
    """/health answers 503 for so long after the start."""
    marker_pattern: str = r"\[\[([^\[\]]+)\]\]"
    """What marks a request in its prompt, such as `[[row-17]]`; its first group is counted in the stats."""
