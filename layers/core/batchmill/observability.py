"""Logs, traces and metrics: Powertools' in functions, a plain log handler in workers.

Prompts and responses are in none of them.
"""

from __future__ import annotations

import functools
import logging
import sys
import warnings
from collections.abc import Callable, Mapping
from typing import TypeVar, cast

from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.logging.utils import copy_config_to_registered_loggers
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

NAMESPACE = "batchmill"
"""Of every metric. Its dimension `service` is the stack's name (POWERTOOLS_SERVICE_NAME in the template)."""

Event = TypeVar("Event")
Answer = TypeVar("Answer")
Handler = Callable[[Event, LambdaContext], Answer]


def logger() -> Logger:
    """The function's logger; the package's own loggers write through it, with its keys (batch_id, request id)."""
    log = Logger(service="batchmill")
    logging.getLogger("batchmill").setLevel(log.log_level)
    copy_config_to_registered_loggers(source_logger=log, include={"batchmill"})
    return log


def observed(log: Logger) -> Callable[[Handler[Event, Answer]], Handler[Event, Answer]]:
    """A decorator of a function's handler: log lines with its request id, a trace of its AWS calls, its metrics.

    What it returned is in no trace: it may be large. The metrics are those of `measure`, and ColdStart.
    """
    tracer = Tracer(service=NAMESPACE, patch_modules=["botocore"])
    metrics = Metrics(namespace=NAMESPACE)

    def decorate(handler: Handler[Event, Answer]) -> Handler[Event, Answer]:
        traced = tracer.capture_lambda_handler(handler, capture_response=False)
        logged = log.inject_lambda_context(traced, clear_state=True)
        measured = cast("Handler[Event, Answer]", metrics.log_metrics(logged, capture_cold_start_metric=True))

        @functools.wraps(handler)
        def run(event: Event, context: LambdaContext) -> Answer:
            with warnings.catch_warnings():
                # Most invocations have nothing to measure, and Powertools would say so each time.
                warnings.filterwarnings("ignore", message="No application metrics", category=UserWarning)
                return measured(event, context)

        return run

    return decorate


def measure(prefix: str, numbers: Mapping[str, object]) -> None:
    """Publish each number as a metric: `oldest_seconds` of `Sweep` is SweepOldestSeconds, in seconds, others counts."""
    metrics = Metrics(namespace=NAMESPACE)
    for name, value in numbers.items():
        if isinstance(value, int | float):
            unit = MetricUnit.Seconds if name.endswith("_seconds") else MetricUnit.Count
            metrics.add_metric(name=prefix + name.title().replace("_", ""), unit=unit, value=value)


def worker_logging(level: str = "INFO") -> None:
    """Lines on stderr, for a container's log driver."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    root = logging.getLogger("batchmill")
    root.addHandler(handler)
    root.setLevel(level)
