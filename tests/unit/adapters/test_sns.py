"""What SnsNotifier publishes."""

from __future__ import annotations

import pytest

from batchmill.adapters.sns import SnsNotifier
from batchmill.domain.errors import Transient
from fakes.stubbed import answer, refuse, stubbed
from support.told import BATCH_ID, callback

TOPIC = "arn:aws:sns:us-east-1:123456789012:callbacks"


def test_the_callback_is_the_message_and_its_status_and_batch_are_attributes_to_filter_by() -> None:
    client, stubber = stubbed("sns")
    told = callback()
    attributes = {
        "status": {"DataType": "String", "StringValue": "completed"},
        "batch_id": {"DataType": "String", "StringValue": BATCH_ID},
    }
    wanted = {"TopicArn": TOPIC, "Message": told.data.model_dump_json(), "MessageAttributes": attributes}
    answer(stubber, "publish", {"MessageId": "1"}, wanted)
    SnsNotifier(client, TOPIC).deliver(told)
    stubber.assert_no_pending_responses()


def test_throttling_is_tried_again() -> None:
    client, stubber = stubbed("sns")
    refuse(stubber, "publish", "Throttling")
    with pytest.raises(Transient, match="callbacks"):
        SnsNotifier(client, TOPIC).deliver(callback())
