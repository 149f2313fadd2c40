"""Which line of the user's program, and which op, is being run: read from Python's stack.

Nothing is kept while a program runs; this is asked only when there is something to tell.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

import minigrad_kernels

__all__: list[str] = []

PACKAGE = str(Path(__file__).parent.parent)
BACKPROP, OP = (str(Path(__file__).with_name(f"{name}.py")) for name in ("backprop", "op"))
# Folders whose lines are not the user's; the GPU's array library adds its own when it is loaded.
OURS = [PACKAGE, str(Path(minigrad_kernels.__file__).parent), str(Path(np.__file__).parent)]
STANDARD = sysconfig.get_paths()["stdlib"]


def is_users(file: str) -> bool:
    """True for a file that belongs to neither minigrad, nor an array library, nor Python."""
    if file.startswith("<"):
        return not file.startswith("<frozen")  # <stdin>, a notebook's cell, a doctest
    if any(file.startswith(folder + os.sep) for folder in OURS):
        return False
    return not file.startswith(STANDARD) or "site-packages" in file


def user_line(frame: FrameType | None = None) -> str:
    """The innermost line outside of minigrad, as "file:line"; "?" if there is none."""
    frame = frame or sys._getframe(1)
    at: FrameType | None = frame
    while at is not None and not is_users(at.f_code.co_filename):
        at = at.f_back
    return "?" if at is None else f"{at.f_code.co_filename}:{at.f_lineno}"


def op_running(frame: FrameType | None = None) -> str:
    """What minigrad is doing: "matmul", "matmul backward", "Adam.step"; "" if nothing known.

    Of ops that call ops, the outermost below the user's line.
    """
    at: FrameType | None = frame or sys._getframe(1)
    found = ""
    while at is not None and not is_users(at.f_code.co_filename):
        found = _named(at) or found
        at = at.f_back
    return found


def _named(frame: FrameType) -> str:
    """What this frame is the work of, if it is one of those that have a name."""
    file, function = frame.f_code.co_filename, frame.f_code.co_name
    if file == OP and function == "call":
        return _name_of(frame.f_locals.get("op"))
    if file == BACKPROP and function == "pull":
        return f"{_name_of(getattr(frame.f_locals.get('node'), 'op', None))} backward"
    if function == "step" and file.startswith(PACKAGE):
        return f"{type(frame.f_locals.get('self')).__name__}.step"
    return ""


def _name_of(op: Any) -> str:
    return getattr(op, "name", "")
