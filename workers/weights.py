"""Brings a model's weights from the hub into a bucket, so that workers need no internet, and all get the same.

    python weights.py MODEL REVISION s3://BUCKET/PREFIX/

One file at a time is on the disk. A run that was killed is gone on with by the next; one that finds complete.json does
nothing. This runs where the image is built, in an environment of its own (weights.txt), without the package.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
from httpx2 import HTTPError
from huggingface_hub import HfApi
from huggingface_hub.errors import (
    GatedRepoError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BEGUN = "begun.json"
"""Names the commit that the files here are of, from before the first: a branch may move while they come."""
COMPLETE = "complete.json"
"""Written last; names the commit and every file with its bytes. Where it is, the weights are whole."""
INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
BESIDES = {".json", ".jinja", ".txt", ".model", ".tiktoken", ".py"}
"""What an engine reads besides weights: configuration, tokenizer, chat template, the model's own code."""


class WeightsUnavailable(Exception):
    """The weights cannot be had; the message says why, and what to do."""


@dataclass(frozen=True)
class Model:
    """A model on the hub at one commit. `sizes`: bytes by path."""

    name: str
    commit: str
    sizes: Mapping[str, int]


class Hub:
    """The model hub. Who asks is known by the variable HF_TOKEN, which the library reads itself.

    Every method raises WeightsUnavailable.
    """

    def __init__(self, endpoint: str | None = None) -> None:
        """`endpoint` None: the library's own."""
        self._api = HfApi(endpoint=endpoint)

    def find(self, name: str, revision: str) -> Model:
        """The model at the commit that a branch, tag or commit stands for."""
        with _told(name, revision):
            found = self._api.model_info(name, revision=revision, files_metadata=True)
        sizes = {file.rfilename: file.size or 0 for file in found.siblings or ()}
        return Model(name, found.sha or revision, sizes)

    def fetch(self, model: Model, path: str, folder: Path) -> Path:
        """One file, into a folder. Raises also where it has not come whole."""
        with _told(model.name, model.commit):
            fetched = self._api.hf_hub_download(model.name, path, revision=model.commit, local_dir=folder)
        file = Path(fetched)
        if file.stat().st_size != model.sizes[path]:
            raise WeightsUnavailable(f"{path} of {model.name} has not come whole: start the build again")
        return file


class Place:
    """Where weights go: keys under a prefix of a bucket. Names are relative to it."""

    def __init__(self, s3: S3Client, uri: str) -> None:
        """`uri`: s3://BUCKET/PREFIX/. Raises WeightsUnavailable for anything else."""
        parts = urlsplit(uri)
        if parts.scheme != "s3" or not parts.netloc or not parts.path.endswith("/"):
            raise WeightsUnavailable(f"{uri} is no place for weights: write s3://BUCKET/PREFIX/")
        self._s3, self._bucket, self._prefix = s3, parts.netloc, parts.path.lstrip("/")

    def sizes(self) -> dict[str, int]:
        """Bytes of everything here, by name."""
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=self._prefix)
        return {
            item["Key"].removeprefix(self._prefix): item["Size"] for page in pages for item in page.get("Contents", ())
        }

    def put(self, name: str, file: Path) -> None:
        """A file, in parts where it is large: it is there whole or not at all."""
        self._s3.upload_file(str(file), self._bucket, self._prefix + name)

    def note(self, name: str, document: Mapping[str, Any]) -> None:
        """A JSON document."""
        body = json.dumps(document, indent=1).encode()
        self._s3.put_object(Bucket=self._bucket, Key=self._prefix + name, Body=body, ContentType="application/json")

    def noted(self, name: str) -> dict[str, Any]:
        """A JSON document that is here."""
        document: dict[str, Any] = json.loads(
            self._s3.get_object(Bucket=self._bucket, Key=self._prefix + name)["Body"].read()
        )
        return document


