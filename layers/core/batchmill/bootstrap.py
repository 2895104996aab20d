"""The one composition root: settings, adapters and steps put together, each on first use.

A step's adapters are imported where the step is made, so that a function loads no library that its step does not need.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

from batchmill.contracts.callback import ChannelName
from batchmill.contracts.pools import Pool
from batchmill.contracts.workflow import AdmitInput, CancelInput, CloseInput, DispatchInput, LandInput, RunInput
from batchmill.settings import Settings

if TYPE_CHECKING:
    from batchmill.ports.batches import Batches
    from batchmill.ports.clock import Clock
    from batchmill.ports.engine import Engine
    from batchmill.ports.notifier import Notifier
    from batchmill.ports.objects import Objects
    from batchmill.ports.queue import Queue
    from batchmill.ports.schemas import Schemas
    from batchmill.ports.tables import Tables
    from batchmill.ports.templates import Templates
    from batchmill.steps.api import Api
    from batchmill.steps.callbacks.outbox import Outbox
    from batchmill.steps.shard.answering import Answering
    from batchmill.steps.work import Work

Handler = Callable[[Mapping[str, object]], dict[str, object]]


@lru_cache(maxsize=1)
def settings() -> Settings:
    """This process's settings. Raises SpecInvalid naming a variable that is missing."""
    return Settings.read(os.environ)


@lru_cache(maxsize=1)
def _clock() -> Clock:
    from batchmill.adapters.system_clock import SystemClock

    return SystemClock()


@lru_cache(maxsize=1)
def _objects() -> Objects:
    from batchmill.adapters.aws_clients import s3_client
    from batchmill.adapters.s3 import S3Objects

    return S3Objects(s3_client())


@lru_cache(maxsize=1)
def _tables() -> Tables:
    from batchmill.adapters.parquet import ParquetTables

    return ParquetTables(_objects())


@lru_cache(maxsize=1)
def _batches() -> Batches:
    from batchmill.adapters.aws_clients import dynamodb_client
    from batchmill.adapters.dynamodb import DynamoBatches

    return DynamoBatches(dynamodb_client(), settings().table)


@lru_cache(maxsize=1)
def _queue() -> Queue:
    from batchmill.adapters.aws_clients import sqs_client
    from batchmill.adapters.sqs import SqsQueue

    return SqsQueue(sqs_client())


@lru_cache(maxsize=1)
def _templates() -> Templates:
    from batchmill.adapters.jinja import JinjaTemplates

    return JinjaTemplates()


@lru_cache(maxsize=1)
def _schemas() -> Schemas:
    from batchmill.adapters.json_schema import JsonSchemas

    return JsonSchemas()


@lru_cache(maxsize=1)
def _answering() -> Answering:
    from batchmill.adapters.aws_clients import stepfunctions_client
    from batchmill.adapters.stepfunctions import StepFunctionsWorkflow
    from batchmill.steps.shard.answering import Answering

    workflow = StepFunctionsWorkflow(stepfunctions_client(), settings().state_machine_arn)
    return Answering(_batches(), workflow, _clock())


@lru_cache(maxsize=1)
def _outbox() -> Outbox:
    from batchmill.steps.callbacks.outbox import Outbox

    return Outbox(_batches(), _queue(), settings().callback_queue_url)


def _pools() -> Mapping[str, Pool]:
    return settings().pools or {}


@lru_cache(maxsize=1)
def intake() -> Callable[[str], None]:
    """Takes the body of one message of the intake queue."""
    from batchmill.steps.intake import Intake

    return Intake(
        _objects(),
        _batches(),
        _answering().workflow,
        _templates(),
        _schemas(),
        _clock(),
        settings().data_bucket,
        _pools(),
        _outbox(),
        settings().webhook_allow,
    )


@lru_cache(maxsize=1)
def plan() -> Handler:
    """RunInput to PlanOutput."""
    from batchmill.adapters import zstd
    from batchmill.adapters.late_tables import LateTables
    from batchmill.domain.places import InputPlaces
    from batchmill.steps.plan import Plan

    told = settings()
    step = Plan(
        objects=_objects(),
        batches=_batches(),
        templates=_templates(),
        schemas=_schemas(),
        tables=LateTables(_objects()),
        zstd=zstd.unpacked,
        clock=_clock(),
        places=InputPlaces(told.input_bucket, told.data_bucket),
        pools=_pools(),
        shard_rows=told.shard_rows,
        seconds=told.plan_seconds,
    )
    return lambda payload: step(RunInput.model_validate(payload)).model_dump()


@lru_cache(maxsize=1)
def admit() -> Handler:
    """AdmitInput to AdmitOutput."""
    from batchmill.steps.admit import Admit

    step = Admit(_batches(), _clock(), settings().max_concurrency)
    return lambda payload: step(AdmitInput.model_validate(payload)).model_dump()


@lru_cache(maxsize=1)
def dispatch() -> Handler:
    """DispatchInput to {}: what ends the task is its token."""
    from batchmill.steps.dispatch import Dispatch

    step = Dispatch(_objects(), _batches(), _queue(), _answering(), _clock(), settings().data_bucket, _pools())

    def run(payload: Mapping[str, object]) -> dict[str, object]:
        step(DispatchInput.model_validate(payload))
        return {}

    return run


@lru_cache(maxsize=1)
def resume() -> Callable[[str], None]:
    """Takes the body of one message of the resume queue or of a pool's dead letters."""
    from batchmill.steps.resume import Resume

    return Resume(_objects(), _batches(), _answering(), _clock(), settings().data_bucket)


