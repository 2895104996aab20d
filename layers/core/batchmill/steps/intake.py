"""intake: a message becomes a batch and its execution, once however often it comes.

Three kinds of message arrive: an object was created in the input bucket, a batch was submitted by name, an execution
ended badly. A bad submission ends as a `failed` batch; only trouble of the services is raised, to be tried again.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import yaml
from pydantic import ValidationError

from batchmill.contracts.intake import ENVELOPE, BatchFile, ExecutionEnded, ObjectCreated, Submission, Submitted
from batchmill.contracts.spec import explain, parse_spec
from batchmill.contracts.workflow import MachineInput
from batchmill.domain import ids
from batchmill.domain.batch import Batch, BatchStatus, Input, Problem, closing_again, moved, with_problem
from batchmill.domain.errors import AlreadyExists, BatchNotFound, Gone, SpecInvalid, UserError
from batchmill.domain.places import SCHEME, bucket_and_key
from batchmill.ports.batches import Batches
from batchmill.ports.clock import Clock
from batchmill.ports.objects import Objects
from batchmill.ports.workflow import Workflow
from batchmill.steps.batch.accepting import Accepting
from batchmill.steps.callbacks.outbox import Outbox, callable_webhook

BATCH_FILE_SUFFIXES = (".batch.yaml", ".batch.yml")
CLOSINGS_LIMIT = 3
"""Executions started at once to close one batch. What cannot be closed in so many, sweep tries again later."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Intake:
    """The step."""

    objects: Objects
    batches: Batches
    workflow: Workflow
    accepting: Accepting
    clock: Clock
    data_bucket: str
    outbox: Outbox

    def __call__(self, body: str) -> None:
        """Take one message of the intake queue. Raises Transient; a message of no known form is logged and dropped."""
        try:
            envelope = ENVELOPE.validate_json(body)
        except ValidationError as error:
            self._malformed(body, explain(error, "message"))
            return
        if isinstance(envelope, ObjectCreated):
            self._object_created(envelope)
        elif isinstance(envelope, ExecutionEnded):
            self._execution_ended(envelope)
        else:
            self._submitted(envelope)

    def _malformed(self, body: str, error: SpecInvalid) -> None:
        """A submission with an id ends as a failed batch, for its submitter waits; anything else is logged."""
        try:
            submission_id = json.loads(body)["detail"]["submission_id"]
        except (ValueError, LookupError, TypeError):
            submission_id = None
        if isinstance(submission_id, str) and submission_id:
            self._refuse(ids.submission_key(submission_id), [], error, {})
        else:
            log.error("intake: dropped a message of no known form: %s", error)

    def _object_created(self, event: ObjectCreated) -> None:
        bucket, item = event.detail.bucket.name, event.detail.object
        where = f"s3://{bucket}/{item.key}"
        if item.key.endswith("/"):
            log.info("intake: %s is a folder marker, left alone", where)
            return
        dropped = Input(bucket, item.key, item.version_id, item.etag or None)
        submission = ids.object_key(bucket, item.key, item.version_id or f"{item.etag}:{item.sequencer}")
        if item.key.endswith(BATCH_FILE_SUFFIXES):
            self._batch_file(submission, dropped)
            return
        profile = item.key.split("/", 1)[0] if "/" in item.key else None
        found = self._profile(profile) if profile else None
        if found is None:
            log.warning(
                "intake: %s left alone: no profile %r, and no batch file names it as its trigger", where, profile
            )
            return
        self._accept(submission, [dropped], found, f"profiles/{profile}.yaml", profile)

    def _batch_file(self, submission: str, dropped: Input) -> None:
        source, data = dropped.uri, dict[str, object]()
        try:
            text = self.objects.get(dropped.bucket, dropped.key, dropped.version_id)
            file = _parse_batch_file(text, source)
            profile = self._profile(file.profile) if file.profile else b""
            if profile is None:
                raise SpecInvalid(f"{source}: profile: there is no profiles/{file.profile}.yaml in the data bucket")
            base = _yaml_mapping(profile, f"profiles/{file.profile}.yaml") if profile else {}
            inputs = [_named_input(name, dropped) for name in file.inputs]
            data = {**base, **file.spec}
            self._accept_data(submission, inputs, data, source, file.profile)
        except Gone:
            log.warning("intake: %s left alone: it was deleted before it was read", source)
        except UserError as error:
            self._refuse(submission, [dropped], error, data)

    def _profile(self, name: str | None) -> bytes | None:
        try:
            return self.objects.get(self.data_bucket, f"profiles/{name}.yaml")
        except Gone:
            return None

    def _submitted(self, envelope: Submitted) -> None:
        detail: Submission = envelope.detail
        inputs = [Input(item.bucket, item.key, item.version_id, item.etag) for item in detail.inputs]
        submission = ids.submission_key(detail.submission_id)
        try:
            self._accept_data(submission, inputs, detail.spec, "submission", None)
        except UserError as error:
            self._refuse(submission, inputs, error, detail.spec)

    def _accept(self, submission: str, inputs: Sequence[Input], text: bytes, source: str, profile: str | None) -> None:
        data = dict[str, object]()
        try:
            data = _yaml_mapping(text, source)
            self._accept_data(submission, inputs, data, source, profile)
        except UserError as error:
            self._refuse(submission, inputs, error, data)

    def _accept_data(
        self, submission: str, inputs: Sequence[Input], data: object, source: str, profile: str | None
    ) -> None:
        spec = parse_spec(data, source)
        self.accepting.check(spec, source)
        batch = self.accepting.record(submission, inputs, spec, profile)
        if batch.final:
            self.outbox.announce(batch)
        else:
            # Also for a batch that was there: the first delivery may have ended between the two writes.
            self._start(batch, MachineInput(batch_id=batch.batch_id))
            log.info("intake: batch %s accepted from %s", batch.batch_id, source)

    def _refuse(self, submission: str, inputs: Sequence[Input], error: UserError, data: Mapping[str, object]) -> None:
        batch = self.accepting.blank(submission, inputs, callable_webhook(data, self.accepting.webhook_allow))
        failed = moved(batch, BatchStatus.FAILED, batch.created_at)
        failed = replace(failed, problems=(Problem(error.code, str(error), error.param),))
        log.warning("intake: batch %s failed: %s", batch.batch_id, error)
        try:
            self.batches.create(failed)
        except AlreadyExists:
            log.info("intake: batch %s was there already", batch.batch_id)
            failed = self.batches.get(batch.batch_id)
        self.outbox.announce(failed)

    def _execution_ended(self, event: ExecutionEnded) -> None:
        """An execution that ended without closing its batch: another one starts, at close."""
        if event.detail.status not in ("FAILED", "TIMED_OUT", "ABORTED"):
            return
        try:
            told = MachineInput.model_validate_json(event.detail.input or "")
            batch = self.batches.get(told.batch_id)
        except (ValidationError, BatchNotFound):
            log.warning("intake: execution %s is of no batch, left alone", event.detail.name)
            return
        closing = _closing_of(event.detail.name) + 1
        if batch.final or closing > CLOSINGS_LIMIT:
            log.log(logging.INFO if batch.final else logging.ERROR, "intake: %s not closed at once", batch.batch_id)
            self.outbox.announce(batch)  # it may have ended between the final status and its callbacks
            return
        problem = Problem("execution_" + event.detail.status.lower(), f"execution {event.detail.name} ended so")
        now = self.clock.now()

        def change(old: Batch) -> Batch:
            noted = with_problem(old, problem)
            # The same event again finds its closing counted, and starts the same name again, which changes nothing.
            return closing_again(noted, now) if old.closings < closing else noted

        batch = self.batches.change(batch.batch_id, change)
        self._start(batch, MachineInput(batch_id=batch.batch_id, run=told.run, entry="close"), closing)

    def _start(self, batch: Batch, machine: MachineInput, closing: int = 0) -> None:
        self.workflow.start(ids.execution_name(batch.batch_id, machine.run, closing), machine.model_dump())


def _closing_of(name: str) -> int:
    head, mark, count = name.rpartition("-c")
    return int(count) if head and mark and count.isdigit() else 0


def _yaml_mapping(text: bytes, source: str) -> dict[str, object]:
    try:
        data = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise SpecInvalid(f"{source}: not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(data, dict):
        raise SpecInvalid(f"{source}: a mapping of fields is needed, such as `endpoint: /v1/embeddings`")
    return {str(name): value for name, value in data.items()}


def _parse_batch_file(text: bytes, source: str) -> BatchFile:
    try:
        return BatchFile.model_validate(_yaml_mapping(text, source))
    except ValidationError as error:
        raise explain(error, source) from None


def _named_input(name: str, beside: Input) -> Input:
    """An input that a batch file names: an s3:// URI, or a key beside the file; with a slash at its end, a prefix."""
    if name.startswith(SCHEME):
        try:
            return Input(*bucket_and_key(name))
        except ValueError as error:
            raise SpecInvalid(f"{beside.uri}: inputs: {error}") from None
    folder = beside.key.rpartition("/")[0]
    return Input(beside.bucket, f"{folder}/{name}" if folder else name)