def bring(hub: Hub, place: Place, name: str, revision: str, tell: Callable[[str], None]) -> None:
    """Put every file of a model that is not there yet; `tell` gets a line for each. Raises WeightsUnavailable."""
    there = place.sizes()
    if COMPLETE in there:
        tell(f"weights: {name} is there already, of commit {place.noted(COMPLETE)['commit']}")
        return
    model = hub.find(name, place.noted(BEGUN)["commit"] if BEGUN in there else revision)
    with tempfile.TemporaryDirectory() as folder:
        wanted = _wanted(model, _index(hub, model, Path(folder)))
    place.note(BEGUN, {"model": name, "revision": revision, "commit": model.commit})
    for number, path in enumerate(wanted, 1):
        if there.get(path) != model.sizes[path]:
            tell(f"weights: {number} of {len(wanted)}, {path}, {model.sizes[path] / 1e6:.1f} MB")
            with tempfile.TemporaryDirectory() as folder:
                place.put(path, hub.fetch(model, path, Path(folder)))
    files = {path: model.sizes[path] for path in sorted(wanted)}
    place.note(COMPLETE, {"model": name, "revision": revision, "commit": model.commit, "files": files})
    tell(f"weights: {name} is whole, {sum(files.values()) / 1e9:.2f} GB of commit {model.commit}")


def _index(hub: Hub, model: Model, folder: Path) -> set[str]:
    """The files that the index of a model in several files names; empty where there is no index."""
    if INDEX not in model.sizes:
        return set()
    index = json.loads(hub.fetch(model, INDEX, folder).read_text(encoding="utf-8"))
    return set(index["weight_map"].values())


def _wanted(model: Model, indexed: set[str]) -> list[str]:
    """What an engine needs, in the order in which it comes: config.json, without which none starts, is the last.

    An engine loads every safetensors file of the folder, so copies in another form (consolidated, another precision)
    must not be among them.
    """
    folder = {path for path in model.sizes if path.endswith(".safetensors") and "/" not in path}
    weights = indexed or ({SINGLE} & folder) or folder
    missing = sorted(weights - set(model.sizes))
    if missing:
        raise WeightsUnavailable(f"{model.name} at {model.commit} lacks {missing[0]}, which its own index names")
    if not weights:
        raise WeightsUnavailable(
            f"{model.name} has no weights as safetensors, and workers read no others: convert it, put it into a bucket "
            "and name that in the parameter Weights"
        )
    besides = {path for path in model.sizes if PurePosixPath(path).suffix in BESIDES} - {BEGUN, COMPLETE}
    return sorted(weights | besides, key=lambda path: (path == "config.json", path not in weights, path))


@contextmanager
def _told(name: str, revision: str) -> Iterator[None]:
    """The hub's refusals, in words that say what to do."""
    token = "name a secret with a token of yours in the parameter HubTokenSecretArn"
    try:
        yield
    except GatedRepoError as error:
        raise WeightsUnavailable(f"{name} is gated: accept its terms on the hub, and {token}") from error
    except RevisionNotFoundError as error:
        raise WeightsUnavailable(f"{name} has no revision {revision}: look at ModelRevision") from error
    except RepositoryNotFoundError as error:
        raise WeightsUnavailable(
            f"the hub shows no model {name}: look at Model, or, if it is private, {token}"
        ) from error
    except HFValidationError as error:
        raise WeightsUnavailable(f"{name} is no name of a model on the hub: look at Model") from error
    except (HTTPError, LocalEntryNotFoundError) as error:
        status = getattr(getattr(error, "response", None), "status_code", "nothing")
        raise WeightsUnavailable(f"the hub answers {status} for {name}: start the build again later") from error


def main(arguments: list[str]) -> int:
    """Exit status: 0 where the weights are whole, 1 where they cannot be had, 2 for a wrong call."""
    if len(arguments) != 3:
        sys.stderr.write((__doc__ or "") + "\n")
        return 2
    name, revision, uri = arguments
    try:
        bring(Hub(), Place(boto3.client("s3"), uri), name, revision, _say)
    except WeightsUnavailable as error:
        sys.stderr.write(f"weights: {error}\n")
        return 1
    return 0


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
