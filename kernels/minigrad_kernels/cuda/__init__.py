"""CUDA sources, as text: `source("philox")` is the text of philox.cu.

Reading the text is all that happens here; compiling it needs an array library, and
minigrad/engine/backend.py is the one file that knows that library.
"""

from __future__ import annotations

from importlib.resources import files

__all__ = ["names", "source"]


def source(name: str) -> str:
    """The text of `<name>.cu`; ValueError naming the known sources if there is none.

    >>> source("nothing")
    Traceback (most recent call last):
    ValueError: cuda source: expected one of ..., got 'nothing'
    """
    file = files(__name__) / f"{name}.cu"
    if not file.is_file():
        raise ValueError(f"cuda source: expected one of {', '.join(names()) or '(none)'}, got {name!r}")
    return file.read_text(encoding="utf-8")


def names() -> list[str]:
    """Names of the sources that the installed package holds, sorted."""
    return sorted(entry.name[:-3] for entry in files(__name__).iterdir() if entry.name.endswith(".cu"))
