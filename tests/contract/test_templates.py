"""What a template engine owes the worker."""

from __future__ import annotations

import pytest

from batchmill.adapters.jinja import JinjaTemplates
from batchmill.domain.errors import RenderFailed, SpecInvalid
from batchmill.ports.templates import Templates


@pytest.fixture(params=[JinjaTemplates])
def templates(request: pytest.FixtureRequest) -> Templates:
    made: Templates = request.param()
    return made


def test_every_string_of_a_body_is_rendered_and_the_rest_is_left(templates: Templates) -> None:
    source = {
        "messages": [{"role": "user", "content": "Sort: {{ text }}"}],
        "temperature": 0.5,
        "stop": None,
        "stream": False,
        "{{ text }}": [1],
    }
    assert templates.compile(source).render({"text": "hello"}) == {
        "messages": [{"role": "user", "content": "Sort: hello"}],
        "temperature": 0.5,
        "stop": None,
        "stream": False,
        "{{ text }}": [1],
    }


def test_a_single_placeholder_renders_to_text(templates: Templates) -> None:
    assert templates.compile("{{ n }}").render({"n": 5}) == "5"


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "null"), (True, "true"), (1.5, "1.5"), ({"a": ["é", "<b>"]}, '{"a": ["é", "<b>"]}'), ("<&>", "<&>")],
)
def test_values_that_are_no_text_render_as_the_json_they_were(templates: Templates, value: object, text: str) -> None:
    assert templates.compile("{{ v }}").render({"v": value}) == text


def test_whitespace_and_newlines_are_kept(templates: Templates) -> None:
    assert templates.compile(["a\r\nb\n", "{{ x }}\n\n"]).render({"x": "1"}) == ["a\r\nb\n", "1\n\n"]


def test_a_column_whose_name_is_no_identifier_is_reached_through_row(templates: Templates) -> None:
    assert templates.compile("{{ row['Ticket text'] }}").render({"Ticket text": "hello"}) == "hello"
    assert templates.compile("{{ row }}").render({"row": "mine"}) == "mine"


def test_a_template_is_not_rendered_twice(templates: Templates) -> None:
    assert templates.compile("{{ x }}").render({"x": "{{ y }}"}) == "{{ y }}"


@pytest.mark.parametrize("source", ["{{ body }}", "{{ text.body }}", "{{ [body] }}", "{% for a in body %}{% endfor %}"])
def test_what_the_row_lacks_is_named(templates: Templates, source: str) -> None:
    with pytest.raises(RenderFailed, match="'body'"):
        templates.compile(source).render({"text": "secret"})


def test_where_a_body_lacks_something_is_told(templates: Templates) -> None:
    with pytest.raises(RenderFailed, match=r"messages\[1\].content: the row lacks 'subject'"):
        templates.compile({"messages": ["x", {"content": "{{ subject }}"}]}).render({})


@pytest.mark.parametrize("source", ["{{ t[key] }}", "{{ key + 1 }}", "{{ key.encode(key) }}", "{{ key.nope(key) }}"])
def test_no_message_holds_the_rows_data(templates: Templates, source: str) -> None:
    with pytest.raises(RenderFailed) as caught:
        templates.compile(source).render({"t": {}, "key": "secret"})
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("{{ ''.__class__.__mro__ }}", "SecurityError"),
        ("{{ items.append(1) }}", "SecurityError"),
        ("{% for i in range(100000000) %}x{% endfor %}", "OverflowError"),
        ("{{ 'x' * 1000000000 }}", "SecurityError"),
        ("{{ 9 ** 99999 }}", "SecurityError"),
        ("{{ 1 / zero }}", "ZeroDivisionError"),
    ],
)
def test_what_the_sandbox_forbids_fails_the_row(templates: Templates, source: str, why: str) -> None:
    with pytest.raises(RenderFailed, match=why):
        templates.compile(source).render({"items": [], "zero": 0})


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("a\n{% if %}", "line 2"),
        ({"messages": [{"content": "{{ x"}]}, r"messages\[0\].content: line 1"),
        ("{{ x | nope }}", "nope"),
        ("{{ x | random }}", "random"),
        ("{% include 'other' %}", "include"),
        ("x" * 70_000, "65536"),
        (["x" * 40_000, "x" * 40_000], "65536"),
    ],
)
def test_a_template_that_cannot_be_right_is_refused(templates: Templates, source: object, why: str) -> None:
    with pytest.raises(SpecInvalid, match=why):
        templates.compile(source)


def test_tojson_is_json_not_html(templates: Templates) -> None:
    assert templates.compile("{{ x | tojson }}").render({"x": {"b": "<é>", "a": 1}}) == '{"b": "<é>", "a": 1}'


def test_filters_that_yield_render_as_lists(templates: Templates) -> None:
    assert templates.compile("{{ x | map('upper') }}").render({"x": ["a", "b"]}) == '["A", "B"]'
