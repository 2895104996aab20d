from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchmill.local.keeping.durability import NotKept
from batchmill.local.keeping.folder import DataFolder, DataFolderUnusable

KEYS = ["a", "a/b", "../../a", "..", "/", "ключ ☂", "a\x00b", "x" * 1024]
VERSIONS = ["null", "v1", "v2"]
PLACES = st.tuples(st.sampled_from(["one", "two"]), st.sampled_from(KEYS), st.sampled_from(VERSIONS))
CHANGES = st.one_of(
    st.tuples(st.just("put"), PLACES, st.one_of(st.none(), st.binary(max_size=40))),
    st.tuples(st.just("drop"), PLACES, st.none()),
    st.tuples(st.just("item"), PLACES, st.one_of(st.none(), st.text(max_size=9))),
    st.tuples(st.just("reopen"), st.none(), st.none()),
)


def put(folder: DataFolder, bucket: str, key: str, version: str, body: bytes | None) -> None:
    name = None if body is None else folder.write_body(BytesIO(body))
    with folder.changes() as changes:
        changes.put_version(bucket, key, version, {"size": None if body is None else len(body)}, name)


def versions(folder: DataFolder, bucket: str) -> list[tuple[str, str, bytes | None]]:
    found = folder.versions(bucket)
    return [(one.key, one.version, None if one.body is None else one.body.read_bytes()) for one in found]


def files(path: Path) -> int:
    return sum(1 for file in path.rglob("*") if file.is_file() and not file.name.startswith(("lock", "state.db")))


class Expected:
    """What a folder is to hold, after any changes."""

    def __init__(self) -> None:
        self.versions: dict[tuple[str, str, str], bytes | None] = {}
        self.items: dict[tuple[str, str], str] = {}

    def of(self, bucket: str) -> list[tuple[str, str, bytes | None]]:
        return [(key, version, body) for (at, key, version), body in self.versions.items() if at == bucket]

    def change(self, folder: DataFolder, what: str, place: tuple[str, str, str], value: Any) -> None:
        bucket, key, version = place
        if what == "put":
            put(folder, bucket, key, version, value)
            self.versions.pop(place, None)  # an overwritten version is the newest
            self.versions[place] = value
        elif what == "drop":
            with folder.changes() as changes:
                changes.drop_version(*place)
            self.versions.pop(place, None)
        elif value is None:
            with folder.changes() as changes:
                changes.drop_item(bucket, key)
            self.items.pop((bucket, key), None)
        else:
            with folder.changes() as changes:
                changes.put_item(bucket, key, value)
            self.items[bucket, key] = value


@settings(deadline=None, max_examples=40)
@given(st.lists(CHANGES, max_size=25))
def test_any_sequence_of_changes_reads_the_same_after_opening_again(steps: list[tuple[str, Any, Any]]) -> None:
    with TemporaryDirectory() as name:
        path, expected = Path(name, "data"), Expected()
        folder = DataFolder(path)
        try:
            for what, place, value in [*steps, ("reopen", None, None)]:
                if what == "reopen":
                    folder.close()
                    folder = DataFolder(path)
                else:
                    expected.change(folder, what, place, value)
                for bucket in ("one", "two"):
                    assert versions(folder, bucket) == expected.of(bucket)
                    items = {key: item for (at, key), item in expected.items.items() if at == bucket}
                    assert folder.items(bucket) == items
            assert files(path) == sum(body is not None for body in expected.versions.values())
        finally:
            folder.close()


def test_messages_and_events_come_back_in_order_until_they_are_dropped(tmp_path: Path) -> None:
    with closing(DataFolder(tmp_path)) as folder, folder.changes() as changes:
        for n in range(3):
            changes.put_message("q", f"m{n}", f"body {n}")
            changes.put_event({"id": f"e{n}", "n": n})
        changes.drop_message("m1")
        changes.drop_event("e0")
    with closing(DataFolder(tmp_path)) as folder:
        assert folder.messages("q") == {"m0": "body 0", "m2": "body 2"}
        assert [event["n"] for event in folder.events()] == [1, 2]


