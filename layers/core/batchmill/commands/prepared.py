"""What `run` and `submit` do first: inputs found, spec built, both checked against each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from batchmill.commands import options, preflight, submission
from batchmill.commands.writing import note
from batchmill.contracts.spec import BatchSpec


@dataclass(frozen=True)
class Prepared:
    """A submission that nothing is known to be wrong with. `inputs` are local paths and s3:// URIs."""

    inputs: list[str]
    spec: BatchSpec


def prepare(arguments: Sequence[str], given: dict[str, Any]) -> Prepared:
    """Check everything that can be checked here; warnings go to standard error. Raises UserError."""
    spec = options.spec_of(given)
    inputs = submission.expand(arguments)
    local = [item for item in inputs if not item.startswith(submission.S3_SCHEME)]
    for warning in preflight.check(spec, preflight.peek(local, spec)):
        note(f"warning: {warning}")
    return Prepared(inputs, spec)
