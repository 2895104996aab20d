"""A batch of which most rows are errors is ended before the rest is paid for, and keeps what is done."""

from __future__ import annotations

import json
from collections import Counter

from batchmill.domain.batch import BatchStatus
from support.deployed import Deployed, rows_jsonl
from support.waiting import until

PROFILE = "endpoint: /v1/embeddings\ninput: '{{ text }}'\ncolumns: [id]\nmax_error_ratio: 0.3\n"
BAD, ROWS = range(10, 810), 2400


def test_a_hopeless_batch_ends_as_failed_with_a_result_or_an_error_for_each_row(slow: Deployed) -> None:
    slow.profile("hopeless", PROFILE)
    lines = rows_jsonl(ROWS, "hopeless").splitlines(keepends=True)
    for i in BAD:
        lines[i] = json.dumps({"id": i}).encode() + b"\n"
    batch_id = slow.drop("hopeless/rows.jsonl", b"".join(lines))
    until(lambda: slow.known(batch_id) and sum(one.progress.errors for one in slow.shards(batch_id)) > 400, 60.0)
    slow.sweep()
    batch = slow.final(batch_id)
    assert batch.status is BatchStatus.FAILED
    assert [problem.code for problem in batch.problems] == ["too_many_errors"]
    assert [problem["code"] for problem in slow.manifest(batch_id)["problems"]] == ["too_many_errors"]
    rows = slow.rows(batch_id)
    assert sorted(int(row["id"]) for row in rows) == list(range(ROWS))
    codes = Counter(row["error_code"] for row in rows)
    assert 0 < codes["render_failed"] <= len(BAD)  # those of shards that were committed by then
    assert codes["batch_failed"] > 0
    assert codes[None] > 0
    assert batch.counts.completed == codes[None]
