"""SQS, SNS and EventBridge: made in moto; a function behind a rule or a topic is reached by a hidden queue."""

from __future__ import annotations

import json
from typing import Any

from batchmill.local.bus import hidden_queue
from batchmill.local.function_spec import parse_reference
from batchmill.local.host import Wanted
from batchmill.local.intrinsics import Made, TemplateError, text
from batchmill.local.moto_app import ACCOUNT, REGION
from batchmill.local.pollers import QueueMapping

_QUEUE_ATTRIBUTES = (
    "ContentBasedDeduplication",
    "DelaySeconds",
    "FifoQueue",
    "MaximumMessageSize",
    "MessageRetentionPeriod",
    "ReceiveMessageWaitTimeSeconds",
    "RedriveAllowPolicy",
    "RedrivePolicy",
    "VisibilityTimeout",
)
_HIDDEN_CONCURRENCY = 4
_INERT_TARGETS = ("codebuild",)
"""Services whose resources have no effect here, so that neither has an event that would reach one."""


def queue(wanted: Wanted) -> Made:
    """AWS::SQS::Queue, with every attribute that changes how it behaves."""
    fifo = text(wanted.get("FifoQueue", False)) == "true"
    name = wanted.name("QueueName", 80 if not fifo else 75)
    if fifo and not name.endswith(".fifo"):
        name += ".fifo"
    attributes = {key: _attribute(wanted.properties[key]) for key in _QUEUE_ATTRIBUTES if key in wanted.properties}
    url = wanted.host.client("sqs").create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    return Made(url, {"Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}", "QueueName": name, "QueueUrl": url})


def topic(wanted: Wanted) -> Made:
    """AWS::SNS::Topic, with the subscriptions that it lists itself."""
    sns, name = wanted.host.client("sns"), wanted.name("TopicName", 256)
    arn = sns.create_topic(Name=name)["TopicArn"]
    for item in wanted.get("Subscription", []):
        _subscribe(wanted, arn, item)
    return Made(arn, {"TopicArn": arn, "TopicName": name})


def subscription(wanted: Wanted) -> Made:
    """AWS::SNS::Subscription."""
    return Made(_subscribe(wanted, wanted.need("TopicArn"), wanted.properties))


def rule(wanted: Wanted) -> Made:
    """AWS::Events::Rule: a pattern with targets, a schedule of a function, or both."""
    name = wanted.name("Name", 64)
    state, targets = wanted.get("State", "ENABLED"), [t for t in wanted.get("Targets", []) if not _is_inert(t["Arn"])]
    made = Made(name, {"Arn": f"arn:aws:events:{REGION}:{ACCOUNT}:rule/{name}"})
    if wanted.get("EventBusName", "default") != "default":
        raise TemplateError("the embedded stack has the default event bus only")
    if not targets and wanted.get("Targets"):
        wanted.notes.append(f"{wanted.logical_id}: what the rule would start is not run here")
        return made
    if wanted.get("EventPattern"):
        events = wanted.host.client("events")
        events.put_rule(Name=name, EventPattern=json.dumps(wanted.get("EventPattern")), State=state)
        answer = events.put_targets(Rule=name, Targets=[_target(target) for target in targets])
        if answer.get("FailedEntryCount"):
            raise TemplateError(f"targets were refused: {answer['FailedEntries']}")
        for target in targets:
            _reach_function(wanted, made.attributes["Arn"], target["Arn"])
    if wanted.get("ScheduleExpression"):
        for target in targets:
            _schedule(wanted, name, state, target)
    return made


def schedule(wanted: Wanted) -> Made:
    """AWS::Scheduler::Schedule of a function."""
    name = wanted.name("Name", 64)
    _schedule(wanted, name, wanted.get("State", "ENABLED"), wanted.need("Target"))
    return Made(name, {"Arn": f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule/default/{name}"})


def _attribute(value: Any) -> str:
    return json.dumps(value) if isinstance(value, dict) else text(value)


def _subscribe(wanted: Wanted, topic_arn: str, item: Any) -> str:
    policy = item.get("FilterPolicy")
    attributes = {
        **({"FilterPolicy": json.dumps(policy)} if policy else {}),
        **({"FilterPolicyScope": item["FilterPolicyScope"]} if "FilterPolicyScope" in item else {}),
        **({"RawMessageDelivery": text(item["RawMessageDelivery"])} if "RawMessageDelivery" in item else {}),
    }
    arn: str = wanted.host.client("sns").subscribe(
        TopicArn=topic_arn,
        Protocol=item["Protocol"],
        Endpoint=item["Endpoint"],
        Attributes=attributes,
        ReturnSubscriptionArn=True,
    )["SubscriptionArn"]
    _reach_function(wanted, topic_arn, item["Endpoint"])
    return arn


def _target(target: Any) -> Any:
    """A rule's target without what only matters where delivery can fail or be refused."""
    return {key: value for key, value in target.items() if key not in ("RetryPolicy", "DeadLetterConfig", "RoleArn")}


def _is_inert(arn: str) -> bool:
    return arn.split(":")[2:3] in ([service] for service in _INERT_TARGETS)


def _is_function(arn: str) -> bool:
    return arn.split(":")[2:3] == ["lambda"]


def _reach_function(wanted: Wanted, source_arn: str, target_arn: str) -> None:
    if not _is_function(target_arn):
        return
    url = hidden_queue(wanted.host.client("sqs"), source_arn, target_arn)
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{url.rsplit('/', 1)[1]}"
    mapping = QueueMapping(url, arn, parse_reference(target_arn)[0], batch_size=1, unwrap=True)
    wanted.host.mappings.append((mapping, _HIDDEN_CONCURRENCY))


def _schedule(wanted: Wanted, name: str, state: str, target: Any) -> None:
    if not _is_function(target["Arn"]):
        raise TemplateError(f"a schedule calls a function in the embedded stack, not {target['Arn']}")
    if state != "ENABLED":
        wanted.notes.append(f"{wanted.logical_id}: the schedule is disabled")
        return
    expression = wanted.need("ScheduleExpression")
    wanted.host.scheduler.add(name, expression, parse_reference(target["Arn"])[0], target.get("Input"))
