"""What reaches the intake queue: EventBridge envelopes of three kinds, and the batch file."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

INPUTS_LIMIT = 2000
"""Inputs of one batch: they stand in its record, and DynamoDB holds 400 KB an item."""


class _Lenient(BaseModel):
    """AWS adds fields to its events; only what is read is named."""

    model_config = ConfigDict(extra="ignore", frozen=True, populate_by_name=True)


class BucketName(_Lenient):
    """The bucket of an S3 event."""

    name: str


class EventObject(_Lenient):
    """The object of an S3 event. `version_id` is absent on an unversioned bucket. The key is not URL-encoded."""

    key: str
    size: int = 0
    etag: str = ""
    version_id: str | None = Field(None, alias="version-id")
    sequencer: str = ""


class ObjectCreatedDetail(_Lenient):
    """Detail of S3's Object Created."""

    bucket: BucketName
    object: EventObject


class ObjectCreated(_Lenient):
    """S3's Object Created, as EventBridge brings it."""

    detail_type: Literal["Object Created"] = Field(alias="detail-type")
    source: Literal["aws.s3"]
    detail: ObjectCreatedDetail


class ExecutionEndedDetail(_Lenient):
    """Detail of Step Functions Execution Status Change. `input` is the execution's input as JSON text."""

    name: str
    status: Literal["RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED", "PENDING_REDRIVE"]
    input: str | None = None


class ExecutionEnded(_Lenient):
    """Step Functions Execution Status Change, as EventBridge brings it."""

    detail_type: Literal["Step Functions Execution Status Change"] = Field(alias="detail-type")
    source: Literal["aws.states"]
    detail: ExecutionEndedDetail


class SubmittedInput(BaseModel):
    """One input of a submission, pinned where its version or ETag is known."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    bucket: str
    key: str
    version_id: str | None = None
    etag: str | None = None


class Submission(BaseModel):
    """A batch submitted by name. The same `submission_id` again is the same batch."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    submission_id: str = Field(min_length=1, max_length=256)
    inputs: list[SubmittedInput] = Field(min_length=1, max_length=INPUTS_LIMIT)
    spec: dict[str, Any]


class Submitted(BaseModel):
    """The envelope of a submission: the same form as AWS's own events."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    detail_type: Literal["Batch Submitted"] = Field("Batch Submitted", alias="detail-type")
    source: Literal["batchmill"] = "batchmill"
    detail: Submission


Envelope = Annotated[ObjectCreated | ExecutionEnded | Submitted, Field(discriminator="source")]
ENVELOPE: TypeAdapter[ObjectCreated | ExecutionEnded | Submitted] = TypeAdapter(Envelope)
"""Parses any message of the intake queue; its `validate_json` raises pydantic's ValidationError."""


class BatchFile(BaseModel):
    """A dropped `<name>.batch.yaml`: its inputs (keys beside the file, or s3:// URIs) and a spec, or a profile's."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    inputs: list[str] = Field(min_length=1, max_length=INPUTS_LIMIT)
    profile: str | None = None
    spec: dict[str, Any] = Field(default_factory=dict)
