"""What a template engine owes the worker."""

from __future__ import annotations

import pytest

from batchmill.adapters import jinja_limits
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
        ("{{ 'x' * 1000000000 }}", "too large"),
        ("{{ 9 ** 99999 }}", "too large"),
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
        ("{{ x }}" * 10_000, "65536"),
        (["{{ x }}" * 5_000, "{{ y }}" * 5_000], "65536"),
        ("{{ x" + " | trim" * 500 + " }}", "too many filters"),
        ("{{ n | native }}\n", "native ends the one expression"),
        ("{{ n * 2 | native }}", "native ends the one expression"),
        ("n={{ n | native }}", "native ends the one expression"),
        ("{{ " + "(" * 5_000 + "x" + ")" * 5_000 + " }}", "nested too deeply"),
    ],
)
def test_a_template_that_cannot_be_right_is_refused(templates: Templates, source: object, why: str) -> None:
    with pytest.raises(SpecInvalid, match=why):
        templates.compile(source)


def test_tojson_is_json_not_html(templates: Templates) -> None:
    assert templates.compile("{{ x | tojson }}").render({"x": {"b": "<é>", "a": 1}}) == '{"b": "<é>", "a": 1}'


def test_filters_that_yield_render_as_lists(templates: Templates) -> None:
    assert templates.compile("{{ x | map('upper') }}").render({"x": ["a", "b"]}) == '["A", "B"]'


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("{{ n | native }}", 5),
        ("{{ (n / 2) | native }}", 2.5),
        ("{{ text | int | native }}", 7),
        ("{{ items | native }}", ["a", {"b": None}]),
        ("{{ items | map('string') | native }}", ["a", "{'b': None}"]),
        ("{{ (n > 3) | native }}", True),
        ("{{ none | native }}", None),
        ("{{ text | native }}", "7"),
        ("{{ row | native }}", {"n": 5, "text": "7", "items": ["a", {"b": None}]}),
    ],
)
def test_a_string_that_is_one_native_expression_is_its_value(templates: Templates, source: str, value: object) -> None:
    made = templates.compile(source).render({"n": 5, "text": "7", "items": ["a", {"b": None}]})
    assert (made, type(made)) == (value, type(value))


@pytest.mark.parametrize("source", ["{{ nope | native }}", "{{ text.nope | native }}"])
def test_a_native_expression_of_what_is_not_there_fails_the_row(templates: Templates, source: str) -> None:
    with pytest.raises(RenderFailed, match="'nope'"):
        templates.compile(source).render({"text": "x"})


def test_a_number_that_json_does_not_have_fails_the_row(templates: Templates) -> None:
    for source in ("{{ (big * 10) | native }}", "{{ [big * 10] | native }}"):
        with pytest.raises(RenderFailed, match="ValueError"):
            templates.compile(source).render({"big": 1e308})


def test_a_template_tells_the_columns_that_it_asks_for(templates: Templates) -> None:
    source = {
        "a": "{{ subject }} {{ row['Ticket text'] }}",
        "b": ["{% for i in range(n) %}{{ i }}{% endfor %}", "{{ x }}"],
    }
    assert templates.compile(source).columns == {"subject", "Ticket text", "n", "x"}
    assert templates.compile("{% set y = 1 %}{{ y }} {{ row.other }} {{ dict(a=1) }}").columns == {"other"}
    assert templates.compile({"a": "no placeholder"}).columns == set()


def test_the_error_of_a_missing_column_names_it_for_programs_too(templates: Templates) -> None:
    for source in ("{{ body }}", "{{ body | trim }}", "{{ row['body'] }}"):
        with pytest.raises(RenderFailed) as caught:
            templates.compile(source).render({"text": "x"})
        assert caught.value.param == "body"


def test_a_row_of_the_most_text_there_may_be_is_rendered(templates: Templates) -> None:
    text = "x" * (15 * 1024 * 1024)
    assert templates.compile("{{ text }}!").render({"text": text}) == text + "!"
    assert templates.compile("{{ text | trim }}!").render({"text": text}) == text + "!"


