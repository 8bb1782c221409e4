"""Small faults that a test should find: a comparison turned, a statement left out, a constant moved."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import partial
from pathlib import Path
from typing import Any

COMPARISONS: dict[type, tuple[type, ...]] = {
    ast.Lt: (ast.LtE, ast.GtE), ast.LtE: (ast.Lt, ast.Gt), ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt), ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,), ast.In: (ast.NotIn,), ast.NotIn: (ast.In,),
}  # fmt: skip
ARITHMETIC: dict[type, type] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult,
}  # fmt: skip
NAMES = {"min": "max", "max": "min", "any": "all", "all": "any"}
JUMPS = (ast.Raise, ast.Continue, ast.Break, ast.Delete)


@dataclass(frozen=True, slots=True)
class Mutant:
    """One fault in one file: where, in words, and what makes the whole source with it."""

    path: Path
    line: int
    last_line: int
    text: str
    source: Callable[[], str]


def mutants(path: Path) -> list[Mutant]:
    """Return every fault there is of a file, in the order of its lines."""
    tree = ast.parse(path.read_text())
    found = []
    for node in _code(tree):
        for changed in _variants(node):
            before, after = ast.unparse(node), ast.unparse(changed)
            line = getattr(node, "lineno", 0)
            last = getattr(node, "end_lineno", line)
            text = f"{_short(before)}  ->  {_short(after)}"
            found.append(Mutant(path, line, last, text, partial(_with, tree, node, changed)))
    return sorted(found, key=lambda mutant: (mutant.line, mutant.text))


def _code(tree: ast.Module) -> Iterator[Any]:
    """Yield the nodes that a fault can be in: no annotation, decorator, import or assertion."""
    waiting: list[tuple[ast.AST, bool]] = [(tree, False)]
    while waiting:
        node, building = waiting.pop()
        if isinstance(node, (ast.Assert, ast.Import, ast.ImportFrom)):
            continue
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        building = building or getattr(node, "name", "") == "__init__"
        if not (building and isinstance(node, ast.stmt)):  # it would fail for want of the attribute
            yield node
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "returns", "decorator_list", "format_spec"):
                continue
            children = value if isinstance(value, list) else [value]
            waiting += [(each, building) for each in children if isinstance(each, ast.AST)]


def _variants(node: Any) -> Iterator[ast.AST]:
    """Yield what may stand in a node's place."""
    match node:
        case ast.Compare(ops=[operator]):
            for other in COMPARISONS[type(operator)]:
                yield _changed(node, ops=[other()])
        case ast.BinOp(op=ast.Mult(), left=left, right=right) if _sign(left) or _sign(right):
            yield _changed(node, op=ast.Add())
        case ast.BinOp(op=operator) | ast.AugAssign(op=operator) if type(operator) in ARITHMETIC:
            yield _changed(node, op=ARITHMETIC[type(operator)]())
        case ast.BoolOp(op=operator, values=values):
            yield _changed(node, op=ast.Or() if isinstance(operator, ast.And) else ast.And())
            for number in range(len(values)):
                yield _changed(node, values=values[:number] + values[number + 1 :])
        case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
            yield operand
        case ast.Constant(value=value):
            if (moved := _moved(value)) is not None:
                yield ast.Constant(moved)
        case ast.Name(id=name) if name in NAMES:
            yield ast.Name(NAMES[name])
        case ast.Call(func=called, args=[first, second, *rest]):
            swaps = ast.unparse(called) not in ("min", "max")  # they take either order
            if swaps and not any(isinstance(each, ast.Starred) for each in (first, second)):
                yield _changed(node, args=[second, first, *rest])
        case ast.IfExp(test=test) | ast.While(test=test) | ast.If(test=test):
            if not isinstance(test, (ast.Compare, ast.BoolOp, ast.UnaryOp)):
                yield _changed(node, test=ast.UnaryOp(ast.Not(), test))
    match node:
        case ast.Return(value=value) if value is not None and ast.unparse(value) != "None":
            yield ast.Return(ast.Constant(None))
        case ast.Expr(value=ast.Call()) | ast.AugAssign() | ast.Return(value=None):
            yield ast.Pass()
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            yield ast.Pass()
        case _ if isinstance(node, JUMPS):
            yield ast.Pass()


def _sign(node: ast.expr) -> bool:
    """Whether it is 1 or -1, so that to divide by it is to multiply."""
    return ast.unparse(node).endswith("sign")


def _moved(value: object) -> object:
    """Return another constant; None where there is none that says something."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, float)):
        return value + 1
    if isinstance(value, str):
        try:
            return str(Decimal(value) * 2)
        except InvalidOperation:
            return None
    return None


def _changed(node: Any, **fields: Any) -> Any:
    made = type(node)(**{name: getattr(node, name, None) for name in node._fields} | fields)
    return ast.copy_location(made, node)


def _with(tree: ast.Module, node: ast.AST, changed: ast.AST) -> str:
    copied: ast.Module = deepcopy(tree, {id(node): changed})
    return ast.unparse(ast.fix_missing_locations(copied))


def _short(text: str) -> str:
    first = text.splitlines()[0]
    return first if len(first) <= 90 else f"{first[:89]}…"
