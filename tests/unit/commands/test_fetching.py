from pathlib import Path

import pytest

from batchmill.commands.fetching import clear
from batchmill.domain.errors import UserError


def test_a_folder_that_is_not_there_is_made_before_the_work(tmp_path: Path) -> None:
    clear(tmp_path / "new", overwrite=False)
    assert list((tmp_path / "new" / "results").iterdir()) == []


def test_a_folder_that_cannot_be_made_is_said_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written to"):
        clear(tmp_path / "file" / "new", overwrite=False)


def test_overwriting_removes_results_and_nothing_else(tmp_path: Path) -> None:
    results = tmp_path / "results"
    results.mkdir()
    for path in (results / "part-00000.parquet", results / "notes.txt", tmp_path / "manifest.json", tmp_path / "mine"):
        path.write_text("x")
    with pytest.raises(UserError, match="--overwrite"):
        clear(tmp_path, overwrite=False)
    clear(tmp_path, overwrite=True)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["mine", "notes.txt", "results"]


@pytest.mark.parametrize("name", ["out", "out/results"])
def test_a_file_where_the_folder_is_to_be_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("x")
    with pytest.raises(UserError, match="a file, where a folder"):
        clear(tmp_path / "out", overwrite=True)
