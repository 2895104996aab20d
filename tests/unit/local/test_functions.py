"""The service in Python: what can be created, and what can be asked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from batchmill.local.functions import (
    FunctionNotFound,
    FunctionService,
    FunctionSpec,
    InvalidFunction,
    ServiceStopped,
)


@pytest.fixture
def service() -> Iterator[FunctionService]:
    made = FunctionService("http://127.0.0.1:9")
    yield made
    made.stop()


def _spec(folder: Path, name: str = "f") -> FunctionSpec:
    return FunctionSpec(name, "handlers.f", folder, (), {}, 3, 128)


def test_creating_a_function_starts_nothing(service: FunctionService, tmp_path: Path) -> None:
    assert service.create(_spec(tmp_path)) == "arn:aws:lambda:us-east-1:123456789012:function:f"
    assert service.pids() == []
    assert [spec.name for spec in service.specs()] == ["f"]


def test_a_warmed_function_has_its_process(service: FunctionService, tmp_path: Path) -> None:
    (tmp_path / "handlers.py").write_text("def f(event, context):\n    import os\n    return os.getpid()\n")
    service.create(_spec(tmp_path))
    service.warm("f")
    pids = service.pids()
    assert [int(service.invoke("f", b"").payload)] == pids


def test_a_name_is_taken_once(service: FunctionService, tmp_path: Path) -> None:
    service.create(_spec(tmp_path))
    with pytest.raises(InvalidFunction, match="exists"):
        service.create(_spec(tmp_path))


def test_code_that_is_not_there_is_refused(service: FunctionService, tmp_path: Path) -> None:
    with pytest.raises(InvalidFunction, match="no folder"):
        service.create(_spec(tmp_path / "nowhere"))


def test_only_the_latest_version_is_there(service: FunctionService, tmp_path: Path) -> None:
    service.create(_spec(tmp_path))
    assert service.spec("f:$LATEST").name == "f"
    for reference in ("g", "f:live", "arn:aws:lambda:us-east-1:123456789012:function:g"):
        with pytest.raises(FunctionNotFound):
            service.invoke(reference, b"")


def test_a_stopped_service_takes_nothing(service: FunctionService, tmp_path: Path) -> None:
    service.create(_spec(tmp_path))
    service.stop()
    service.stop()
    with pytest.raises(ServiceStopped):
        service.invoke("f", b"")
    with pytest.raises(ServiceStopped):
        service.invoke_event("f", b"")
