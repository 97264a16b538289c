"""Mutants of the product's code, by its syntax tree: each decision taken away or turned round.

A mutant is put into the running process: a function gets another body for a while.
"""

import ast
import importlib
import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FunctionType

from local.tools import ROOT

LAYER = ROOT / "layers" / "heist_core"
_BOUNDARIES = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt}
_OPERATORS = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv, ast.FloorDiv: ast.Mult}
_EXTREMES = {"min": "max", "max": "min"}
Lines = tuple[int, int]


@dataclass(frozen=True, order=True)
class CodeMutant:
    """The `number`th mutant of a function; `lines` are those of the statement that it changes."""

    module: str
    function: str
    number: int
    lines: Lines
    change: str
    family = "decision"

    def __str__(self) -> str:
        return f"{self.module.removeprefix('heist_core.')}.{self.function}: {self.change}"


def _text(node: ast.AST) -> str:
    return ast.unparse(node).replace("\n", " ")


def _alternatives(node: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    """What a node could be instead, and what to call that."""
    match node:
        case ast.If(test, body, orelse):
            for value in (True, False):
                yield ast.If(ast.Constant(value), body, orelse), f"if {_text(test)} -> {value}"
        case ast.IfExp(test, body=there, orelse=other):
            yield there, f"if {_text(test)} -> True"
            yield other, f"if {_text(test)} -> False"
        case ast.comprehension(target, iterated, ifs, is_async) if ifs:
            for one in ifs:
                left = [each for each in ifs if each is not one]
                new = ast.comprehension(target, iterated, left, is_async)
                yield new, f"for ... without if {_text(one)}"
        case ast.BoolOp(op, values):
            for one in values:
                rest = [each for each in values if each is not one]
                new_value = rest[0] if len(rest) == 1 else ast.BoolOp(op, rest)
                yield new_value, f"{_text(node)} without {_text(one)}"
        case ast.Compare(left=compared, ops=[first, *more], comparators=comparators):
            if type(first) in _BOUNDARIES:
                boundary = _BOUNDARIES[type(first)]()
                new_compare = ast.Compare(compared, [boundary, *more], comparators)
                yield new_compare, f"{_text(node)} -> {_text(new_compare)}"
        case ast.BinOp(a, op, b) if type(op) in _OPERATORS:
            new_sum = ast.BinOp(a, _OPERATORS[type(op)](), b)
            yield new_sum, f"{_text(node)} -> {_text(new_sum)}"
        case ast.Call(ast.Name(name), arguments, keywords) if name in _EXTREMES:
            new_call = ast.Call(ast.Name(_EXTREMES[name], ast.Load()), arguments, keywords)
            yield new_call, f"{_text(node)} -> {_text(new_call)}"
        case ast.Expr(ast.Call()):
            yield ast.Pass(), f"without {_text(node)}"
        case ast.Return(ast.Constant(value)) if isinstance(value, bool):
            yield ast.Return(ast.Constant(not value)), f"return {not value}"
        case ast.Constant(number) if isinstance(number, int) and not isinstance(number, bool):
            yield ast.Constant(number + 1), f"{number} -> {number + 1}"
        case ast.JoinedStr(values):
            for one in values:
                if isinstance(one, ast.FormattedValue):
                    new_text = ast.JoinedStr([each for each in values if each is not one])
                    yield new_text, f"{_text(node)} without {_text(one.value)}"


class _Replace(ast.NodeTransformer):
    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self._old, self._new = old, new

    def visit(self, node: ast.AST) -> ast.AST:
        if node is self._old:
            return ast.fix_missing_locations(ast.copy_location(self._new, node))
        changed: ast.AST = self.generic_visit(node)
        return changed


def _functions(tree: ast.AST, inside: str = "") -> Iterator[tuple[str, ast.FunctionDef]]:
    """Functions and methods, but for those inside of them."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef):
            yield f"{inside}{node.name}", node
        elif isinstance(node, ast.ClassDef):
            yield from _functions(node, f"{inside}{node.name}.")


def _changes(node: ast.AST, at: Lines) -> Iterator[tuple[ast.AST, ast.AST, str, Lines]]:
    """Every node below with each of its alternatives, its name and the lines of its statement."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt):
            body = getattr(child, "body", None)
            at = child.lineno, body[0].lineno - 1 if body else child.end_lineno or child.lineno
            at = at[0], max(at)
        for new, change in _alternatives(child):
            yield child, new, change, at
        yield from _changes(child, at)


def _source(module: str) -> Path:
    return LAYER / Path(*module.split(".")).with_suffix(".py")


def modules(package: str) -> list[str]:
    """The modules of a package of the layer."""
    folder = _source(package).with_suffix("")
    return [f"{package}.{path.stem}" for path in sorted(folder.glob("*.py"))]


def code_mutants(module: str) -> list[CodeMutant]:
    """Every mutant of a module."""
    tree = ast.parse(_source(module).read_text("utf-8"))
    return [
        CodeMutant(module, name, number, lines, change)
        for name, function in _functions(tree)
        for number, (_, _, change, lines) in enumerate(_changes(function, (0, 0)))
    ]


@contextmanager
def in_place(mutant: CodeMutant) -> Iterator[None]:
    """The function is the mutant, for everybody who calls it."""
    source = _source(mutant.module)
    tree = ast.parse(source.read_text("utf-8"))
    wanted = dict(_functions(tree))[mutant.function]
    old, new, _, _ = list(_changes(wanted, (0, 0)))[mutant.number]
    _Replace(old, new).visit(tree)
    compiled = compile(tree, str(source), "exec")
    function = _function(mutant)
    kept = function.__code__
    function.__code__ = _code(compiled, mutant.function)
    try:
        yield
    finally:
        function.__code__ = kept


def _function(mutant: CodeMutant) -> FunctionType:
    found: object = importlib.import_module(mutant.module)
    for name in mutant.function.split("."):
        found = inspect.getattr_static(found, name)
    for wrapped in ("fget", "func", "__func__"):
        found = getattr(found, wrapped, found)
    found = inspect.unwrap(found)  # type: ignore[arg-type]
    assert isinstance(found, FunctionType), mutant
    return found


def _code(within: CodeType, function: str) -> CodeType:
    inner = [one for one in within.co_consts if isinstance(one, CodeType)]
    for code in inner:
        if code.co_qualname == function:
            return code
    (owner,) = [code for code in inner if function.startswith(f"{code.co_qualname}.")]
    return _code(owner, function)
