"""A data folder: what an embedded stack keeps on disk.

    lock          held by the stack that uses the folder, as long as its process lives
    state.db      SQLite: the object versions, table items, messages and events that there are
    bodies/       one file an object version, named by chance: no key of a user's is ever part of a path
    secrets.json  what secrets hold, for the folder's owner alone

A row is the truth: a body is written before its row, and removed after its row has gone; bodies without a row are
removed when the folder is opened. So a process killed at any moment leaves a folder that loads. Nothing is synced
to the disk on the way: a power cut may leave rows whose bodies are cut off, and such a folder is refused.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import sqlite3
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from batchmill.domain.errors import UserError
from batchmill.local.keeping.durability import NotKept

FORMAT = 1
_BLOCK = 1024 * 1024
_SCHEMA = """
BEGIN;
CREATE TABLE objects (seq INTEGER PRIMARY KEY AUTOINCREMENT, bucket TEXT NOT NULL, key TEXT NOT NULL,
                      version TEXT NOT NULL, about TEXT NOT NULL, body TEXT, UNIQUE (bucket, key, version));
CREATE TABLE items (owner TEXT NOT NULL, key TEXT NOT NULL, item TEXT NOT NULL, PRIMARY KEY (owner, key)) WITHOUT ROWID;
CREATE TABLE messages (seq INTEGER PRIMARY KEY AUTOINCREMENT, queue TEXT NOT NULL, id TEXT NOT NULL UNIQUE,
                       body TEXT NOT NULL);
CREATE TABLE events (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, event TEXT NOT NULL);
PRAGMA user_version = 1;
COMMIT;
"""


class DataFolderUnusable(UserError):
    """The folder cannot be used: another stack has it, it is not ours, or it is damaged. The message says which."""

    code = "data_folder_unusable"


@dataclass(frozen=True)
class KeptVersion:
    """One version of an object. `body` is None for a delete marker; `about` is what its keeper wrote of it."""

    key: str
    version: str
    about: Mapping[str, Any]
    body: Path | None


class Changes:
    """One transaction. Bodies whose rows go are collected, to be removed once it is committed."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self.orphans: list[str] = []

    def put_version(self, bucket: str, key: str, version: str, about: Mapping[str, Any], body: str | None) -> None:
        """Keep a version as the newest of its key, in the place of one with the same id. `body`: from `write_body`."""
        self.drop_version(bucket, key, version)
        row = (bucket, key, version, json.dumps(about), body)
        self._db.execute("INSERT INTO objects (bucket, key, version, about, body) VALUES (?, ?, ?, ?, ?)", row)

    def drop_version(self, bucket: str, key: str, version: str) -> None:
        """Forget a version, if it is there."""
        row = (bucket, key, version)
        found = self._db.execute("SELECT seq, body FROM objects WHERE bucket = ? AND key = ? AND version = ?", row)
        for seq, body in found.fetchall():
            self._db.execute("DELETE FROM objects WHERE seq = ?", (seq,))
            self.orphans += [body] if body else []

    def put_item(self, table: str, key: str, item: str) -> None:
        """Keep a table's item."""
        self._db.execute("INSERT OR REPLACE INTO items VALUES (?, ?, ?)", (table, key, item))

    def drop_item(self, table: str, key: str) -> None:
        """Forget a table's item, if it is there."""
        self._db.execute("DELETE FROM items WHERE owner = ? AND key = ?", (table, key))

    def put_message(self, queue: str, name: str, body: str) -> None:
        """Keep a message of a queue."""
        self._db.execute("INSERT INTO messages (queue, id, body) VALUES (?, ?, ?)", (queue, name, body))

    def drop_message(self, name: str) -> None:
        """Forget a message, if it is there."""
        self._db.execute("DELETE FROM messages WHERE id = ?", (name,))

    def put_event(self, event: Mapping[str, Any]) -> None:
        """Keep an event that is yet to be published."""
        self._db.execute("INSERT INTO events (id, event) VALUES (?, ?)", (event["id"], json.dumps(event)))

    def drop_event(self, name: str) -> None:
        """Forget an event, if it is there."""
        self._db.execute("DELETE FROM events WHERE id = ?", (name,))


