"""A submission: what a batch is to do. The same fields in a profile, a batch file, the command line and the API."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import PydanticCustomError

from batchmill.domain.errors import SpecInvalid, StreamingUnsupported, WebhookRefused
from batchmill.domain.formats import Compression, Format
from batchmill.domain.webhook import LOOPBACK, target

_DURATION = re.compile(r"(\d+)\s*([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
SPEC_LIMIT = 100_000
"""Characters as JSON. The record that holds it may have 400 KB, its inputs included."""

LONGEST_WINDOW_SECONDS = 14 * 86400
"""A queue keeps a message for 14 days; a batch cannot last longer than its messages."""


def duration_seconds(text: str) -> int:
    """Seconds in `30m`, `24h`, `7d`. Raises ValueError for anything else."""
    found = _DURATION.fullmatch(text.strip())
    if not found:
        raise ValueError(f"not a duration: {text!r} (write for example 30m, 24h or 7d)")
    return int(found[1]) * _SECONDS[found[2]]


class CsvOptions(BaseModel):
    """How a CSV or TSV is written, where its name and its beginning do not tell.

    `delimiter` is one character, sniffed where not given; `names` are the columns of a file without a header;
    `quoted_newlines` false promises that no field holds a line break, so that a file of any size is cut unread.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    delimiter: str | None = Field(default=None, min_length=1, max_length=1)
    names: list[str] | None = Field(default=None, min_length=1)
    quoted_newlines: bool = True

    @field_validator("delimiter")
    @classmethod
    def _no_mark(cls, text: str | None) -> str | None:
        if text is not None and (text in '"\r\n\0' or not text.isascii()):
            raise ValueError("one ASCII character that is neither a quote nor a line break")
        return text


WAYS = ("prompt", "messages", "input", "body")
"""The fields of a spec by which a row becomes a request."""


class Message(BaseModel):
    """One message of a chat. `content` is text, or OpenAI's list of parts; tool calls may stand in its place."""

    model_config = ConfigDict(extra="allow", frozen=True)

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[dict[str, Any]] | None = None


