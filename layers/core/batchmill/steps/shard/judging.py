"""The engine's answers: which are results, which are the row's fault, which are tried again."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from batchmill.domain.request import Endpoint, Outcome, Request, RowError, located
from batchmill.ports.engine import Reply

MESSAGE_LIMIT = 500
"""Characters kept of an engine's own error message: they can quote the prompt."""

SCHEMA_MISMATCH = "schema_mismatch"
"""The code of a row whose output does not fit the schema that its request asked for."""

ROW_FAULTS = frozenset({400, 413, 415, 422})
_PAYLOADS: dict[str, str] = {Endpoint.CHAT: "choices", Endpoint.COMPLETIONS: "choices", Endpoint.EMBEDDINGS: "data"}
CONFIGURATION_FAULTS = frozenset({401, 403, 404, 405})

_TOO_LONG = re.compile(
    r"context_length_exceeded|exceed_context_size|(maximum|model's) (context|model) length|context (window|size)", re.I
)
"""What OpenAI, vLLM, llama.cpp and others say of a request that does not fit the model's context."""

_NO_MODEL = re.compile(r"model_not_found|model\b.{0,300}\b(does not exist|not found)", re.I | re.S)
_SIGNATURE = re.compile(r"\?[^\s'\"?]*X-Amz-[^\s'\"]*")
"""Of a link that was made for the engine to read an object by."""


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
    if reply.status in ROW_FAULTS | CONFIGURATION_FAULTS:
        return _refused(reply)
    if reply.status != 200:
        return TryAgain(
            RowError("engine_unavailable", f"HTTP {reply.status}: {_error(reply.body)[1]}"), reply.retry_after_s
        )
    answer = _object(reply.body)
    if answer is None:
        return TryAgain(RowError("invalid_response", "HTTP 200 with a body that is not a JSON object"))
    if "error" in answer or answer.get("object") == "error":
        return RowError("engine_rejected", f"HTTP 200: an error in the answer: {_error(reply.body)[1]}")
    needed = _PAYLOADS.get(request.url)
    if needed is not None and not answer.get(needed):
        return TryAgain(RowError("invalid_response", "HTTP 200 without an answer in it"))
    reasons = _finish_reasons(answer)
    if "abort" in reasons:
        return TryAgain(RowError("engine_unavailable", "the engine aborted the request"))
    if request.misfit is None:
        return answer
    if "length" in reasons:
        return RowError("truncated", "the output was cut at max_tokens before its JSON was complete")
    fault = next(filter(None, (_fault(request.misfit, text) for text in _texts(answer))), None)
    return RowError(SCHEMA_MISMATCH, fault) if fault else answer


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
        template_sha256=request.template_sha256,
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
        kept = reply.body.decode(errors="replace") if judged.code == SCHEMA_MISMATCH else None
        why = located(judged, request.place) if request.place else judged
        return replace(base, error_code=why.code, error_message=why.message, response=kept)
    return replace(
        base,
        status="ok",
        output_text=_output_text(answer),
        output_json=_output_json(answer),
        response=reply.body.decode(errors="replace"),
    )


def output_text(body: bytes) -> str | None:
    """The text of an answer's first choice."""
    return _output_text(_object(body) or {})


def _object(body: bytes) -> dict[str, object] | None:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _refused(reply: Reply) -> RowError:
    """The engine's own refusal, by what it says of it."""
    error, message = _error(reply.body)
    said = f"{error.get('code')} {error.get('type')} {message}"
    code = "engine_rejected" if reply.status in ROW_FAULTS else "engine_misconfigured"
    if reply.status == 404 and _NO_MODEL.search(said):
        code = "model_not_found"
    elif reply.status in ROW_FAULTS and _TOO_LONG.search(said):
        code = "context_length_exceeded"
    return RowError(code, f"HTTP {reply.status}: {message}")


def _error(body: bytes) -> tuple[Mapping[str, object], str]:
    """The error of an answer in OpenAI's shape, or near it, and its message, kept short."""
    answer = _object(body) or {}
    error = answer.get("error", answer)
    fields = error if isinstance(error, dict) else {"message": error}
    return fields, _SIGNATURE.sub("", str(fields.get("message") or "no message"))[:MESSAGE_LIMIT]


def _texts(answer: Mapping[str, object]) -> Iterator[str | None]:
    """The text of each choice. A message that calls tools instead has none to look at."""
    choices = answer.get("choices")
    for each in choices if isinstance(choices, list) else [None]:
        choice = each if isinstance(each, dict) else {}
        message = choice.get("message")
        if not isinstance(message, dict):
            yield _string(choice.get("text"))
        elif not message.get("tool_calls"):
            yield _string(message.get("content"))


def _fault(misfit: Callable[[object], str | None], text: str | None) -> str | None:
    """What is wrong with an output that should be JSON of a schema's."""
    try:
        value = json.loads(text or "", parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return "the output is not JSON"
    fault = misfit(value)
    return f"the output does not fit its schema: {fault}" if fault else None


def _no_constant(name: str) -> object:
    raise ValueError(name)


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
