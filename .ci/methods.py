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
from typing import Any

from .tensor import Tensor

class Methods:
'''
# Results that are not tensors, where the source does not say so.
RETURNS = {"item": "Any", "tolist": "Any", "backward": "None"}


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
    parameters = list(inspect.signature(value).parameters.values())
    shown = ["self"]
    for p in parameters[1:] if parameters[0].kind is not p_variadic else parameters:
        if p.kind is p_variadic:
            shown.append(f"*{p.name}: Any")
        elif p.kind is inspect.Parameter.VAR_KEYWORD:
            shown.append(f"**{p.name}: Any")
        else:
            if p.kind is p.KEYWORD_ONLY and any(s.startswith("*") for s in shown):
                pass
            shown.append(f"{p.name}: Any" + ("" if p.default is p.empty else " = ..."))
    ignore = "  # type: ignore[override]" if name in ("__eq__", "__ne__") else ""
    returns = RETURNS.get(name, "Tensor")
    return f"    def {name}({', '.join(shown)}) -> {returns}: ...{ignore}"


p_variadic = inspect.Parameter.VAR_POSITIONAL


def text() -> str:
    """The whole file."""
    return HEAD + "\n".join(line(name, value) for name, value in attached().items()) + "\n"


if __name__ == "__main__":
    if "--check" in sys.argv[1:]:
        if not FILE.exists() or FILE.read_text() != text():
            sys.exit(f"{FILE.name} is out of date: run python .ci/methods.py")
    else:
        FILE.write_text(text())
