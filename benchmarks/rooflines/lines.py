"""Kernels over lines: softmax, cross-entropy and the norms."""

from __future__ import annotations

from functools import partial

from minigrad_kernels.cuda import find

from .base import Job, Row, Traffic, calling, images, library, memory, numbers


def lines(arrays: int, flop: int, item: int, rows: int, width: int, numbers: int = 0) -> Traffic:
    """`arrays` of rows x width, `flop` operations a number, and `numbers` (of 4 bytes) for each row."""
    return Traffic(arrays * item * rows * width + 4 * numbers * rows, flop * rows * width)


def make_softmax(name: str, inputs: int, dtype: str, rows: int, width: int) -> Job:
    return calling(name, *[numbers(dtype, rows, width) for _ in range(inputs)], axis=-1)


def losses(item: int, rows: int, width: int) -> Traffic:
    """Scores and labels read, the slope and one loss written; exp, sum, product and two differences."""
    return Traffic(2 * item * rows * width + 8 * rows + item, 5 * rows * width)


def make_cross_entropy(dtype: str, rows: int, width: int) -> Job:
    labels = library().arange(rows) % width
    return calling("cross_entropy", numbers(dtype, rows, width), labels)


def normed(vectors: int, centered: bool, item: int, rows: int, width: int) -> Traffic:
    """x read; y, the normalised x and a factor for each row written; weight (and bias) of one row."""
    flop = 8 if centered else 5
    return Traffic(3 * item * rows * width + vectors * item * width + 4 * rows, flop * rows * width)


def normed_back(vectors: int, centered: bool, item: int, rows: int, width: int) -> Traffic:
    """g and the normalised x read, with weight, bias and factors; gx and the weights' gradients written."""
    flop = 10 if centered else 7
    return Traffic(3 * item * rows * width + 2 * vectors * item * width + 4 * rows, flop * rows * width)


def make_norm(name: str, vectors: int, dtype: str, rows: int, width: int) -> Job:
    """Layer norm (two vectors, weight and bias) or RMS norm (one)."""
    return calling(
        name,
        numbers(dtype, rows, width),
        *[numbers(dtype, width) for _ in range(vectors)],
        axes=(1,),
        eps=1e-5,
    )


def make_norm_back(name: str, vectors: int, dtype: str, rows: int, width: int) -> Job:
    g, z = numbers(dtype, rows, width), numbers(dtype, rows, width)
    inverse, given = abs(numbers("float32", rows, 1)), [numbers(dtype, width) for _ in range(vectors)]
    kernel = find(f"{name}.joint")
    needs = (True,) * (1 + vectors)
    return Job(lambda: kernel(g, needs, *given, (z, inverse), axes=(1,)), (g, z, inverse, *given))


def batch_normed(back: bool, item: int, batch: int, channels: int, side: int) -> Traffic:
    """As above over all but the channels: the vectors have a number for each channel."""
    n, vectors = batch * channels * side**2, (5 if back else 3) * channels
    return Traffic(3 * item * n + 4 * vectors, (10 if back else 8) * n)


def make_batch_norm(back: bool, dtype: str, batch: int, channels: int, side: int) -> Job:
    x, z = (images(dtype, batch, channels, side, side) for _ in range(2))
    weight, bias, inverse = (abs(numbers("float32", 1, channels, 1, 1)) for _ in range(3))
    axes = (0, 2, 3)
    if not back:
        return calling("normalise", x, weight, bias, axes=axes)
    run = lambda: find("normalise.joint")(x, (True,) * 3, weight, bias, (z, inverse), axes=axes)
    return Job(run, (x, z, weight, bias, inverse))


LINES, FEW_LINES = {"rows": 1 << 16, "width": 1024}, {"rows": 5, "width": 33}
PICTURES, FEW_PICTURES = {"batch": 256, "channels": 64, "side": 56}, {"batch": 4, "channels": 2, "side": 6}


def softmax_rows() -> list[Row]:
    """Softmax and its logarithm read one array forward, two backward."""
    rows = []
    for name in ("softmax", "log_softmax"):
        for way, inputs in (("", 1), (".x", 2)):
            what = name.replace("_", "-") + (" backward" if way else "")
            given = partial(lines, inputs + 1, 4), partial(make_softmax, name + way, inputs)
            rows.append(memory(name + way, what, LINES, FEW_LINES, *given))
    return rows


def line_rows() -> list[Row]:
    """Softmax, cross-entropy and norms of rows of 1,024; batch norm of images."""
    rows = softmax_rows()
    rows.append(memory("cross_entropy", "cross-entropy", LINES, FEW_LINES, losses, make_cross_entropy))
    for name, what, vectors in (("normalise", "layer norm", 2), ("rms_norm", "RMS norm", 1)):
        forward = partial(normed, vectors, vectors == 2), partial(make_norm, name, vectors)
        backward = partial(normed_back, vectors, vectors == 2), partial(make_norm_back, name, vectors)
        rows.append(memory(name, what, LINES, FEW_LINES, *forward))
        rows.append(memory(f"{name}.joint", f"{what} backward", LINES, FEW_LINES, *backward))
    for back in (False, True):
        given = partial(batch_normed, back), partial(make_batch_norm, back)
        name, what = "normalise" + ".joint" * back, "batch norm" + " backward" * back
        rows.append(memory(name, what, PICTURES, FEW_PICTURES, *given))
    return rows
