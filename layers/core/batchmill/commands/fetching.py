"""Copying results out, and summing them up."""

from __future__ import annotations

import tempfile
from pathlib import Path

from batchmill.adapters.error_rows import read_errors
from batchmill.client import Downloaded, StackClient
from batchmill.console import Summary
from batchmill.domain.batch import Batch
from batchmill.domain.errors import UserError

SAMPLES = 5
"""Failed rows that a summary shows."""


def clear(folder: Path, overwrite: bool) -> None:
    """Make way for results in `folder`. Raises UserError where old ones lie there and `overwrite` is not asked for."""
    results, manifest = folder / "results", folder / "manifest.json"
    for path in (folder, results):
        if path.exists() and not path.is_dir():
            raise UserError(f"{path}: a file, where a folder for the results is to be: name another with -o")
    old = [*results.glob("*.parquet"), *([manifest] if manifest.exists() else [])]
    if old and not overwrite:
        raise UserError(f"{folder}: holds results of an earlier batch: say --overwrite, or name another folder with -o")
    try:
        for path in old:
            path.unlink()
        results.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=results):
            pass  # found out now, not after the work
    except OSError as error:
        raise UserError(f"{folder}: cannot be written to ({error.strerror}): name another folder with -o") from None


def fetch(client: StackClient, batch: Batch, folder: Path, seconds: float | None) -> Summary:
    """Copy the results of a final batch to `folder` and sum them up."""
    try:
        found = client.download(batch, folder)
    except OSError as error:
        raise UserError(f"{folder}: the results of {batch.batch_id} could not be written: {error.strerror}") from None
    errors, samples = read_errors(_with_errors(found), SAMPLES)
    return Summary(
        batch=batch,
        seconds=seconds,
        folder=folder,
        files=found.files,
        file_bytes=sum(path.stat().st_size for path in found.files),
        manifest=folder / "manifest.json" if found.manifest else None,
        errors=errors,
        samples=[(row.custom_id, row.code, row.message) for row in samples],
    )


def _with_errors(found: Downloaded) -> list[Path]:
    """The files that hold failed rows, as the manifest says; all of them where there is none."""
    if found.manifest is None:
        return list(found.files)
    failed = {Path(file.key).name for file in found.manifest.files if file.errors}
    return [path for path in found.files if path.name in failed]
