"""Mutants of the product's code, by its syntax tree: each decision taken away or turned round.

A mutant is put into the running process: a function gets another body for a while. So does every
function, to see which of its statements a test reaches: at a tenth of what tracing costs.
"""

import ast
import importlib
import inspect
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FunctionType

from local.tools import ROOT

LAYER = ROOT / "layers" / "heist_core"
_BOUNDARIES = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt}
_OPERATORS = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv, ast.FloorDiv: ast.Mult}
_PROBE = "__reached__"
_EXTREMES = {"min": "max", "max": "min"}
Statement = tuple[str, int]
"""Module and line."""


@dataclass(frozen=True, order=True)
class CodeMutant:
    """The `number`th mutant of a function, which changes the statement of this line."""

    module: str
    function: str
    number: int
    line: int
    change: str
    family = "decision"

    @property
    def statement(self) -> Statement:
        return self.module, self.line

    @property
    def at(self) -> object:
        return self.module, self.function

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
        case ast.Expr(ast.Call()) if "super()" not in _text(node):  # a function that closes over it
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


def _changes(node: ast.AST, line: int = 0) -> Iterator[tuple[ast.AST, ast.AST, str, int]]:
    """Every node below with each of its alternatives, its name and the line of its statement."""
    children = node.body if isinstance(node, ast.FunctionDef) else ast.iter_child_nodes(node)
    for child in children:
        at = child.lineno if isinstance(child, ast.stmt) else line
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
    """Every mutant of a module; of those alike in a function, all but the first are numbered."""
    found = []
    for name, function in _functions(_tree(module)):
        alike: Counter[str] = Counter()
        for number, (_, _, change, line) in enumerate(_changes(function)):
            alike[change] += 1
            nth = f" ({alike[change]})" if alike[change] > 1 else ""
            found.append(CodeMutant(module, name, number, line, change + nth))
    return found


def _tree(module: str) -> ast.Module:
    return ast.parse(_source(module).read_text("utf-8"))


@contextmanager
def in_place(mutant: CodeMutant) -> Iterator[None]:
    """The function is the mutant, for everybody who calls it."""
    tree = _tree(mutant.module)
    old, new, _, _ = list(_changes(dict(_functions(tree))[mutant.function]))[mutant.number]
    _Replace(old, new).visit(tree)
    with _as_in(tree, mutant.module, mutant.function):
        yield


@contextmanager
def reached(of: list[str], reach: Callable[[Statement], None]) -> Iterator[None]:
    """`reach` is called with every statement of these modules before it is carried out."""
    with ExitStack() as replaced:
        for module in of:
            tree = _tree(module)
            for node in list(ast.walk(tree)):
                for name in ("body", "orelse", "finalbody"):
                    if isinstance(block := getattr(node, name, None), list):
                        setattr(
                            node,
                            name,
                            [each for one in block for each in (_probe(module, one), one)],
                        )
            vars(importlib.import_module(module))[_PROBE] = reach
            for function, _ in _functions(tree):
                replaced.enter_context(_as_in(tree, module, function))
        yield


def _probe(module: str, statement: ast.stmt) -> ast.stmt:
    told = ast.Tuple([ast.Constant(module), ast.Constant(statement.lineno)], ast.Load())
    call = ast.Expr(ast.Call(ast.Name(_PROBE, ast.Load()), [told], []))
    return ast.fix_missing_locations(ast.copy_location(call, statement))


@contextmanager
def _as_in(tree: ast.Module, module: str, function: str) -> Iterator[None]:
    """A function has the code that it has in this tree."""
    found = _function(module, function)
    kept = found.__code__
    found.__code__ = _code(compile(tree, str(_source(module)), "exec"), function)
    try:
        yield
    finally:
        found.__code__ = kept


def _function(module: str, function: str) -> FunctionType:
    found: object = importlib.import_module(module)
    for name in function.split("."):
        found = inspect.getattr_static(found, name)
    for wrapped in ("fget", "func", "__func__"):
        found = getattr(found, wrapped, found)
    found = inspect.unwrap(found)  # type: ignore[arg-type]
    assert isinstance(found, FunctionType), f"{module}.{function}"
    return found


def _code(within: CodeType, function: str) -> CodeType:
    inner = [one for one in within.co_consts if isinstance(one, CodeType)]
    for code in inner:
        if code.co_qualname == function:
            return code
    (owner,) = [code for code in inner if function.startswith(f"{code.co_qualname}.")]
    return _code(owner, function)
