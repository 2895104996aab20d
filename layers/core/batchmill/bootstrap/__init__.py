"""The one composition root: settings, adapters and steps put together, each on first use.

A step's adapters are imported where the step is made, so that a function loads no library that its step does not need.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from batchmill.bootstrap.shared import (
    accepting,
    answering,
    batches,
    clock,
    objects,
    outbox,
    places,
    pools,
    queue,
    releasing,
    schemas,
    sending,
    settings,
    tables,
    templates,
)
from batchmill.contracts.workflow import (
    AdmitInput,
    CancelInput,
    CloseInput,
    DispatchInput,
    LandInput,
    PauseInput,
    RunInput,
)

if TYPE_CHECKING:
    from batchmill.contracts.callback import ChannelName
    from batchmill.ports.engine import Engine
    from batchmill.ports.notifier import Notifier
    from batchmill.steps.work import Work

__all__ = ["settings"]  # of what is imported here; the steps are this module's own

Handler = Callable[[Mapping[str, object]], dict[str, object]]


@lru_cache(maxsize=1)
def intake() -> Callable[[str], None]:
    """Takes the body of one message of the intake queue."""
    from batchmill.steps.intake import Intake

    return Intake(
        objects(),
        batches(),
        answering().workflow,
        accepting(),
        clock(),
        settings().data_bucket,
        outbox(),
    )


@lru_cache(maxsize=1)
def plan() -> Handler:
    """RunInput to PlanOutput."""
    from batchmill.adapters import zstd
    from batchmill.adapters.late_tables import LateTables
    from batchmill.steps.plan import Plan

    told = settings()
    step = Plan(
        objects=objects(),
        batches=batches(),
        templates=templates(),
        schemas=schemas(),
        tables=LateTables(objects()),
        zstd=zstd.unpacked,
        clock=clock(),
        places=places(),
        pools=pools(),
        shard_rows=told.shard_rows,
        seconds=told.plan_seconds,
    )
    return lambda payload: step(RunInput.model_validate(payload)).model_dump()


@lru_cache(maxsize=1)
def admit() -> Handler:
    """AdmitInput to AdmitOutput."""
    from batchmill.steps.admit import Admit

    step = Admit(batches(), clock(), settings().max_concurrency)
    return lambda payload: step(AdmitInput.model_validate(payload)).model_dump()


@lru_cache(maxsize=1)
def dispatch() -> Handler:
    """DispatchInput to {}: what ends the task is its token."""
    from batchmill.steps.dispatch import Dispatch

    step = Dispatch(objects(), batches(), sending(), answering(), clock(), settings().data_bucket)

    def run(payload: Mapping[str, object]) -> dict[str, object]:
        step(DispatchInput.model_validate(payload))
        return {}

    return run


@lru_cache(maxsize=1)
def resume() -> Callable[[str], None]:
    """Takes the body of one message of the resume queue or of a pool's dead letters."""
    from batchmill.steps.resume import Resume

    return Resume(objects(), batches(), answering(), clock(), settings().data_bucket)


@lru_cache(maxsize=1)
def sweep() -> Callable[[], dict[str, object]]:
    """Returns what the sweep did, in shards."""
    from dataclasses import asdict

    from batchmill.steps.sweep import Sweep

    told = settings()
    step = Sweep(objects(), batches(), answering(), releasing(), clock(), told.data_bucket, told.lease_seconds)
    return lambda: asdict(step())


@lru_cache(maxsize=1)
def close() -> Handler:
    """CloseInput to CloseOutput."""
    from batchmill.steps.close import Close

    step = Close(objects(), batches(), clock(), settings().data_bucket, settings().lease_seconds)
    return lambda payload: step(CloseInput.model_validate(payload)).model_dump()


@lru_cache(maxsize=1)
def land() -> Handler:
    """LandInput to {}."""
    from batchmill.adapters.arrow import ArrowParts
    from batchmill.steps.land import Land

    step = Land(objects(), tables(), batches(), ArrowParts(), answering(), settings().data_bucket)

    def run(payload: Mapping[str, object]) -> dict[str, object]:
        step(LandInput.model_validate(payload))
        return {}

    return run


