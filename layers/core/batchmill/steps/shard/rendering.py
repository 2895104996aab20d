"""Rows to requests."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from batchmill.contracts.plan import PlanDocument
from batchmill.domain import ids
from batchmill.domain.errors import RenderFailed, SpecInvalid
from batchmill.domain.request import Outcome, Request, Row, RowError, error_outcome, located
from batchmill.ports.schemas import Misfit, Schemas
from batchmill.ports.templates import Template, Templates
from batchmill.steps.shard.bodies import FORMATS, body_source, wanted_schema, written

IMAGE_SCHEMES = ("https://", "http://", "data:", "s3://")

_STREAMING = RowError("streaming_unsupported", "stream must not be set: a batch has nobody to stream to")


class Renderer:
    """Renders the rows of one batch. Raises SpecInvalid when made, for a template that cannot be compiled."""

    def __init__(self, document: PlanDocument, templates: Templates, schemas: Schemas) -> None:
        self._document, self._schemas = document, schemas
        self._url, self._model, self._served = document.spec.endpoint, document.model, document.model_served
        self._columns = document.columns
        self._template_sha256 = document.template_sha256 or None
        spec = document.spec
        self._image = spec.image is not None and "messages" not in spec.params
        self._template: Template | None = None
        if document.format != "openai":
            self._template = templates.compile(body_source(spec))
        elif given := [*spec.ways, *(["params"] if spec.params else [])]:
            raise SpecInvalid(f"{given[0]}: OpenAI batch lines carry their own bodies: remove {', '.join(given)}")
        self._last: tuple[object, Misfit] | None = None

    @property
    def asked(self) -> frozenset[str]:
        """The columns that the template names; none of OpenAI lines."""
        return self._template.columns if self._template else frozenset()

    def request(self, shard: int, row: Row) -> Request | RowError:
        """The request of a row, or why there can be none."""
        if row.error:
            return row.error
        try:
            body = self._body(row)
            fault = self._fault(body)
            misfit = self._misfit(body)
            payload = written(body)
        except RenderFailed as error:
            return located(RowError(error.code, str(error)), row.place)
        except SpecInvalid as error:
            return located(RowError("invalid_json_schema", str(error)), row.place)
        except (ValueError, TypeError, RecursionError) as error:
            fault = RowError("invalid_request", f"the body cannot be written as JSON: {type(error).__name__}")
        if fault is not None:
            return located(fault, row.place)
        return Request(
            row.row,
            row.custom_id or custom_id(self._document, shard, row),
            self._url,
            payload,
            carried(row.columns, self._columns) if self._columns else {},
            _max_tokens(body),
            misfit,
            self._template_sha256,
            row.place,
        )

    def lacks(self, columns: Mapping[str, object]) -> str | None:
        """What a row of these columns could not be rendered for want of; None where nothing is wanting."""
        try:
            if self._template is not None:
                self._template.render(columns)
        except RenderFailed as error:
            return str(error) if error.param in self.asked - columns.keys() else None
        return None

    def _body(self, row: Row) -> dict[str, Any]:
        body = row.columns["body"] if self._template is None else self._template.render(row.columns)
        assert isinstance(body, dict)
        return body if body.get("model") is not None or not self._model else {**body, "model": self._model}

    def _fault(self, body: Mapping[str, Any]) -> RowError | None:
        if body.get("stream"):
            return _STREAMING
        served, named = self._served, body.get("model")
        if served and named != served:
            return RowError("model_not_found", f"model: the pool serves {served}, not {str(named)[:100]!r}")
        if self._image and not _shown(body["messages"]).startswith(IMAGE_SCHEMES):
            return RowError("invalid_image_url", "image: a URL (https, data) or s3://bucket/key is needed")
        return None

    def _misfit(self, body: Mapping[str, Any]) -> Misfit | None:
        schema = wanted_schema(body) if not FORMATS.isdisjoint(body) else None
        if schema is None:
            return None
        if self._last is None or self._last[0] is not schema:  # a template's is the same object for each row
            self._last = schema, self._schemas.compile(schema)
        return self._last[1]


def custom_id(document: PlanDocument, shard: int, row: Row) -> str:
    """The row's own custom_id, from its line or its column; else one made of its place."""
    return own_id(document, row) or ids.custom_id(shard, row.row)


def own_id(document: PlanDocument, row: Row) -> str | None:
    """The custom_id that the user gave the row, in its line or its column; None where there is none."""
    column = document.spec.custom_id
    return row.custom_id or (_text(row.columns.get(column)) if column else None) or None


def unasked(
    document: PlanDocument, shard: int, row: Row, error: RowError, attempt: int, backend: str | None = None
) -> Outcome:
    """The outcome of a row that the engine was never asked for."""
    name, columns = custom_id(document, shard, row), carried(row.columns, document.columns)
    template = document.template_sha256 or None
    return error_outcome(shard, row.row, name, error, columns, attempt, backend, template)


def carried(columns: Mapping[str, object], names: Sequence[str]) -> dict[str, str | None]:
    """The columns asked for, as strings: text as it is, anything else as JSON, what is not there as None."""
    return {name: value if isinstance(value := columns.get(name), str) else _text(value) for name in names}


def _text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if type(value) is int:
        return str(value)  # as json.dumps would, in a tenth of the time
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _max_tokens(body: Mapping[str, Any]) -> int:
    asked = body.get("max_completion_tokens") or body.get("max_tokens")
    return asked if isinstance(asked, int) and asked > 0 else 0


def _shown(messages: Sequence[Mapping[str, Any]]) -> str:
    """The URL of the image that a spec's `image` was rendered to: the last part of the user's last message."""
    asked = next(message for message in reversed(messages) if message["role"] == "user")
    return str(asked["content"][-1]["image_url"]["url"])
