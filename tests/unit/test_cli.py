import json
from pathlib import Path

import pytest

from batchmill import __version__, cli
from batchmill.domain.errors import Transient, UserError

EMBED = ["--endpoint", "/v1/embeddings", "--input", "{{ body }}"]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "t.csv"
    path.write_text("id,body\n1,b\n")
    return path


def run(*arguments: object) -> int:
    return cli.status([str(argument) for argument in arguments])


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--version") == 0
    assert __version__ in capsys.readouterr().out


@pytest.mark.parametrize("name", list(cli._COMMANDS))
def test_every_command_is_there_and_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(name, "--help") == 0
    assert "Usage:" in capsys.readouterr().out


def test_an_unknown_command_is_a_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("fly") == 2
    assert "No such command" in capsys.readouterr().err


@pytest.mark.parametrize(("error", "code"), [(UserError("do so"), 2), (Transient("S3: slow"), 3)])
def test_errors_are_one_line_and_a_status(
    error: Exception, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("batchmill.commands.listing.connect", fail)
    assert run("list") == code
    assert capsys.readouterr().err == f"batchmill: {error}\n"


def mistake(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert run(*arguments) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert "Traceback" not in told.err
    return told.err


def test_a_missing_file_is_told_before_anything_starts(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert "gone.csv: no such file" in mistake(capsys, "run", tmp_path / "gone.csv", "-o", tmp_path / "out", *EMBED)


def test_two_ways_to_a_body_are_told_before_anything_starts(
    capsys: pytest.CaptureFixture[str], table: Path, tmp_path: Path
) -> None:
    said = mistake(capsys, "run", table, "-o", tmp_path / "out", *EMBED, "--prompt", "{{ body }}")
    assert "give one of prompt or messages, input and body" in said


def test_an_endpoint_that_the_embedded_engine_lacks_is_told_before_anything_starts(
    capsys: pytest.CaptureFixture[str], table: Path, tmp_path: Path
) -> None:
    said = mistake(capsys, "run", table, "-o", tmp_path / "out", "--prompt", "{{ body }}")
    assert "/v1/embeddings, /v1/score, /v1/classify" in said
    assert "--engine" in said


def test_old_results_are_kept_unless_overwriting_is_asked_for(
    capsys: pytest.CaptureFixture[str], table: Path, tmp_path: Path
) -> None:
    old = tmp_path / "out" / "results" / "part-00000.parquet"
    old.parent.mkdir(parents=True)
    old.write_bytes(b"precious")
    assert "--overwrite" in mistake(capsys, "run", table, "-o", tmp_path / "out", *EMBED)
    assert old.read_bytes() == b"precious"


def test_a_key_variable_that_is_not_set_is_told(
    capsys: pytest.CaptureFixture[str], table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    said = mistake(capsys, "run", table, "-o", tmp_path / "out", *EMBED, "--engine-key-env", "NO_SUCH_KEY")
    assert "NO_SUCH_KEY: the environment variable is not set" in said


def test_an_engine_that_nobody_answers_at_is_told(
    capsys: pytest.CaptureFixture[str], table: Path, tmp_path: Path
) -> None:
    said = mistake(capsys, "run", table, "-o", tmp_path / "out", *EMBED, "--engine", "http://127.0.0.1:9/v1")
    assert "nobody answers" in said


def test_a_valid_profile_is_said_to_be(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text("endpoint: /v1/embeddings\ninput: '{{ body }}'\n")
    assert run("profile", "check", path) == 0
    assert "valid, for /v1/embeddings" in capsys.readouterr().out
    assert run("profile", "check", path, "--json") == 0
    assert json.loads(capsys.readouterr().out)["input"] == "{{ body }}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("endpoint: /v1/embeddings\ninputs: x\n", "inputs: no such field"),
        ("prompt: '{{ a '\n", "template"),
        ("endpoint: /v1/embeddings\nprompt: x\n", "takes no prompt"),
    ],
)
def test_an_invalid_profile_is_told_with_its_field(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, text: str, said: str
) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(text)
    assert said in mistake(capsys, "profile", "check", path)