@lru_cache(maxsize=1)
def complete() -> Handler:
    """RunInput to the batch's id and final status."""
    from batchmill.steps.complete import Complete

    step = Complete(objects(), batches(), clock(), settings().data_bucket, outbox())

    def run(payload: Mapping[str, object]) -> dict[str, object]:
        batch = step(RunInput.model_validate(payload))
        return {"batch_id": batch.batch_id, "status": batch.status.value}

    return run


@lru_cache(maxsize=1)
def cancel() -> Handler:
    """CancelInput to the batch's id and status."""
    from batchmill.steps.cancel import Cancel

    step = Cancel(batches(), answering(), clock())

    def run(payload: Mapping[str, object]) -> dict[str, object]:
        batch = step(CancelInput.model_validate(payload))
        return {"batch_id": batch.batch_id, "status": batch.status.value}

    return run


@lru_cache(maxsize=1)
def pause() -> Handler:
    """PauseInput to the batch's id, its status and whether it is paused."""
    from batchmill.steps.pause import Pause

    step = Pause(batches(), releasing(), clock())

    def run(payload: Mapping[str, object]) -> dict[str, object]:
        batch = step(PauseInput.model_validate(payload))
        return {"batch_id": batch.batch_id, "status": batch.status.value, "paused": batch.paused}

    return run


@lru_cache(maxsize=1)
def api() -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """API Gateway's proxy event to its answer, in any case."""
    from batchmill.adapters.aws_clients import lambda_client
    from batchmill.adapters.functions import LambdaFunctions
    from batchmill.steps.api import Api, Places

    told = settings()
    functions = (told.cancel_function, told.pause_function)
    around = Places(told.data_bucket, told.intake_queue_url, *functions)
    step = Api(objects(), accepting(), queue(), LambdaFunctions(lambda_client()), clock(), around)
    return lambda event: step(event).proxied()


@lru_cache(maxsize=1)
def authorize() -> Handler:
    """API Gateway's TOKEN authorizer event to an IAM policy."""
    from batchmill.adapters.aws_clients import secretsmanager_client
    from batchmill.adapters.secrets import ManagedSecrets
    from batchmill.contracts.api import Presented
    from batchmill.steps.authorize import Authorize

    step = Authorize(ManagedSecrets(secretsmanager_client()), clock(), settings().api_key_secret_arn)
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
    webhook = WebhookNotifier(lambda: secrets.read(told.webhook_secret_arn), clock().now, told.webhook_allow)
    channels: dict[ChannelName, Notifier] = {
        "event": EventBridgeNotifier(events_client()),
        "sns": SnsNotifier(sns_client(), told.callback_topic_arn),
        "webhook": webhook,
    }
    return Notify(batches(), queue(), channels, random.random, told.callback_queue_url, told.data_bucket)


def work(engine: Engine) -> Work:
    """The worker's loop over an engine that is up; made within a running event loop."""
    from batchmill.adapters.arrow import ArrowParts
    from batchmill.adapters.aws_clients import s3_link_client
    from batchmill.adapters.s3 import S3Objects
    from batchmill.steps.shard.attempt import Tools
    from batchmill.steps.shard.media import Links
    from batchmill.steps.shard.window import Window
    from batchmill.steps.work import Work

    told = settings()
    links = Links(S3Objects(s3_link_client()), places())
    tools = Tools(
        objects=objects(),
        tables=tables(),
        batches=batches(),
        parts=ArrowParts(),
        templates=templates(),
        schemas=schemas(),
        clock=clock(),
        window=Window(engine, clock(), told.window, links),
        data_bucket=told.data_bucket,
        holder=f"{socket.gethostname()}-{os.getpid()}-{os.urandom(4).hex()}",
        lease_seconds=told.lease_seconds,
        checkpoint_seconds=told.checkpoint_seconds,
    )
    pool = pools()[told.pool]
    return Work(tools, queue(), pool.queue_url, pool, told.poll_seconds)
