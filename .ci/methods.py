"""Write minigrad/engine/methods.pyi: what the ops attach to Tensor, for editors and type checkers.

Ops attach their operators and methods where they stand (`Tensor.__mul__ = mul`), which no type checker
sees. This lists them, from the running class: `python .ci/methods.py`, or `--check` to compare.
"""

import inspect
import sys
from pathlib import Path

import minigrad
from minigrad import Tensor

FILE = Path(minigrad.__file__).parent / "engine" / "methods.pyi"
HEAD = '''"""Operators and methods that the ops attach to Tensor. Written by .ci/methods.py; do not edit."""

# ruff: noqa
import builtins
from typing import Any

from .tensor import Tensor

class Methods:
'''
# Plain results. Inside the class `int` is a method's name, hence builtins.
PLAIN = {"None": "None", "int": "builtins.int", "bool": "builtins.bool", "float": "builtins.float"}


Kind = inspect.Parameter


def attached() -> dict[str, object]:
    """Attributes of Tensor that another module put there."""
    own = "minigrad.engine.tensor"
    found = {}
    for name, value in vars(Tensor).items():
        function = value.fget if isinstance(value, property) else value
        if callable(function) and getattr(function, "__module__", own) != own:
            found[name] = value
    return dict(sorted(found.items()))


def line(name: str, value: object) -> str:
    """One method or property as a stub."""
    if isinstance(value, property):
        return f"    @property\n    def {name}(self) -> Tensor: ..."
    signature = inspect.signature(value)
    parameters = list(signature.parameters.values())
    returns = PLAIN.get(str(signature.return_annotation), "Tensor")
    shown = ["self"]
    # `fn(*xs)` takes self among its xs; any other function takes it first.
    for p in parameters if parameters[0].kind is Kind.VAR_POSITIONAL else parameters[1:]:
        shown += parameter(p, shown)
    ignore = "  # type: ignore[override]" if name in ("__eq__", "__ne__") else ""
    return f"    def {name}({', '.join(shown)}) -> {returns}: ...{ignore}"


def parameter(p: inspect.Parameter, before: list[str]) -> list[str]:
    """One parameter; what has no default must be named once another before it has one."""
    if p.kind is Kind.VAR_POSITIONAL:
        return [f"*{p.name}: Any"]
    if p.kind is Kind.VAR_KEYWORD:
        return [f"**{p.name}: Any"]
    if p.default is not p.empty:
        return [f"{p.name}: Any = ..."]
    star = any(s.endswith("= ...") for s in before) and not any(s.startswith("*") for s in before)
    return ["*", f"{p.name}: Any"] if star else [f"{p.name}: Any"]


def text() -> str:
    """The whole file."""
    return HEAD + "\n".join(line(name, value) for name, value in attached().items()) + "\n"


if __name__ == "__main__":
    if "--check" in sys.argv[1:]:
        if not FILE.exists() or FILE.read_text() != text():
            sys.exit(f"{FILE.name} is out of date: run python .ci/methods.py")
    else:
        FILE.write_text(text())
