"""What counts as an answer of a function that ran in SAM's container."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from building import invoking


@pytest.mark.parametrize(
    "answer", ['{"open": 0}', '{"errorType": "BatchNotFound", "errorMessage": "no batch"}', "null"]
)
def test_an_answer_or_an_error_of_ours_shows_that_the_function_came_up(answer: str) -> None:
    assert invoking.answered("Function", answer)


@pytest.mark.parametrize(
    "answer",
    [
        json.dumps({"errorType": "Runtime.ImportModuleError", "errorMessage": "no module"}),
        json.dumps({"errorType": "Runtime.HandlerNotFound", "errorMessage": "no handler"}),
        "Error: no image",
    ],
)
def test_a_function_that_did_not_come_up_is_told_apart(answer: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert not invoking.answered("Function", answer)
    assert "FAILED: Function" in capsys.readouterr().out


def test_without_an_engine_there_is_no_gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert invoking.container_gateway() is None


@pytest.mark.parametrize(("told", "address"), [("Gateway", "10.1.0.9"), ("Nothing", "10.1.0.1")])
def test_an_engine_that_tells_no_gateway_has_the_subnets_first_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: str, address: str
) -> None:
    engine = tmp_path / "docker"
    engine.write_text(f"""#!/bin/sh\necho '[{{"Subnet": "10.1.0.0/16", "{told}": "10.1.0.9"}}]'\n""")
    engine.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert invoking.container_gateway() == address


def test_an_engine_whose_network_has_gone_is_told_without_a_stack_trace() -> None:
    gone = "203.0.113.7"
    with pytest.raises(SystemExit, match=f"start the engine again.*{gone}"), invoking.forwarded(gone, 1):
        pass


def test_the_forwarder_carries_both_ways_until_both_have_ended() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as behind,
        invoking.forwarded("127.0.0.1", behind.getsockname()[1]) as endpoint,
        socket.create_connection(("127.0.0.1", int(endpoint.rpartition(":")[2])), timeout=10) as caller,
    ):
        caller.sendall(b"ask")
        called, _ = behind.accept()
        with called:
            called.settimeout(10)
            assert called.recv(3) == b"ask"
            called.sendall(b"answer")
            assert caller.recv(6) == b"answer"
        assert caller.recv(1) == b""
