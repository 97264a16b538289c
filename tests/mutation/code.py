"""Mutants of the product's code, by its syntax tree: each decision taken away or turned round.

A mutant is compiled when its module is imported; no file is written.
"""

import ast
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from local.tools import ROOT

LAYER = ROOT / "layers" / "heist_core"
_BOUNDARIES = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt}


@dataclass(frozen=True, order=True)
class CodeMutant:
    """The `number`th mutant of a module; `line` is where, `function` and `change` say what."""

    module: str
    number: int
    line: int
    function: str
    change: str

    def __str__(self) -> str:
        return f"{self.module.removeprefix('heist_core.')}.{self.function}: {self.change}"


class _Mutate(ast.NodeTransformer):
    """Counts every possible change, and makes the one that is wanted."""

    def __init__(self, wanted: int | None = None) -> None:
        self.found: list[tuple[int, str, str]] = []
        self._wanted = wanted
        self._inside: list[str] = []

    def _offer(self, old: ast.AST, new: ast.AST, change: str) -> ast.AST:
        """The new node if it is wanted, else the old one."""
        self.found.append((getattr(old, "lineno", 0), ".".join(self._inside), change))
        if self._wanted == len(self.found) - 1:
            return ast.fix_missing_locations(ast.copy_location(new, old))
        return old

    def _within(self, node: ast.ClassDef | ast.FunctionDef) -> ast.AST:
        self._inside.append(node.name)
        changed = self.generic_visit(node)
        self._inside.pop()
        return changed

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        return self._within(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return self._within(node)

    def _decision(self, node: "ast.If | ast.IfExp") -> ast.AST:
        if not self._inside:  # imports for types
            return node
        self.generic_visit(node)
        for value in (True, False):
            test = self._offer(node.test, ast.Constant(value), f"if {_text(node.test)} -> {value}")
            if isinstance(test, ast.Constant):
                node.test = test
                break
        return node

    def visit_If(self, node: ast.If) -> ast.AST:
        return self._decision(node)

    def visit_IfExp(self, node: ast.IfExp) -> ast.AST:
        return self._decision(node)

    def visit_comprehension(self, node: ast.comprehension) -> ast.AST:
        self.generic_visit(node)
        node.ifs = [
            self._offer(one, ast.Constant(True), f"for ... if {_text(one)} -> True")  # type: ignore[misc]
            for one in node.ifs
        ]
        return node

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        self.generic_visit(node)
        for number, value in enumerate(node.values):
            left = [one for n, one in enumerate(node.values) if n != number]
            rest = left[0] if len(left) == 1 else ast.BoolOp(node.op, left)
            new = self._offer(node, rest, f"{_text(node)} without {_text(value)}")
            if new is not node:
                return new
        return node

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        self.generic_visit(node)
        boundary = _BOUNDARIES.get(type(node.ops[0]))
        if boundary is None:
            return node
        new = ast.Compare(node.left, [boundary(), *node.ops[1:]], node.comparators)
        return self._offer(node, new, f"{_text(node)} -> {_text(new)}")

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.value, ast.Call):
            return self._offer(node, ast.Pass(), f"without {_text(node)}")
        return node

    def visit_Return(self, node: ast.Return) -> ast.AST:
        self.generic_visit(node)
        match node.value:
            case ast.Constant(bool(value)):
                return self._offer(node, ast.Return(ast.Constant(not value)), f"return {not value}")
        return node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                left: list[ast.expr] = [one for one in node.values if one is not part]
                new = self._offer(
                    node, ast.JoinedStr(left), f"{_text(node)} without {_text(part.value)}"
                )
                if new is not node:
                    return new
        return node


def _text(node: ast.AST) -> str:
    return ast.unparse(node).replace("\n", " ")


def _source(module: str) -> Path:
    return LAYER / Path(*module.split(".")).with_suffix(".py")


def modules(package: str) -> Iterator[str]:
    """The modules of a package of the layer."""
    folder = _source(package).with_suffix("")
    return (f"{package}.{path.stem}" for path in sorted(folder.glob("*.py")))


def code_mutants(module: str) -> list[CodeMutant]:
    """Every mutant of a module."""
    mutate = _Mutate()
    mutate.visit(ast.parse(_source(module).read_text("utf-8")))
    return [CodeMutant(module, number, *found) for number, found in enumerate(mutate.found)]


class Mutated(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """While it is first in `sys.meta_path`, the mutant is imported in the module's place."""

    def __init__(self, mutant: CodeMutant) -> None:
        self._mutant = mutant

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != self._mutant.module:
            return None
        source = _source(name)
        return importlib.util.spec_from_file_location(name, source, loader=self)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        source = _source(self._mutant.module)
        tree = _Mutate(self._mutant.number).visit(ast.parse(source.read_text("utf-8")))
        exec(compile(tree, str(source), "exec"), module.__dict__)


def import_mutant(mutant: CodeMutant) -> None:
    """From here on this process has the mutant: what was imported is imported anew."""
    for name in list(sys.modules):
        ours = name.partition(".")[0] in ("heist_core", "functions", "ops", "tests")
        if ours and not name.startswith("tests.mutation"):
            del sys.modules[name]
    sys.meta_path.insert(0, Mutated(mutant))
