"""Rows to requests."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence

from batchmill.contracts.plan import PlanDocument
from batchmill.contracts.spec import BatchSpec
from batchmill.domain import ids
from batchmill.domain.errors import RenderFailed, SpecInvalid
from batchmill.domain.jsonl import located
from batchmill.domain.request import Endpoint, Request, Row, RowError
from batchmill.ports.templates import Template, Templates


def body_source(spec: BatchSpec) -> object:
    """The template of a request's body that a spec's `body`, `input` or `prompt` stands for.

    Raises SpecInvalid where the spec has none, or one that its endpoint does not take.
    """
    if spec.body is not None:
        return spec.body
    if spec.prompt is not None:
        if spec.endpoint == Endpoint.COMPLETIONS:
            if spec.system is not None:
                raise SpecInvalid(f"system: {spec.endpoint} takes a prompt alone")
            return {"prompt": spec.prompt}
        if spec.endpoint != Endpoint.CHAT:
            raise SpecInvalid(f"prompt: {spec.endpoint} takes no prompt; give input or body")
        system = [{"role": "system", "content": spec.system}] if spec.system is not None else []
        return {"messages": [*system, {"role": "user", "content": spec.prompt}]}
    if spec.input is not None:
        if spec.endpoint in (Endpoint.CHAT, Endpoint.COMPLETIONS):
            raise SpecInvalid(f"input: {spec.endpoint} takes a prompt (or body), not an input")
        return {"input": spec.input}
    raise SpecInvalid(
        "rows need a template: give prompt (chat and completions), input (embeddings and the like) or body"
    )


class Renderer:
    """Renders the rows of one batch. Raises SpecInvalid when made, for a template that cannot be compiled."""

    def __init__(self, document: PlanDocument, templates: Templates) -> None:
        self._document = document
        self._template: Template | None = None
        if document.format != "openai":
            self._template = templates.compile(body_source(document.spec))

    def custom_id(self, shard: int, row: Row) -> str:
        """The row's own custom_id, from its line or its column; else one made of its place."""
        column = self._document.spec.custom_id
        if row.custom_id:
            return row.custom_id
        if column and (value := carried(row.columns, (column,)).get(column)):
            return value
        return ids.custom_id(shard, row.row)

    def request(self, shard: int, row: Row) -> Request | RowError:
        """The request of a row, or why there can be none."""
        if row.error:
            return row.error
        try:
            body = self._body(row)
        except RenderFailed as error:
            return located(RowError(error.code, str(error)), row.line, row.offset)
        fault = None
        text = ""
        if body.get("stream"):
            fault = RowError("invalid_request", "stream must not be set: a batch has nobody to stream to")
        try:
            asked = [self._document.spec.endpoint, body]
            text = json.dumps(asked, sort_keys=True, separators=(",", ":"), allow_nan=False)
        except (ValueError, TypeError, RecursionError) as error:
            fault = RowError("invalid_request", f"the body cannot be written as JSON: {type(error).__name__}")
        if fault is not None:
            return located(fault, row.line, row.offset)
        return Request(
            row=row.row,
            custom_id=self.custom_id(shard, row),
            url=self._document.spec.endpoint,
            body=body,
            columns=carried(row.columns, self._document.columns),
            sha256=hashlib.sha256(text.encode()).hexdigest(),
            size=len(text),
        )

    def _body(self, row: Row) -> Mapping[str, object]:
        model: dict[str, object] = {"model": self._document.model} if self._document.model else {}
        if self._template is None:
            body = row.columns["body"]
            assert isinstance(body, dict)
            return {**model, **body}
        rendered = self._template.render(row.columns)
        assert isinstance(rendered, dict)
        return {**model, **rendered, **self._document.spec.params}


def carried(columns: Mapping[str, object], names: Sequence[str]) -> dict[str, str | None]:
    """The columns asked for, as strings: text as it is, anything else as JSON, what is not there as None."""
    return {name: _text(columns.get(name)) for name in names}


def _text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
