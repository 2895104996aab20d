"""From options, files and profiles to one submission: a spec and its local or remote inputs."""

from __future__ import annotations

import glob
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import yaml

from batchmill.contracts.spec import WAYS, BatchSpec, parse_spec
from batchmill.domain import ids
from batchmill.domain.errors import InputMissing, SpecInvalid

S3_SCHEME = "s3://"
CLASSIFY = "/v1/classify"
_BESIDE = ("system", "image")
"""Fields that say more of a prompt."""


def load_mapping(path: Path, what: str) -> dict[str, object]:
    """A YAML (or JSON) file that holds one mapping. Raises SpecInvalid, with the place where it is no YAML."""
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SpecInvalid(f"{what} {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SpecInvalid(f"{what} {path}: not UTF-8 text") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}" if mark else ""
        raise SpecInvalid(f"{what} {path}{place}: not YAML: {getattr(error, 'problem', error)}") from None
    if not isinstance(data, dict):
        raise SpecInvalid(f"{what} {path}: a mapping is needed, not {type(data).__name__}")
    return data


def parse_params(values: Iterable[str]) -> dict[str, object]:
    """`--params` as given: a JSON object each, or `name=value` with value read as JSON where it is JSON.

    Raises SpecInvalid for anything else.
    """
    params: dict[str, object] = {}
    for value in values:
        if value.lstrip().startswith("{"):
            params.update(_json_object(value))
            continue
        name, equals, text = value.partition("=")
        if not equals or not name.strip():
            raise SpecInvalid(f"--params {value}: write name=value or a JSON object")
        params[name.strip()] = _json_or_text(text)
    return params


def _json_object(text: str) -> dict[str, object]:
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise SpecInvalid(f"--params {text}: not JSON: {error.msg} at column {error.colno}") from None
    assert isinstance(data, dict)  # it began with a brace
    return data


def _json_or_text(text: str) -> object:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def parse_columns(text: str) -> list[str] | None:
    """`all` is None (every column), `none` is [], else the names between commas."""
    if text == "all":
        return None
    return [] if text == "none" else [name.strip() for name in text.split(",") if name.strip()]


def build_spec(options: Mapping[str, object], profile: Mapping[str, object], source: str = "the options") -> BatchSpec:
    """The spec of options laid over a profile: an option given wins, and one way to a body replaces the profile's.

    `options` holds a spec's fields, None for what was not given, and `labels` (a sequence) beside them.
    Raises SpecInvalid.
    """
    given = {name: value for name, value in options.items() if value is not None and name not in ("labels", "params")}
    base = dict(profile)
    if any(name in given for name in WAYS):
        base = {name: value for name, value in base.items() if name not in (*WAYS, *_BESIDE)}
    merged: dict[str, object] = {**base, **given}
    params = {**_mapping(base.get("params")), **_mapping(options.get("params"))}
    labels = options.get("labels")
    if isinstance(labels, Sequence) and labels:
        params["labels"] = list(labels)
        if merged.setdefault("endpoint", CLASSIFY) != CLASSIFY:
            raise SpecInvalid(f"--labels goes with {CLASSIFY}, not with {merged['endpoint']}")
    if params:
        merged["params"] = params
    return parse_spec(merged, source)


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def canonical(spec: BatchSpec) -> dict[str, object]:
    """The spec as plain data without what is left at its default: what a submission carries."""
    return spec.model_dump(mode="json", exclude_defaults=True)


def submission_id(inputs: Sequence[tuple[str, str, str]], spec: BatchSpec) -> str:
    """The identity of inputs (bucket, key, version id or ETag) and spec: the same again is the same batch."""
    identities = [part for item in inputs for part in item]
    return ids.digest("submission", *identities, json.dumps(canonical(spec), sort_keys=True))


def expand(arguments: Sequence[str]) -> list[str]:
    """Files, directories, globs and s3:// URIs to a list of files and URIs, without repetition, in the order given.

    A directory stands for the files right in it, hidden ones left out; it and a glob are sorted. Raises InputMissing.
    """
    found: dict[str, None] = {}
    for argument in arguments:
        for item in [argument] if argument.startswith(S3_SCHEME) else _local(argument):
            found.setdefault(item)
    return list(found)


def _local(argument: str) -> list[str]:
    path = Path(argument)
    if path.is_file():
        return [argument]
    if path.is_dir():
        files = sorted(str(item) for item in path.iterdir() if item.is_file() and not item.name.startswith("."))
        if not files:
            raise InputMissing(f"{argument}: a directory with no file in it")
        return files
    found = glob.glob(argument, recursive=True)  # noqa: PTH207 (Path.glob takes no absolute pattern)
    matches = sorted(item for item in found if Path(item).is_file())
    if not matches:
        raise InputMissing(f"{argument}: no such file, directory or match")
    return matches
