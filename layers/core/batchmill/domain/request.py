"""Rows, the requests they become, and the outcomes they get."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Endpoint(StrEnum):
    """The endpoints whose bodies and answers batchmill knows. Any other path of the engine is passed through."""

    CHAT = "/v1/chat/completions"
    COMPLETIONS = "/v1/completions"
    EMBEDDINGS = "/v1/embeddings"


@dataclass(frozen=True)
class RowError:
    """Why a row has no result: a stable code, and a message for people."""

    code: str
    message: str


@dataclass(frozen=True)
class Row:
    """One input row as read. `row` counts from 0 within its shard; `line` is 1-based in the file where known.

    `columns` holds the row's fields (the body's wrapper for OpenAI lines). A row that could not be read has an
    `error` instead.
    """

    row: int
    offset: int
    line: int | None = None
    custom_id: str | None = None
    columns: Mapping[str, object] = field(default_factory=dict)
    error: RowError | None = None


@dataclass(frozen=True)
class Request:
    """One row rendered for the engine: POST `body` to `url` (a path such as /v1/embeddings).

    `sha256` is the hash of url and body, keys sorted; `size` the characters of that text.
    """

    row: int
    custom_id: str
    url: str
    body: Mapping[str, object]
    columns: Mapping[str, str | None]
    sha256: str = ""
    size: int = 0


@dataclass(frozen=True)
class Outcome:
    """What became of one row: a line of the results. `status` is `ok` or `error`.

    `output_json` and `response` are JSON text. `columns` are the input columns carried over, as strings.
    """

    custom_id: str
    shard: int
    row: int
    status: str
    columns: Mapping[str, str | None] = field(default_factory=dict)
    output_text: str | None = None
    output_json: str | None = None
    response: str | None = None
    finish_reason: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int | None = None
    latency_ms: int | None = None
    model: str | None = None
    backend: str | None = None
    attempt: int = 0
    request_sha256: str | None = None
    response_sha256: str | None = None

    @property
    def ok(self) -> bool:
        """Whether the row has a result."""
        return self.status == "ok"


def error_outcome(
    shard: int,
    row: int,
    custom_id: str,
    error: RowError,
    columns: Mapping[str, str | None],
    attempt: int,
    backend: str | None = None,
) -> Outcome:
    """The outcome of a row that has none from the engine."""
    return Outcome(
        custom_id=custom_id,
        shard=shard,
        row=row,
        status="error",
        columns=columns,
        error_code=error.code,
        error_message=error.message,
        attempt=attempt,
        backend=backend,
    )


RESULT_COLUMNS = (
    "custom_id",
    "shard",
    "row",
    "status",
    "output_text",
    "output_json",
    "response",
    "finish_reason",
    "error_code",
    "error_message",
    "prompt_tokens",
    "completion_tokens",
    "cached_tokens",
    "latency_ms",
    "model",
    "backend",
    "attempt",
    "request_sha256",
    "response_sha256",
)
"""The results' own columns. The input columns asked for stand between `row` and `status`."""


def carried_name(name: str) -> str:
    """A carried input column's name in the results: `input_<name>` where the results have a column of that name.

    Case does not count: DuckDB and others would not tell `Status` from `status`.
    """
    return f"input_{name}" if name.lower() in RESULT_COLUMNS else name