class BatchSpec(BaseModel):
    """What to do with each row.

    A row becomes a request by one of these ways: `body` (a template of the whole request body), `input` (for
    embeddings, classify and the like), or, for chat, `messages` and `prompt`: either of them or both, the messages
    being then examples that stand between `system` and the prompt (completions take a `prompt` alone). `image` is
    shown with the last message of the user's. OpenAI batch lines carry their own bodies and take none of them.

    Strings, also those in `params`, are Jinja2 templates over the row's columns. `params` are merged into every body.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    endpoint: str = Field("/v1/chat/completions", pattern=r"^/[A-Za-z0-9_./-]{1,200}$")
    model: str | None = Field(None, min_length=1, max_length=256)
    format: Literal["auto"] | Format = "auto"
    compression: Literal["auto"] | Compression = "auto"
    csv: CsvOptions = CsvOptions()
    manifest: bool = Field(
        False, description="the inputs list the inputs: S3 Inventory's manifest.json, or a list of URIs"
    )
    prompt: str | None = None
    system: str | None = None
    messages: list[Message] | None = Field(None, min_length=1, max_length=200)
    image: str | None = Field(None, description="template of a URL or of s3://bucket/key")
    input: str | None = None
    body: dict[str, Any] | None = None
    params: dict[str, Any] = Field(default_factory=dict)
    repair: int = Field(0, ge=0, le=3, description="times that an output that does not fit its schema is asked again")
    context: Literal["error", "truncate", "send"] = Field(
        "error", description="what becomes of a row that is longer than the model's context"
    )
    columns: list[str] | None = None
    custom_id: str | None = Field(None, description="the column that holds the row's custom_id")
    completion_window: str = "24h"
    pool: str = "default"
    shard_rows: int | None = Field(None, ge=1, le=1_000_000)
    max_error_ratio: float | None = Field(
        None, ge=0, le=1, description="errors among the rows that are done, beyond which the batch ends as failed"
    )
    metadata: dict[str, str] = Field(default_factory=dict, max_length=16)
    name: str = Field("", max_length=128)
    webhook_url: str | None = Field(None, description="called once the batch is final")

    @field_validator("completion_window")
    @classmethod
    def _window(cls, text: str) -> str:
        seconds = duration_seconds(text)
        if not 1 <= seconds <= LONGEST_WINDOW_SECONDS:
            raise ValueError("must lie between 1s and 14d")
        return text

    @field_validator("webhook_url")
    @classmethod
    def _webhook(cls, url: str | None) -> str | None:
        """As far as the text goes. Whether this machine may be called is the deployment's to say: intake asks it."""
        try:
            if url is not None:
                target(url, LOOPBACK)
        except WebhookRefused as error:
            raise ValueError(str(error)) from None
        return url

    @field_validator("params", "body")
    @classmethod
    def _nothing_to_stream_to(cls, fields: dict[str, Any] | None) -> dict[str, Any] | None:
        if (fields or {}).get("stream"):
            raise PydanticCustomError(
                StreamingUnsupported.code, "stream must not be set: a batch has nobody to stream to"
            )
        return fields

    @field_validator("params")
    @classmethod
    def _no_model(cls, params: dict[str, Any]) -> dict[str, Any]:
        """A model among them would be sent in the place of the one that the pool is checked for."""
        if "model" in params:
            raise ValueError("the model is a field of its own: write model beside params (--model), not in them")
        return params

    @field_validator("columns")
    @classmethod
    def _each_once(cls, names: list[str] | None) -> list[str] | None:
        if twice := sorted({name for name in names or () if (names or []).count(name) > 1}):
            raise ValueError(f"names a column twice: {', '.join(twice)}")
        return names

    @model_validator(mode="after")
    def _one_way_to_a_body(self) -> BatchSpec:
        given = self.ways
        if len(given) > 1 and given != ("prompt", "messages"):
            raise ValueError(f"give one of prompt or messages, input and body, not {' and '.join(given)}")
        chat = self.prompt is not None or self.messages is not None
        for name in ("system", "image"):
            if getattr(self, name) is not None and not chat:
                raise ValueError(f"{name} needs a prompt or messages beside it")
        if self.format == "openai" and given:
            raise ValueError(f"OpenAI batch lines carry their own bodies: remove {given[0]}")
        return self

    @property
    def ways(self) -> tuple[str, ...]:
        """The fields given that say what a row becomes. None of them goes with OpenAI batch lines."""
        return tuple(name for name in WAYS if getattr(self, name) is not None)

    @property
    def window_seconds(self) -> int:
        """completion_window in seconds."""
        return duration_seconds(self.completion_window)


def explain(error: ValidationError, source: str) -> SpecInvalid:
    """One readable error from pydantic's: `<source>: <field>: <what is wrong>`, one line a field."""
    text = "\n".join(f"{source}: {line}" for line in _lines(error))
    streaming = any(item["type"] == StreamingUnsupported.code for item in error.errors(include_url=False))
    return StreamingUnsupported(text) if streaming else SpecInvalid(text)


def _lines(error: ValidationError) -> Iterable[str]:
    for item in error.errors(include_url=False, include_input=False):
        where = ".".join(str(step) for step in item["loc"]) or "the whole"
        message = "no such field" if item["type"] == "extra_forbidden" else item["msg"].removeprefix("Value error, ")
        yield f"{where}: {message}"


def parse_spec(data: object, source: str) -> BatchSpec:
    """A spec from plain data. Raises SpecInvalid naming `source`, the field and what is wrong."""
    try:
        spec = BatchSpec.model_validate(data)
        size = len(json.dumps(spec.model_dump(), allow_nan=False))
    except ValidationError as error:
        raise explain(error, source) from None
    except (ValueError, TypeError, RecursionError):
        # YAML has what JSON has not: dates, binary, .nan, and aliases that hold themselves.
        raise SpecInvalid(
            f"{source}: holds what JSON cannot: a date (quote it), binary data, NaN, or a value within itself"
        ) from None
    if size > SPEC_LIMIT:
        raise SpecInvalid(f"{source}: {size:,} characters, at most {SPEC_LIMIT:,}: it stands in the batch's record")
    return spec
