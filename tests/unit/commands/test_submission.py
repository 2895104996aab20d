from pathlib import Path

import pytest

from batchmill.commands import submission
from batchmill.contracts.spec import BatchSpec
from batchmill.domain.errors import InputMissing, SpecInvalid


def test_params_are_json_where_they_can_be_and_text_where_not() -> None:
    given = submission.parse_params(["temperature=0.2", "stop=END", '{"max_tokens": 5, "echo": true}', "empty="])
    assert given == {"temperature": 0.2, "stop": "END", "max_tokens": 5, "echo": True, "empty": ""}


@pytest.mark.parametrize("text", ["temperature", "=3", "{bad"])
def test_params_of_no_known_form_are_refused(text: str) -> None:
    with pytest.raises(SpecInvalid, match="--params"):
        submission.parse_params([text])


def test_columns_may_be_all_none_or_named() -> None:
    assert submission.parse_columns("all") is None
    assert submission.parse_columns("none") == []
    assert submission.parse_columns("a, b,") == ["a", "b"]


def test_an_option_wins_over_the_profile() -> None:
    profile = {"endpoint": "/v1/embeddings", "input": "{{ a }}", "params": {"x": 1, "y": 1}}
    spec = submission.build_spec({"endpoint": None, "params": {"y": 2}, "name": "n"}, profile)
    assert (spec.endpoint, spec.input, spec.params, spec.name) == ("/v1/embeddings", "{{ a }}", {"x": 1, "y": 2}, "n")


def test_one_way_to_a_body_replaces_the_profiles() -> None:
    profile = {"endpoint": "/v1/chat/completions", "prompt": "{{ a }}", "system": "s"}
    spec = submission.build_spec({"body": {"messages": []}}, profile)
    assert spec.prompt is None
    assert spec.system is None
    assert spec.body == {"messages": []}


def test_labels_mean_classify_and_its_params() -> None:
    spec = submission.build_spec({"input": "{{ a }}", "labels": ["x", "y"]}, {})
    assert (spec.endpoint, spec.params) == ("/v1/classify", {"labels": ["x", "y"]})
    with pytest.raises(SpecInvalid, match="--labels goes with /v1/classify"):
        submission.build_spec({"endpoint": "/v1/embeddings", "input": "{{ a }}", "labels": ["x"]}, {})


def test_a_wrong_field_of_a_profile_names_the_profile_and_the_field() -> None:
    with pytest.raises(SpecInvalid, match=r"tickets\.yaml: temprature: no such field"):
        submission.build_spec({}, {"temprature": 1}, "tickets.yaml")


def test_the_same_submission_has_the_same_id_however_it_was_spelt() -> None:
    plain = BatchSpec.model_validate({"prompt": "{{ a }}", "params": {"b": 1, "a": 2}})
    spelt = BatchSpec.model_validate({"prompt": "{{ a }}", "params": {"a": 2, "b": 1}, "completion_window": "24h"})
    inputs = [("bucket", "key", "v1")]
    assert submission.submission_id(inputs, plain) == submission.submission_id(inputs, spelt)
    assert submission.submission_id([("bucket", "key", "v2")], plain) != submission.submission_id(inputs, plain)


def test_directories_and_globs_are_expanded_in_order_and_once(tmp_path: Path) -> None:
    for name in ("b.csv", "a.csv", ".hidden", "c.txt"):
        (tmp_path / name).write_text("x")
    (tmp_path / "sub").mkdir()
    found = submission.expand([str(tmp_path / "*.csv"), str(tmp_path), "s3://bucket/key"])
    assert found == [*(str(tmp_path / name) for name in ("a.csv", "b.csv", "c.txt")), "s3://bucket/key"]


def test_a_name_with_glob_characters_in_it_is_a_file_first(tmp_path: Path) -> None:
    path = tmp_path / "data[1].csv"
    path.write_text("x")
    assert submission.expand([str(path)]) == [str(path)]


def test_what_names_no_file_is_missing(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for argument in ("nothing.csv", "empty", "*.nope"):
        with pytest.raises(InputMissing, match=r"no such file|no file in it"):
            submission.expand([str(tmp_path / argument)])


@pytest.mark.parametrize(
    ("text", "said"),
    [(b"a: [", "line 1: not YAML"), (b"- a", "a mapping is needed, not list"), (b"\xff\xfe\xff", "not UTF-8 text")],
)
def test_a_file_that_holds_no_mapping_is_refused_with_its_place(tmp_path: Path, text: bytes, said: str) -> None:
    path = tmp_path / "p.yaml"
    path.write_bytes(text)
    with pytest.raises(SpecInvalid, match=said):
        submission.load_mapping(path, "profile")


def test_a_file_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(SpecInvalid, match="No such file"):
        submission.load_mapping(tmp_path / "p.yaml", "profile")
