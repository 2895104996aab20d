"""EventBridge's rules and targets, and SNS to Lambda, over moto's stores.

Which events a rule matches is moto's matcher's to say. Delivery is ours: moto forgets that a rule can be disabled,
lets a rule with only a schedule match everything, and calls no Lambda. A Lambda target is reached through a hidden
queue whose messages are the event itself, which a poller drains one by one (its `unwrap` mode).
"""

import hashlib
import json
import logging
import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from batchmill.local.account import ACCOUNT, REGION
from batchmill.local.wire import action_of, json_body, json_error

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

LOG = logging.getLogger(__name__)

_TARGETS = ("lambda", "sns", "sqs")
_UNSUPPORTED = ("InputPath", "InputTransformer")
_RETENTION_SECONDS = "86400"  # EventBridge and SNS try a function for up to a day


def hidden_queue_name(source_arn: str, function_arn: str) -> str:
    """The name of the queue between a rule or topic and a function."""
    digest = hashlib.sha256(f"{source_arn}|{function_arn}".encode()).hexdigest()
    return f"hidden-{digest[:40]}"


def hidden_queue(sqs: Any, source_arn: str, function_arn: str, visibility_seconds: int = 300) -> str:
    """Makes the queue through which a rule or topic reaches a function, and returns its URL.

    `sqs` is a boto3 client of the router. Each message's body is the very event that the function is called with.
    """
    attributes = {
        "VisibilityTimeout": str(visibility_seconds),
        "MessageRetentionPeriod": _RETENTION_SECONDS,
    }
    name = hidden_queue_name(source_arn, function_arn)
    url: str = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    return url


def publish(event: Mapping[str, Any], bus: str = "default") -> None:
    """Gives a whole event (with id, time, source, detail-type, detail) to every rule of a bus that matches it."""
    from moto.events.models import events_backends

    buses = events_backends[ACCOUNT][REGION].event_buses
    for rule in list(buses[bus].rules.values()) if bus in buses else []:
        deliver(rule, event)


def deliver(rule: Any, event: Mapping[str, Any]) -> None:
    """Gives an event to the targets of one of moto's rules, if it is enabled and matches."""
    if rule.state != "ENABLED" or not rule.event_pattern.dump():
        return
    if not rule.event_pattern.matches_event(dict(event)):
        return
    body = json.dumps(event)
    for target in list(rule.targets):
        _send(rule.arn, target, target.get("Input", body))


def _send(rule_arn: str, target: Mapping[str, Any], body: str) -> None:
    service, name = target["Arn"].split(":")[2], target["Arn"].rsplit(":", 1)[-1]
    if service == "sqs":
        send_to_queue(name, body, target.get("SqsParameters", {}).get("MessageGroupId"))
    elif service == "lambda":
        send_to_queue(hidden_queue_name(rule_arn, target["Arn"]), body)
    elif service == "sns":
        from moto.sns.models import sns_backends

        sns_backends[ACCOUNT][REGION].publish(body, arn=target["Arn"])


def send_to_queue(name: str, body: str, group: str | None = None) -> None:
    """Sends a message to a queue by name, in this process. A queue that is not there is only logged, as on AWS."""
    from moto.sqs.models import sqs_backends

    backend = sqs_backends[ACCOUNT][REGION]
    if name not in backend.queues:
        LOG.warning("an event for the queue %s, which does not exist, is lost", name)
        return
    backend.send_message(queue_name=name, message_body=body, group_id=group)


def install() -> None:
    """Puts this module's delivery in the place of moto's, for rules and for SNS to Lambda."""
    from moto.events import models as events_models
    from moto.sns import models as sns_models

    rule_class: Any = events_models.Rule
    subscription_class: Any = sns_models.Subscription

    def send_to_targets(rule: Any, event: Mapping[str, Any], transform_input: bool = True) -> None:  # noqa: ARG001
        deliver(rule, _as_delivered(event))

    rule_class.send_to_targets = send_to_targets
    original = getattr(subscription_class.publish, "moto", subscription_class.publish)

    def publish_to_subscription(subscription: Any, message: str, message_id: str, **rest: Any) -> None:
        if subscription.protocol != "lambda":
            original(subscription, message, message_id, **rest)
            return
        matcher = subscription._filter_policy_matcher
        if matcher is None or matcher.matches(rest.get("message_attributes"), message):
            event = sns_event(subscription, message, message_id, rest.get("subject"), rest.get("message_attributes"))
            send_to_queue(hidden_queue_name(subscription.topic.arn, subscription.endpoint), json.dumps(event))

    publish_to_subscription.moto = original  # type: ignore[attr-defined]
    subscription_class.publish = publish_to_subscription


def _as_delivered(event: Mapping[str, Any]) -> dict[str, Any]:
    """An event of PutEvents as moto builds it, as EventBridge delivers it: ISO time, no field of moto's own."""
    delivered = {name: value for name, value in event.items() if name not in ("ingestion-time", "replay-name")}
    moment = datetime.fromtimestamp(float(delivered["time"]), UTC)
    delivered["time"] = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"version": "0", **delivered}


def sns_event(
    subscription: Any, message: str, message_id: str, subject: str | None, attributes: Mapping[str, Any] | None
) -> dict[str, Any]:
    """The event that Lambda gets from SNS, in the shape AWS documents."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {
        "Records": [
            {
                "EventSource": "aws:sns",
                "EventVersion": "1.0",
                "EventSubscriptionArn": subscription.arn,
                "Sns": {
                    "Type": "Notification",
                    "MessageId": message_id,
                    "TopicArn": subscription.topic.arn,
                    "Subject": subject,
                    "Message": message,
                    "Timestamp": now,
                    "SignatureVersion": "1",
                    "Signature": "local",
                    "SigningCertUrl": "https://sns.us-east-1.amazonaws.com/local.pem",
                    "UnsubscribeUrl": "https://sns.us-east-1.amazonaws.com/",
                    "MessageAttributes": dict(attributes or {}),
                },
            }
        ]
    }


def event(source: str, detail_type: str, resources: list[str], detail: Mapping[str, Any]) -> dict[str, Any]:
    """A whole event of now, with an id of its own."""
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": detail_type,
        "source": source,
        "account": ACCOUNT,
        "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": REGION,
        "resources": resources,
        "detail": detail,
    }


class EventsFront:
    """In front of moto's EventBridge: refuses, with a clear error, targets that could not be served."""

    def __init__(self, app: "WSGIApplication") -> None:
        self._app = app

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answers one request."""
        if action_of(environ) == "PutTargets":
            for target in json_body(environ).get("Targets", []):
                problem = _problem(target)
                if problem is not None:
                    return json_error("ValidationException", problem)(environ, start_response)
        return self._app(environ, start_response)


def _problem(target: Mapping[str, Any]) -> str | None:
    for name in _UNSUPPORTED:
        if target.get(name):
            return f"the embedded stack does not do {name} (target {target.get('Id')}): take the whole event"
    service = (str(target.get("Arn", "")).split(":") + [""] * 3)[2]
    if service not in _TARGETS:
        return f"the embedded stack delivers events to {', '.join(_TARGETS)}, not to {target.get('Arn')}"
    return None
