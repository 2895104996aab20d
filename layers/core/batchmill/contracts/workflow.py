"""Payloads between the state machine and its functions."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from batchmill.contracts.plan import ShardItem


class _Payload(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class MachineInput(_Payload):
    """What an execution starts with. `close` skips to the closing of a batch whose execution ended badly."""

    batch_id: str
    run: int = 0
    entry: Literal["start", "close"] = "start"


class RunInput(_Payload):
    """The payload of plan and complete."""

    batch_id: str
    run: int


class ShardList(_Payload):
    """Where a JSON array of shard items lies, and its length."""

    bucket: str
    key: str
    count: int


class PlanOutput(RunInput):
    """What plan returns. Where it is not `done`, it has run out of its time, and goes on when it is called again."""

    done: bool = True
    shards: ShardList | None = None


class AdmitInput(RunInput):
    """The payload of admit."""

    shards: ShardList


class AdmitOutput(AdmitInput):
    """What admit returns: the map's parameters. `seconds_left` to the batch's deadline."""

    seconds_left: int = Field(ge=1)
    max_concurrency: int = Field(ge=1)


class DispatchInput(_Payload):
    """The payload of dispatch: one shard, the token that waits for it, and which call this is.

    `entered`: when the state machine entered the state (ISO 8601, UTC); `retry`: how often it tried again since.
    """

    token: str
    batch_id: str
    run: int
    shard: ShardItem
    entered: str = ""
    retry: int = 0


class MachineError(BaseModel):
    """An error as Step Functions hands it to a Catch."""

    model_config = ConfigDict(extra="ignore", frozen=True, populate_by_name=True)

    error: str = Field("", alias="Error")
    cause: str = Field("", alias="Cause")


class CloseInput(_Payload):
    """The payload of close; `error` where the run came here by a Catch."""

    batch_id: str
    run: int
    error: MachineError | None = None


class CloseOutput(RunInput):
    """What close returns: the shards without a part, and how long to wait before they are landed."""

    missing: ShardList
    grace_seconds: int = Field(ge=0)


class LandInput(_Payload):
    """The payload of land: one shard without a part. `last_resort`: reading its rows failed too often, do without."""

    batch_id: str
    run: int
    shard: ShardItem
    last_resort: bool = False


class CancelInput(_Payload):
    """The payload of cancel."""

    batch_id: str


class PauseInput(_Payload):
    """The payload of pause. `paused` left out: the record says it already, and only what is parked is to be sent.

    `seen`: the record's `pausings` as the caller knew them; where there have been others since, nothing is changed.
    (A call that is begun, or tried again, may come late: it must not undo what was asked since.)
    """

    batch_id: str
    paused: bool | None = None
    seen: int | None = None


class ShardMessage(BaseModel):
    """What a pool's queue carries: ids, never tokens. A newer sender's fields are ignored by an older worker."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    batch_id: str
    run: int
    shard: int
    dispatch: int