def test_changes_that_are_broken_off_leave_nothing(tmp_path: Path) -> None:
    with closing(DataFolder(tmp_path)) as folder:
        put(folder, "b", "k", "v", b"before")

        def broken_off() -> None:
            with folder.changes() as changes:
                changes.drop_version("b", "k", "v")
                changes.put_item("t", "k", "{}")
                raise NotKept("half way")

        with pytest.raises(NotKept):
            broken_off()
        assert versions(folder, "b") == [("k", "v", b"before")]
        assert folder.items("t") == {}


def test_no_key_becomes_a_path(tmp_path: Path) -> None:
    data = tmp_path / "deep" / "data"
    with closing(DataFolder(data)) as folder:
        for key in KEYS:
            put(folder, "..", key, "null", b"x")
    assert [entry.name for entry in tmp_path.iterdir()] == ["deep"]
    assert [entry.name for entry in data.parent.iterdir()] == ["data"]
    assert {len(file.name) for file in data.glob("bodies/*/*")} == {32}


def test_bodies_without_a_row_are_removed(tmp_path: Path) -> None:
    with closing(DataFolder(tmp_path)) as folder:
        put(folder, "b", "k", "v", b"body")
        folder.write_body(BytesIO(b"its process was killed before the row"))
    DataFolder(tmp_path).close()
    assert files(tmp_path) == 1


def test_a_folder_in_use_is_refused_until_it_is_free(tmp_path: Path) -> None:
    with closing(DataFolder(tmp_path)), pytest.raises(DataFolderUnusable, match="another embedded stack"):
        DataFolder(tmp_path)
    DataFolder(tmp_path).close()


def test_a_folder_of_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "bodies").mkdir()
    (tmp_path / "bodies" / "mine.txt").write_text("mine")
    with pytest.raises(DataFolderUnusable, match="no data folder"):
        DataFolder(tmp_path)
    assert (tmp_path / "bodies" / "mine.txt").read_text() == "mine"


def test_what_is_no_folder_or_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataFolderUnusable, match="cannot be a data folder"):
        DataFolder(tmp_path / "file")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "state.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(DataFolderUnusable, match="cannot be read"):
        DataFolder(tmp_path / "bad")


def test_a_folder_of_another_format_is_refused(tmp_path: Path) -> None:
    DataFolder(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "state.db")) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(DataFolderUnusable, match="format 99"):
        DataFolder(tmp_path)


def test_a_body_that_was_cut_off_is_told(tmp_path: Path) -> None:
    with closing(DataFolder(tmp_path)) as folder:
        put(folder, "b", "k", "v", b"the whole body")
    (body,) = tmp_path.glob("bodies/*/*")
    os.truncate(body, 3)
    with pytest.raises(DataFolderUnusable, match="s3://b/k is missing or cut off"):
        DataFolder(tmp_path)


def test_a_closed_folder_keeps_nothing_and_says_so(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    folder.close()
    folder.close()
    with pytest.raises(NotKept):
        folder.write_body(BytesIO(b"late"))
    with pytest.raises(NotKept), folder.changes():
        pass
    assert files(tmp_path) == 0


WRITER = """
import json, sys
from io import BytesIO
from pathlib import Path
from batchmill.local.keeping.folder import DataFolder
folder = DataFolder(Path(sys.argv[1]))
for n in range(1_000_000):
    body = folder.write_body(BytesIO(str(n).encode() * 1000))
    with folder.changes() as changes:
        changes.put_version("b", f"k{n % 7}", "null", {"size": len(str(n)) * 1000}, body)
        changes.put_item("t", "last", json.dumps(n))
    print(n, flush=True)
"""


@pytest.mark.parametrize("lines", [1, 40, 333])
def test_a_process_killed_at_any_moment_leaves_all_that_it_had_acknowledged(tmp_path: Path, lines: int) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[4] / "layers" / "core")}
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as writer:
        assert writer.stdout is not None
        for _ in range(lines):
            acknowledged = int(writer.stdout.readline())
        writer.send_signal(signal.SIGKILL)
        rest = writer.stdout.read().split("\n")[:-1]
    acknowledged = int(rest[-1]) if rest else acknowledged
    with closing(DataFolder(tmp_path)) as folder:
        last = json.loads(folder.items("t")["last"])
        assert last in (acknowledged, acknowledged + 1)
        kept = {key: body for key, _, body in versions(folder, "b")}
        newest = range(last, max(last - 7, -1), -1)
        assert kept == {f"k{n % 7}": str(n).encode() * 1000 for n in newest}
