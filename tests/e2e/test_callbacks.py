"""Who is told of a batch that is final: a webhook's receiver, a subscriber of the topic, a rule on the bus."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from standardwebhooks import Webhook

from batchmill.domain.batch import BatchStatus
from batchmill.local.account import ACCOUNT, REGION
from support.deployed import Deployed, rows_jsonl
from support.waiting import until
from support.webhooks import receiving

PROFILE = "endpoint: /v1/embeddings\ninput: '{{ text }}'\nname: told\nmetadata: {team: blue}\n"


@dataclass
class Listeners:
    """Two queues of a user's: one subscribed to the topic, one behind a rule on the bus."""

    sqs: Any
    topic_queue: str
    bus_queue: str
    taken: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def heard(self, queue: str, batch_id: str) -> list[dict[str, Any]]:
        """What has come into a queue about a batch, ever."""
        while messages := self.sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", []):
            for message in messages:
                self.taken.append((queue, json.loads(message["Body"])))
                self.sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        return [body for of, body in self.taken if of == queue and body.get("detail", body)["batch_id"] == batch_id]


@pytest.fixture(scope="module")
def listeners(stack: Deployed) -> Listeners:
    sqs = stack.stack.client("sqs")
    urls = [sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("of-the-topic", "of-the-bus")]
    arns = [f"arn:aws:sqs:{REGION}:{ACCOUNT}:{url.rsplit('/', 1)[1]}" for url in urls]
    stack.stack.client("sns").subscribe(
        TopicArn=stack.outputs["CallbackTopicArn"],
        Protocol="sqs",
        Endpoint=arns[0],
        Attributes={"RawMessageDelivery": "true", "FilterPolicy": json.dumps({"status": ["completed", "failed"]})},
    )
    events = stack.stack.client("events")
    pattern = {"source": ["batchmill"], "detail-type": ["Batch Completed", "Batch Failed"]}
    events.put_rule(Name="told", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="told", Targets=[{"Id": "queue", "Arn": arns[1]}])
    return Listeners(sqs, *urls)


def test_a_completed_batch_is_told_once_by_each_channel_and_a_webhook_that_failed_is_tried_again(
    stack: Deployed, listeners: Listeners
) -> None:
    arn = stack.outputs["WebhookSecretArn"]
    secret = stack.stack.client("secretsmanager").get_secret_value(SecretId=arn)["SecretString"]
    with receiving(500, 200) as receiver:
        stack.profile("told", f"{PROFILE}webhook_url: {receiver.url}/done?token=hidden\n")
        batch_id = stack.drop("told/rows.jsonl", rows_jsonl(250, "told"))
        assert stack.final(batch_id).status is BatchStatus.COMPLETED
        until(lambda: len(receiver.received) >= 2, 60)
        until(lambda: listeners.heard(listeners.topic_queue, batch_id))
        until(lambda: listeners.heard(listeners.bus_queue, batch_id))
        until(lambda: stack.batch(batch_id).notified)
    told = [Webhook(f"whsec_{secret}").verify(body, headers) for _, headers, body in receiver.received]
    assert [path for path, _, _ in receiver.received] == ["/done?token=hidden"] * 2
    assert {headers["webhook-id"] for _, headers, _ in receiver.received} == {f"evt_{batch_id}-completed"}
    data = told[0]["data"]
    assert (told[0]["type"], told[0]) == ("batch.completed", told[1])
    assert data["counts"] == {"total": 250, "completed": 250, "failed": 0}
    assert (data["name"], data["metadata"]) == ("told", {"team": "blue"})
    assert data["manifest"] == f"s3://{stack.data}/batches/{batch_id}/manifest.json"
    assert len(stack.parts(batch_id)) == 3
    assert listeners.heard(listeners.topic_queue, batch_id) == [data]
    [event] = listeners.heard(listeners.bus_queue, batch_id)
    assert (event["source"], event["detail-type"], event["detail"]) == ("batchmill", "Batch Completed", data)


def test_a_refused_submission_is_told_by_topic_and_bus(stack: Deployed, listeners: Listeners) -> None:
    stack.profile("bad", "endpoint: /v1/embeddings\ninput: '{{ text }}'\npool: nowhere\n")
    batch_id = stack.drop("bad/rows.jsonl", rows_jsonl(1, "bad"))
    assert stack.final(batch_id).status is BatchStatus.FAILED
    until(lambda: listeners.heard(listeners.topic_queue, batch_id))
    until(lambda: listeners.heard(listeners.bus_queue, batch_id))
    [told] = listeners.heard(listeners.topic_queue, batch_id)
    assert (told["status"], told["results"], told["problems"][0]["code"]) == ("failed", None, "invalid_spec")
    [event] = listeners.heard(listeners.bus_queue, batch_id)
    assert (event["detail-type"], event["detail"]) == ("Batch Failed", told)


def test_nothing_that_is_logged_holds_the_urls_query(stack: Deployed) -> None:
    logs = [path.read_text() for path in (stack.folder / "logs").rglob("*") if path.is_file()]
    assert any("told by webhook" in text for text in logs)
    assert [text for text in logs if "token=hidden" in text] == []
