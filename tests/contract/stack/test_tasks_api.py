"""The embedded stack's ECS, asked as an operator asks the real one: with boto3."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from batchmill.adapters.ecs import EcsCapacity
from batchmill.contracts.pools import Pool
from batchmill.local.ecs_api import EcsApi
from batchmill.local.router import Router
from batchmill.local.tasks import TaskService
from fakes.clock import FakeClock
from support.waiting import until

DATA = Path(__file__).parents[2] / "unit/local/data"


@pytest.fixture
def ecs(tmp_path: Path) -> Iterator[Any]:
    tasks, router = TaskService(DATA, {}, str, tmp_path), Router()
    router.mount("ecs", EcsApi(tasks))
    router.start()
    try:
        tasks.create_cluster("pools")
        definition = tasks.register(
            "worker", [{"Name": "worker", "Command": ["python", "-m", "idle_worker"], "StopTimeout": 5}]
        )
        tasks.create_service("pool", "pools", definition, 1)
        tasks.start()
        client = router.client("ecs")
        until(lambda: _service(client)["runningCount"] == 1)
        until(lambda: [path for path in tmp_path.iterdir() if "ready" in path.read_text()])
        yield client
        client.close()
    finally:
        tasks.stop(5)
        router.stop()


def _service(client: Any) -> Any:
    return client.describe_services(cluster="pools", services=["pool"])["services"][0]


def test_services_and_tasks_are_described_as_ecs_describes_them(ecs: Any) -> None:
    (arn,) = ecs.list_tasks(cluster="pools", serviceName="pool")["taskArns"]
    (task,) = ecs.describe_tasks(cluster="pools", tasks=[arn])["tasks"]

    assert (task["lastStatus"], task["group"]) == ("RUNNING", "service:pool")
    assert int(task["containers"][0]["runtimeId"]) > 0
    service = _service(ecs)
    assert service["serviceArn"] == "arn:aws:ecs:us-east-1:123456789012:service/pools/pool"
    assert service["taskDefinition"] == task["taskDefinitionArn"]
    assert ecs.list_services(cluster="pools")["serviceArns"] == [service["serviceArn"]]


def test_a_spot_reclaim_can_be_rehearsed(ecs: Any) -> None:
    (arn,) = ecs.list_tasks(cluster="pools")["taskArns"]

    ecs.stop_task(cluster="pools", task=arn, reason="Your Spot Task was interrupted.")

    def stopped() -> Any:
        (task,) = ecs.describe_tasks(cluster="pools", tasks=[arn])["tasks"]
        return task if task["lastStatus"] == "STOPPED" else None

    until(stopped)
    task = stopped()
    assert task["stoppedReason"] == "Your Spot Task was interrupted."
    assert task["containers"][0]["exitCode"] == 0
    assert ecs.list_tasks(cluster="pools", desiredStatus="STOPPED")["taskArns"] == [arn]


def test_update_service_scales(ecs: Any) -> None:
    assert ecs.update_service(cluster="pools", service="pool", desiredCount=0)["service"]["desiredCount"] == 0
    until(lambda: _service(ecs)["runningCount"] == 0)


def test_a_service_without_workers_starts_one_when_its_pool_is_woken(ecs: Any) -> None:
    ecs.update_service(cluster="pools", service="pool", desiredCount=0)
    until(lambda: _service(ecs)["runningCount"] == 0)

    EcsCapacity(lambda: ecs, FakeClock()).wake(Pool(queue_url="queue", cluster="pools", service="pool"))

    ecs.get_waiter("services_stable").wait(cluster="pools", services=["pool"], WaiterConfig={"Delay": 1})
    assert (_service(ecs)["desiredCount"], _service(ecs)["runningCount"]) == (1, 1)


def test_every_field_of_an_answer_is_one_of_ecs_own_and_has_its_type(ecs: Any) -> None:
    strange: dict[str, list[str]] = {}

    def compare(operation_model: Any, response_dict: Any, **_: Any) -> None:
        answer = json.loads(response_dict["body"])
        strange[operation_model.name] = list(_strange(operation_model.output_shape, answer, "answer"))

    ecs.meta.events.register("before-parse.ecs.*", compare)
    (arn,) = ecs.list_tasks(cluster="pools", serviceName="pool")["taskArns"]
    ecs.describe_tasks(cluster="pools", tasks=[arn, "none"])
    ecs.describe_services(cluster="pools", services=["pool", "none"])
    ecs.list_services(cluster="pools")
    ecs.update_service(cluster="pools", service="pool", desiredCount=2)
    ecs.stop_task(cluster="pools", task=arn)
    asked = ["ListTasks", "DescribeTasks", "DescribeServices", "ListServices", "UpdateService", "StopTask"]
    assert strange == {operation: [] for operation in asked}


_PYTHON = {"string": str, "integer": int, "timestamp": float, "boolean": bool}


def _strange(shape: Any, value: Any, place: str) -> Iterator[str]:
    """The places in an answer that botocore's model of it does not have."""
    if shape.type_name == "structure":
        for name, item in value.items():
            known = shape.members.get(name)
            yield from _strange(known, item, f"{place}.{name}") if known else [f"{place}.{name}"]
    elif shape.type_name == "list":
        for item in value:
            yield from _strange(shape.member, item, place)
    elif not isinstance(value, _PYTHON[shape.type_name]):
        yield f"{place}: {value!r}"


def test_run_task_starts_one_with_its_overrides(ecs: Any) -> None:
    override = {"name": "worker", "environment": [{"name": "EXTRA", "value": "x"}]}

    (task,) = ecs.run_task(cluster="pools", taskDefinition="worker", overrides={"containerOverrides": [override]})[
        "tasks"
    ]

    assert task["taskArn"] in ecs.list_tasks(cluster="pools")["taskArns"]


def test_what_is_missing_is_reported_as_ecs_reports_it(ecs: Any) -> None:
    assert ecs.describe_tasks(cluster="pools", tasks=["none"])["failures"][0]["reason"] == "MISSING"
    with pytest.raises(ClientError, match="ClusterNotFoundException"):
        ecs.list_tasks(cluster="nowhere")
    with pytest.raises(ClientError, match="ServiceNotFoundException"):
        ecs.update_service(cluster="pools", service="none", desiredCount=1)
    with pytest.raises(ClientError, match="UnsupportedFeatureException"):
        ecs.delete_cluster(cluster="pools")
