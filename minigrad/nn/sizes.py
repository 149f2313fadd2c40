"""Calculators that show their working: output lengths and receptive fields of convolutions and pooling.

A window of k elements, d apart, reaches over d(k - 1) + 1. Dumoulin & Visin 2016, "A guide to convolution
arithmetic for deep learning", draws every case.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ..ops.conv import check_output_padding, pad_pairs, transposed_length
from ..ops.windows import Pairs, out_length, per_axis
from .conv import _Conv
from .module import Module
from .pool import _AvgPool, _LPPool, _MaxPool

__all__ = [
    "OutputSize",
    "ReceptiveField",
    "conv_output_size",
    "conv_transpose_output_size",
    "pool_output_size",
    "receptive_field",
]


class OutputSize(int):
    """A length, and in `formula` how it came about."""

    formula: str

    def __new__(cls, value: int, formula: str) -> OutputSize:
        size = super().__new__(cls, value)
        size.formula = f"{formula} = {value}"
        return size

    def __repr__(self) -> str:
        return self.formula

    __str__ = int.__repr__


def conv_output_size(
    size: Any, kernel_size: Any, stride: Any = 1, padding: Any = 0, dilation: Any = 1
) -> Any:
    """floor((n + 2p - d(k - 1) - 1)/s) + 1 for a length n, or for each of a tuple of lengths.

    padding: numbers, or a word that Conv1d takes. Raises ValueError where the kernel does not fit.

    >>> from minigrad import nn
    >>> nn.conv_output_size(32, 5)
    floor((32 + 2*0 - 1*(5 - 1) - 1)/1) + 1 = 28
    >>> nn.conv_output_size((32, 20), 3, stride=2, padding=1)[1] + 0
    10
    """
    name, lengths = "conv_output_size", _lengths("conv_output_size", size)
    kernel, stride, dilation = _each(
        name, len(lengths), kernel_size=kernel_size, stride=stride, dilation=dilation
    )
    pads = pad_pairs(name, padding, kernel, stride, dilation)
    return _one_or_all(size, _window_sizes(name, lengths, kernel, stride, pads, dilation, False))


def pool_output_size(
    size: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
) -> Any:
    """As conv_output_size; stride is kernel_size if None, and ceil_mode rounds up.

    >>> from minigrad import nn
    >>> nn.pool_output_size(7, 2, ceil_mode=True)
    ceil((7 + 2*0 - 1*(2 - 1) - 1)/2) + 1 = 4
    """
    name, lengths = "pool_output_size", _lengths("pool_output_size", size)
    stride = kernel_size if stride is None else stride
    kernel, stride, dilation = _each(
        name, len(lengths), kernel_size=kernel_size, stride=stride, dilation=dilation
    )
    pads = tuple((p, p) for p in per_axis(name, "padding", padding, len(lengths), least=0))
    return _one_or_all(size, _window_sizes(name, lengths, kernel, stride, pads, dilation, bool(ceil_mode)))


def conv_transpose_output_size(
    size: Any,
    kernel_size: Any,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    dilation: Any = 1,
) -> Any:
    """s(n - 1) + d(k - 1) + 1 - 2p + output_padding, for a length n or each of a tuple of lengths.

    >>> from minigrad import nn
    >>> nn.conv_transpose_output_size(14, 4, stride=2, padding=1)
    2*(14 - 1) + 1*(4 - 1) + 1 - 2*1 + 0 = 28
    """
    name, lengths = "conv_transpose_output_size", _lengths("conv_transpose_output_size", size)
    kernel, stride, dilation = _each(
        name, len(lengths), kernel_size=kernel_size, stride=stride, dilation=dilation
    )
    pads = per_axis(name, "padding", padding, len(lengths), least=0)
    extra = check_output_padding(name, output_padding, stride, dilation)
    sizes = []
    for n, k, s, p, d, e in zip(lengths, kernel, stride, pads, dilation, extra, strict=True):
        text = f"{s}*({n} - 1) + {d}*({k} - 1) + 1 - 2*{p} + {e}"
        length = transposed_length(n, k, s, p, d, e)
        if length < 1:
            raise ValueError(f"{name}: padding={pads} leaves nothing of the output, {text} = {length}")
        sizes.append(OutputSize(length, text))
    return _one_or_all(size, tuple(sizes))


def _lengths(name: str, size: Any) -> tuple[int, ...]:
    dims = len(size) if isinstance(size, tuple | list) else 1
    return per_axis(name, "size", size, max(dims, 1))


def _each(name: str, dims: int, **settings: Any) -> tuple[tuple[int, ...], ...]:
    return tuple(per_axis(name, argument, value, dims) for argument, value in settings.items())


def _one_or_all(size: Any, sizes: tuple[OutputSize, ...]) -> Any:
    return sizes if isinstance(size, tuple | list) else sizes[0]


def _window_sizes(
    name: str, lengths: tuple, kernel: tuple, stride: tuple, pads: Pairs, dilation: tuple, ceil: bool
) -> tuple[OutputSize, ...]:
    """One length an axis, with the numbers filled in."""
    sizes = []
    for n, k, s, p, d in zip(lengths, kernel, stride, pads, dilation, strict=True):
        if n + p[0] + p[1] < d * (k - 1) + 1:
            raise ValueError(
                f"{name}: the window reaches over {d * (k - 1) + 1} = {d}*({k}-1)+1, "
                f"the padded input has {n + p[0] + p[1]}; use a smaller kernel or more padding"
            )
        border = f"2*{p[0]}" if p[0] == p[1] else f"{p[0]} + {p[1]}"
        length = out_length(n, k, s, p, d, ceil)
        late = ceil and length < out_length(n, k, s, p, d) + 1 and (n + sum(p) - d * (k - 1) - 1) % s > 0
        text = f"{'ceil' if ceil else 'floor'}(({n} + {border} - {d}*({k} - 1) - 1)/{s}) + 1"
        sizes.append(OutputSize(length, text + " - 1 that would begin beyond the input" * late))
    return tuple(sizes)


# ---------------------------------------------------------------- receptive fields

Field = tuple[tuple[int, int], ...]  # per axis: how many inputs an output sees, and the step between outputs


def widen(field: Field, kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]) -> Field:
    """The field behind one more window: r + d(k - 1) j and j s, for a field r with step j."""
    return tuple(
        (r + d * (k - 1) * j, j * s) for (r, j), k, s, d in zip(field, kernel, stride, dilation, strict=True)
    )


def window_of(module: Module) -> tuple[tuple[int, ...], ...] | None:
    """kernel, stride and dilation of a convolution or pooling; None for other layers."""
    if not isinstance(module, _Conv | _MaxPool | _AvgPool | _LPPool):
        return None
    each = lambda value: per_axis(type(module).__name__, "window", value, module._dims)
    return each(module.kernel_size), each(module.stride), each(getattr(module, "dilation", 1))


class ReceptiveField:
    """What an output sees: `size` and `jump` (the step between neighbours) per axis, and all `rows`."""

    def __init__(self, rows: list[tuple[str, Field, str]]) -> None:
        self.rows = rows
        self.size = tuple(r for r, _ in rows[-1][1])
        self.jump = tuple(j for _, j in rows[-1][1])

    def __str__(self) -> str:
        wide = max(len(name) for name, _, _ in self.rows)
        return "\n".join(f"{name:{wide}}  {text}" for name, _, text in self.rows)

    __repr__ = __str__


def receptive_field(model: Module) -> ReceptiveField:
    """The receptive field of a Sequential of convolutions and pooling, by r' = r + d(k - 1) j, j' = j s.

    Layers that treat each place alone (activations, norms, dropout) and borders leave it as it is; where
    layers mix places otherwise, ValueError (explain_shapes follows any model).

    >>> from minigrad import nn
    >>> nn.receptive_field(nn.Sequential(nn.Conv2d(1, 8, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 8, 3)))
    0 Conv2d     1 + 1*(5 - 1)*1 = 5, step 1*1 = 1
    2 MaxPool2d  5 + 1*(2 - 1)*1 = 6, step 1*2 = 2
    3 Conv2d     6 + 1*(3 - 1)*2 = 10, step 2*1 = 2
    """
    rows: list[tuple[str, Field, str]] = []
    for name, module in _layers(model):
        window = window_of(module)
        if window is None:
            _check_acts_alone(name, module)
            continue
        before = rows[-1][1] if rows else ((1, 1),) * len(window[0])
        if len(before) != len(window[0]):
            raise ValueError(
                f"receptive_field: {name} has {len(window[0])} axes, the layers before {len(before)}"
            )
        after = widen(before, *window)
        rows.append((f"{name} {type(module).__name__}".strip(), after, _working(before, after, window)))
    if not rows:
        raise ValueError(
            f"receptive_field: expected convolutions or pooling, {type(model).__name__} has none"
        )
    return ReceptiveField(rows)


def _layers(model: Module) -> Iterator[tuple[str, Module]]:
    """The layers of nested Sequentials, in order, a repeated one each time."""
    return (
        (name, m)
        for name, m in model.named_modules(remove_duplicate=False)
        if not any(True for _ in m.children())
    )


def _working(before: Field, after: Field, window: tuple[tuple[int, ...], ...]) -> str:
    texts = [
        f"{r} + {d}*({k} - 1)*{j} = {r2}, step {j}*{s} = {j2}"
        for (r, j), (r2, j2), k, s, d in zip(before, after, *window, strict=True)
    ]
    return texts[0] if len(set(texts)) == 1 else "; ".join(texts)


ALONE = ("activation", "norm", "dropout", "padding")  # files of layers that move nothing between places


def _check_acts_alone(name: str, module: Module) -> None:
    package, _, file = type(module).__module__.rpartition(".")
    ours = package == __name__.rpartition(".")[0]
    if type(module).__name__ == "Identity" or (ours and file in ALONE):
        return
    if ours or any(True for _ in module.parameters()):
        raise ValueError(
            f"receptive_field: {name} is a {type(module).__name__}: expected convolutions, pooling and "
            "layers that treat each place alone; explain_shapes follows any model"
        )
