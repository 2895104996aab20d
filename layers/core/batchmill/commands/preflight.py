"""What can be known to be wrong before anything is started: templates, placeholders, the shape of the input."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from jinja2 import Environment, meta

from batchmill.adapters.jinja import JinjaTemplates
from batchmill.contracts.spec import BatchSpec
from batchmill.domain.errors import EmptyInput, InputInvalid, InputMissing, SpecInvalid
from batchmill.ports.objects import ObjectInfo, Objects
from batchmill.steps.shard.rendering import body_source
from batchmill.steps.shard.sampling import Sample, sample

_WAYS = ("prompt", "input", "body")
_ROW = "row"
"""The name by which a template reaches all columns."""


@dataclass(frozen=True)
class Peek:
    """What the beginning of a local file shows."""

    path: str
    sample: Sample


class _LocalFiles:
    """The one method of `Objects` that sampling calls, over local files."""

    def read(self, pinned: ObjectInfo, start: int, end: int) -> bytes:
        with Path(pinned.key).open("rb") as file:
            file.seek(start)
            return file.read(end - start)


def peek(paths: Sequence[str], spec: BatchSpec) -> list[Peek]:
    """Look at local files with the plan's own eyes, empty ones left out.

    Raises InputMissing, InputInvalid for a file that cannot be read as what it should be, EmptyInput if all are empty.
    """
    found = []
    for path in paths:
        try:
            size = Path(path).stat().st_size
            if size:
                info = ObjectInfo("", path, size, "")
                found.append(Peek(path, sample(cast(Objects, _LocalFiles()), info, spec.format)))
        except OSError as error:
            raise InputMissing(f"{path}: {error.strerror}") from None
        except InputInvalid as error:
            raise InputInvalid(str(error).replace(f"s3:///{path}", path)) from None
    if paths and not found:
        raise EmptyInput(f"{', '.join(paths)}: no rows: the file is empty (0 bytes)")
    return found


def check(spec: BatchSpec, peeks: Sequence[Peek]) -> list[str]:
    """Warnings, one line each. Raises SpecInvalid for what cannot work whatever the rows hold."""
    if not peeks:
        return []
    first = peeks[0]
    for other in peeks[1:]:
        if other.sample.format != first.sample.format or other.sample.header != first.sample.header:
            what = "format" if other.sample.format != first.sample.format else "header"
            raise InputInvalid(f"{other.path}: its {what} differs from {first.path}'s: submit a batch for each")
    if first.sample.format == "openai":
        _no_template(spec, first)
        return []
    wanted = _wanted(spec, first)
    return [warning for item in peeks for warning in _unknown(item, wanted, spec)]


def _no_template(spec: BatchSpec, item: Peek) -> None:
    given = [name for name in _WAYS if getattr(spec, name) is not None]
    if given:
        raise SpecInvalid(
            f"{item.path}: OpenAI batch lines carry their own bodies: remove {given[0]}, or say --format jsonl"
        )


def _wanted(spec: BatchSpec, item: Peek) -> set[str]:
    """The columns that the spec's template asks for."""
    if all(getattr(spec, name) is None for name in _WAYS):
        raise SpecInvalid(_no_way(spec, item))
    source = body_source(spec)
    JinjaTemplates().compile(source)  # syntax errors come from the very compiler that will render
    return _placeholders(source) - {_ROW}


def _no_way(spec: BatchSpec, item: Peek) -> str:
    chat = spec.endpoint.endswith("completions")
    column = item.sample.columns[-1] if item.sample.columns else "column"
    option = "--prompt" if chat else "--input"
    text = (
        f"{spec.endpoint} needs {option}, a template of what is sent for a row, such as {option} '{{{{ {column} }}}}'"
    )
    columns = ", ".join(item.sample.columns)
    return f"{text}; {item.path} has the columns {columns}" if columns else text


def _placeholders(source: object) -> set[str]:
    if isinstance(source, str):
        return set(meta.find_undeclared_variables(Environment(autoescape=False).parse(source)))
    if isinstance(source, dict):
        return set().union(*(_placeholders(value) for value in source.values()))
    if isinstance(source, list):
        return set().union(*(_placeholders(value) for value in source))
    return set()


def _unknown(item: Peek, wanted: set[str], spec: BatchSpec) -> Iterator[str]:
    columns = item.sample.columns
    if not columns:
        return
    if lacking := [name for name in spec.columns or () if item.sample.header and name not in columns]:
        raise SpecInvalid(f"--columns: {lacking[0]!r} is not among {item.path}'s: {', '.join(columns)}")
    asked = [("the template", name) for name in sorted(wanted)]
    asked += [("--columns", name) for name in spec.columns or ()]
    asked += [("--custom-id", spec.custom_id)] if spec.custom_id else []
    for what, name in asked:
        if name not in columns:
            near = difflib.get_close_matches(name, columns, n=3, cutoff=0.5)
            hint = f"did you mean {' or '.join(near)}?" if near else f"it has {', '.join(columns)}"
            yield f"{what} asks for {name!r}, which {item.path} does not have: {hint}"
