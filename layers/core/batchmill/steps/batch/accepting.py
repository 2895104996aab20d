"""A submission becomes a batch's record: the one way for a drop, the command line and the API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from batchmill.contracts.pools import UNKNOWN_MODEL, Pool
from batchmill.contracts.spec import BatchSpec
from batchmill.domain import ids
from batchmill.domain.batch import Batch, BatchStatus, Input
from batchmill.domain.errors import AlreadyExists, SpecInvalid, WebhookRefused
from batchmill.domain.places import InputPlaces
from batchmill.domain.webhook import target
from batchmill.ports.batches import Batches
from batchmill.ports.clock import Clock
from batchmill.ports.schemas import Schemas
from batchmill.ports.templates import Templates
from batchmill.steps.shard.bodies import body_source, check_repair, fixed_schema, templated

INPUTS_CHARACTERS = 200_000
"""Of a batch's inputs together, in its record; with the spec's 100,000 that stays within DynamoDB's 400 KB an item."""

INPUT_OVERHEAD = 100
"""Characters that an input takes beside its URI: attribute names, a version id, an ETag."""


@dataclass(frozen=True)
class Accepting:
    """`pools` are the deployment's, by name; `webhook_allow` is as in `domain.webhook.target`."""

    batches: Batches
    templates: Templates
    schemas: Schemas
    clock: Clock
    pools: Mapping[str, Pool]
    places: InputPlaces
    webhook_allow: frozenset[str] = frozenset()

    def check(self, spec: BatchSpec, source: str) -> None:
        """What the spec's own model cannot see: pools, where a webhook may go, the syntax of templates and schemas.

        Raises SpecInvalid.
        """
        pool = self.pools.get(spec.pool)
        if pool is None:
            there = ", ".join(sorted(self.pools))
            raise SpecInvalid(f"{source}: pool: no pool {spec.pool!r}; there are: {there}", "pool")
        if spec.model and pool.model and spec.model != pool.model:
            raise SpecInvalid(f"{source}: model: pool {spec.pool!r} serves {pool.model}, not {spec.model}", "model")
        if spec.webhook_url is not None:
            try:
                target(spec.webhook_url, self.webhook_allow)
            except WebhookRefused as error:
                raise SpecInvalid(f"{source}: webhook_url: {error}", "webhook_url") from None
        self._check_bodies(spec, source)

    def _check_bodies(self, spec: BatchSpec, source: str) -> None:
        field = next(iter(spec.ways), "params")
        try:
            if spec.ways:
                self.templates.compile(body_source(spec))
            field = "params" if spec.body is None else "body"
            schema = fixed_schema(spec)
            if schema is not None:
                self.schemas.compile(schema)
            check_repair(spec)
        except SpecInvalid as error:
            raise SpecInvalid(f"{source}: {error}", error.param or field) from None
        served, named = self.pools[spec.pool].model, (spec.body or {}).get("model")
        if served not in ("", UNKNOWN_MODEL) and named not in (None, served) and not templated(named):
            raise SpecInvalid(f"{source}: body.model: pool {spec.pool!r} serves {served}, not {named!r}", "body")

    def record(self, submission: str, inputs: Sequence[Input], spec: BatchSpec, profile: str | None = None) -> Batch:
        """Create the batch of a checked spec, or return the one that is there: one batch a submission.

        Raises SpecInvalid for an input that may not be read, and for more inputs than a record holds.
        """
        for item in inputs:
            self.places.check(item, "inputs")
        size = sum(len(item.uri) + INPUT_OVERHEAD for item in inputs)
        if size > INPUTS_CHARACTERS:
            raise SpecInvalid(f"inputs: {len(inputs)} of them do not fit a batch's record: submit them in several")
        batch = self.blank(submission, inputs, stored(spec))
        deadline = batch.created_at + spec.window_seconds
        batch = replace(batch, deadline=deadline, profile=profile, name=spec.name)
        try:
            self.batches.create(batch)
        except AlreadyExists:
            return self.batches.get(batch.batch_id)
        return batch

    def blank(self, submission: str, inputs: Sequence[Input], spec: Mapping[str, object]) -> Batch:
        """A record of now, not yet stored."""
        now = self.clock.now()
        return Batch(
            batch_id=ids.batch_id(submission),
            status=BatchStatus.VALIDATING,
            spec=spec,
            inputs=tuple(inputs),
            created_at=now,
            deadline=now,
        )


def stored(spec: BatchSpec) -> dict[str, object]:
    """The spec as a record and a submission carry it: plain data, without what is left at its default."""
    return spec.model_dump(mode="json", exclude_defaults=True)
