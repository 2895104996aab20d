"""That events/ holds one valid sample a function."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, get_args

import pytest
from aws_lambda_powertools.utilities.data_classes import EventBridgeEvent, SQSEvent
from aws_lambda_powertools.utilities.parser.models import ApiGatewayAuthorizerToken, APIGatewayProxyEventModel

from batchmill.contracts.api import Call, CreateBatch, Presented
from batchmill.contracts.callback import CallbackMessage, ChannelName
from batchmill.contracts.intake import ENVELOPE, ObjectCreated
from batchmill.contracts.workflow import (
    AdmitInput,
    CancelInput,
    CloseInput,
    DispatchInput,
    LandInput,
    PauseInput,
    RunInput,
    ShardMessage,
)
from batchmill.domain import ids
from template.reading import PROJECT, ROOT

SAMPLES = {path.stem: json.loads(path.read_text()) for path in (PROJECT / "events").glob("*.json")}

CONTRACTS: dict[str, Callable[[Any], Any]] = {
    "plan": RunInput.model_validate,
    "admit": AdmitInput.model_validate,
    "dispatch": DispatchInput.model_validate,
    "close": CloseInput.model_validate,
    "land": LandInput.model_validate,
    "complete": RunInput.model_validate,
    "cancel": CancelInput.model_validate,
    "pause": PauseInput.model_validate,
}


def test_the_apis_sample_is_a_creation_as_api_gateway_brings_it() -> None:
    APIGatewayProxyEventModel.model_validate(SAMPLES["api"])
    call = Call.of(SAMPLES["api"])
    assert (call.method, call.resource, call.headers["idempotency-key"]) == ("POST", "/batches", "tickets-2026-01-01")
    assert CreateBatch.model_validate_json(call.body).named == ("input_file_id", ["s3://batchmill-input/tickets.csv"])


def test_the_authorizers_sample_is_that_of_a_token() -> None:
    ApiGatewayAuthorizerToken.model_validate(SAMPLES["authorize"])
    assert Presented.model_validate(SAMPLES["authorize"]).token.startswith("Bearer ")


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


def test_the_notify_sample_brings_a_message_for_each_channel() -> None:
    messages = [CallbackMessage.model_validate_json(body) for body in bodies("notify")]
    assert [message.channel for message in messages] == list(get_args(ChannelName))


def test_the_sweep_sample_is_a_schedules_event() -> None:
    assert EventBridgeEvent(SAMPLES["sweep"]).detail_type == "Scheduled Event"


@pytest.mark.parametrize("name", ["intake", "resume", "notify"])
def test_a_samples_records_come_from_a_queue_of_sqs(name: str) -> None:
    records = list(SQSEvent(SAMPLES[name]).records)
    assert {record.event_source for record in records} == {"aws:sqs"}
    assert len({record.message_id for record in records}) == len(records)
