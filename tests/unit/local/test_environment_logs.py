"""What functions print, and where it goes."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from batchmill.local import environment_logs
from batchmill.local.environment_logs import FunctionLog, OutputFile, tail


def test_output_is_given_once() -> None:
    output = OutputFile()
    os.write(output.fileno(), b"one\n")
    assert (output.take(), output.take()) == ("one\n", "")
    os.write(output.fileno(), b"two\r  three\n")
    assert output.take() == "two\n  three\n"
    output.close()
    assert output.take() == ""


def test_output_that_was_read_takes_no_room_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment_logs, "_TRUNCATE_AT", 10)
    output = OutputFile()
    for _ in range(5):
        os.write(output.fileno(), b"0123456789ABCDEF")
        assert output.take() == "0123456789ABCDEF"
        assert os.fstat(output.fileno()).st_size == 0
    output.close()


def test_lines_go_to_a_logger_of_the_function_and_to_its_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "batchmill.local.lambda.plan")
    log = FunctionLog("plan", tmp_path)
    log.write("one\ntwo")
    log.write("")
    assert [(r.name, r.getMessage()) for r in caplog.records] == [
        ("batchmill.local.lambda.plan", "one"),
        ("batchmill.local.lambda.plan", "two"),
    ]
    assert (tmp_path / "plan.log").read_text() == "one\ntwo\n"


def test_the_tail_is_four_kilobytes_of_whole_characters() -> None:
    assert tail("short") == "short"
    assert tail("é" * 3000) == "é" * 2048
    assert tail("x" + "é" * 3000 + "x") == "é" * 2047 + "x"