LOOPS = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"
TWICE = "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}"
CLIMB = "{% set ns = namespace(x=[]) %}{% for i in range(99999) %}{% set ns.x = [ns.x] %}{% endfor %}"
SEARCH = "{% for i in range(99999) %}{% if 'y' in text * 9999 %}{% endif %}{% endfor %}"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Less time for a row, so that a test of what never ends does."""
    monkeypatch.setattr(jinja_limits, "SECONDS_LIMIT", 0.2)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("source", [LOOPS, TWICE, CLIMB, SEARCH])
def test_a_template_without_end_fails_the_row(templates: Templates, source: str) -> None:
    with pytest.raises(RenderFailed, match="takes too long"):
        templates.compile(source).render({"text": "x" * 100})


@pytest.mark.parametrize(
    "source",
    [
        "{% set x = 'ab' %}" + "{% set x = x ~ x %}" * 60 + "{{ x }}",
        "{% set x = 'ab' %}" + "{% set x = x + x %}" * 60 + "{{ x }}",
        "{% set x %}ab{% endset %}" + "{% set x %}{{ x }}{{ x }}{% endset %}" * 60 + "{{ x }}",
        "{% set x = [1] %}" + "{% set x = x + x %}" * 60 + "{{ x }}",
        "{% set x = [1] %}" + "{% set x = [x, x] %}" * 60 + "{{ x }}",
        "{% set x = (1,) %}{% set y = (1,) %}" + "{% set x = (x, x) %}{% set y = (y, y) %}" * 60 + "{{ x == y }}",
        "{% set x = (1,) %}" + "{% set x = (x, x) %}" * 60 + "{{ {x: 1} }}",
        "{% set x = {} %}" + "{% set x = {1: x, 2: x} %}" * 60 + "{{ x | tojson }}",
        "{{ 'x' | center(1000000000) }}",
        "{{ 'x'.center(1000000000) }}",
        "{{ '0'.zfill(1000000000) }}",
        "{{ ('\t' * 9999).expandtabs(99999) }}",
        "{{ '%1000000000d' % 1 }}",
        "{{ '%*d' % (1000000000, 1) }}",
        "{{ '%1000000000d' | format(1) }}",
        "{{ '{:>1000000000}'.format(1) }}",
        "{{ '{:>{}}'.format(1, 1000000000) }}",
        "{{ ('%s' * 999) | format(text * 999) }}",
        "{{ (text * 99).replace('', text * 99) }}",
        "{{ text | replace('x', text * 9999) | replace('x', text * 9999) }}",
        "{{ range(99999) | map('center', 9999) | join }}",
        "{{ (['x' * 9999] * 9999) | join }}",
        "{{ ('x' * 999999).join(['a'] * 99999) }}",
        "{{ (['a'] * 99999) | join('x' * 99999) }}",
        "{{ ('x\n' * 99999) | indent(99999) }}",
        "{{ text | wordwrap(1, true, 'x' * 999999) }}",
        "{{ range(99999) | list | tojson(indent=99999) }}",
        "{{ 5 | round(-1000000000) }}",
        "{{ (5).to_bytes(1000000000, 'big') }}",
        "{{ 'f' * 99999 | int(base=16) }}{{ ('f' * 99999) | int(base=16) }}",
        "{% for i in range(99999) %}{{ text * 9 }}{% endfor %}",
        "{% filter upper %}{% for i in range(99999) %}{{ text * 9 }}{% endfor %}{% endfilter %}",
        "{{ big }}{{ big }}",
        ["{{ big }}"] * 9,
    ],
)
def test_a_template_that_explodes_fails_the_row(templates: Templates, source: object) -> None:
    with pytest.raises(RenderFailed, match="too large"):
        templates.compile(source).render({"text": "x" * 100, "big": "x" * (15 * 1024 * 1024)})


@pytest.mark.parametrize("source", ["{{ text.translate({120: 'yy'}) }}", "{{ [[1], [2]] | sum(start=[]) }}"])
def test_what_cannot_be_bounded_is_not_among_what_a_template_may_do(templates: Templates, source: str) -> None:
    with pytest.raises(RenderFailed, match="SecurityError"):
        templates.compile(source).render({"text": "x"})


@pytest.mark.usefixtures("impatient")
def test_the_next_row_has_its_time_and_its_characters_again(templates: Templates) -> None:
    template = templates.compile("{{ text }}{% if n %}" + LOOPS + "{% endif %}")
    with pytest.raises(RenderFailed):
        template.render({"text": "x", "n": 1})
    text = "x" * (10 * 1024 * 1024)
    assert [len(str(template.render({"text": text, "n": 0}))) for _ in range(8)] == [len(text)] * 8
