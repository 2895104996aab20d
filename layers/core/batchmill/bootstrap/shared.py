"""What several steps share: the settings, and adapters over the account's services, each made on first use."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

from batchmill.settings import Settings

if TYPE_CHECKING:
    from batchmill.contracts.pools import Pool
    from batchmill.domain.places import InputPlaces
    from batchmill.ports.batches import Batches
    from batchmill.ports.clock import Clock
    from batchmill.ports.objects import Objects
    from batchmill.ports.queue import Queue
    from batchmill.ports.schemas import Schemas
    from batchmill.ports.tables import Tables
    from batchmill.ports.templates import Templates
    from batchmill.steps.batch.accepting import Accepting
    from batchmill.steps.callbacks.outbox import Outbox
    from batchmill.steps.shard.answering import Answering
    from batchmill.steps.shard.releasing import Releasing
    from batchmill.steps.shard.sending import Sending


@lru_cache(maxsize=1)
def settings() -> Settings:
    """This process's settings. Raises SpecInvalid naming a variable that is missing."""
    return Settings.read(os.environ)


@lru_cache(maxsize=1)
def clock() -> Clock:
    """The wall clock."""
    from batchmill.adapters.system_clock import SystemClock

    return SystemClock()


@lru_cache(maxsize=1)
def objects() -> Objects:
    """S3."""
    from batchmill.adapters.aws_clients import s3_client
    from batchmill.adapters.s3 import S3Objects

    return S3Objects(s3_client())


@lru_cache(maxsize=1)
def batches() -> Batches:
    """The table of batches and shards."""
    from batchmill.adapters.aws_clients import dynamodb_client
    from batchmill.adapters.dynamodb import DynamoBatches

    return DynamoBatches(dynamodb_client(), settings().table)


@lru_cache(maxsize=1)
def queue() -> Queue:
    """SQS, any queue of it."""
    from batchmill.adapters.aws_clients import sqs_client
    from batchmill.adapters.sqs import SqsQueue

    return SqsQueue(sqs_client())


@lru_cache(maxsize=1)
def templates() -> Templates:
    """Jinja2, without the means to do harm."""
    from batchmill.adapters.jinja import JinjaTemplates

    return JinjaTemplates()


@lru_cache(maxsize=1)
def schemas() -> Schemas:
    """JSON Schema."""
    from batchmill.adapters.json_schema import JsonSchemas

    return JsonSchemas()


@lru_cache(maxsize=1)
def tables() -> Tables:
    """Parquet files as inputs."""
    from batchmill.adapters.parquet import ParquetTables

    return ParquetTables(objects())


@lru_cache(maxsize=1)
def answering() -> Answering:
    """Who answers task tokens."""
    from batchmill.adapters.aws_clients import stepfunctions_client
    from batchmill.adapters.stepfunctions import StepFunctionsWorkflow
    from batchmill.steps.shard.answering import Answering

    workflow = StepFunctionsWorkflow(stepfunctions_client(), settings().state_machine_arn)
    return Answering(batches(), workflow, clock())


@lru_cache(maxsize=1)
def sending() -> Sending:
    """Who sends shards to their pools."""
    from batchmill.adapters.aws_clients import ecs_client
    from batchmill.adapters.ecs import EcsCapacity
    from batchmill.steps.shard.sending import Sending

    return Sending(batches(), queue(), EcsCapacity(ecs_client, clock()), clock(), pools())


@lru_cache(maxsize=1)
def releasing() -> Releasing:
    """Who sends parked shards again."""
    from batchmill.steps.shard.releasing import Releasing

    return Releasing(sending(), answering())


@lru_cache(maxsize=1)
def outbox() -> Outbox:
    """Where callbacks are left to be delivered."""
    from batchmill.steps.callbacks.outbox import Outbox

    return Outbox(batches(), queue(), settings().callback_queue_url)


@lru_cache(maxsize=1)
def accepting() -> Accepting:
    """What checks a submission and makes its record."""
    from batchmill.steps.batch.accepting import Accepting

    return Accepting(batches(), templates(), schemas(), clock(), pools(), places(), settings().webhook_allow)


@lru_cache(maxsize=1)
def places() -> InputPlaces:
    """Where inputs may lie."""
    from batchmill.domain.places import InputPlaces

    told = settings()
    return InputPlaces(told.input_bucket, told.data_bucket, told.readable_buckets)


def pools() -> Mapping[str, Pool]:
    """The pools of this deployment, by name."""
    return settings().pools or {}
