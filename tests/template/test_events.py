"""That events/ holds one valid sample a function."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from aws_lambda_powertools.utilities.data_classes import EventBridgeEvent, SQSEvent

from batchmill.contracts.intake import ENVELOPE, ObjectCreated
from batchmill.contracts.workflow import (
    CancelInput,
    CloseInput,
    DispatchInput,
    LandInput,
    PlanOutput,
    RunInput,
    ShardMessage,
)
from batchmill.domain import ids
from template.reading import PROJECT, ROOT

SAMPLES = {path.stem: json.loads(path.read_text()) for path in (PROJECT / "events").glob("*.json")}

CONTRACTS: dict[str, Callable[[Any], Any]] = {
    "plan": RunInput.model_validate,
    "admit": PlanOutput.model_validate,
    "dispatch": DispatchInput.model_validate,
    "close": CloseInput.model_validate,
    "land": LandInput.model_validate,
    "complete": RunInput.model_validate,
    "cancel": CancelInput.model_validate,
}


def bodies(sample: str) -> list[str]:
    """The messages of a sample SQS event."""
    return [record.body for record in SQSEvent(SAMPLES[sample]).records]


def test_every_function_has_a_sample_and_nothing_else_has() -> None:
    handlers = {function["Handler"].partition(".")[0] for function in ROOT.of("Serverless::Function").values()}
    assert set(SAMPLES) == handlers


@pytest.mark.parametrize("name", CONTRACTS)
def test_a_sample_of_the_state_machines_keeps_its_contract(name: str) -> None:
    parsed = CONTRACTS[name](SAMPLES[name])
    assert parsed.batch_id.startswith("batch_")


def test_the_intake_sample_brings_a_message_of_each_kind() -> None:
    assert {ENVELOPE.validate_json(body).source for body in bodies("intake")} == {"aws.s3", "aws.states", "batchmill"}


def test_the_resume_sample_brings_a_part_and_a_dead_letter() -> None:
    part, dead = bodies("resume")
    assert ids.parse_part_key(ObjectCreated.model_validate_json(part).detail.object.key)
    assert ShardMessage.model_validate_json(dead).shard == 7


def test_the_sweep_sample_is_a_schedules_event() -> None:
    assert EventBridgeEvent(SAMPLES["sweep"]).detail_type == "Scheduled Event"


@pytest.mark.parametrize("name", ["intake", "resume"])
def test_a_samples_records_come_from_a_queue_of_sqs(name: str) -> None:
    records = list(SQSEvent(SAMPLES[name]).records)
    assert {record.event_source for record in records} == {"aws:sqs"}
    assert len({record.message_id for record in records}) == len(records)
