"""The templates as data, with short forms such as `!Ref` spelt out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from batchmill.local.translate import read_template
from batchmill.settings import Settings

PROJECT = Path(__file__).parents[2]


class Template:
    """One template file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.document: dict[str, Any] = read_template(path)
        self.resources: dict[str, dict[str, Any]] = self.document["Resources"]

    def of(self, kind: str) -> dict[str, dict[str, Any]]:
        """Properties of every resource of a type, by logical id; `kind` may leave out the leading `AWS::`."""
        found = {name: item for name, item in self.resources.items() if item["Type"] == f"AWS::{kind}"}
        return {name: item.get("Properties", {}) for name, item in found.items()}

    def functions(self) -> dict[str, dict[str, Any]]:
        """Properties of every function, its environment and layers with those of Globals."""
        shared = self.document["Globals"]["Function"]
        return {
            name: {**shared, **own, **_merged(shared, own)} for name, own in self.of("Serverless::Function").items()
        }

    def statements(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Every policy statement with the logical id of the resource that it stands in."""
        for name, resource in self.resources.items():
            for found in walk(resource):
                if isinstance(found, dict) and "Effect" in found and "Action" in found:
                    yield name, found


def _merged(shared: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    variables = {**shared["Environment"]["Variables"], **own.get("Environment", {}).get("Variables", {})}
    return {"Environment": {"Variables": variables}, "Layers": [*shared["Layers"], *own.get("Layers", [])]}


def walk(value: Any) -> Iterator[Any]:
    """The value and everything in it."""
    yield value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from walk(item)


def as_list(value: Any) -> list[Any]:
    """A policy's one or many, as many."""
    return value if isinstance(value, list) else [value]


def named(value: Any) -> set[str]:
    """The logical ids and parameters that a value refers to."""
    refs = {found["Ref"] for found in walk(value) if isinstance(found, dict) and "Ref" in found}
    atts = {found["Fn::GetAtt"][0] for found in walk(value) if isinstance(found, dict) and "Fn::GetAtt" in found}
    subs = {name for text in walk(value) if isinstance(text, str) for name in re.findall(r"\$\{(\w+)", text)}
    return refs | atts | subs


class _Asked(Mapping[str, str]):
    """An environment with an answer for everything, that remembers what it was asked for."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.names.add(name)
        return "{}" if name == "BATCHMILL_POOLS" else "1"

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


def known_variables() -> set[str]:
    """The environment variables that the settings read."""
    asked = _Asked()
    Settings.read(asked)
    return asked.names


ROOT = Template(PROJECT / "template.yaml")
POOL = Template(PROJECT / "workers/pool.yaml")
NETWORK = Template(PROJECT / "workers/network.yaml")
BUILD = Template(PROJECT / "workers/build.yaml")
NESTED = {"Pool": POOL, "Network": NETWORK, "Build": BUILD}
TEMPLATES = {"root": ROOT, **NESTED}
