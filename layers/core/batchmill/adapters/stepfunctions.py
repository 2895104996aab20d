"""The workflow port over Step Functions."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from batchmill.adapters.aws_errors import error_code, translated

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

LOG = logging.getLogger(__name__)

_ERROR_LIMIT, _CAUSE_LIMIT = 256, 32_768
_STALE = frozenset({"TaskTimedOut", "TaskDoesNotExist", "InvalidToken"})


class StepFunctionsWorkflow:
    """Implements `ports.workflow.Workflow` for one state machine. Threads may share it."""

    def __init__(self, client: SFNClient, state_machine_arn: str) -> None:
        self._sfn = client
        self._arn = state_machine_arn

    def start(self, name: str, payload: Mapping[str, object]) -> bool:
        """Start an execution; False if one of that name was started before (which is success).

        One that runs still, started with the very same payload, is answered with True: Step Functions does not
        tell it from a new one. There is one execution either way.
        """
        with translated(f"{self._arn} (execution {name})"):
            try:
                self._sfn.start_execution(stateMachineArn=self._arn, name=name, input=json.dumps(payload))
            except ClientError as error:
                if error_code(error) != "ExecutionAlreadyExists":
                    raise
                return False
        return True

    def succeed(self, token: str) -> None:
        """Answer a task token with {}. A token that waits no longer is ignored."""
        with translated("a task token"), _stale_ignored():
            self._sfn.send_task_success(taskToken=token, output="{}")

    def fail(self, token: str, error: str, cause: str) -> None:
        """Fail a task token with an error name that the machine's Catch knows. A stale token is ignored.

        `cause` is cut to the 32,768 characters that Step Functions takes.
        """
        with translated("a task token"), _stale_ignored():
            self._sfn.send_task_failure(taskToken=token, error=error[:_ERROR_LIMIT], cause=cause[:_CAUSE_LIMIT])


@contextmanager
def _stale_ignored() -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        if error_code(error) not in _STALE:
            raise
        LOG.info("a task token waits no longer (%s)", error_code(error))
