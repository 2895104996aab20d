from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

import pytest

from batchmill.local.keeping.durability import NotKept
from batchmill.local.keeping.folder import DataFolder, DataFolderUnusable
from batchmill.local.keeping.secrets import FILE, kept_secrets


@pytest.mark.parametrize("mask", [0, 0o077])
def test_the_file_is_for_its_owner_alone_whatever_the_umask(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        with closing(DataFolder(tmp_path)) as folder:
            (tmp_path / FILE).write_text("{}")
            folder.write_private(FILE, '{"a": "b"}')
            assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
            assert kept_secrets(folder) == {"a": "b"}
    finally:
        os.umask(before)


def test_a_folder_that_never_had_any_has_none(tmp_path: Path) -> None:
    with closing(DataFolder(tmp_path)) as folder:
        assert kept_secrets(folder) == {}


def test_what_a_kill_left_of_a_write_does_not_stand_in_the_way(tmp_path: Path) -> None:
    with closing(DataFolder(tmp_path)) as folder:
        (tmp_path / f"{FILE}.new").write_text("half")
        folder.write_private(FILE, '{"a": "b"}')
        assert kept_secrets(folder) == {"a": "b"}
        assert not (tmp_path / f"{FILE}.new").exists()


def test_a_closed_folder_takes_no_secret_for_another_stack_may_have_it(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    folder.close()
    with pytest.raises(NotKept):
        folder.write_private(FILE, "{}")
    assert not (tmp_path / FILE).exists()


@pytest.mark.parametrize("damaged", [b"{", b"[]", b"\xff"])
def test_a_damaged_file_is_told_with_its_name_and_not_with_what_it_holds(tmp_path: Path, damaged: bytes) -> None:
    with closing(DataFolder(tmp_path)) as folder:
        (tmp_path / FILE).write_bytes(damaged)
        with pytest.raises(DataFolderUnusable, match=FILE):
            kept_secrets(folder)
