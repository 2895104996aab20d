"""The one error tree.

    BatchmillError
    ├── UserError                the caller's to mend; never retried
    │   ├── SpecInvalid          a field of a submission or profile is wrong
    │   │   └── StreamingUnsupported  it asks for a stream, which a batch cannot give
    │   ├── InputMissing         an input object or file is not there
    │   ├── InputChanged         an input object was overwritten or deleted after the plan pinned it
    │   ├── InputInvalid         an input as a whole cannot be read (empty, no header, undecodable)
    │   ├── InputTooLarge        an input holds more than can be planned, or unpacks to more
    │   ├── RenderFailed         a row lacks what the template asks for; the row's outcome, never the shard's
    │   ├── DuplicateIds         rows of an input have the same custom_id
    │   ├── FirstRowsFailed      all rows of an input's beginning fail, and so the batch
    │   ├── PlanTooLarge         more shards than one state machine run can carry
    │   ├── WebhookRefused       a webhook's URL or address may not be called, or its receiver is gone for good
    │   ├── RequestTooLarge      a request to the API is larger than a batch's record can hold
    │   ├── KeyReused            an Idempotency-Key was used before, for another batch
    │   ├── NotCancellable       the batch is ending or final already
    │   ├── NotPausable          the same, of pausing and resuming
    │   └── BatchNotFound        no batch of that id
    ├── ShardEnded               how a dispatch ends without a part; the class name is the state machine's error name
    │   ├── Rerouted             try the next of the route
    │   ├── Cancelled            the batch was cancelled
    │   └── DeadlineExceeded     the batch ran out of time
    ├── Conflict                 a conditional write lost
    │   ├── StaleDispatch        a message of an earlier dispatch
    │   ├── Evicted              a later attempt, a reroute or an ending took the shard
    │   └── AlreadyExists        the object or item is there already
    ├── Gone                     what was asked for does not exist (any more)
    ├── Transient                the service's trouble; try again
    │   └── EngineDown           the engine has not answered for longer than a worker waits
    ├── EngineStartFailed        the engine exited, or did not get healthy in time
    ├── NotAPart                 an object stands at a part's key that no commit wrote
    ├── TooManyFailures          attempts at a shard kept ending by errors of ours
    ├── PoolChanged              a pool serves another model, revision or quantization than the batch was planned for
    └── PartsMissing             complete was called before every shard had its part

Messages say what is wrong, where, and how to mend it; they never hold a prompt or a response.
"""

from __future__ import annotations


class BatchmillError(Exception):
    """Root of every error that batchmill raises on purpose."""

    code = "internal_error"


class UserError(BatchmillError):
    """The caller's to mend; trying again without a change cannot help. `param` is the field to mend, where one is."""

    code = "invalid_request"

    def __init__(self, message: str = "", param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


class SpecInvalid(UserError):
    """A field of a submission, profile or batch file is wrong."""

    code = "invalid_spec"


class StreamingUnsupported(SpecInvalid):
    """A submission asks for answers as a stream: there is nobody to stream to."""

    code = "streaming_unsupported"


class InputMissing(UserError):
    """An input object or file is not there."""

    code = "input_missing"


class InputChanged(UserError):
    """An input object was overwritten or deleted after the plan pinned it."""

    code = "input_changed"


class InputInvalid(UserError):
    """An input cannot be read as a whole: empty, without a header, or not decodable."""

    code = "input_invalid"


class InputTooLarge(UserError):
    """An input of more objects or bytes than can be planned, or one that unpacks to more than any honest file."""

    code = "input_too_large"


class EmptyInput(InputInvalid):
    """The input holds no row at all."""

    code = "empty_file"


class RenderFailed(UserError):
    """A row that the template cannot be rendered with. The message names the placeholder, never the row's data.

    `param` is the name that the row lacks, where that is what is wrong.
    """

    code = "render_failed"


class FirstRowsFailed(UserError):
    """All rows of an input's beginning fail before the engine is asked. `code` is the first one's."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class DuplicateIds(UserError):
    """Rows of the inputs have the same custom_id, by which nobody could tell their results apart."""

    code = "duplicate_custom_id"


class PlanTooLarge(UserError):
    """More shards than one run of the state machine can carry."""

    code = "plan_too_large"


class WebhookRefused(UserError):
    """A webhook that may not be called, or whose receiver wants no more. The message names the host at most."""

    code = "webhook_refused"


class RequestTooLarge(UserError):
    """A request to the API that is larger than a batch's record can hold."""

    code = "request_too_large"


class KeyReused(UserError):
    """An Idempotency-Key that was used before, for another batch."""

    code = "idempotency_key_reused"


class NotCancellable(UserError):
    """A batch that is ending or final already."""

    code = "batch_not_cancellable"


class NotPausable(UserError):
    """A batch that is ending or final: there is nothing to pause or to resume."""

    code = "batch_not_pausable"


class BatchNotFound(UserError):
    """No batch has that id."""

    code = "batch_not_found"


class ShardEnded(BatchmillError):
    """A dispatch that ends without a part. Its class name is what the state machine's ErrorEquals names."""

    code = "shard_ended"


class Rerouted(ShardEnded):
    """The shard goes to the next backend of its route."""

    code = "rerouted"


class Cancelled(ShardEnded):
    """The batch was cancelled."""

    code = "batch_cancelled"


class DeadlineExceeded(ShardEnded):
    """The batch's deadline passed."""

    code = "batch_expired"


class Conflict(BatchmillError):
    """A conditional write lost to another writer."""

    code = "conflict"


class StaleDispatch(Conflict):
    """A message of an earlier dispatch; whoever holds it drops it."""

    code = "stale_dispatch"


class Evicted(Conflict):
    """A later attempt, a reroute or an ending took the shard from this attempt."""

    code = "evicted"


class AlreadyExists(Conflict):
    """The object, item or execution is there already."""

    code = "already_exists"


class Gone(BatchmillError):
    """What was asked for does not exist, or not in the version asked for."""

    code = "not_found"


class Transient(BatchmillError):
    """The service's trouble, not ours; trying again may help."""

    code = "unavailable"


class EngineDown(Transient):
    """The engine has not been healthy for longer than a worker waits for it."""

    code = "engine_unavailable"


class EngineStartFailed(BatchmillError):
    """The engine exited, or did not get healthy in time; the message holds the end of its log."""

    code = "engine_start_failed"


class NotAPart(BatchmillError):
    """An object stands at a part's key that no commit wrote."""

    code = "not_a_part"


class PoolChanged(BatchmillError):
    """A pool serves another model, revision or quantization than the batch was planned for."""

    code = "pool_changed"


class TooManyFailures(BatchmillError):
    """Attempts at a shard kept ending by errors of ours: its rows are given up."""

    code = "shard_failed"


class PartsMissing(BatchmillError):
    """Complete was called before every shard had its part, or the parts do not tile the input."""

    code = "parts_missing"
