from __future__ import annotations

import json
import logging
from dataclasses import replace

import pytest

from batchmill.domain import ids
from batchmill.domain.batch import Batch, BatchStatus
from batchmill.domain.errors import Transient
from support.world import DATA, INPUT, OTHER, PROFILE, World, execution_ended, jsonl, object_created


def submit(
    world: World, spec: dict[str, object], key: str = "rows.jsonl", submission: str = "s1", bucket: str = DATA
) -> Batch:
    """Send a submission of one uploaded file; the batch it became."""
    world.objects.put(bucket, f"uploads/{key}", jsonl(3))
    detail = {"submission_id": submission, "inputs": [{"bucket": bucket, "key": f"uploads/{key}"}], "spec": spec}
    world.intake(json.dumps({"source": "batchmill", "detail-type": "Batch Submitted", "detail": detail}))
    return world.batches.get(ids.batch_id(ids.digest("submit", submission)))


def test_a_dropped_file_with_a_profile_starts_one_execution() -> None:
    world = World()
    batch_id = world.drop(jsonl(3))
    batch = world.batches.get(batch_id)
    assert (batch.status, batch.profile) == (BatchStatus.VALIDATING, "embed")
    assert batch.inputs[0].version_id
    assert world.workflow.executions == {batch_id: {"batch_id": batch_id, "run": 0, "entry": "start"}}


def test_the_same_event_a_hundred_times_is_one_batch() -> None:
    world = World()
    world.drop(jsonl(3))
    event = object_created(world.objects.head(INPUT, "embed/rows.jsonl"))
    for _ in range(100):
        world.intake(event)
    assert len(world.workflow.executions) == 1
    assert len(world.batches.recent(10)) == 1


def test_the_same_key_written_anew_is_another_batch() -> None:
    world = World()
    assert world.drop(jsonl(3)) != world.drop(jsonl(3))


def test_on_an_unversioned_bucket_the_sequencer_tells_two_writes_of_the_same_bytes_apart() -> None:
    world = World()
    world.objects.put(DATA, "profiles/embed.yaml", PROFILE)
    for sequencer in ("0A", "0B"):
        detail = {
            "bucket": {"name": INPUT},
            "object": {"key": "embed/x.jsonl", "etag": "e", "size": 1, "sequencer": sequencer},
        }
        world.intake(json.dumps({"source": "aws.s3", "detail-type": "Object Created", "detail": detail}))
    assert len(world.workflow.executions) == 2


@pytest.mark.parametrize("key", ["rows.jsonl", "nobody/rows.jsonl", "embed/"])
def test_a_file_of_no_profile_is_left_alone_and_said_so(key: str, caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    world.objects.put(DATA, "profiles/embed.yaml", PROFILE)
    with caplog.at_level(logging.INFO):
        world.drop(jsonl(3), key=key, profile=None)
    assert world.batches.recent(10) == []
    assert "left alone" in caplog.text


@pytest.mark.parametrize(
    ("profile", "words"),
    [
        (b"endpoint: [", "not YAML"),
        (b"- a\n- b\n", "a mapping of fields is needed"),
        (b"endpoint: /v1/embeddings\ninputs: x\n", "inputs: no such field"),
        (b"endpoint: /v1/embeddings\nprompt: '{{ a }}'\n", "takes no prompt"),
        (b"endpoint: /v1/embeddings\ninput: '{{ a'\n", "profiles/embed.yaml: "),
        (b"endpoint: /v1/embeddings\ninput: a\npool: big\n", "no pool 'big'; there are: default"),
        (b"endpoint: /v1/embeddings\ninput: a\nmodel: other\n", "serves m, not other"),
        (b"completion_window: 15d\n", "must lie between 1s and 14d"),
        (b"endpoint: /v1/embeddings\ninput: a\ncolumns: [b, c, b]\n", "names a column twice: b"),
        (b"completion_window: soon\n", "not a duration"),
    ],
)
def test_a_wrong_profile_is_a_failed_batch_that_says_what_is_wrong(profile: bytes, words: str) -> None:
    world = World()
    batch = world.batches.get(world.drop(jsonl(3), profile=profile))
    assert batch.status is BatchStatus.FAILED
    assert words in batch.problems[0].message
    assert batch.problems[0].code == "invalid_spec"
    assert world.workflow.executions == {}


def test_a_batch_file_is_the_trigger_and_names_inputs_beside_it() -> None:
    world = World()
    world.objects.put(INPUT, "jobs/a.jsonl", jsonl(1))
    text = b"inputs: [a.jsonl, 's3://other/b.jsonl']\nspec: {endpoint: /v1/embeddings, input: '{{ text }}'}\n"
    batch = world.batches.get(world.drop(text, key="jobs/mine.batch.yaml", profile=None))
    assert batch.status is BatchStatus.VALIDATING
    assert [item.uri for item in batch.inputs] == ["s3://input/jobs/a.jsonl", "s3://other/b.jsonl"]


def test_a_batch_file_may_name_prefixes_beside_it_and_elsewhere() -> None:
    world = World()
    text = b"inputs: [in/, 's3://input/a folder+%/']\nspec: {endpoint: /v1/embeddings, input: '{{ text }}'}\n"
    batch = world.batches.get(world.drop(text, key="jobs/mine.batch.yaml", profile=None))
    assert [(item.kind, item.key) for item in batch.inputs] == [("prefix", "jobs/in/"), ("prefix", "a folder+%/")]


def test_a_batch_file_may_build_on_a_profile() -> None:
    world = World()
    world.objects.put(DATA, "profiles/embed.yaml", PROFILE)
    text = b"profile: embed\ninputs: [a.jsonl]\nspec: {completion_window: 2h}\n"
    batch = world.batches.get(world.drop(text, key="x.batch.yaml", profile=None))
    assert batch.spec["input"] == "{{ text }}"
    assert batch.deadline - batch.created_at == 7200


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"spec: {}\n", "inputs: Field required"),
        (b"inputs: []\n", "inputs: "),
        (b"inputs: ['s3://x']\n", "not an s3://bucket/key"),
        (
            b"inputs: [a, 's3://elsewhere/b']\nspec: {endpoint: /v1/embeddings, input: x}\n",
            "inputs: 's3://elsewhere/b' lies under none of s3://input/, s3://data/uploads/, s3://other/: copy it there",
        ),
        (b"profile: none\ninputs: [a]\n", "there is no profiles/none.yaml"),
        (b"inputs: [a]\nspecs: {}\n", "specs: no such field"),
    ],
)
def test_a_wrong_batch_file_is_a_failed_batch(text: bytes, words: str) -> None:
    world = World()
    batch = world.batches.get(world.drop(text, key="x.batch.yaml", profile=None))
    assert batch.status is BatchStatus.FAILED
    assert words in batch.problems[0].message


