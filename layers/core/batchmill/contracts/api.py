"""The API's front: what a call brings, what is answered; batchmill's fields beside OpenAI's."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from batchmill.contracts import openai
from batchmill.contracts.spec import BatchSpec, explain
from batchmill.domain.errors import SpecInvalid

INPUTS_LIMIT = 100
"""Objects that one call may name: each is looked up before the answer, and a call has 29 seconds."""
LIST_DEFAULT, LIST_LIMIT = 20, 100
KEY_LIMIT = 255
"""Characters of an Idempotency-Key."""


class Call(BaseModel):
    """One HTTP request, as the function's step sees it. Header names in lower case.

    `resource` is the path as the template has it, `batch_id` what stands in it, empty where it names none.
    """

    model_config = ConfigDict(frozen=True)

    method: str
    resource: str
    request_id: str
    batch_id: str = ""
    query: dict[str, str] = Field(default_factory=dict)
    headers: dict[str, str] = Field(default_factory=dict)
    body: bytes = b""

    @classmethod
    def of(cls, event: Mapping[str, Any]) -> Call:
        """From API Gateway's proxy event (REST)."""
        return cls(
            method=event["httpMethod"],
            resource=event["resource"],
            request_id=event["requestContext"]["requestId"],
            batch_id=(event.get("pathParameters") or {}).get("batch_id", ""),
            query=event.get("queryStringParameters") or {},
            headers={name.lower(): value for name, value in (event.get("headers") or {}).items()},
            body=_body(event),
        )


def _body(event: Mapping[str, Any]) -> bytes:
    text: str = event.get("body") or ""
    if not event.get("isBase64Encoded"):
        return text.encode(errors="surrogatepass")
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return text.encode()


class Answer(BaseModel):
    """One HTTP response; `body` is JSON."""

    model_config = ConfigDict(frozen=True)

    status: int
    body: str
    headers: dict[str, str] = Field(default_factory=dict)

    def proxied(self) -> dict[str, Any]:
        """As API Gateway takes it from a function."""
        headers = {"Content-Type": "application/json", **self.headers}
        return {"statusCode": self.status, "headers": headers, "body": self.body, "isBase64Encoded": False}


class CreateBatch(BatchSpec):
    """The body of POST /batches: a spec, and its inputs as s3:// URIs, by OpenAI's field or by ours for several."""

    input_file_id: str | None = None
    inputs: list[str] | None = Field(None, min_length=1, max_length=INPUTS_LIMIT)
    metadata: dict[str, str] = Field(default_factory=dict, max_length=16)

    @field_validator("metadata")
    @classmethod
    def _short(cls, metadata: dict[str, str]) -> dict[str, str]:
        if any(len(name) > 64 or len(value) > 512 for name, value in metadata.items()):
            raise ValueError("names have 64 characters at most, values 512")
        return metadata

    @property
    def named(self) -> tuple[str, list[str]]:
        """The field that names the inputs, and the URIs. Raises SpecInvalid unless it is exactly one of the two."""
        if self.input_file_id is not None and self.inputs is not None:
            raise SpecInvalid("give input_file_id or inputs, not both", "inputs")
        if self.inputs is not None:
            return "inputs", self.inputs
        if self.input_file_id is None:
            raise SpecInvalid("input_file_id is required: s3://bucket/key", "input_file_id")
        return "input_file_id", [self.input_file_id]

    def spec(self) -> BatchSpec:
        """What is to be done with each row."""
        return BatchSpec.model_validate(self.model_dump(exclude={"input_file_id", "inputs"}, exclude_unset=True))


class ListQuery(BaseModel):
    """The query of GET /batches."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    after: str | None = None
    limit: int = Field(LIST_DEFAULT, ge=1, le=LIST_LIMIT)


class Batch(openai.Batch):
    """OpenAI's batch, and ours: where the results are, and whether somebody has paused it.

    `inputs` are all of them as s3:// URIs, `results` the prefix of the parts, `manifest` there once the batch is final.
    """

    name: str = ""
    inputs: list[str]
    results: str
    manifest: str | None = None
    paused: bool = False


class BatchList(BaseModel):
    """A page of batches, the newest first. `last_id` is the next page's `after`."""

    model_config = ConfigDict(frozen=True)

    object: Literal["list"] = "list"
    data: list[Batch]
    first_id: str | None = None
    last_id: str | None = None
    has_more: bool = False


def wrong_field(error: ValidationError) -> SpecInvalid:
    """Pydantic's error as the caller's: `param` is the first wrong field, the message says all of them."""
    fields = [".".join(str(step) for step in item["loc"]) for item in error.errors(include_url=False)]
    wrong = explain(error, "the request")
    wrong.param = next(filter(None, fields), None)
    return wrong


class Policy(BaseModel):
    """What the authorizer answers: whether the key may call the stage. Field names are API Gateway's."""

    model_config = ConfigDict(frozen=True)

    principalId: str  # noqa: N815 - API Gateway's name
    policyDocument: dict[str, Any]  # noqa: N815


class Presented(BaseModel):
    """API Gateway's event of a TOKEN authorizer."""

    model_config = ConfigDict(extra="ignore", frozen=True, populate_by_name=True)

    type: Literal["TOKEN"]
    token: str = Field(alias="authorizationToken")
    method_arn: str = Field(alias="methodArn")
