"""That what a function measures is published as CloudWatch reads it, and that quiet functions stay quiet."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest

from batchmill.observability import NAMESPACE, logger, measure, observed


@dataclass(frozen=True)
class Context:
    """What Powertools reads of Lambda's context."""

    function_name: str = "sweep"
    memory_limit_in_mb: int = 128
    invoked_function_arn: str = "arn:aws:lambda:us-east-1:123456789012:function:sweep"
    aws_request_id: str = "request"


def published(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    """All values that were printed as embedded metrics, by name."""
    found: dict[str, object] = {}
    for line in capsys.readouterr().out.splitlines():
        document = json.loads(line)
        for directive in document.get("_aws", {}).get("CloudWatchMetrics", []):
            assert directive["Namespace"] == NAMESPACE
            found |= {m["Name"]: (document[m["Name"]], m["Unit"]) for m in directive["Metrics"]}
    return found


def test_numbers_become_metrics_of_counts_and_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    def handler(event: dict[str, object], context: Context) -> dict[str, object]:
        measure("Sweep", event)
        return event

    run = observed(logger())(handler)  # type: ignore[arg-type]  # the context is a stand-in
    event: dict[str, object] = {"open": 3, "oldest_seconds": 12.5, "note": "left out"}
    assert run(event, Context()) == event  # type: ignore[arg-type]
    found = published(capsys)
    assert found["SweepOpen"] == ([3.0], "Count")
    assert found["SweepOldestSeconds"] == ([12.5], "Seconds")
    assert "SweepNote" not in found


def test_a_function_that_measures_nothing_warns_of_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    run = observed(logger())(lambda event, context: event)
    assert run("event", Context()) == "event"  # type: ignore[arg-type]
    assert set(published(capsys)) <= {"ColdStart"}