def test_a_submission_twice_is_one_batch_and_a_wrong_one_fails() -> None:
    world = World()
    good: dict[str, object] = {"endpoint": "/v1/embeddings", "input": "{{ text }}"}
    assert submit(world, good) == submit(world, good)
    assert len(world.workflow.executions) == 1
    assert submit(world, {"endpoint": 5}, submission="s2").status is BatchStatus.FAILED


def test_a_message_that_came_when_the_service_was_away_is_completed_when_it_comes_again() -> None:
    world = World()
    world.workflow.before = _away
    with pytest.raises(Transient):
        world.drop(jsonl(3))
    world.workflow.before = None
    world.intake(object_created(world.objects.head(INPUT, "embed/rows.jsonl")))
    assert len(world.workflow.executions) == 1


def _away(_: str) -> None:
    raise Transient("away")


@pytest.mark.parametrize("body", ["", "{}", "[]", '{"source": "aws.s3"}', "not json"])
def test_a_message_of_no_known_form_is_dropped_with_an_error_in_the_log(
    body: str, caplog: pytest.LogCaptureFixture
) -> None:
    World().intake(body)
    assert "dropped a message of no known form" in caplog.text


def test_a_submission_whose_envelope_is_wrong_fails_rather_than_vanishes() -> None:
    world = World()
    detail = {"submission_id": "s9", "inputs": [], "spec": {}}
    world.intake(json.dumps({"source": "batchmill", "detail-type": "Batch Submitted", "detail": detail}))
    batch = world.batches.get(ids.batch_id(ids.digest("submit", "s9")))
    assert batch.status is BatchStatus.FAILED
    assert "inputs" in batch.problems[0].message


@pytest.mark.parametrize("value", [b"!!binary gIGC", b".nan", b"&a [*a]"])
def test_what_yaml_has_and_json_has_not_is_a_failed_batch(value: bytes) -> None:
    world = World()
    profile = b"endpoint: /v1/embeddings\ninput: x\nparams: {x: " + value + b"}\n"
    batch = world.batches.get(world.drop(jsonl(1), profile=profile))
    assert batch.status is BatchStatus.FAILED


@pytest.mark.parametrize("large", ["spec", "inputs", "depth"])
def test_what_no_record_can_hold_is_a_failed_batch(large: str) -> None:
    world = World()
    inputs = [f"{'k' * 900}-{i}.jsonl" for i in range(300 if large == "inputs" else 1)]
    prompt = "x" * (200_000 if large == "spec" else 1)
    text = json.dumps({"inputs": inputs, "spec": {"prompt": prompt}}).encode()
    batch = world.batches.get(world.drop(b"[" * 5000 if large == "depth" else text, "x.batch.yaml", profile=None))
    assert batch.status is BatchStatus.FAILED


