from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

import batchmill
from batchmill.local.keeping.folder import DataFolder, DataFolderUnusable
from batchmill.local.stack import Stack, StackOptions, worker_environment

ENDPOINT = "http://127.0.0.1:5000"


def test_a_worker_keeps_the_shells_variables() -> None:
    environment = worker_environment({"PATH": "/bin", "HF_HOME": "/models"}, ENDPOINT)

    assert (environment["PATH"], environment["HF_HOME"]) == ("/bin", "/models")


@pytest.mark.parametrize("name", ["AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3", "BATCHMILL_TABLE"])
def test_no_account_and_no_stale_setting_of_the_user_reaches_a_worker(name: str) -> None:
    assert name not in worker_environment({name: "mine"}, ENDPOINT)


def test_a_worker_talks_to_the_stack_and_to_no_account() -> None:
    mine = {"AWS_ACCESS_KEY_ID": "mine", "AWS_ENDPOINT_URL": "https://else.example", "AWS_REGION": "eu-west-1"}

    environment = worker_environment(mine, ENDPOINT)

    assert environment["AWS_ENDPOINT_URL"] == ENDPOINT
    assert environment["AWS_ACCESS_KEY_ID"] == "batchmill"
    assert environment["AWS_REGION"] == environment["AWS_DEFAULT_REGION"] == "us-east-1"


@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy"])
def test_a_proxy_is_not_asked_for_this_machine(name: str) -> None:
    environment = worker_environment({"HTTP_PROXY": "http://proxy:3128", name: "intranet"}, ENDPOINT)

    assert environment[name] == "intranet,127.0.0.1,localhost"


def test_a_worker_imports_this_package() -> None:
    paths = worker_environment({"PYTHONPATH": "/more"}, ENDPOINT)["PYTHONPATH"].split(":")

    assert paths == [str(Path(batchmill.__file__).parents[1]), "/more"]


def test_stop_before_start_does_nothing() -> None:
    stack = Stack(StackOptions(Path("template.yaml")))

    stack.stop()

    with pytest.raises(RuntimeError, match="not started"):
        stack.client("s3")


def test_a_data_folder_in_use_is_refused_before_anything_starts(tmp_path: Path) -> None:
    stack = Stack(StackOptions(Path("template.yaml"), data_folder=tmp_path))
    with closing(DataFolder(tmp_path)), pytest.raises(DataFolderUnusable, match="another embedded stack"):
        stack.start()
    assert stack.endpoint_url == ""
