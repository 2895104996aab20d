"""Which methods of ports a step may call, and which settings a function reads: followed through the code, by its types.

Of the code nothing runs. A call is followed where its receiver is annotated: a field, a parameter, a result.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from template.reading import PROJECT

PACKAGE = PROJECT / "layers/core/batchmill"

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass
class Class:
    """A class of the steps or a port. `fields`: an attribute's class by its name."""

    module: str
    methods: dict[str, Function]
    port: bool
    fields: dict[str, str] = field(default_factory=dict)


def _modules(folder: str) -> Iterator[tuple[str, ast.Module]]:
    for path in sorted((PACKAGE / folder).rglob("*.py")):
        name = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
        yield name, ast.parse(path.read_text())


class Code:
    """The steps and the ports, as read."""

    def __init__(self) -> None:
        self.classes: dict[str, Class] = {}
        self.functions: dict[tuple[str, str], Function] = {}
        self.imports: dict[str, dict[str, str]] = {}
        for folder in ("ports", "steps"):
            for module, tree in _modules(folder):
                self._read(module, tree, port=folder == "ports")
        for name, found in self.classes.items():
            if "__init__" in found.methods:
                scope = Scope(self, found.module, found.methods["__init__"], name)
                found.fields |= scope.attributes

    def _read(self, module: str, tree: ast.Module, *, port: bool) -> None:
        self.imports[module] = {}
        for node in tree.body:
            if isinstance(node, ast.ClassDef):
                methods = {item.name: item for item in node.body if isinstance(item, Function)}
                assert node.name not in self.classes, f"two classes are called {node.name}"
                protocol = port and any(ast.unparse(base) == "Protocol" for base in node.bases)
                self.classes[node.name] = made = Class(module, methods, protocol)
                for item in node.body:
                    if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
                        made.fields[item.target.id] = ast.unparse(item.annotation)
            elif isinstance(node, Function):
                self.functions[module, node.name] = node
            elif isinstance(node, ast.ImportFrom) and node.module:
                self.imports[module] |= {alias.name: node.module for alias in node.names}

    def annotated(self, annotation: ast.expr | str | None) -> str | None:
        """The class that an annotation names last: of `Mapping[str, Notifier]` it is Notifier."""
        tree = ast.parse(annotation, mode="eval") if isinstance(annotation, str) else annotation
        found = [node.id for node in ast.walk(tree) if isinstance(node, ast.Name)] if tree else []
        return next((name for name in reversed(found) if name in self.classes), None)

    def function(self, module: str, name: str) -> tuple[str, Function] | None:
        """A function by the name that a module has for it, with its own module."""
        home = self.imports[module].get(name, module)
        return (home, self.functions[home, name]) if (home, name) in self.functions else None


class Scope:
    """One function's names: what class each is of."""

    def __init__(self, code: Code, module: str, function: Function, owner: str | None) -> None:
        self.code, self.module = code, module
        self.names: dict[str, str] = {"self": owner} if owner else {}
        self.attributes: dict[str, str] = {}
        given = function.args
        for argument in (*given.posonlyargs, *given.args, *given.kwonlyargs):
            if named := code.annotated(argument.annotation):
                self.names[argument.arg] = named
        for node in ast.walk(function):
            if isinstance(node, ast.Assign):
                self._assign(node.targets[0], node.value)

    def _assign(self, target: ast.expr, value: ast.expr) -> None:
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
            for one, its in zip(target.elts, value.elts, strict=True):
                self._assign(one, its)
        elif (found := self.of(value)) and isinstance(target, ast.Name):
            self.names[target.id] = found
        elif found and isinstance(target, ast.Attribute):
            self.attributes[target.attr] = found

    def of(self, value: ast.expr) -> str | None:
        """The class of an expression, where it is one that we follow."""
        if isinstance(value, ast.Name):
            return self.names.get(value.id)
        if isinstance(value, ast.Subscript | ast.Await):
            return self.of(value.value)
        if isinstance(value, ast.Attribute):
            owner = self.of(value.value)
            found = self.code.classes[owner] if owner else None
            if found and value.attr in found.methods:
                return self.code.annotated(found.methods[value.attr].returns)
            return self.code.annotated(found.fields.get(value.attr)) if found else None
        return self._made(value.func) if isinstance(value, ast.Call) else None

    def _made(self, called: ast.expr) -> str | None:
        if isinstance(called, ast.Name) and called.id in self.code.classes:
            return called.id
        if isinstance(called, ast.Name) and (found := self.code.function(self.module, called.id)):
            return self.code.annotated(found[1].returns)
        return self.of(called)


@cache
def code() -> Code:
    """The steps and the ports, read once."""
    return Code()


def reached(step: str, method: str = "__call__") -> set[str]:
    """The calls of ports that a step's method may come to, as `Objects.get`; `Objects.get+version` with a version."""
    calls: set[str] = set()
    seen: set[tuple[str, str]] = set()
    todo = [(code().classes[step].module, step, code().classes[step].methods[method])]
    while todo:
        module, owner, function = todo.pop()
        if (module, f"{owner}.{function.name}") in seen:
            continue
        seen.add((module, f"{owner}.{function.name}"))
        scope = Scope(code(), module, function, owner or None)
        for node in ast.walk(function):
            todo += _followed(scope, node)
            if isinstance(node, ast.Attribute):
                calls |= _port_call(scope, node, function)
    return calls


def _followed(scope: Scope, node: ast.AST) -> Iterator[tuple[str, str, Function]]:
    classes = scope.code.classes
    owner, method = None, ""
    if isinstance(node, ast.Name):
        if found := scope.code.function(scope.module, node.id):
            yield found[0], "", found[1]
        owner, method = (node.id if node.id in classes else None), "__init__"
    elif isinstance(node, ast.Attribute):
        owner, method = scope.of(node.value), node.attr
    elif isinstance(node, ast.Call):
        owner, method = scope.of(node.func), "__call__"
    if owner and not classes[owner].port and method in classes[owner].methods:
        yield classes[owner].module, owner, classes[owner].methods[method]


def _port_call(scope: Scope, node: ast.Attribute, function: Function) -> set[str]:
    owner = scope.of(node.value)
    if not owner or not scope.code.classes[owner].port or node.attr not in scope.code.classes[owner].methods:
        return set()
    call = next((one for one in ast.walk(function) if isinstance(one, ast.Call) and one.func is node), None)
    name = f"{owner}.{node.attr}"
    if call and name in ("Objects.get", "Objects.head") and len(call.args) > 2:
        return {f"{name}+version"}
    if call and any(word.arg == "temporary" for word in call.keywords):
        return {f"{name}+temporary"}
    return {name}


def settings_read(entry: str) -> set[str]:
    """The fields of Settings that a function of bootstrap reads, by way of others too."""
    trees = [ast.parse(path.read_text()) for path in sorted((PACKAGE / "bootstrap").glob("*.py"))]
    functions = {node.name: node for tree in trees for node in tree.body if isinstance(node, ast.FunctionDef)}
    read, seen, todo = set[str](), set[str](), [entry]
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        for node in ast.walk(functions[name]):
            if isinstance(node, ast.Name) and node.id in functions:
                todo.append(node.id)
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) in ("settings()", "told"):
                read.add(node.attr)
    return read


def worker_settings() -> set[str]:
    """The fields of Settings that the worker itself reads."""
    tree = ast.parse(Path(PROJECT / "workers/ecs.py").read_text())
    attributes = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    return {node.attr for node in attributes if ast.unparse(node.value) == "settings"}
