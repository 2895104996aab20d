from __future__ import annotations

from typing import Any

import pytest

from batchmill.adapters.jinja import JinjaTemplates
from batchmill.adapters.json_schema import JsonSchemas
from batchmill.contracts.plan import PlanDocument
from batchmill.contracts.spec import BatchSpec
from batchmill.domain.errors import FirstRowsFailed
from batchmill.domain.formats import Format
from batchmill.domain.request import Row
from batchmill.steps.shard.rendering import Renderer
from batchmill.steps.shard.sampling import Sample
from batchmill.steps.shard.trying import try_beginning


def renderer(form: Format, **spec: Any) -> Renderer:
    document = PlanDocument(
        batch_id="b", run=0, spec=BatchSpec(**spec), format=form, objects=(), columns=(), header=None, shards=0,
        rows_estimated=0, model="m", fingerprint="f",
    )  # fmt: skip
    return Renderer(document, JinjaTemplates(), JsonSchemas())


def rows(*columns: Any) -> tuple[Row, ...]:
    return tuple(Row(i, 0, i + 1, columns=each) for i, each in enumerate(columns))


def test_a_template_that_no_first_row_fits_fails_at_once_with_the_first_errors() -> None:
    sample = Sample("jsonl", ("a",), first=rows(*({"a": "x"} for _ in range(5))))
    with pytest.raises(FirstRowsFailed) as failed:
        try_beginning(renderer("jsonl", prompt="{{ b }}"), sample)
    assert failed.value.code == "render_failed"
    assert str(failed.value).startswith("all of the first 5 rows fail: line 1: ")
    assert str(failed.value).count("the row lacks 'b'") == 3


def test_one_row_that_can_be_rendered_is_enough() -> None:
    sample = Sample("jsonl", ("a",), first=rows({"a": "x"}, {"b": "y"}))
    try_beginning(renderer("jsonl", prompt="{{ b }}"), sample)
    try_beginning(renderer("jsonl", prompt="{{ b }}"), Sample("jsonl", ()))


def test_a_loop_without_end_fails_at_once() -> None:
    loops = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"
    with pytest.raises(FirstRowsFailed, match="takes too long"):
        try_beginning(renderer("jsonl", prompt=loops), Sample("jsonl", ("a",), first=rows({"a": "x"})))


def test_openai_lines_that_all_ask_for_a_stream_fail_by_that_code() -> None:
    sample = Sample("openai", (), first=rows({"body": {"stream": True}}))
    with pytest.raises(FirstRowsFailed) as failed:
        try_beginning(renderer("openai"), sample)
    assert failed.value.code == "streaming_unsupported"


def test_of_a_table_the_columns_are_enough_to_tell() -> None:
    table = Sample("parquet", ("a", "b"))
    try_beginning(renderer("parquet", prompt="{{ a }} {{ b | upper }} {{ c | default('x') }}"), table)
    try_beginning(renderer("parquet", prompt="{{ a.deep }}{% if a == 'y' %}{{ c }}{% endif %}"), table)
    with pytest.raises(FirstRowsFailed, match="lacks 'c'; the table has a, b"):
        try_beginning(renderer("parquet", prompt="{{ c | upper }}"), table)
