"""Images, videos and sounds that a request names by s3:// URIs, as links that the engine can read them by."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from batchmill.domain.places import SCHEME, InputPlaces, bucket_and_key
from batchmill.domain.request import Request, RowError
from batchmill.ports.objects import Objects
from batchmill.steps.shard.bodies import written

LINK_SECONDS = 900
"""A link is made for each sending, and an engine fetches what a request names before it computes."""

_KINDS = {"image_url": "image", "video_url": "video", "audio_url": "audio"}
"""The fields of a message's parts that hold a URL (OpenAI's, and vLLM's for what OpenAI takes no URL of)."""


@dataclass(frozen=True)
class Links:
    """Makes them at the sending, so that a request's hash is of what it names. `places`: what may be linked to."""

    objects: Objects
    places: InputPlaces

    async def payload(self, request: Request) -> bytes | RowError:
        """What is sent for a request, or that it names what it may not. Raises Transient."""
        if SCHEME.encode() not in request.payload:
            return request.payload
        body = json.loads(request.payload)
        named = list(_named(body))
        for holder, field, kind in named:
            try:
                bucket, key = bucket_and_key(holder[field])
            except ValueError as error:
                return RowError(f"invalid_{kind}_url", str(error))
            if not key or not self.places.allow(bucket, key):
                return RowError(f"invalid_{kind}_url", f"{kind}s lie under {self.places}, not {holder[field][:200]!r}")
            holder[field] = await asyncio.to_thread(self.objects.presign, bucket, key, LINK_SECONDS)
        return written(body) if named else request.payload


def _named(value: Any) -> Iterator[tuple[dict[str, Any], str, str]]:
    """Each s3:// URI of a part: what holds it, under which name, and its kind."""
    for field, kind in _KINDS.items() if isinstance(value, dict) else ():
        holder, name = (value[field], "url") if isinstance(value.get(field), dict) else (value, field)
        if isinstance(holder.get(name), str) and holder[name].startswith(SCHEME):
            yield holder, name, kind
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        if isinstance(each, dict | list):
            yield from _named(each)
