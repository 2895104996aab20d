"""api: the HTTP front. Creates, shows, lists, pauses and cancels batches; every error is answered in OpenAI's shape.

A creation goes the way of any other submission: a message to the intake queue, which starts the batch, and the record
by the code that intake itself uses, so that the batch can be asked for at once. The message goes first: a call that
dies in between has started its batch, and never leaves a record that nobody starts.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from batchmill.contracts.api import KEY_LIMIT, Answer, BatchList, Call, CreateBatch, ListQuery, wrong_field
from batchmill.contracts.intake import Submission, Submitted, SubmittedInput
from batchmill.contracts.spec import BatchSpec
from batchmill.contracts.workflow import CancelInput, PauseInput
from batchmill.domain import ids
from batchmill.domain.batch import Batch, BatchStatus, Input, moved, pausing
from batchmill.domain.errors import BatchNotFound, Gone, InputMissing, KeyReused, NotCancellable, SpecInvalid
from batchmill.domain.places import bucket_and_key
from batchmill.ports.clock import Clock
from batchmill.ports.functions import Functions
from batchmill.ports.objects import Objects
from batchmill.ports.queue import Queue
from batchmill.steps.batch.accepting import Accepting, stored
from batchmill.steps.batch.answers import BATCHES, check_route, parsed_body, refusal
from batchmill.steps.batch.picturing import Picturing

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Places:
    """What of a deployment the front speaks to."""

    data_bucket: str
    intake_queue_url: str
    cancel_function: str
    pause_function: str


@dataclass(frozen=True)
class Api:
    """The step. Every method answers, whatever happens."""

    objects: Objects
    accepting: Accepting
    queue: Queue
    functions: Functions
    clock: Clock
    places: Places

    def __call__(self, event: Mapping[str, Any]) -> Answer:
        """Do what API Gateway's proxy event says."""
        call = Call.of(event)
        try:
            shown = self._shown(call)
        except Exception as error:  # noqa: BLE001 - whatever it is, a caller is answered and nothing of it leaks
            return refusal(error, call.request_id)
        return Answer(status=200, body=shown.model_dump_json(), headers={"x-request-id": call.request_id})

    def _shown(self, call: Call) -> BaseModel:
        check_route(call)
        if call.resource == BATCHES:
            return self._picture(self._create(call)) if call.method == "POST" else self._list(call)
        return self._picture(self._change(call) if call.method == "POST" else self._get(call.batch_id))

    def _change(self, call: Call) -> Batch:
        batch_id = self._get(call.batch_id).batch_id
        asked = call.resource.rpartition("/")[2]
        return self._cancel(batch_id) if asked == "cancel" else self._pause(batch_id, paused=asked == "pause")

    def _picture(self, batch: Batch) -> BaseModel:
        shards = () if batch.final else self.accepting.batches.shards(batch.batch_id, batch.run)
        return self._picturing(batch, shards)

    @property
    def _picturing(self) -> Picturing:
        return Picturing(self.places.data_bucket, self.accepting.pools)

    def _create(self, call: Call) -> Batch:
        try:
            asked = CreateBatch.model_validate(parsed_body(call.body))
            spec = asked.spec()
        except ValidationError as error:
            raise wrong_field(error) from None
        self.accepting.check(spec, "the request")
        field, uris = asked.named
        named = [self._named(field, uri) for uri in uris]
        submission_id = _submission_id(call)
        known = self._known(submission_id)
        if known is None:
            known = self._submit(submission_id, [self._pinned(field, item) for item in named], spec)
        if not _same(known, named, stored(spec)):
            raise KeyReused("this Idempotency-Key was used before with another body: use a new one")
        return known

    def _known(self, submission_id: str) -> Batch | None:
        try:
            return self.accepting.batches.get(ids.batch_id(ids.submission_key(submission_id)))
        except BatchNotFound:
            return None

    def _submit(self, submission_id: str, pinned: list[SubmittedInput], spec: BatchSpec) -> Batch:
        detail = Submission(submission_id=submission_id, inputs=pinned, spec=stored(spec))
        envelope = Submitted.model_validate({"detail-type": "Batch Submitted", "detail": detail})
        self.queue.send(self.places.intake_queue_url, envelope.model_dump_json(by_alias=True))
        inputs = [Input(item.bucket, item.key, item.version_id, item.etag) for item in pinned]
        batch = self.accepting.record(ids.submission_key(submission_id), inputs, spec)
        log.info("api: batch %s created", batch.batch_id)
        return batch

    def _named(self, field: str, uri: str) -> Input:
        try:
            named = Input(*bucket_and_key(uri))
        except ValueError as error:
            raise SpecInvalid(f"{field}: {error}", field) from None
        self.accepting.places.check(named, field)
        return named

    def _pinned(self, field: str, item: Input) -> SubmittedInput:
        if item.kind == "prefix":
            if next(iter(self.objects.list(item.bucket, item.key)), None) is None:
                raise InputMissing(f"{field}: {item.uri}: no object under this prefix", field)
            return SubmittedInput(bucket=item.bucket, key=item.key)
        try:
            info = self.objects.head(item.bucket, item.key)
        except Gone:
            raise InputMissing(f"{field}: {item.uri}: no such object", field) from None
        return SubmittedInput(bucket=item.bucket, key=item.key, version_id=info.version_id, etag=info.etag)

    def _get(self, batch_id: str, param: str | None = None) -> Batch:
        if not ids.is_batch_id(batch_id):
            raise BatchNotFound(f"no batch {batch_id[:64]!r}: ids look like batch_ and 24 hex digits", param)
        try:
            return self.accepting.batches.get(batch_id)
        except BatchNotFound:
            raise BatchNotFound(f"no batch {batch_id!r}", param) from None

    def _list(self, call: Call) -> BatchList:
        try:
            query = ListQuery.model_validate(call.query)
        except ValidationError as error:
            raise wrong_field(error) from None
        after = self._get(query.after, "after") if query.after is not None else None
        found = self.accepting.batches.recent(query.limit + 1, after)
        page = found[: query.limit]
        return BatchList(
            data=[self._picturing(batch) for batch in page],
            first_id=page[0].batch_id if page else None,
            last_id=page[-1].batch_id if page else None,
            has_more=len(found) > len(page),
        )

    def _cancel(self, batch_id: str) -> Batch:
        """Note it at once; the shards' tokens, of which there may be many, are the cancel function's."""
        now = self.clock.now()
        batch = self.accepting.batches.change(batch_id, lambda old: moved(old, BatchStatus.CANCELLING, now))
        if BatchStatus.CANCELLING.value not in batch.times:
            raise NotCancellable(f"cannot cancel a batch with status '{batch.status}'")
        if batch.status is BatchStatus.CANCELLING:
            payload = CancelInput(batch_id=batch_id).model_dump_json().encode()
            self.functions.begin(self.places.cancel_function, payload)
        return batch

    def _pause(self, batch_id: str, paused: bool) -> Batch:
        """Note it at once; sending parked shards again, of which there may be many, is the pause function's.

        A resume of what is not paused begins nothing: should the first one's call be lost, sweep sends the shards.
        """
        now = self.clock.now()
        before: list[Batch] = []

        def change(old: Batch) -> Batch:
            before[:] = [old]
            return pausing(old, paused, now)

        batch = self.accepting.batches.change(batch_id, change)
        if before[0].paused and not batch.paused:
            payload = PauseInput(batch_id=batch_id).model_dump_json(exclude_none=True).encode()
            self.functions.begin(self.places.pause_function, payload)
        return batch


def _submission_id(call: Call) -> str:
    """The key that the caller gave, else the call's own id: without a key every call is a new batch."""
    key = call.headers.get("idempotency-key")
    if key is None:
        return ids.digest("api call", call.request_id)
    if not 1 <= len(key) <= KEY_LIMIT:
        raise SpecInvalid(f"Idempotency-Key: 1 to {KEY_LIMIT} characters", "Idempotency-Key")
    return ids.digest("api key", key)


def _same(batch: Batch, named: Sequence[Input], spec: Mapping[str, object]) -> bool:
    """Whether the batch is of this body. Which version of an input it was pinned to does not matter."""
    places = [(item.bucket, item.key) for item in batch.inputs]
    same_spec = json.dumps(batch.spec, sort_keys=True) == json.dumps(spec, sort_keys=True)
    return same_spec and places == [(item.bucket, item.key) for item in named]
