"""A pool as it is deployed, without workers: a file that is dropped has one started."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from batchmill.domain.batch import BatchStatus
from support.deployed import Deployed, deployed, rows_jsonl


@pytest.fixture(scope="module")
def asleep(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """Its schedules keep AWS's time, so that no sweep comes to a dispatch's help."""
    folder = tmp_path_factory.mktemp("asleep")
    with deployed(folder, {"latency": {"median_ms": 2}}, workers=None, speed=1) as running:
        running.profile("embed", "endpoint: /v1/embeddings\ninput: '{{ text }}'\n")
        yield running


def service(stack: Deployed) -> dict[str, Any]:
    """The pool's service, as ECS describes it."""
    name = {"cluster": stack.outputs["ClusterName"], "services": [stack.outputs["ServiceName"]]}
    [found] = stack.stack.client("ecs").describe_services(**name)["services"]
    return dict(found)


def test_a_batch_is_done_by_a_pool_that_slept_because_its_first_dispatch_woke_it(asleep: Deployed) -> None:
    before = service(asleep)
    assert (before["desiredCount"], before["runningCount"]) == (0, 0)
    batch_id = asleep.drop("embed/wake.jsonl", rows_jsonl(250, "wake"))
    assert asleep.final(batch_id).status is BatchStatus.COMPLETED
    assert Counter(row["status"] for row in asleep.rows(batch_id)) == {"ok": 250}
    after = service(asleep)
    assert (after["desiredCount"], after["runningCount"]) == (1, 1)