def test_an_execution_that_ended_badly_is_followed_by_one_that_closes_three_times_at_most() -> None:
    world = World()
    batch_id = world.drop(jsonl(3))
    name = batch_id
    for _ in range(5):
        world.workflow.end(name)
        world.intake(execution_ended(name, world.workflow.executions[name]))
        name = list(world.workflow.executions)[-1]
    assert list(world.workflow.executions) == [batch_id, *(f"{batch_id}-c{n}" for n in (1, 2, 3))]
    assert world.workflow.executions[f"{batch_id}-c1"]["entry"] == "close"


def test_an_execution_of_a_final_batch_or_of_none_is_left_alone() -> None:
    world = World()
    world.intake(execution_ended("somebody-elses", {"x": 1}))
    batch_id = world.drop(jsonl(3), profile=b"endpoint: 5")
    world.intake(execution_ended(batch_id, {"batch_id": batch_id, "run": 0, "entry": "start"}))
    assert world.workflow.executions == {}


def test_a_refused_submission_is_told_once() -> None:
    world = World()
    for _ in range(3):
        batch = submit(world, {"no such": "field"})
    assert (batch.status, batch.notified) == (BatchStatus.FAILED, True)
    assert [message.channel for message in world.callbacks()] == ["event", "sns"]


@pytest.mark.parametrize("way", ["submission", "profile", "batch file"])
def test_a_refused_submission_is_told_to_the_webhook_that_it_names(way: str) -> None:
    world = World()
    spec: dict[str, object] = {"pool": "nowhere", "webhook_url": "https://hooks.example.com/"}
    if way == "submission":
        submit(world, spec)
    elif way == "profile":
        world.drop(jsonl(1), profile=json.dumps(spec).encode())
    else:
        world.drop(json.dumps({"inputs": ["a.jsonl"], "spec": spec}).encode(), "x/a.batch.yaml", profile=None)
    [batch] = world.batches.recent(10)
    assert (batch.status, batch.spec) == (BatchStatus.FAILED, {"webhook_url": "https://hooks.example.com/"})
    assert [message.channel for message in world.callbacks()] == ["event", "sns", "webhook"]


def test_an_accepted_submission_is_not_told_yet() -> None:
    world = World()
    submit(world, {"input": "{{ text }}", "endpoint": "/v1/embeddings", "webhook_url": "https://hooks.example.com/"})
    assert world.callbacks() == []


def test_a_refusal_that_was_cut_off_before_its_callbacks_is_told_by_the_next_delivery() -> None:
    world = World()

    def cut(operation: str) -> None:
        raise Transient("cut off")

    world.queue.before = cut
    with pytest.raises(Transient):
        submit(world, {"no such": "field"})
    world.queue.before = None
    assert submit(world, {"no such": "field"}).notified
    assert len(world.callbacks()) == 2


def test_a_batch_whose_execution_ended_between_its_final_status_and_its_callbacks_is_told() -> None:
    world = World()
    batch_id = world.drop(jsonl(3))
    world.batches.change(batch_id, lambda old: replace(old, status=BatchStatus.COMPLETED))
    world.intake(execution_ended(batch_id, {"batch_id": batch_id}, "FAILED"))
    assert world.batches.get(batch_id).notified
    assert [message.channel for message in world.callbacks()] == ["event", "sns"]


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080/", "https://localhost/", "https://10.0.0.1/?token=hidden"])
def test_a_webhook_that_may_not_be_called_fails_the_submission_without_telling_its_query(url: str) -> None:
    batch = submit(World(), {"input": "{{ text }}", "endpoint": "/v1/embeddings", "webhook_url": url})
    assert batch.status is BatchStatus.FAILED
    assert "submission: webhook_url: " in batch.problems[0].message
    assert "hidden" not in batch.problems[0].message
    assert batch.spec == {}


def test_a_submission_of_what_may_not_be_read_fails_and_says_what_may() -> None:
    world = World()
    spec: dict[str, object] = {"endpoint": "/v1/embeddings", "input": "{{ text }}"}
    taken = submit(world, spec, bucket=OTHER)
    refused = submit(world, spec, submission="s2", bucket="elsewhere")
    assert (taken.status, refused.status) == (BatchStatus.VALIDATING, BatchStatus.FAILED)
    assert "ReadableBuckets" in refused.problems[0].message
    assert list(world.workflow.executions) == [taken.batch_id]


def test_a_receiver_on_this_machine_is_taken_where_the_allow_list_says_so() -> None:
    world = World()
    allowing = replace(world.intake.accepting, webhook_allow=frozenset({"127.0.0.1"}))
    world.intake = replace(world.intake, accepting=allowing)
    spec: dict[str, object] = {"input": "{{ text }}", "webhook_url": "http://127.0.0.1:8080/"}
    assert submit(world, {**spec, "endpoint": "/v1/embeddings"}).status is BatchStatus.VALIDATING
