"""The pools that a deployment has."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

UNKNOWN_MODEL = "default"
"""The name of a pool's model where its engine does not say what it serves."""


class Pool(BaseModel):
    """Workers for one model at one revision and quantization, fed by one queue.

    `cluster` and `service` are the ECS names of who runs the workers; empty: nobody whom a dispatch could wake.
    `tokens_per_second`: prompts and answers together, of one worker at full load; shards are sized by it. The default
    is half of what vLLM did with Llama 3 8B on two A10G: 2,204 tokens of prompts and 442 of answers a second
    (arc53/llm-price-compass, issue 6), rounded up for what two cards lose by working together.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    queue_url: str
    model: str = ""
    revision: str = ""
    quantization: str = ""
    cluster: str = ""
    service: str = ""
    tokens_per_second: Annotated[float, Field(gt=0)] = 1500.0


POOLS: TypeAdapter[dict[str, Pool]] = TypeAdapter(dict[str, Pool])
"""Parses the variable BATCHMILL_POOLS: a JSON object from a pool's name to the pool."""
