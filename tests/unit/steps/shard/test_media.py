from __future__ import annotations

import json
from typing import Any

from batchmill.domain.places import InputPlaces
from batchmill.domain.request import Request, RowError
from batchmill.steps.shard.media import LINK_SECONDS, Links
from fakes.objects import MemoryObjects


async def sent(body: dict[str, Any]) -> Any:
    """What is sent for a body, or why it cannot be."""
    made = Request(0, "c", "/v1/chat/completions", json.dumps(body).encode(), {})
    payload = await Links(MemoryObjects(), InputPlaces("input", "data")).payload(made)
    return payload if isinstance(payload, RowError) else json.loads(payload)


def parts(*content: object) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": list(content)}]}


async def test_each_kind_of_part_is_linked_wherever_it_stands() -> None:
    image = {"type": "image_url", "image_url": {"url": "s3://input/a b+c%.png", "detail": "low"}}
    video = {"type": "video_url", "video_url": {"url": "s3://data/uploads/v.mp4"}}
    sound = {"type": "audio_url", "audio_url": "s3://input/é.wav"}
    made = (await sent(parts(image, video, sound)))["messages"][0]["content"]
    ending = f"?X-Amz-Expires={LINK_SECONDS}&X-Amz-Signature=fake"
    assert made[0]["image_url"] == {"url": f"https://input.memory/a%20b%2Bc%25.png{ending}", "detail": "low"}
    assert made[1]["video_url"]["url"] == f"https://data.memory/uploads/v.mp4{ending}"
    assert made[2]["audio_url"] == f"https://input.memory/%C3%A9.wav{ending}"


async def test_a_text_that_speaks_of_s3_is_left_as_it_is() -> None:
    body = parts({"type": "text", "text": "see s3://input/cat.png"}, {"type": "image_url", "image_url": {"url": "x"}})
    assert await sent(body) == body


async def test_a_body_keeps_what_json_libraries_like_to_lose() -> None:
    made = await sent(
        {**parts({"type": "audio_url", "audio_url": {"url": "s3://input/a"}}), "big": 2**70, "half": "\ud800"}
    )
    assert (made["big"], made["half"]) == (2**70, "\ud800")


async def test_each_kind_is_refused_by_its_name() -> None:
    made = await sent(parts({"type": "video_url", "video_url": {"url": "s3://elsewhere/v"}}))
    assert (made.code, "elsewhere" in made.message) == ("invalid_video_url", True)
    assert (await sent(parts({"type": "audio_url", "audio_url": {"url": "s3://"}}))).code == "invalid_audio_url"
