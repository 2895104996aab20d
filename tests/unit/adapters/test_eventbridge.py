"""What EventBridgeNotifier puts on the bus."""

from __future__ import annotations

import pytest

from batchmill.adapters.eventbridge import EventBridgeNotifier
from batchmill.domain.errors import BatchmillError, Transient
from fakes.stubbed import answer, refuse, stubbed
from support.told import callback


def test_a_batch_is_one_event_of_ours_with_the_callback_as_its_detail() -> None:
    client, stubber = stubbed("events")
    told = callback()
    entry = {"Source": "batchmill", "DetailType": "Batch Completed", "Detail": told.data.model_dump_json()}
    answer(stubber, "put_events", {"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]}, {"Entries": [entry]})
    EventBridgeNotifier(client).deliver(told)
    stubber.assert_no_pending_responses()


def test_an_entry_that_is_refused_within_an_answer_of_success_is_tried_again() -> None:
    client, stubber = stubbed("events")
    answer(stubber, "put_events", {"FailedEntryCount": 1, "Entries": [{"ErrorCode": "InternalFailure"}]})
    with pytest.raises(Transient, match="InternalFailure"):
        EventBridgeNotifier(client).deliver(callback())


def test_a_refusal_is_told() -> None:
    client, stubber = stubbed("events")
    refuse(stubber, "put_events", "AccessDeniedException", 400)
    with pytest.raises(BatchmillError, match="denied PutEvents"):
        EventBridgeNotifier(client).deliver(callback())
