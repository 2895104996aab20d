"""Rows, the requests they become, and the outcomes they get."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple


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


def located(error: RowError, place: str) -> RowError:
    """The error with its place in the input put before its message."""
    return RowError(error.code, f"{place}: {error.message}")


class Source(NamedTuple):
    """What the rows of one object have in common: its name, where a batch has several, and whether it is a table."""

    name: str = ""
    table: bool = False


LINES = Source()
"""A single file of lines."""


class Row(NamedTuple):
    """One input row as read. `row` counts from 0 within its shard; `line` is 1-based in the file where known.

    `offset` is the place of its first byte in the object, or its number, from 0, in a table. `columns` holds the row's
    fields (the body's wrapper for OpenAI lines). A row that could not be read has an `error` instead.
    (A NamedTuple: one is made for each row there is, and a frozen dataclass takes three times as long to make.)
    """

    row: int
    offset: int
    line: int | None = None
    custom_id: str | None = None
    columns: Mapping[str, object] = MappingProxyType({})
    error: RowError | None = None
    source: Source = LINES

    @property
    def place(self) -> str:
        """Where a person finds it: `line 12`, `the line at byte 1234`, `row 7`, and `of <name>` where it matters."""
        if self.line is not None:
            where = f"line {self.line}"
        else:
            where = f"row {self.offset + 1}" if self.source.table else f"the line at byte {self.offset}"
        return f"{where} of {self.source.name}" if self.source.name else where


class Request(NamedTuple):
    """One row rendered for the engine: POST `payload`, a JSON object, to `url` (a path such as /v1/embeddings).

    `max_tokens` is how long the answer may get, 0 where that is not said. `misfit` says of the answer's JSON what does
    not fit the schema that the request asks for, None where all does. `place` is the row's, for people.
    """

    row: int
    custom_id: str
    url: str
    payload: bytes
    columns: Mapping[str, str | None]
    max_tokens: int = 0
    misfit: Callable[[object], str | None] | None = None
    template_sha256: str | None = None
    place: str = ""

    @property
    def sha256(self) -> str:
        """The hash, in hex, of what is sent and where to."""
        return hashlib.sha256(self.url.encode() + b"\n" + self.payload).hexdigest()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one row: a line of the results. `status` is `ok` or `error`.

    `output_json` and `response` are JSON text. `columns` are the input columns carried over, as strings. `repairs` is
    how often the row was asked again because its output did not fit; the tokens are those of all its answers.
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
    template_sha256: str | None = None
    repairs: int = 0

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
    template_sha256: str | None = None,
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
        template_sha256=template_sha256,
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
    "template_sha256",
    "repairs",
)
"""The results' own columns. The input columns asked for stand between `row` and `status`."""


def carried_name(name: str) -> str:
    """A carried input column's name in the results: `input_<name>` where the results have a column of that name.

    Case does not count: DuckDB and others would not tell `Status` from `status`.
    """
    return f"input_{name}" if name.lower() in RESULT_COLUMNS else name
