"""What functions see, and how they may end, in the embedded Lambda; each environment is a real awslambdaric."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from batchmill.local.environments import REAL, STANDIN
from batchmill.local.functions import Invocation, ServiceStopped
from contract.stack.lambda_support import Functions, functions
from support.waiting import alive, until


@pytest.fixture(params=[REAL, STANDIN], ids=["awslambdaric", "stand-in"])
def lambdas(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Functions]:
    with functions(tmp_path, runtime=request.param) as made:
        yield made


def _answer(invocation: Invocation) -> object:
    assert invocation.function_error is None, invocation.payload
    return json.loads(invocation.payload)


def test_the_event_comes_back_as_it_went(lambdas: Functions) -> None:
    lambdas.add("echo")
    event = {"text": "Grüße ☃", "n": [1, 2.5, None, True]}
    assert _answer(lambdas.service.invoke("echo", json.dumps(event).encode())) == event


def test_an_empty_payload_is_an_empty_object(lambdas: Functions) -> None:
    lambdas.add("echo")
    assert _answer(lambdas.service.invoke("echo", b"")) == {}


def test_a_function_sees_aws_variables_and_its_own_and_nothing_of_the_parent(
    lambdas: Functions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "mine")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    arn = lambdas.add("about", name="app-about", timeout_seconds=7, variables={"BATCHMILL_TABLE": "t"})
    seen = _answer(lambdas.service.invoke("app-about", b"{}"))
    assert isinstance(seen, dict)
    environment = seen["environment"]
    assert seen["arn"] == arn == "arn:aws:lambda:us-east-1:123456789012:function:app-about"
    assert seen["name"] == environment["AWS_LAMBDA_FUNCTION_NAME"] == "app-about"
    assert 0 < seen["remaining_ms"] <= 7000
    assert seen["memory"] == environment["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "256"
    assert seen["log_group"] == "/aws/lambda/app-about"
    assert Path(seen["cwd"]) == Path(environment["LAMBDA_TASK_ROOT"]) == lambdas.folder.resolve()
    assert environment["BATCHMILL_TABLE"] == "t"
    assert environment["AWS_ENDPOINT_URL"] == "http://127.0.0.1:9"
    assert (environment["AWS_REGION"], environment["_HANDLER"]) == ("us-east-1", "handlers.about")
    assert not {"AWS_PROFILE", "HTTP_PROXY", "PYTEST_CURRENT_TEST"} & environment.keys()


def test_an_environment_is_used_again(lambdas: Functions) -> None:
    lambdas.add("sleeps")
    assert len({lambdas.service.invoke("sleeps", b"0").payload for _ in range(5)}) == 1


def test_an_exception_is_a_function_error_with_its_type_and_trace(lambdas: Functions) -> None:
    lambdas.add("fails")
    outcome = lambdas.service.invoke("fails", b"7")
    body = json.loads(outcome.payload)
    assert outcome.function_error == "Unhandled"
    assert (body["errorType"], body["errorMessage"]) == ("ValueError", "bad 7")
    assert "in fails" in "".join(body["stackTrace"])


def test_a_module_that_cannot_be_imported_is_told_by_every_invocation(lambdas: Functions) -> None:
    (lambdas.folder / "handlers.py").write_text("import nowhere_to_be_found\n")
    lambdas.add("echo")
    for _ in range(2):
        kind, message = lambdas.service.invoke("echo", b"{}").error()
        assert kind == "Runtime.ImportModuleError"
        assert "nowhere_to_be_found" in message


@pytest.mark.parametrize(
    ("handler", "reason"),
    [
        ("kills_itself", "Runtime exited with error: signal: killed"),
        ("exits", "Runtime exited with error: exit status 3"),
    ],
)
def test_a_process_that_dies_fails_its_invocation_and_is_replaced(
    lambdas: Functions, handler: str, reason: str
) -> None:
    lambdas.add(handler)
    for _ in range(2):
        outcome = lambdas.service.invoke(handler, b"{}")
        assert outcome.error() == ("Runtime.ExitError", f"RequestId: {outcome.request_id} Error: {reason}")


def test_a_process_that_died_between_two_invocations_costs_none(lambdas: Functions) -> None:
    lambdas.add("dies_after")
    pids = []
    for _ in range(3):
        pids.append(_answer(lambdas.service.invoke("dies_after", b"{}")))
        until(lambda: not alive(int(str(pids[-1]))))
    assert len(set(pids)) == 3


def test_a_timed_out_invocation_is_told_as_aws_does_and_its_process_killed(lambdas: Functions) -> None:
    lambdas.add("sleeps", timeout_seconds=1)
    outcome = lambdas.service.invoke("sleeps", b"600")
    message = f"RequestId: {outcome.request_id} Error: Task timed out after 1.00 seconds"
    assert outcome.error() == ("Sandbox.Timedout", message)
    assert "going to sleep" in outcome.log
    assert lambdas.service.pids() == []


def test_an_answer_over_six_megabytes_is_a_function_error_and_one_under_it_is_not(lambdas: Functions) -> None:
    lambdas.add("large")
    assert lambdas.service.invoke("large", b"6291500").function_error is None
    kind, message = lambdas.service.invoke("large", b"6291600").error()
    assert kind == "Function.ResponseSizeTooLarge"
    assert "6291556" in message
    assert lambdas.service.invoke("large", b"10").function_error is None


def test_what_a_handler_prints_is_in_the_invocations_log(lambdas: Functions) -> None:
    lambdas.add("prints")
    for _ in range(2):
        outcome = lambdas.service.invoke("prints", b"{}")
        assert outcome.log.splitlines()[:3] == [
            f"START RequestId: {outcome.request_id} Version: $LATEST",
            "a line of output",
            "a line of error",
        ]


def test_a_functions_log_is_also_a_file(tmp_path: Path) -> None:
    with functions(tmp_path, log_dir=tmp_path / "logs") as lambdas:
        lambdas.add("fails")
        lambdas.service.invoke("fails", b"1")
        assert "ValueError: bad 1" in (tmp_path / "logs/fails.log").read_text()


def test_concurrent_invocations_get_environments_of_their_own(tmp_path: Path) -> None:
    together = tmp_path / "together"
    together.mkdir()
    with functions(tmp_path) as lambdas, ThreadPoolExecutor(3) as threads:
        lambdas.add("meets", environments=3)
        event = json.dumps({"folder": str(together), "count": 3}).encode()
        answers = list(threads.map(lambda _: lambdas.service.invoke("meets", event).payload, range(3)))
        assert len(set(answers)) == 3
        assert len(lambdas.service.pids()) == 3


def test_no_function_has_more_environments_than_its_maximum(tmp_path: Path) -> None:
    with functions(tmp_path) as lambdas, ThreadPoolExecutor(8) as threads:
        lambdas.add("sleeps", environments=2)
        answers = list(threads.map(lambda _: lambdas.service.invoke("sleeps", b"0.2").payload, range(8)))
        assert len(set(answers)) <= 2


def test_stopping_ends_what_ignores_sigterm_and_what_it_started(tmp_path: Path) -> None:
    with functions(tmp_path) as lambdas:
        lambdas.add("deaf", timeout_seconds=900)
        told = tmp_path / "pids"
        outcomes: list[Invocation] = []
        event = json.dumps(str(told)).encode()
        thread = threading.Thread(target=lambda: outcomes.append(lambdas.service.invoke("deaf", event)))
        thread.start()
        until(lambda: told.exists() and len(told.read_text().split()) == 2)
        lambdas.service.stop()
        thread.join()
        assert outcomes[0].error()[0] == "Runtime.ExitError"
        until(lambda: not any(alive(int(pid)) for pid in told.read_text().split()))
        with pytest.raises(ServiceStopped):
            lambdas.service.invoke("deaf", event)


def test_a_timed_out_invocation_takes_the_children_with_it(tmp_path: Path) -> None:
    with functions(tmp_path) as lambdas:
        lambdas.add("deaf", timeout_seconds=1)
        told = tmp_path / "pids"
        lambdas.service.invoke("deaf", json.dumps(str(told)).encode())
        until(lambda: not any(alive(int(pid)) for pid in told.read_text().split()))
        assert len(told.read_text().split()) == 2


ORPHANING = """
import json, sys, threading
from pathlib import Path
from batchmill.local.functions import FunctionService, FunctionSpec
service = FunctionService("http://127.0.0.1:9")
folder = Path(sys.argv[1])
for name in ("deaf", "echo"):
    service.create(FunctionSpec(name, "handlers." + name, folder, (), {}, 900, 256))
threading.Thread(target=service.invoke, args=("deaf", json.dumps(str(folder / "pids")).encode()), daemon=True).start()
service.invoke("echo", b"1")
print(*service.pids(), flush=True)
threading.Event().wait()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
def test_a_parent_that_is_killed_takes_its_environments_with_it(tmp_path: Path) -> None:
    with functions(tmp_path):
        path = {"PYTHONPATH": os.pathsep.join(sys.path), "TMPDIR": str(tmp_path)}
        parent = subprocess.Popen(
            [sys.executable, "-c", ORPHANING, str(tmp_path)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **path},
        )
        assert parent.stdout is not None
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        told = tmp_path / "pids"
        until(lambda: told.exists() and len(told.read_text().split()) == 2)
        assert all(alive(pid) for pid in pids)
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        parent.stdout.close()
        until(lambda: not any(alive(pid) for pid in pids))
        os.kill(int(told.read_text().split()[1]), signal.SIGKILL)  # the handler's own child is nobody's by then
