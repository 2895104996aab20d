"""The fingerprint: under an equal one an outcome may be used again, under another never."""

from __future__ import annotations

import json
from collections.abc import Iterable

from batchmill.contracts.pools import Pool
from batchmill.contracts.spec import BatchSpec
from batchmill.domain import ids
from batchmill.steps.shard.bodies import template_sha256


def fingerprint(spec: BatchSpec, pool: Pool, form: str, columns: Iterable[str]) -> str:
    """24 hex digits over all that decides an outcome: model, revision, quantization, template, policies, columns."""
    asked = [spec.endpoint, template_sha256(spec), spec.context, spec.repair, spec.custom_id]
    text = json.dumps([asked, form, list(columns)])
    return ids.digest(spec.model or pool.model, pool.revision, pool.quantization, text)[:24]
