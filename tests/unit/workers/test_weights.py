"""The weights' way from the hub to a bucket: the hub's own library, a hub of HTTP, and moto's S3."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest
from moto import mock_aws

from fakes.hub import FakeHub
from workers import weights
from workers.weights import Hub, Place, WeightsUnavailable

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

MODEL, COMMIT, LATER = "org/model", "a" * 40, "b" * 40
URI = "s3://data/models/org/model/main/"
FILES = {
    "config.json": b'{"architectures": []}',
    "tokenizer.json": b"{}",
    "chat_template.jinja": b"{{ messages }}",
    "modeling_own.py": b"pass",
    "model.safetensors.index.json": json.dumps(
        {"weight_map": {"a": "model-1-of-2.safetensors", "b": "model-2-of-2.safetensors"}}
    ).encode(),
    "model-1-of-2.safetensors": b"1" * 2000,
    "model-2-of-2.safetensors": b"2" * 1000,
    "consolidated.safetensors": b"3" * 3000,
    "pytorch_model.bin": b"4" * 3000,
    "README.md": b"# model",
}
NEEDED = {*FILES} - {"consolidated.safetensors", "pytorch_model.bin", "README.md"}


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Client]:
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "HF_TOKEN", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket="data")
        yield client


@pytest.fixture
def fake() -> FakeHub:
    hub = FakeHub()
    hub.add(MODEL, COMMIT, dict(FILES))
    return hub


@pytest.fixture
def hub(fake: FakeHub) -> Iterator[Hub]:
    with fake.serve() as address:
        yield Hub(address)


def bring(hub: Hub, s3: S3Client, tell: Callable[[str], None] | None = None, revision: str = "main") -> list[str]:
    """Bring the model; the lines that were told."""
    lines: list[str] = []
    weights.bring(hub, Place(s3, URI), MODEL, revision, tell or lines.append)
    return lines


def there(s3: S3Client) -> dict[str, bytes]:
    """What is at the place, by name."""
    names = Place(s3, URI).sizes()
    prefix = URI.removeprefix("s3://data/")
    return {name: s3.get_object(Bucket="data", Key=prefix + name)["Body"].read() for name in names}


def test_what_an_engine_needs_comes_and_copies_in_other_forms_do_not(hub: Hub, s3: S3Client) -> None:
    bring(hub, s3)
    found = there(s3)
    assert {name: found[name] for name in NEEDED} == {name: FILES[name] for name in NEEDED}
    assert set(found) == NEEDED | {"begun.json", "complete.json"}


def test_complete_json_names_the_commit_and_every_file(hub: Hub, s3: S3Client) -> None:
    bring(hub, s3)
    complete = json.loads(there(s3)["complete.json"])
    assert complete == {
        "model": MODEL,
        "revision": "main",
        "commit": COMMIT,
        "files": {name: len(FILES[name]) for name in sorted(NEEDED)},
    }


def test_the_file_without_which_no_engine_starts_is_the_last(hub: Hub, s3: S3Client, fake: FakeHub) -> None:
    bring(hub, s3)
    order = [path for _, path in fake.fetched]
    assert order[-1] == "config.json"
    assert order.index("model-2-of-2.safetensors") < order.index("tokenizer.json")


def test_a_second_run_asks_the_hub_for_nothing(hub: Hub, s3: S3Client, fake: FakeHub) -> None:
    bring(hub, s3)
    fake.fetched.clear()
    fake.down = True
    assert bring(hub, s3) == [f"weights: {MODEL} is there already, of commit {COMMIT}"]
    assert fake.fetched == []


def killed_at(line_number: int) -> Callable[[str], None]:
    """Ends the run, as a kill does, when it tells so many lines."""
    left = [line_number]

    def tell(line: str) -> None:
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt(line)

    return tell


@pytest.mark.parametrize("line", range(1, len(NEEDED) + 1))
def test_a_killed_run_is_gone_on_with_and_fetches_no_file_again(
    hub: Hub, s3: S3Client, fake: FakeHub, line: int
) -> None:
    with pytest.raises(KeyboardInterrupt):
        bring(hub, s3, killed_at(line))
    assert "complete.json" not in there(s3)
    assert "config.json" not in there(s3)
    bring(hub, s3)
    assert set(there(s3)) == NEEDED | {"begun.json", "complete.json"}
    fetched = [path for _, path in fake.fetched if path != "model.safetensors.index.json"]
    assert sorted(fetched) == sorted(NEEDED - {"model.safetensors.index.json"})


def test_a_branch_that_moves_meanwhile_changes_nothing(hub: Hub, s3: S3Client, fake: FakeHub) -> None:
    with pytest.raises(KeyboardInterrupt):
        bring(hub, s3, killed_at(3))
    fake.add(MODEL, LATER, {**FILES, "model-2-of-2.safetensors": b"other"})
    bring(hub, s3)
    assert {revision for revision, _ in fake.fetched} == {COMMIT}
    assert json.loads(there(s3)["complete.json"])["commit"] == COMMIT


def test_one_file_at_a_time_is_on_the_disk(
    hub: Hub, s3: S3Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    seen: list[int] = []

    def look(_line: str) -> None:
        seen.append(sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()))

    bring(hub, s3, look)
    assert set(seen) == {0}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ({"model.safetensors", "consolidated.safetensors"}, {"model.safetensors"}),
        ({"model.safetensors", "model.fp16.safetensors", "onnx/model.onnx"}, {"model.safetensors"}),
        ({"part-1.safetensors", "part-2.safetensors"}, {"part-1.safetensors", "part-2.safetensors"}),
        ({"model.safetensors", "2_Dense/model.safetensors"}, {"model.safetensors"}),
    ],
)
def test_without_an_index_it_is_one_file_or_all_of_the_first_folder(
    hub: Hub, s3: S3Client, fake: FakeHub, names: set[str], expected: set[str]
) -> None:
    fake.add(MODEL, COMMIT, {"config.json": b"{}", **dict.fromkeys(names, b"w")})
    bring(hub, s3)
    assert {name for name in there(s3) if name.endswith(".safetensors")} == expected


def test_a_model_without_safetensors_is_refused_before_anything_is_put(hub: Hub, s3: S3Client, fake: FakeHub) -> None:
    fake.add(MODEL, COMMIT, {"config.json": b"{}", "pytorch_model.bin": b"w"})
    with pytest.raises(WeightsUnavailable, match=r"no weights as safetensors.*the parameter Weights"):
        bring(hub, s3)
    assert there(s3) == {}


def test_an_index_that_names_a_file_that_is_not_there_is_told(hub: Hub, s3: S3Client, fake: FakeHub) -> None:
    fake.models[MODEL][COMMIT].pop("model-2-of-2.safetensors")
    with pytest.raises(WeightsUnavailable, match=r"lacks model-2-of-2\.safetensors"):
        bring(hub, s3)


def test_a_revision_that_is_not_there_is_told(hub: Hub, s3: S3Client) -> None:
    with pytest.raises(WeightsUnavailable, match="org/model has no revision v9: look at ModelRevision"):
        bring(hub, s3, revision="v9")


def test_a_gated_model_without_a_token_says_what_to_do(hub: Hub, s3: S3Client, fake: FakeHub) -> None:
    fake.gated.add(MODEL)
    with pytest.raises(WeightsUnavailable, match=r"gated: accept its terms on the hub, and .* HubTokenSecretArn"):
        bring(hub, s3)
    assert there(s3) == {}


@pytest.mark.parametrize(
    ("name", "told"), [("org/none", "shows no model org/none"), ("a/b/c", "is no name of a model")]
)
def test_a_model_that_is_not_there_is_told(hub: Hub, s3: S3Client, name: str, told: str) -> None:
    with pytest.raises(WeightsUnavailable, match=f"{told}.*look at Model"):
        weights.bring(hub, Place(s3, URI), name, "main", print)


def test_a_hub_that_is_down_is_told(hub: Hub, s3: S3Client, fake: FakeHub) -> None:
    fake.down = True
    with pytest.raises(WeightsUnavailable, match="answers 503 for org/model"):
        bring(hub, s3)


def test_a_hub_that_nobody_answers_for_is_told(s3: S3Client) -> None:
    with FakeHub().serve() as address:
        hub = Hub(address)
    with pytest.raises(WeightsUnavailable, match="answers nothing for org/model"):
        bring(hub, s3)


@pytest.mark.parametrize("uri", ["https://data/models/", "s3://data", "s3:///models/", "s3://data/models"])
def test_a_place_is_a_folder_of_a_bucket(s3: S3Client, uri: str) -> None:
    with pytest.raises(WeightsUnavailable, match="write s3://BUCKET/PREFIX/"):
        Place(s3, uri)


def test_a_wrong_call_is_told_how(capsys: pytest.CaptureFixture[str]) -> None:
    assert weights.main(["org/model"]) == 2
    assert "MODEL REVISION s3://BUCKET/PREFIX/" in capsys.readouterr().err


def test_what_cannot_be_had_ends_with_one_line(capsys: pytest.CaptureFixture[str], s3: S3Client) -> None:
    assert weights.main(["a/b/c", "main", URI]) == 1
    told = capsys.readouterr().err.splitlines()
    assert told == ["weights: a/b/c is no name of a model on the hub: look at Model"]
