"""Step Functions' own events: a "Step Functions Execution Status Change" for each status of each execution."""

import json
from datetime import datetime
from typing import Any

from batchmill.local import bus


def publish_status(execution: Any) -> None:
    """Publishes a "Step Functions Execution Status Change" event of the execution's status now."""
    succeeded = execution.status == "SUCCEEDED"
    detail = {
        "executionArn": execution.exec_arn,
        "stateMachineArn": execution.state_machine_arn,
        "name": execution.name,
        "status": execution.status,
        "startDate": _millis(execution.start_date),
        "stopDate": _millis(execution.stop_date),
        "input": execution.execution_input,
        "output": json.dumps(execution.output, separators=(",", ":")) if succeeded else None,
        "inputDetails": {"included": True},
        "outputDetails": {"included": True} if succeeded else None,
        "error": execution.error,
        "cause": execution.cause,
        "stateMachineVersionArn": None,
        "stateMachineAliasArn": None,
        "redriveCount": 0,
        "redriveDate": None,
    }
    bus.publish(bus.event("aws.states", "Step Functions Execution Status Change", [execution.exec_arn], detail))


def _millis(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp() * 1000)
