"""The notifier port over SNS: one message to the deployment's topic."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchmill.adapters.aws_errors import translated
from batchmill.ports.notifier import Callback

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient


class SnsNotifier:
    """Implements `ports.notifier.Notifier`. Subscriptions may filter by the attributes status and batch_id."""

    def __init__(self, client: SNSClient, topic_arn: str) -> None:
        self._sns = client
        self._arn = topic_arn

    def deliver(self, callback: Callback) -> None:
        """Publish the callback's JSON. Raises Transient."""
        data = callback.data
        attributes = {"status": data.status, "batch_id": data.batch_id}
        with translated(self._arn):
            self._sns.publish(
                TopicArn=self._arn,
                Message=data.model_dump_json(),
                MessageAttributes={
                    name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()
                },
            )
