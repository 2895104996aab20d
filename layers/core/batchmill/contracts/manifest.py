"""What is said of a finished batch: a part's own metadata, and manifest.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from batchmill.contracts.plan import PinnedObject


class PartMetadata(BaseModel):
    """The user metadata of a part file: what it holds, so that Complete need not read it. Values are strings in S3.

    `error_codes` counts the failed rows by code. The codes are ours and few, so that all fits the 2 KB that S3 keeps.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    attempt: int
    writer: str
    object: int
    start: int
    end: int
    rows: int
    ok: int
    errors: int
    prompt_tokens: int
    completion_tokens: int
    bytes: int
    sha256: str
    error_codes: dict[str, int] = Field(default_factory=dict)

    @field_validator("error_codes", mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return json.loads(value) if isinstance(value, str) else value

    def as_metadata(self) -> dict[str, str]:
        """The form that S3 keeps."""
        codes = json.dumps(self.error_codes, separators=(",", ":"))
        return {name: str(value) for name, value in self.model_dump().items()} | {"error_codes": codes}

    @classmethod
    def parse(cls, metadata: Mapping[str, str]) -> PartMetadata:
        """From what S3 keeps. Raises pydantic's ValidationError for a file that is not a part."""
        return cls.model_validate(dict(metadata))


class ManifestFile(BaseModel):
    """One part. `rows` = `ok` + `errors`; `bytes` of the file."""

    model_config = ConfigDict(frozen=True)

    key: str
    rows: int
    ok: int
    errors: int
    bytes: int
    sha256: str
    prompt_tokens: int
    completion_tokens: int
    attempt: int
    object: int
    start: int
    end: int
    error_codes: dict[str, int] = Field(default_factory=dict)


class ManifestProblem(BaseModel):
    """Why the batch did not complete."""

    model_config = ConfigDict(frozen=True)

    code: str
    message: str
    param: str | None = None
    line: int | None = None


class DuplicateIdsFound(BaseModel):
    """Whether all custom_ids were compared with each other, and how many rows have one that a row before them has."""

    model_config = ConfigDict(frozen=True)

    checked: bool
    count: int = 0


class Manifest(BaseModel):
    """manifest.json: the whole of a finished run. Times are ISO 8601 in UTC.

    `error_codes` counts the failed rows by code, the most frequent first. `duplicate_custom_ids` is None where the rows
    have no custom_ids of their own.
    """

    model_config = ConfigDict(frozen=True)

    batchmill: str
    batch_id: str
    run: int
    status: str
    endpoint: str
    model: str | None
    created_at: str
    finished_at: str
    rows: int
    ok: int
    errors: int
    prompt_tokens: int
    completion_tokens: int
    bytes: int
    columns: tuple[str, ...]
    inputs: tuple[PinnedObject, ...]
    files: tuple[ManifestFile, ...]
    problems: tuple[ManifestProblem, ...] = ()
    error_codes: dict[str, int] = Field(default_factory=dict)
    duplicate_custom_ids: DuplicateIdsFound | None = None
