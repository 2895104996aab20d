"""That a pool is woken by who sends to it, grows by its alarms, and shrinks without undoing a wake."""

from __future__ import annotations

import json
import re
from typing import Any

from template.reading import POOL, ROOT, as_list

ALARMS = POOL.of("CloudWatch::Alarm")
POLICIES = POOL.of("ApplicationAutoScaling::ScalingPolicy")


def roles_that_may(action: str, output: str) -> set[str]:
    """The roles with an action on what an output of the pool names."""
    resource = {"Fn::GetAtt": ["Pool", f"Outputs.{output}"]}
    return {
        owner
        for owner, statement in ROOT.statements()
        if action in as_list(statement["Action"]) and resource in as_list(statement["Resource"])
    }


def action_of(alarm: dict[str, Any]) -> dict[str, Any]:
    """The step scaling that an alarm sets going."""
    [action] = alarm["AlarmActions"]
    found: dict[str, Any] = POLICIES[action["Ref"]]["StepScalingPolicyConfiguration"]
    return found


def look_back_seconds(alarm: dict[str, Any]) -> int:
    """How long an alarm looks back."""
    [period, *_] = re.findall(r'"Period": (\d+)', json.dumps(alarm))
    return int(period) * int(alarm["EvaluationPeriods"])


def test_who_may_send_a_shard_may_wake_its_pool_and_nobody_else_may() -> None:
    senders = roles_that_may("sqs:SendMessage", "QueueArn")
    assert "DispatchRole" in senders
    for action in ("ecs:DescribeServices", "ecs:UpdateService"):
        assert roles_that_may(action, "ServiceArn") == senders
        assert {owner for owner, one in ROOT.statements() if action in as_list(one["Action"])} == senders


def test_the_functions_know_the_pools_service_by_the_pools_own_outputs() -> None:
    pools = json.dumps(ROOT.document["Globals"]["Function"]["Environment"]["Variables"]["BATCHMILL_POOLS"])
    assert "${Pool.Outputs.ClusterName}" in pools
    assert "${Pool.Outputs.ServiceName}" in pools
    outputs = POOL.document["Outputs"]
    named = {name: outputs[name]["Value"] for name in ("ClusterName", "ServiceName", "ServiceArn")}
    assert named == {
        "ClusterName": {"Ref": "Cluster"},
        "ServiceName": {"Fn::GetAtt": ["Service", "Name"]},
        "ServiceArn": {"Ref": "Service"},
    }


def test_a_few_shards_are_left_to_the_woken_worker_for_as_long_as_it_may_take_to_start() -> None:
    waiting, backlog = ALARMS["WaitingAlarm"], ALARMS["BacklogAlarm"]
    assert action_of(waiting) is action_of(backlog)
    assert (waiting["Threshold"], look_back_seconds(waiting)) == (0, action_of(waiting)["Cooldown"])
    assert backlog["Threshold"] > 0
    assert look_back_seconds(backlog) == 60


def test_a_pool_is_scaled_in_only_when_its_workers_ask_in_vain_and_nothing_waits_or_is_in_flight() -> None:
    idle = ALARMS["IdleAlarm"]
    stats = {m["Id"]: m["MetricStat"]["Metric"]["MetricName"] for m in idle["Metrics"] if "MetricStat" in m}
    queue = "ApproximateNumberOfMessages"
    assert stats == {"polls": "NumberOfEmptyReceives", "visible": f"{queue}Visible", "inflight": f"{queue}NotVisible"}
    [work] = [metric["Expression"] for metric in idle["Metrics"] if metric.get("ReturnData", True)]
    assert work == "IF(polls > 0, visible + FILL(inflight, 0), 1)"
    assert (idle["ComparisonOperator"], idle["Threshold"]) == ("LessThanOrEqualToThreshold", 0)
    assert idle["TreatMissingData"] == "notBreaching"
    assert action_of(idle)["AdjustmentType"] == "ExactCapacity"
    assert [step["ScalingAdjustment"] for step in action_of(idle)["StepAdjustments"]] == [0]


def test_a_wake_right_after_the_last_worker_has_gone_is_not_undone_by_an_alarm_that_has_not_looked_again() -> None:
    idle = ALARMS["IdleAlarm"]
    assert action_of(idle)["Cooldown"] >= look_back_seconds(idle)