class DataFolder:
    """An open folder. Threads may share it. `close` gives it free; from then on every method raises NotKept."""

    def __init__(self, path: Path) -> None:
        """Open the folder, or make it. Raises DataFolderUnusable."""
        self.path, self._bodies = path, path / "bodies"
        self._lock = threading.RLock()
        self._db: sqlite3.Connection | None = None
        try:
            self._held = _locked(path)
        except OSError as error:
            raise DataFolderUnusable(f"{path}: cannot be a data folder: {error.strerror or error}") from None
        try:
            self._db = _opened(path)
            self._bodies.mkdir(exist_ok=True)
            self._check_bodies()
        except (OSError, sqlite3.Error) as error:
            self.close()
            raise DataFolderUnusable(f"{path}: cannot be read as a data folder: {error}") from None
        except DataFolderUnusable:
            self.close()
            raise

    def close(self) -> None:
        """Give the folder free. Again: does nothing."""
        with self._lock:
            if self._db is not None:
                self._db.close()
                self._db = None
            self._held.close()

    def versions(self, bucket: str) -> list[KeptVersion]:
        """Every version of a bucket's objects, oldest first."""
        rows = self._rows("SELECT key, version, about, body FROM objects WHERE bucket = ? ORDER BY seq", bucket)
        return [
            KeptVersion(key, version, json.loads(about), self._body(body) if body else None)
            for key, version, about, body in rows
        ]

    def version_ids(self, bucket: str, key: str) -> set[str]:
        """The ids of a key's versions."""
        rows = self._rows("SELECT version FROM objects WHERE bucket = ? AND key = ?", bucket, key)
        return {version for (version,) in rows}

    def items(self, table: str) -> dict[str, str]:
        """A table's items by key, as they were given."""
        return dict(self._rows("SELECT key, item FROM items WHERE owner = ?", table))

    def messages(self, queue: str) -> dict[str, str]:
        """A queue's messages by id, oldest first."""
        return dict(self._rows("SELECT id, body FROM messages WHERE queue = ? ORDER BY seq", queue))

    def events(self) -> list[dict[str, Any]]:
        """The events that were not noted as published, oldest first."""
        return [json.loads(event) for (event,) in self._rows("SELECT event FROM events ORDER BY seq")]

    def write_body(self, stream: IO[bytes]) -> str:
        """Write a body, from where the stream stands; its name, for `put_version`. Raises NotKept."""
        with self._lock:
            self._connection()
        name = uuid.uuid4().hex
        path = self._body(name)
        try:
            path.parent.mkdir(exist_ok=True)
            with path.open("xb") as file:
                shutil.copyfileobj(stream, file, _BLOCK)
        except OSError as error:
            path.unlink(missing_ok=True)
            raise NotKept(f"{self.path}: {error.strerror or error}") from error
        return name

    def read_private(self, name: str) -> str | None:
        """What `write_private` wrote; None where it never did. Raises DataFolderUnusable."""
        try:
            return (self.path / name).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise DataFolderUnusable(f"{self.path / name}: cannot be read: {error}") from None

    def write_private(self, name: str, text: str) -> None:
        """Put a file beside the rest, whole or not at all, that its owner alone may read. Raises NotKept."""
        part = self.path / f"{name}.new"
        with self._lock:
            self._connection()
            try:
                part.unlink(missing_ok=True)
                private = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(private, "w", encoding="utf-8") as file:
                    file.write(text)
                part.replace(self.path / name)
            except OSError as error:
                raise NotKept(f"{self.path}: {error.strerror or error}") from error

    def forget_bodies(self, names: list[str]) -> None:
        """Remove bodies that no row names. One that cannot be removed now is removed when the folder is next opened."""
        for name in names:
            try:
                self._body(name).unlink(missing_ok=True)
            except OSError:
                continue

    @contextmanager
    def changes(self) -> Iterator[Changes]:
        """A block whose changes are kept together or not at all. Raises NotKept."""
        with self._lock:
            db = self._connection()
            changes = Changes(db)
            try:
                with db:  # commits, or rolls back
                    db.execute("BEGIN IMMEDIATE")
                    yield changes
            except sqlite3.Error as error:
                raise NotKept(f"{self.path}: {error}") from error
        self.forget_bodies(changes.orphans)

    def _rows(self, query: str, *values: str) -> list[Any]:
        with self._lock:
            return self._connection().execute(query, values).fetchall()

    def _connection(self) -> sqlite3.Connection:
        if self._db is None:
            raise NotKept("the embedded stack is ending")
        return self._db

    def _body(self, name: str) -> Path:
        return self._bodies / name[:2] / name

    def _check_bodies(self) -> None:
        """Removes bodies without a row. Raises DataFolderUnusable for a row without its whole body."""
        there = {path.name: path for path in self._bodies.glob("*/*")}
        for bucket, key, about, body in self._rows("SELECT bucket, key, about, body FROM objects WHERE body NOT NULL"):
            path = there.pop(body, None)
            if path is None or path.stat().st_size != json.loads(about).get("size"):
                raise DataFolderUnusable(f"{self.path}: the body of s3://{bucket}/{key} is missing or cut off")
        for path in there.values():
            path.unlink()


def _locked(path: Path) -> IO[str]:
    path.mkdir(parents=True, exist_ok=True)
    strange = [entry.name for entry in path.iterdir() if entry.name != "lock"]
    if strange and not (path / "state.db").exists():
        raise DataFolderUnusable(f"{path}: holds {strange[0]} and is no data folder: name an empty or a new one")
    held = (path / "lock").open("a")
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        held.close()
        raise DataFolderUnusable(f"{path}: another embedded stack is using it") from None
    return held


def _opened(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path / "state.db", isolation_level=None, check_same_thread=False)
    try:
        # The log is appended to and not synced: what was committed outlives the process.
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        (found,) = db.execute("PRAGMA user_version").fetchone()
        if found == 0:
            db.executescript(_SCHEMA)
        elif found != FORMAT:
            raise DataFolderUnusable(f"{path}: made by another version of batchmill (format {found}, not {FORMAT})")
    except BaseException:
        db.close()
        raise
    return db
