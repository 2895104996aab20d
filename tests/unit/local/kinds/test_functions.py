from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from batchmill.local import blocking
from batchmill.local.kinds.functions import blocked_modules
from batchmill.local.translate import Template

REQUIREMENTS = "# by hand\npyarrow==26.0.1 \\\n    --hash=sha256:00\nAws-Lambda-Powertools>=3\n-r other.txt\n"


@pytest.fixture
def template(tmp_path: Path) -> Template:
    resources = {}
    for name, requirements in {"core": "pydantic\n", "arrow": REQUIREMENTS, "bare": None}.items():
        (tmp_path / name).mkdir()
        if requirements is not None:
            (tmp_path / name / "requirements.txt").write_text(requirements)
        resources[name] = {
            "Type": "AWS::Lambda::LayerVersion",
            "Properties": {"Content": {"S3Bucket": "batchmill-local", "S3Key": name}},
        }
    return Template({"Resources": resources}, tmp_path)


def test_what_an_unattached_layer_brings_is_blocked(template: Template, tmp_path: Path) -> None:
    assert blocked_modules(template, (tmp_path / "core",)) == {"pyarrow", "aws_lambda_powertools"}


def test_what_an_attached_layer_brings_is_not_blocked(template: Template, tmp_path: Path) -> None:
    assert blocked_modules(template, (tmp_path / "core", tmp_path / "arrow")) == set()


@pytest.mark.parametrize("statement", ["import json", "from json import decoder", "import json.decoder"])
def test_a_blocked_module_is_as_if_it_were_not_installed(statement: str) -> None:
    code = f"try:\n    {statement}\nexcept ModuleNotFoundError as error:\n    print(error.name)"

    assert _run(code, "json,pyarrow").startswith("json")
    assert _run(code, "pyarrow") == ""
    assert _run(code, "") == ""


def _run(code: str, blocked: str) -> str:
    environment = {
        **os.environ,
        "PYTHONPATH": next(iter(blocking.__path__)),
        "BATCHMILL_BLOCKED_MODULES": blocked,
    }
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    return done.stdout
