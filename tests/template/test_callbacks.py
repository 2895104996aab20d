"""The template's callbacks: what is told, by whom, and that no deployment may call its own network."""

from __future__ import annotations

import json

import pytest

from template.reading import POOL, ROOT, Template, named

FUNCTIONS = ROOT.functions()
SENDERS = {"IntakeFunction", "CompleteFunction"}


@pytest.mark.parametrize("template", [ROOT, POOL], ids=["root", "pool"])
def test_no_template_lets_a_webhook_call_this_machine(template: Template) -> None:
    assert "BATCHMILL_WEBHOOK_ALLOW" not in json.dumps(template.document)


def test_the_outbox_is_known_to_who_ends_a_batch_and_to_who_delivers() -> None:
    knowing = {name for name, f in FUNCTIONS.items() if "BATCHMILL_CALLBACK_QUEUE_URL" in f["Environment"]["Variables"]}
    assert knowing == {*SENDERS, "NotifyFunction"}


def test_a_callback_is_given_up_late_and_somebody_is_told() -> None:
    queue = ROOT.of("SQS::Queue")["CallbackQueue"]
    assert queue["RedrivePolicy"]["maxReceiveCount"] == 20
    dead = named(queue["RedrivePolicy"]["deadLetterTargetArn"])
    alarms = [alarm for alarm in ROOT.of("CloudWatch::Alarm").values() if dead & named(alarm.get("Dimensions", []))]
    assert len(alarms) == 1


def test_a_slow_receiver_holds_nobody_else_up() -> None:
    [event] = FUNCTIONS["NotifyFunction"]["Events"].values()
    assert event["Properties"]["BatchSize"] == 1
    assert FUNCTIONS["NotifyFunction"]["Timeout"] >= 60


def test_the_signing_secret_is_generated_as_base64_of_48_bytes() -> None:
    generated = ROOT.of("SecretsManager::Secret")["WebhookSecret"]["GenerateSecretString"]
    assert generated == {"PasswordLength": 64, "ExcludePunctuation": True}


def test_notify_may_put_our_own_events_only() -> None:
    statements = [s for _, s in ROOT.statements() if s["Action"] == "events:PutEvents"]
    assert [s["Condition"] for s in statements] == [{"StringEquals": {"events:source": "batchmill"}}]


def test_a_subscriber_and_a_receiver_find_what_they_need() -> None:
    assert {"CallbackTopicArn", "WebhookSecretArn"} <= set(ROOT.document["Outputs"])
