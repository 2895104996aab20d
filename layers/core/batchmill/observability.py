"""Logs: Powertools' JSON logger in functions, a plain handler in workers. Prompts and responses are never logged."""

from __future__ import annotations

import logging
import sys

from aws_lambda_powertools import Logger
from aws_lambda_powertools.logging.utils import copy_config_to_registered_loggers


def logger() -> Logger:
    """The function's logger; the package's own loggers write through it, with its keys (batch_id, request id)."""
    log = Logger(service="batchmill")
    logging.getLogger("batchmill").setLevel(log.log_level)
    copy_config_to_registered_loggers(source_logger=log, include={"batchmill"})
    return log


def worker_logging(level: str = "INFO") -> None:
    """Lines on stderr, for a container's log driver."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    root = logging.getLogger("batchmill")
    root.addHandler(handler)
    root.setLevel(level)
