"""What can be known to be wrong before anything is started: templates, placeholders, the shape of the input."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from batchmill.adapters.jinja import JinjaTemplates
from batchmill.adapters.json_schema import JsonSchemas
from batchmill.commands.local_objects import LocalObjects, told
from batchmill.contracts.plan import PlanDocument
from batchmill.contracts.spec import BatchSpec
from batchmill.domain.errors import EmptyInput, FirstRowsFailed, InputInvalid, InputMissing, SpecInvalid
from batchmill.ports.objects import ObjectInfo, Objects
from batchmill.steps.planning.looking import Looking
from batchmill.steps.shard.bodies import body_source, check_repair, fixed_schema
from batchmill.steps.shard.rendering import Renderer
from batchmill.steps.shard.sampling import Sample
from batchmill.steps.shard.trying import try_beginning


@dataclass(frozen=True)
class Peek:
    """What the beginning of a local file shows."""

    path: str
    sample: Sample


def peek(paths: Sequence[str], spec: BatchSpec) -> list[Peek]:
    """Look at local files with the plan's own eyes, empty ones and lists of inputs left out.

    Raises InputMissing; InputInvalid for a file that cannot be read as what it should be, or that does not agree with
    the first; EmptyInput if all are empty.
    """
    from batchmill.adapters.parquet import ParquetTables
    from batchmill.adapters.zstd import unpacked

    if spec.manifest or not paths:
        return []
    files = cast(Objects, LocalObjects(_nowhere))
    try:
        found = [ObjectInfo("", path, Path(path).stat().st_size, "") for path in paths]
        looked = Looking(files, ParquetTables(files), unpacked)(found, spec)
    except OSError as error:
        raise InputMissing(f"{error.filename}: {error.strerror}") from None
    except EmptyInput:
        raise EmptyInput(f"{', '.join(paths)}: no rows: the file is empty (0 bytes)") from None
    except InputInvalid as error:
        raise InputInvalid(told(str(error))) from None
    return [Peek(found[i].key, one) for i, one in sorted(looked.samples.items())]


def _nowhere() -> Objects:
    raise AssertionError("only files are looked at")


def check(spec: BatchSpec, peeks: Sequence[Peek]) -> list[str]:
    """Warnings, one line each. Raises SpecInvalid for what cannot work whatever the rows hold, and FirstRowsFailed."""
    if not peeks:
        check_bodies(spec)
        return []
    first = peeks[0]
    openai = first.sample.format == "openai"
    if openai and spec.ways:
        raise SpecInvalid(
            f"{first.path}: OpenAI batch lines carry their own bodies: remove {spec.ways[0]}, or say --format jsonl"
        )
    if not openai and not spec.ways:
        raise SpecInvalid(_no_way(spec, first))
    check_bodies(spec)
    renderer = _renderer(spec, first.sample)
    warnings = [] if openai else [line for item in peeks for line in _unknown(item, renderer.asked, spec)]
    for item in peeks:
        try:
            try_beginning(renderer, item.sample)
        except FirstRowsFailed as error:
            raise FirstRowsFailed(error.code, "\n".join([f"{item.path}: {error}", *warnings])) from None
    return warnings


def check_bodies(spec: BatchSpec) -> None:
    """What a spec says of requests, as far as it can be told without rows. Raises SpecInvalid."""
    if spec.ways:
        JinjaTemplates().compile(body_source(spec))  # the very compiler that will render
    schema = fixed_schema(spec)
    if schema is not None:
        JsonSchemas().compile(schema)
    check_repair(spec)


def _renderer(spec: BatchSpec, sample: Sample) -> Renderer:
    """As a worker's, for these rows."""
    document = PlanDocument(
        batch_id="",
        run=0,
        spec=spec,
        format=sample.format,
        objects=(),
        columns=(),
        header=sample.header,
        shards=0,
        rows_estimated=0,
        model=spec.model or sample.model or "",
        fingerprint="",
    )
    return Renderer(document, JinjaTemplates(), JsonSchemas())


def _no_way(spec: BatchSpec, item: Peek) -> str:
    chat = spec.endpoint.endswith("completions")
    column = item.sample.columns[-1] if item.sample.columns else "column"
    option = "--prompt" if chat else "--input"
    text = (
        f"{spec.endpoint} needs {option}, a template of what is sent for a row, such as {option} '{{{{ {column} }}}}'"
    )
    columns = ", ".join(item.sample.columns)
    return f"{text}; {item.path} has the columns {columns}" if columns else text


def _unknown(item: Peek, wanted: frozenset[str], spec: BatchSpec) -> Iterator[str]:
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
