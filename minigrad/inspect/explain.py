"""explain("max(0, 1 - w*x*y)", w=2, x=0.3, y=1): the Trace of an expression that is written as text."""

from __future__ import annotations

import ast
import difflib
import linecache
import types
from collections.abc import Callable
from functools import reduce
from typing import Any

from .. import ops
from ..ops import reduce as reductions
from ..ops.elementwise import maximum, minimum
from .trace import Trace, trace

__all__ = ["explain"]

FILE = "<expression>"
FUNCTIONS = """
    abs arccos arcsin arctan clip cos cosh cumsum exp expm1 log log10 log1p log2 log_softmax logsumexp
    matmul maximum mean minimum prod relu sigmoid sin sinh softmax sqrt square sum tan tanh where
"""
ALLOWED = (
    ast.Expression, ast.BinOp, ast.UnaryOp, ast.Call, ast.Name, ast.Load, ast.Constant, ast.Subscript,
    ast.Slice, ast.Tuple, ast.List, ast.keyword, ast.Compare, ast.operator, ast.unaryop, ast.cmpop,
)  # fmt: skip


def explain(expression: str, **values: Any) -> Trace:
    """Trace an expression in the names of `values`: numbers or lists, each an input that requires grad.

    Operators are Python's (+ - * / ** @, comparisons, indices), functions minigrad's: exp, log, tanh,
    sigmoid, relu, softmax, sum, mean, sqrt, abs, maximum ...; max(a, b, ...) and min(a, b, ...) choose among
    several, max(x) the largest of x.

    Raises ValueError for text that is no such expression, a name without a value, or a result that is not a
    single number.

    >>> t = explain("max(0, 1 - w*x*y)", w=2, x=0.3, y=1)
    >>> print(t.loss.data, {name: float(g) for name, g in t.grads.items()})
    0.4 {'w': -0.3, 'x': -2.0, 'y': -0.6}
    """
    tree = _parsed(expression)
    known = _functions()
    _check_names(tree, values, known)
    fn = _function(tree, list(values), known)
    linecache.cache[FILE] = (len(expression), None, [expression + "\n"], FILE)
    return trace(fn, *values.values())


def _parsed(expression: str) -> ast.Expression:
    """The expression's tree, of harmless parts only."""
    try:
        tree = ast.parse(expression.strip(), FILE, mode="eval")
    except SyntaxError as error:
        raise ValueError(f"explain: expected an expression, got {expression!r}: {error.msg}") from None
    for node in ast.walk(tree):
        if not isinstance(node, ALLOWED):
            kind = type(node).__name__.lower()
            raise ValueError(f"explain: an expression has operators, names and functions only, got a {kind}")
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitXor):
            raise ValueError("explain: a power is written a ** b, not a ^ b")
    return tree


def _functions() -> dict[str, Callable]:
    """What may be called, by name."""
    homes = [module for module in vars(ops).values() if isinstance(module, types.ModuleType)]
    found = {}
    for name in FUNCTIONS.split():
        home = next(module for module in homes if name in getattr(module, "__all__", ()))
        found[name] = getattr(home, name)
    return {**found, "max": _largest, "min": _smallest}


def _largest(*xs: Any) -> Any:
    return reduce(maximum, xs) if len(xs) > 1 else reductions.max(xs[0])


def _smallest(*xs: Any) -> Any:
    return reduce(minimum, xs) if len(xs) > 1 else reductions.min(xs[0])


def _check_names(tree: ast.Expression, values: dict[str, Any], known: dict[str, Callable]) -> None:
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    called = {f.id for f in calls if isinstance(f, ast.Name)}
    for name in sorted(called - set(known)):
        near = difflib.get_close_matches(name, known, 3) or sorted(known)[:8]
        raise ValueError(f"explain: no function {name!r}; there are {', '.join(near)}")
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} - called
    for name in sorted(used - set(values)):
        raise ValueError(f"explain: {name} has no value; add {name}=1.5")
    for name in sorted(set(values) - used):
        there = ", ".join(sorted(used)) or "no names"
        raise ValueError(f"explain: the expression has no {name}; it has {there}")


def _function(tree: ast.Expression, names: list[str], known: dict[str, Callable]) -> Callable:
    """A function of the names, in their order."""
    arguments = ast.arguments(
        posonlyargs=[], args=[ast.arg(name) for name in names], kwonlyargs=[], kw_defaults=[], defaults=[]
    )
    whole = ast.Expression(ast.Lambda(arguments, tree.body))
    ast.fix_missing_locations(whole)
    return eval(compile(whole, FILE, "eval"), {"__builtins__": {}, "__name__": "expression", **known})