@lru_cache(maxsize=1)
def sweep() -> Callable[[], dict[str, object]]:
    """Returns what the sweep did, in shards."""
    from dataclasses import asdict

    from batchmill.steps.sweep import Sweep

    step = Sweep(_objects(), _batches(), _answering(), _clock(), settings().data_bucket, settings().lease_seconds)
    return lambda: asdict(step())


@lru_cache(maxsize=1)
def close() -> Handler:
    """CloseInput to CloseOutput."""
    from batchmill.steps.close import Close

    step = Close(_objects(), _batches(), _clock(), settings().data_bucket, settings().lease_seconds)
    return lambda payload: step(CloseInput.model_validate(payload)).model_dump()


@lru_cache(maxsize=1)
def land() -> Handler:
    """LandInput to {}."""
    from batchmill.adapters.arrow import ArrowParts
    from batchmill.steps.land import Land

    step = Land(_objects(), _tables(), _batches(), ArrowParts(), _answering(), settings().data_bucket)

    def run(payload: Mapping[str, object]) -> dict[str, object]:
        step(LandInput.model_validate(payload))
        return {}

    return run


@lru_cache(maxsize=1)
def complete() -> Handler:
    """RunInput to the batch's id and final status."""
    from batchmill.steps.complete import Complete

    step = Complete(_objects(), _batches(), _clock(), settings().data_bucket, _outbox())

    def run(payload: Mapping[str, object]) -> dict[str, object]:
        batch = step(RunInput.model_validate(payload))
        return {"batch_id": batch.batch_id, "status": batch.status.value}

    return run


@lru_cache(maxsize=1)
def cancel() -> Handler:
    """CancelInput to the batch's id and status."""
    from batchmill.steps.cancel import Cancel

    step = Cancel(_batches(), _answering(), _clock())

    def run(payload: Mapping[str, object]) -> dict[str, object]:
        batch = step(CancelInput.model_validate(payload))
        return {"batch_id": batch.batch_id, "status": batch.status.value}

    return run


@lru_cache(maxsize=1)
def api() -> Api:
    """API Gateway's proxy event, and a batch id where the path has one, to an answer in any case."""
    from batchmill.adapters.aws_clients import lambda_client
    from batchmill.adapters.functions import LambdaFunctions
    from batchmill.steps.api import Api, Places
    from batchmill.steps.batch.accepting import Accepting

    told = settings()
    accepting = Accepting(_batches(), _templates(), _schemas(), _clock(), _pools(), told.webhook_allow)
    places = Places(told.input_bucket, told.data_bucket, told.intake_queue_url, told.cancel_function)
    return Api(_objects(), accepting, _queue(), LambdaFunctions(lambda_client()), _clock(), places)


@lru_cache(maxsize=1)
def authorize() -> Handler:
    """API Gateway's TOKEN authorizer event to an IAM policy."""
    from batchmill.adapters.aws_clients import secretsmanager_client
    from batchmill.adapters.secrets import ManagedSecrets
    from batchmill.contracts.api import Presented
    from batchmill.steps.authorize import Authorize

    step = Authorize(ManagedSecrets(secretsmanager_client()), _clock(), settings().api_key_secret_arn)
    return lambda payload: step(Presented.model_validate(payload)).model_dump()


@lru_cache(maxsize=1)
def notify() -> Callable[[str, str, int], None]:
    """Takes a message of the callback queue: its body, its receipt, and how often it was received."""
    import random

    from batchmill.adapters.aws_clients import events_client, secretsmanager_client, sns_client
    from batchmill.adapters.eventbridge import EventBridgeNotifier
    from batchmill.adapters.secrets import ManagedSecrets
    from batchmill.adapters.sns import SnsNotifier
    from batchmill.adapters.webhook import WebhookNotifier
    from batchmill.steps.notify import Notify

    told, secrets = settings(), ManagedSecrets(secretsmanager_client())
    webhook = WebhookNotifier(lambda: secrets.read(told.webhook_secret_arn), _clock().now, told.webhook_allow)
    channels: dict[ChannelName, Notifier] = {
        "event": EventBridgeNotifier(events_client()),
        "sns": SnsNotifier(sns_client(), told.callback_topic_arn),
        "webhook": webhook,
    }
    return Notify(_batches(), _queue(), channels, random.random, told.callback_queue_url, told.data_bucket)


def work(engine: Engine) -> Work:
    """The worker's loop over an engine that is up; made within a running event loop."""
    from batchmill.adapters.arrow import ArrowParts
    from batchmill.adapters.aws_clients import s3_link_client
    from batchmill.adapters.s3 import S3Objects
    from batchmill.domain.places import InputPlaces
    from batchmill.steps.shard.attempt import Tools
    from batchmill.steps.shard.media import Links
    from batchmill.steps.shard.window import Window
    from batchmill.steps.work import Work

    told = settings()
    links = Links(S3Objects(s3_link_client()), InputPlaces(told.input_bucket, told.data_bucket))
    tools = Tools(
        objects=_objects(),
        tables=_tables(),
        batches=_batches(),
        parts=ArrowParts(),
        templates=_templates(),
        schemas=_schemas(),
        clock=_clock(),
        window=Window(engine, _clock(), told.window, links),
        data_bucket=told.data_bucket,
        holder=f"{socket.gethostname()}-{os.getpid()}-{os.urandom(4).hex()}",
        lease_seconds=told.lease_seconds,
        checkpoint_seconds=told.checkpoint_seconds,
    )
    pool = _pools()[told.pool]
    return Work(tools, _queue(), pool.queue_url, pool, told.poll_seconds)
