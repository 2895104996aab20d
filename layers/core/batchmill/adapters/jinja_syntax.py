"""What the syntax tree of a template tells without running it."""

from __future__ import annotations

from dataclasses import dataclass

from jinja2 import Environment, TemplateSyntaxError, meta, nodes

ROW = "row"
"""The name by which a template reaches all columns."""


@dataclass(frozen=True)
class Column:
    """A column that a template puts out as it is: `{{ name }}`, or `{{ row["name"] }}` (then `by_row`)."""

    name: str
    by_row: bool


def words_and_columns(tree: nodes.Template, environment: Environment) -> list[str | Column] | None:
    """The words and columns of a template that is no more than those; else None."""
    found: list[str | Column] = []
    for output in tree.body:
        if not isinstance(output, nodes.Output):
            return None
        for node in output.nodes:
            piece = node.data if isinstance(node, nodes.TemplateData) else _column(node, environment)
            if piece is None:
                return None
            found.append(piece)
    return found


def _column(node: nodes.Expr, environment: Environment) -> Column | None:
    if isinstance(node, nodes.Name) and node.name != ROW and node.name not in environment.globals:
        return Column(node.name, by_row=False)
    name = _of_row(node)
    return Column(name, by_row=True) if name is not None and isinstance(node, nodes.Getitem) else None


def _of_row(node: nodes.Node) -> str | None:
    """The column in `row["name"]` and `row.name`."""
    if isinstance(node, nodes.Getitem | nodes.Getattr) and isinstance(node.node, nodes.Name) and node.node.name == ROW:
        named = node.attr if isinstance(node, nodes.Getattr) else getattr(node.arg, "value", None)
        return named if isinstance(named, str) else None
    return None


def asked(tree: nodes.Template, environment: Environment) -> set[str]:
    """The columns that a template names, as far as its text tells."""
    by_row = (_of_row(node) for node in tree.find_all((nodes.Getitem, nodes.Getattr)))
    named = meta.find_undeclared_variables(tree) | {name for name in by_row if name is not None}
    return named - environment.globals.keys() - {ROW}


def native(tree: nodes.Template) -> nodes.Expr | None:
    """The expression of a string that is nothing but `{{ … | native }}`, None where `native` is not in it.

    Raises TemplateSyntaxError where it stands anywhere else: the user wants a value, and would get text.
    """
    found = list(tree.find_all(nodes.Filter))
    used = next((each for each in found if each.name == "native"), None)
    if used is None:
        return None
    match tree.body:
        case [nodes.Output(nodes=[nodes.Filter(name="native", node=nodes.Expr() as expression)])]:
            return expression
    why = "native ends the one expression that a string is made of: write {{ (…) | native }}, and nothing around it"
    raise TemplateSyntaxError(why, used.lineno)
