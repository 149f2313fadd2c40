"""Launches of softmax.cu: softmax and its logarithm along any axis, and cross-entropy with its slope."""

from __future__ import annotations

from typing import Any

from .launch import ceil_div, ctype, launch, library
from .lines import FLOATS, KINDS, Lines, accumulator, inverse, lines_of

__all__ = ["INSTANCES", "cross_entropy", "log_softmax", "log_softmax_x", "softmax", "softmax_x"]

INSTANCES = (
    *[f"softmax_{way}<{t}, {kind}>" for way in ("forward", "backward") for t in FLOATS for kind in KINDS],
    *[f"cross_entropy_forward<{t}, {kind}>" for t in FLOATS for kind in KINDS],
    *[f"{name}<{t}>" for name in ("label_mass", "fold") for t in FLOATS],
)
THREADS, PIECE, PARTS = 512, 4096, 256  # of a sum: threads of a block, numbers to a block, most blocks
FEW = 1024  # labels that every block may count for itself: cheaper than a kernel more


def _lines(x: Any, axis: Any) -> Lines | None:
    if not isinstance(axis, int) or not -x.ndim <= axis < x.ndim:
        return None
    return lines_of(x, (axis % x.ndim,))


def _softmax(name: str, arrays: tuple, axis: int, logarithm: bool) -> Any:
    """One kernel over arrays of one shape; the last says in which order memory is worked on."""
    last = arrays[-1]
    lines = _lines(last, axis)
    if lines is None or any(a.shape != last.shape or a.dtype != last.dtype for a in arrays):
        return NotImplemented
    out = lines.new(last)
    args = (*[lines.memory(a) for a in arrays], out, lines.many, lines.n, lines.inner, logarithm)
    launch("softmax", f"{name}<{ctype(last.dtype)}, {lines.kind}>", lines.blocks, lines.threads, args)
    return lines.back(out)


def softmax(x: Any, *, axis: int = -1) -> Any:
    """e^x_i / sum_j e^x_j."""
    return _softmax("softmax_forward", (x,), axis, False)


def softmax_x(g: Any, y: Any, *, axis: int = -1) -> Any:
    """y (g - <g, y>)."""
    return _softmax("softmax_backward", (g, y), axis, False)


def log_softmax(x: Any, *, axis: int = -1) -> Any:
    """x_i - log sum_j e^x_j."""
    return _softmax("softmax_forward", (x,), axis, True)


def log_softmax_x(g: Any, y: Any, *, axis: int = -1) -> Any:
    """g - e^y sum g."""
    return _softmax("softmax_backward", (g, y), axis, True)


# ---------------------------------------------------------------- cross-entropy


def _is_ours(x: Any, target: Any, weight: Any, reduction: str) -> bool:
    """Scores (N, C, ...), whole labels (N, ...), a weight for each class; the readable text names errors."""
    fits = x.ndim > 1 and target.dtype.kind in "iu" and target.shape == (x.shape[0], *x.shape[2:])
    fits = fits and reduction in ("mean", "sum", "none")
    return fits and (weight is None or (weight.shape == x.shape[1:2] and weight.dtype.kind != "c"))


def cross_entropy(
    x: Any, target: Any, weight: Any = None, *, reduction: str = "mean", ignore_index: int = -100,
    label_smoothing: float = 0.0,
) -> Any:  # fmt: skip
    """-log softmax(x)[target], and its slope. The mean's divisor stays on the device.

    An impossible label reads nothing: its loss is NaN, its slope 0. Who calls sees to it that it is told.
    """
    ours = isinstance(ignore_index, int) and _is_ours(x, target, weight, reduction)
    lines = _lines(x, 1) if ours else None
    if lines is None:
        return NotImplemented
    labels, places = _in_order(target.astype("int64", copy=False), lines)
    given = None if weight is None else library(x).ascontiguousarray(weight.astype(x.dtype, copy=False))
    wide, few, mass = accumulator(x.dtype), labels.size <= FEW, None
    if reduction == "mean":
        mass = library(x).empty(1, wide) if few else _mass(x, labels, given, ignore_index)
    losses, slope = library(x).empty(lines.many, wide), lines.new(x)
    arrays, sizes = (lines.memory(x), labels, given, mass, losses, slope), (lines.many, lines.n, lines.inner)
    args = (*arrays, *sizes, ignore_index, float(label_smoothing), few)
    launch(
        "softmax", f"cross_entropy_forward<{ctype(x.dtype)}, {lines.kind}>", lines.blocks, lines.threads, args
    )
    saved = (lines.back(slope),)
    if reduction == "none":
        return places(losses.astype(x.dtype, copy=False)), saved
    return _sum(losses, mass, x.dtype).reshape(()), saved


def _in_order(target: Any, lines: Lines) -> tuple[Any, Any]:
    """Labels in the order of the lines, and what puts one number to a line back into its place."""
    order = tuple([axis - (axis > 1) for axis in lines.order if axis != 1])
    shape, back = [target.shape[axis] for axis in order], inverse(order)
    labels = library(target).ascontiguousarray(target.transpose(order))
    return labels, lambda v: v.reshape(shape).transpose(back)


def _blocks(n: int) -> int:
    return min(PARTS, ceil_div(n, PIECE))


def _mass(x: Any, labels: Any, weight: Any, ignored: int) -> Any:
    """What all labels count together: one number on the device."""
    n = labels.size
    parts = library(x).empty(_blocks(n), accumulator(x.dtype))
    args = (labels, weight, parts, n, x.shape[1], ignored)
    launch("softmax", f"label_mass<{ctype(x.dtype)}>", len(parts), THREADS, args)
    return _sum(parts, None, parts.dtype) if len(parts) > 1 else parts


def _sum(v: Any, divisor: Any, dtype: Any) -> Any:
    """The sum of v, over the divisor if there is one: one number on the device. Two steps for many."""
    if _blocks(v.size) > 1:
        v = _folded(v, None, v.dtype, _blocks(v.size))
    return _folded(v, divisor, dtype, 1)


def _folded(v: Any, divisor: Any, dtype: Any, blocks: int) -> Any:
    out = library(v).empty(blocks, dtype)
    launch("softmax", f"fold<{ctype(out.dtype)}>", blocks, THREADS, (v, divisor, out, v.size))
    return out
