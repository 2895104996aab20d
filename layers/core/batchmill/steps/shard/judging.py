"""The engine's answers: which are results, which are the row's fault, which are tried again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

from batchmill.domain.request import Endpoint, Outcome, Request, RowError
from batchmill.ports.engine import Reply

MESSAGE_LIMIT = 500
"""Characters kept of an engine's own error message: they can quote the prompt."""

ROW_FAULTS = frozenset({400, 413, 415, 422})
_PAYLOADS: dict[str, str] = {Endpoint.CHAT: "choices", Endpoint.COMPLETIONS: "choices", Endpoint.EMBEDDINGS: "data"}
CONFIGURATION_FAULTS = frozenset({401, 403, 404, 405})


@dataclass(frozen=True)
class TryAgain:
    """The request had no answer that counts; `error` becomes the row's if no try is left."""

    error: RowError
    retry_after_s: float | None = None


def judge(request: Request, reply: Reply) -> Mapping[str, object] | RowError | TryAgain:
    """The parsed answer, the row's error, or that another try is due.

    An answer is HTTP 200 with a JSON object, and no choice that the engine aborted: vLLM ends what is in flight with
    200 and `finish_reason: abort` when it is stopped.
    """
    if reply.status == 0:
        return TryAgain(RowError("engine_unavailable", f"no answer from the engine: {reply.error}"))
    if reply.status in ROW_FAULTS:
        return RowError("engine_rejected", f"HTTP {reply.status}: {_message(reply.body)}")
    if reply.status in CONFIGURATION_FAULTS:
        return RowError("engine_misconfigured", f"HTTP {reply.status}: {_message(reply.body)}")
    if reply.status != 200:
        return TryAgain(
            RowError("engine_unavailable", f"HTTP {reply.status}: {_message(reply.body)}"), reply.retry_after_s
        )
    answer = _object(reply.body)
    if answer is None:
        return TryAgain(RowError("invalid_response", "HTTP 200 with a body that is not a JSON object"))
    if "error" in answer or answer.get("object") == "error":
        return RowError("engine_rejected", f"HTTP 200: an error in the answer: {_message(reply.body)}")
    needed = _PAYLOADS.get(request.url)
    if needed is not None and not answer.get(needed):
        return TryAgain(RowError("invalid_response", "HTTP 200 without an answer in it"))
    reasons = _finish_reasons(answer)
    if "abort" in reasons:
        return TryAgain(RowError("engine_unavailable", "the engine aborted the request"))
    if "length" in reasons and _wants_schema(request):
        return RowError("truncated", "the output was cut at max_tokens before its JSON was complete")
    return answer


def outcome(request: Request, shard: int, reply: Reply, judged: Mapping[str, object] | RowError) -> Outcome:
    """The row's outcome, `backend` and `attempt` yet to be set."""
    base = Outcome(
        custom_id=request.custom_id,
        shard=shard,
        row=request.row,
        status="error",
        columns=request.columns,
        latency_ms=reply.latency_ms,
        request_sha256=request.sha256,
        response_sha256=hashlib.sha256(reply.body).hexdigest() if reply.status else None,
    )
    answer = judged if not isinstance(judged, RowError) else _object(reply.body) or {}
    usage = answer.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    details = usage.get("prompt_tokens_details")
    base = replace(
        base,
        prompt_tokens=_count(usage.get("prompt_tokens")),
        completion_tokens=_count(usage.get("completion_tokens")),
        cached_tokens=_count(details.get("cached_tokens")) if isinstance(details, dict) else None,
        finish_reason=_finish_reason(answer),
        model=_string(answer.get("model")),
    )
    if isinstance(judged, RowError):
        return replace(base, error_code=judged.code, error_message=judged.message)
    return replace(
        base,
        status="ok",
        output_text=_output_text(answer),
        output_json=_output_json(answer),
        response=reply.body.decode(errors="replace"),
    )


def _object(body: bytes) -> dict[str, object] | None:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _message(body: bytes) -> str:
    answer = _object(body) or {}
    error = answer.get("error", answer)
    text = error.get("message") if isinstance(error, dict) else error
    return str(text or "no message")[:MESSAGE_LIMIT]


def _first(value: object) -> dict[str, object]:
    return value[0] if isinstance(value, list) and value and isinstance(value[0], dict) else {}


def _string(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _count(value: object) -> int | None:
    """A number of tokens; anything that cannot be one is left out."""
    sound = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53
    return value if sound else None  # type: ignore[return-value]


def _finish_reasons(answer: Mapping[str, object]) -> set[object]:
    choices = answer.get("choices")
    return (
        {one.get("finish_reason") for one in choices if isinstance(one, dict)} if isinstance(choices, list) else set()
    )


def _finish_reason(answer: Mapping[str, object]) -> str | None:
    return _string(_first(answer.get("choices")).get("finish_reason"))


def _wants_schema(request: Request) -> bool:
    """OpenAI's field for it, or vLLM's."""
    wanted = request.body.get("response_format")
    if isinstance(wanted, dict) and wanted.get("type") in ("json_schema", "json_object"):
        return True
    constrained = request.body.get("structured_outputs")
    return isinstance(constrained, dict) and any(constrained.get(kind) for kind in ("json", "json_object"))


def _output_text(answer: Mapping[str, object]) -> str | None:
    choice = _first(answer.get("choices"))
    message = choice.get("message")
    if isinstance(message, dict):
        return _string(message.get("content"))
    return _string(choice.get("text")) or _string(_first(answer.get("data")).get("label"))


def _output_json(answer: Mapping[str, object]) -> str | None:
    """What stands beside the text as data: the vector of one embedding, else the list that the endpoint answers."""
    if "choices" in answer:
        text = _output_text(answer)
        return text if text and _object(text.encode(errors="replace")) is not None else None
    data = answer.get("data")
    if data is None:
        return None
    only = data[0] if isinstance(data, list) and len(data) == 1 else data
    vector = only.get("embedding") if isinstance(only, dict) else None
    return json.dumps(vector if vector is not None else only, separators=(",", ":"))
