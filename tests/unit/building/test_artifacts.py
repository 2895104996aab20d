"""That what is built is read as it lies there, and that what does not fit is found."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from building import artifacts
from building.__main__ import WITHOUT_ARROW, misfits

X86, ARM = 62, 183


def elf(path: Path, machine: int) -> Path:
    """A file with an ELF header for a machine."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x7fELF" + bytes(14) + machine.to_bytes(2, "little"))
    return path


@pytest.fixture
def build(tmp_path: Path) -> Path:
    """A build of two functions: both with the core layer, one with pyarrow."""
    document = {
        "Globals": {"Function": {"Layers": [{"Ref": "Core"}]}},
        "Resources": {
            "Core": {"Type": "AWS::Serverless::LayerVersion", "Properties": {"ContentUri": "Core"}},
            "Arrow": {"Type": "AWS::Serverless::LayerVersion", "Properties": {"ContentUri": "Arrow"}},
            "Plan": {"Type": "AWS::Serverless::Function", "Properties": {"Handler": "plan.handler", "CodeUri": "Plan"}},
            "Land": {
                "Type": "AWS::Serverless::Function",
                "Properties": {"Handler": "land.handler", "CodeUri": "Land", "Layers": [{"Ref": "Arrow"}]},
            },
        },
    }
    (tmp_path / "template.yaml").write_text(json.dumps(document))
    for name, size in {"Core/python/core.py": 100, "Arrow/python/pyarrow/lib.py": 1000, "Plan/plan.py": 10}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b" " * size)
    (tmp_path / "Land").mkdir()
    return tmp_path


def test_a_functions_size_is_its_codes_with_its_layers(build: Path) -> None:
    assert {artifact.name: artifact.size for artifact in artifacts.read(build)} == {"Plan": 110, "Land": 1100}


def test_modules_are_looked_for_in_the_code_first_then_in_each_layer(build: Path) -> None:
    land = artifacts.read(build)[1]
    assert land.path == [str(build / "Land"), str(build / "Core/python"), str(build / "Arrow/python")]
    assert (land.module, land.has("pyarrow")) == ("land", True)


def test_an_extension_for_another_machine_is_found_by_its_header(build: Path) -> None:
    elf(build / "Core/python/good.cpython-313-aarch64-linux-gnu.so", ARM)
    elf(build / "Core/python/bad.so.1", X86)
    assert list(artifacts.foreign(build, "arm64")) == ["Core/python/bad.so.1 is for x86_64"]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("a.cpython-313-x86_64-linux-gnu.so", "named for another machine"),
        ("a.cpython-312-aarch64-linux-gnu.so", "another Python"),
    ],
)
def test_an_extension_named_for_another_machine_or_python_is_found(build: Path, name: str, why: str) -> None:
    elf(build / "Core/python" / name, ARM)
    [problem] = artifacts.foreign(build, "arm64")
    assert why in problem


def test_a_file_that_only_ends_like_an_extension_is_for_every_machine(build: Path) -> None:
    (build / "Core/python/text.so").write_text("not a library")
    assert misfits(build, "arm64") == []


def test_a_function_without_pyarrow_may_have_25_mb_and_one_with_it_more(build: Path) -> None:
    for name in ("Plan/big", "Land/big"):
        with (build / name).open("wb") as file:
            file.truncate(WITHOUT_ARROW)
    [problem] = misfits(build, "arm64")
    assert problem == "Plan has 25.0 MB unzipped, over 25.0"
