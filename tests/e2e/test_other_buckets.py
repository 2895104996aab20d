"""Inputs that lie in a bucket of somebody else's: read in place where the stack was told of it, refused where not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from batchmill.client import StackClient
from batchmill.commands.connecting import connect
from batchmill.contracts.spec import BatchSpec
from batchmill.domain.batch import BatchStatus
from batchmill.domain.errors import SpecInvalid
from batchmill.local.stack import STACK_NAME
from support.caller import Client
from support.deployed import Deployed, deployed, rows_jsonl

THEIRS, UNKNOWN = "theirs", "unknown"
SPEC = BatchSpec.model_validate({"endpoint": "/v1/embeddings", "input": "{{ text }}", "columns": ["id"]})


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """A stack that was told of one bucket of two, each with an object in it."""
    folder, script = tmp_path_factory.mktemp("told"), {"latency": {"median_ms": 2}}
    with deployed(folder, script, parameters={"ReadableBuckets": THEIRS}) as running:
        for bucket in (THEIRS, UNKNOWN):
            running.s3.create_bucket(Bucket=bucket)
            running.s3.put_object(Bucket=bucket, Key="in/rows.jsonl", Body=rows_jsonl(150, bucket))
        yield running


@pytest.fixture(scope="module")
def submitting(told: Deployed) -> StackClient:
    return connect(STACK_NAME, told.stack.client)


def test_a_batch_over_a_bucket_that_the_stack_was_told_of_is_run_from_there(
    told: Deployed, submitting: StackClient
) -> None:
    caller = Client(told)
    posted = caller.ask("POST", "/batches", json=caller.body(f"s3://{THEIRS}/in/rows.jsonl"))
    assert posted.status_code == 200, posted.text
    for batch_id in (submitting.submit([f"s3://{THEIRS}/in/"], SPEC), posted.json()["id"]):
        batch = told.final(batch_id)
        assert (batch.status, batch.counts.completed) == (BatchStatus.COMPLETED, 150)
        read = [f"s3://{item['bucket']}/{item['key']}" for item in told.manifest(batch_id)["inputs"]]
        assert read == [f"s3://{THEIRS}/in/rows.jsonl"]
        assert sorted(int(row["id"]) for row in told.rows(batch_id)) == list(range(150))


def test_an_object_put_there_is_no_batch(told: Deployed) -> None:
    told.profile("in", "endpoint: /v1/embeddings\ninput: '{{ text }}'\n")
    before = {batch.batch_id for batch in told.batches.recent(100)}
    told.s3.put_object(Bucket=THEIRS, Key="in/more.jsonl", Body=rows_jsonl(1, "more"))
    after = told.drop("in/own.jsonl", rows_jsonl(1, "own"))
    assert told.final(after).status is BatchStatus.COMPLETED
    assert {batch.batch_id for batch in told.batches.recent(100)} - before == {after}


def test_a_bucket_that_the_stack_was_not_told_of_is_refused_by_every_way_in(
    told: Deployed, submitting: StackClient
) -> None:
    uri = f"s3://{UNKNOWN}/in/rows.jsonl"
    said = f"'{uri}' lies under none of s3://{told.input}/, s3://{told.data}/uploads/, s3://{THEIRS}/: "
    with pytest.raises(SpecInvalid) as refused:
        submitting.submit([uri], SPEC)
    assert said in str(refused.value)
    caller = Client(told)
    answer = caller.ask("POST", "/batches", json=caller.body(uri))
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "input_file_id")
    assert said in answer.json()["error"]["message"]
    text = f"inputs: ['{uri}']\nspec: {{endpoint: /v1/embeddings, input: '{{{{ text }}}}'}}\n"
    batch = told.final(told.drop("jobs/theirs.batch.yaml", text.encode()))
    assert batch.status is BatchStatus.FAILED
    assert [problem.code for problem in batch.problems] == ["invalid_spec"]
    assert said in batch.problems[0].message
    assert not [name for name in told.received() if name.startswith(UNKNOWN)]
