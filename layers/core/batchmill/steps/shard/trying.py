"""The first rows, rendered before anything is started: what fails for all of them will fail for all there are."""

from __future__ import annotations

from batchmill.domain.errors import FirstRowsFailed, RenderFailed
from batchmill.domain.request import RowError
from batchmill.steps.shard.rendering import Renderer
from batchmill.steps.shard.sampling import Sample

SHOWN = 3
"""Errors that are told."""


def try_beginning(renderer: Renderer, sample: Sample) -> None:
    """Raises FirstRowsFailed where none of an input's first rows can be asked for."""
    if sample.format == "parquet":
        _try_columns(renderer, sample)
    made = [renderer.request(0, row) for row in sample.first]
    errors = [each for each in made if isinstance(each, RowError)]
    if errors and len(errors) == len(made):
        told = "; ".join(error.message for error in errors[:SHOWN])
        raise FirstRowsFailed(errors[0].code, f"all of the first {len(errors)} rows fail: {told}")


def _try_columns(renderer: Renderer, sample: Sample) -> None:
    """Of a table only the footer is read: whether rows of its columns could be rendered, whatever stands in them."""
    lacking = [renderer.lacks(dict.fromkeys(sample.columns, value)) for value in ("", "x")]
    if all(lacking):
        there = ", ".join(sample.columns[:50])
        raise FirstRowsFailed(RenderFailed.code, f"every row fails: {lacking[0]}; the table has {there}")
