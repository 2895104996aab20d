"""That names say what things are, and that no file knows the machine it was written on."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from architecture.tree import files, modules, shown

VAGUE = {"utils", "util", "helpers", "helper", "common", "misc", "tools", "base"}

# Written so that this file does not find itself.
PLACES = re.compile(r"/(?:tmp|work|root|home|Users)/|[-]-index-url|\"resolved\"")
REGISTRIES = re.compile(
    "|".join(
        re.escape(".".join(name))
        for name in [
            ("pypi", "org"),
            ("files", "pythonhosted", "org"),
            ("registry", "npmjs", "org"),
            ("download", "pytorch", "org"),
            ("docker", "io"),
            ("ghcr", "io"),
            ("quay", "io"),
            ("public", "ecr", "aws"),
        ]
    )
)


@pytest.mark.parametrize("path", modules(), ids=shown)
def test_no_module_has_a_name_that_says_nothing(path: Path) -> None:
    assert not VAGUE & {path.stem, *path.parent.parts[-2:]}


@pytest.mark.parametrize("path", files(), ids=shown)
def test_no_file_names_a_folder_of_a_machine_or_a_registrys_host(path: Path) -> None:
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return
    found = [line for line in text.splitlines() if PLACES.search(line) or REGISTRIES.search(line)]
    assert found == []
