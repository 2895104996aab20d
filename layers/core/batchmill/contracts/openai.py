"""OpenAI's own types, as its Batch API writes them. batchmill's fields beside them are in contracts/api.py."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

ErrorType = Literal["invalid_request_error", "server_error"]


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True)


class BatchError(_Wire):
    """Why a batch failed. `line` is 1-based, in the input file."""

    code: str
    message: str
    param: str | None = None
    line: int | None = None


class BatchErrors(_Wire):
    """The list of them."""

    object: Literal["list"] = "list"
    data: list[BatchError]


class RequestCounts(_Wire):
    """Requests by outcome."""

    total: int = 0
    completed: int = 0
    failed: int = 0


class InputTokensDetails(_Wire):
    """Of the input tokens, those that a cache held."""

    cached_tokens: int = 0


class OutputTokensDetails(_Wire):
    """Of the output tokens, those that were thoughts."""

    reasoning_tokens: int = 0


class BatchUsage(_Wire):
    """Tokens of the whole batch."""

    input_tokens: int = 0
    input_tokens_details: InputTokensDetails = InputTokensDetails()
    output_tokens: int = 0
    output_tokens_details: OutputTokensDetails = OutputTokensDetails()
    total_tokens: int = 0


class Batch(_Wire):
    """A batch. Times are whole seconds since the epoch, null for what has not happened."""

    id: str
    object: Literal["batch"] = "batch"
    endpoint: str
    model: str | None = None
    errors: BatchErrors | None = None
    input_file_id: str
    completion_window: str
    status: str
    output_file_id: str | None = None
    error_file_id: str | None = None
    created_at: int
    in_progress_at: int | None = None
    expires_at: int | None = None
    finalizing_at: int | None = None
    completed_at: int | None = None
    failed_at: int | None = None
    expired_at: int | None = None
    cancelling_at: int | None = None
    cancelled_at: int | None = None
    request_counts: RequestCounts = RequestCounts()
    usage: BatchUsage | None = None
    metadata: dict[str, str] | None = None


class ErrorDetail(_Wire):
    """What was wrong. `param` is the field to mend, where there is one."""

    message: str
    type: ErrorType
    param: str | None = None
    code: str | None = None


class Error(_Wire):
    """The body of every answer that is not a success."""

    error: ErrorDetail
