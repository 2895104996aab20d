"""The pools that a deployment has."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, TypeAdapter


class Pool(BaseModel):
    """Workers for one model at one revision and quantization, fed by one queue.

    `cluster` and `service` are the ECS names of who runs the workers; empty: nobody whom a dispatch could wake.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    queue_url: str
    model: str = ""
    revision: str = ""
    quantization: str = ""
    cluster: str = ""
    service: str = ""


POOLS: TypeAdapter[dict[str, Pool]] = TypeAdapter(dict[str, Pool])
"""Parses the variable BATCHMILL_POOLS: a JSON object from a pool's name to the pool."""
