"""moto's table items, written through to a data folder and brought back from it."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from moto.dynamodb.models.dynamo_type import DynamoType

from batchmill.local.keeping.folder import DataFolder
from batchmill.local.wire import action_of, json_body

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_OF_ONE = {"PutItem": "Item", "UpdateItem": "Key", "DeleteItem": "Key"}
_OF_MANY = {
    "BatchExecuteStatement",
    "BatchWriteItem",
    "ExecuteStatement",
    "ExecuteTransaction",
    "TransactWriteItems",
}


class KeptItems:
    """The items of some tables. Used under the lock of DynamoDB's front.

    `tables` gives moto's tables by name at every call: moto replaces them when a transaction fails.
    """

    def __init__(self, folder: DataFolder, names: Iterable[str], tables: Mapping[str, Any]) -> None:
        self._folder, self._names, self._tables = folder, set(names), tables
        self._changed: dict[tuple[str, str], Mapping[str, Any]] = {}

    def load(self) -> int:
        """Put back what the folder holds; how many items came back."""
        count = 0
        for name in self._names:
            for item in self._folder.items(name).values():
                self._tables[name].put_item(json.loads(item), overwrite=True)
                count += 1
        return count

    def save(self, environ: WSGIEnvironment) -> None:
        """Keep what a request has changed. Raises NotKept; what could not be kept is tried again at the next call."""
        for name, touched in self._touched(environ):
            self._changed[name, json.dumps(touched, sort_keys=True, default=_text)] = touched
        if not self._changed:
            return
        with self._folder.changes() as changes:
            for (name, key), attributes in self._changed.items():
                item = self._item(name, attributes)
                if item is None:
                    changes.drop_item(name, key)
                else:
                    changes.put_item(name, key, item)
        self._changed.clear()

    def _touched(self, environ: WSGIEnvironment) -> Iterator[tuple[str, dict[str, Any]]]:
        """The (table, key) of each item that a request may have changed."""
        action = action_of(environ)
        if action in _OF_ONE:
            environ["wsgi.input"].seek(0)
            body = json_body(environ)
            name = str(body.get("TableName", "")).rsplit("/", 1)[-1]  # a name, or an ARN
            if name in self._names & self._tables.keys() and isinstance(body.get(_OF_ONE[action]), dict):
                yield name, self._key_of(name, body[_OF_ONE[action]])
        elif action in _OF_MANY:  # nobody here writes this way: all are looked at rather than these understood
            for name in self._names & self._tables.keys():
                for item in list(self._tables[name].all_items()):
                    yield name, self._key_of(name, _plain(item))
                for key in self._folder.items(name):
                    yield name, json.loads(key)

    def _key_of(self, name: str, attributes: Mapping[str, Any]) -> dict[str, Any]:
        table = self._tables[name]
        names = [part for part in (table.hash_key_attr, table.range_key_attr) if part]
        return {part: attributes[part] for part in names if part in attributes}

    def _item(self, name: str, key: Mapping[str, Any]) -> str | None:
        """The item as it is in moto now, as JSON. None where there is none, or the key is no key of the table."""
        table = self._tables[name]
        parts = [DynamoType(key[part]) for part in (table.hash_key_attr, table.range_key_attr) if part in key]
        if len(parts) != 1 + bool(table.range_key_attr):
            return None
        found = table.get_item(*parts)
        return None if found is None else json.dumps(_plain(found), default=_text)


def _plain(item: Any) -> dict[str, Any]:
    """An item in DynamoDB's own JSON, binary values as bytes."""
    return {name: value.to_regular_json() for name, value in item.attrs.items()}


def _text(value: Any) -> str:
    """A binary value as DynamoDB's JSON has it."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    raise TypeError(f"an item cannot hold a {type(value).__name__}")
