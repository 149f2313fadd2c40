"""What every CPU kernel gains: `python -m benchmarks.kernels`, with it against without it.

A row is a piece of work, forward and backward, at a size that a training step of `vs_pytorch` meets;
it runs in turn as it is and in `reference_mode()`. A kernel whose row shows no gain goes.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from benchmarks import harness, models  # benchmarks itself sets threads and kernels, before NumPy loads

import numpy as np  # isort: skip

import minigrad as mg  # isort: skip
from minigrad.ops.conv import conv, conv_grad_w  # isort: skip
from minigrad.ops.recurrent import gru_sequence, lstm_sequence, rnn_sequence  # isort: skip
from minigrad.ops.attention import attention  # isort: skip
from minigrad.ops.packed_attention import packed_attention  # isort: skip


class Row(NamedTuple):
    """The kernels at work, what is done, and a function that gives the work."""

    kernels: tuple[str, ...]
    what: str
    make: Callable[[], Callable[[], Any]]


def both_ways(f: Callable[..., Any], *shapes: tuple[int, ...]) -> Callable[[], Callable[[], Any]]:
    """The work f(*tensors) and its backward pass, on random float32 tensors of these shapes."""

    def make() -> Callable[[], Any]:
        rng = np.random.default_rng(0)
        xs = [mg.tensor(rng.standard_normal(s, dtype=np.float32), requires_grad=True) for s in shapes]
        g = mg.ones_like(f(*xs))

        def work() -> None:
            f(*xs).backward(g)
            for x in xs:
                x.grad = None

        return work

    return make


def convolved(
    batch: int, channels: int, filters: int, lengths: tuple[int, ...], kernel: int, stride: int = 1
) -> Callable[[], Callable[[], Any]]:
    """A convolution that keeps the lengths (or divides them by the stride), and its gradient in x."""
    dims = len(lengths)
    w = np.random.default_rng(1).standard_normal((filters, channels, *(kernel,) * dims), np.float32)
    how = {"stride": (stride,) * dims, "padding": ((kernel // 2,) * 2,) * dims, "dilation": (1,) * dims}
    return both_ways(lambda x: conv(x, w, None, groups=1, **how), (batch, channels, *lengths))


def batch_last(*shape: int) -> Any:
    """Random images with the batch last in memory, as layers leave them."""
    rng = np.random.default_rng(0)
    return np.moveaxis(rng.standard_normal((*shape[1:], shape[0]), dtype=np.float32), -1, 0)


def weights_gradient(
    batch: int, channels: int, filters: int, lengths: tuple[int, ...], kernel: int
) -> Callable[[], Callable[[], Any]]:
    """A convolution's gradient in its weights, alone."""
    dims = len(lengths)
    how = {"stride": (1,) * dims, "padding": ((kernel // 2,) * 2,) * dims, "dilation": (1,) * dims}
    shape = (filters, channels, *(kernel,) * dims)

    def make() -> Callable[[], Any]:
        gy, x = batch_last(batch, filters, *lengths), batch_last(batch, channels, *lengths)
        return lambda: conv_grad_w(gy, x, w_shape=shape, groups=1, **how)

    return make


def pooled(f: Callable[..., Any], *shape: int) -> Callable[[], Callable[[], Any]]:
    """Pooling forward and backward."""

    def make() -> Callable[[], Any]:
        x = mg.tensor(batch_last(*shape), requires_grad=True)
        g = mg.ones_like(f(x))

        def work() -> None:
            f(x).backward(g)
            x.grad = None

        return work

    return make


def sequence(
    op: Callable, gates: int, states: int, steps: int, batch: int, inputs: int, width: int
) -> Callable[[], Callable[[], Any]]:
    """A sequence op over sequences of equal length, and all its gradients."""
    shapes = [
        (steps * batch, inputs),
        *[(batch, width)] * states,
        (gates * width, inputs),
        (gates * width, width),
    ]
    small = lambda w: w * (1.0 / width**0.5)
    return both_ways(
        lambda *of: op(*of[:-4], small(of[-4]), small(of[-3]), *of[-2:], sizes=(batch,) * steps),
        *shapes, (gates * width,), (gates * width,),
    )  # fmt: skip


def optimised(name: str, **settings: Any) -> Callable[[], Callable[[], Any]]:
    """A step of an optimiser on the transformer's parameters."""

    def make() -> Callable[[], Any]:
        params = list(models.transformer(mg.nn).parameters())
        for p in params:
            p.grad = mg.randn(*p.shape)
        return getattr(mg.optim, name)(params, **settings).step

    return make


F = mg.nn.functional
CONV, GRAD_W = ("conv", "conv_grad_x"), ("conv_grad_w",)
MAX, MEAN = ("max_pool", "window_put"), ("window_sum", "window_spread")
ROWS = [
    Row(("adam",), "Adam, 51 parameters, 810,000 numbers", optimised("Adam")),
    Row(("sgd",), "SGD with momentum, the same", optimised("SGD", momentum=0.9)),
    Row(("matmul",), "scores of 16x4 heads", both_ways(mg.matmul, (16, 4, 128, 32), (16, 4, 32, 128))),
    Row(  # alone a product is as fast as OpenBLAS's; beside another kernel two pools of threads wait
        ("linear", "linear.bias"),
        "affine map 2048x128 to 512 and ReLU",
        both_ways(lambda *of: mg.relu(mg.nn.functional.linear(*of)), (2048, 128), (512, 128), (512,)),
    ),
    Row(("relu", "relu.x"), "ReLU of 32x64x32x32", both_ways(mg.relu, (32, 64, 32, 32))),
    Row(("tanh", "tanh.x"), "tanh of 32x128x256", both_ways(mg.tanh, (32, 128, 256))),
    Row(("sigmoid", "sigmoid.x"), "sigmoid of 32x128x256", both_ways(mg.sigmoid, (32, 128, 256))),
    Row(("gelu_erf", "gelu_erf.x"), "GELU of 16x128x512 (transformer)", both_ways(F.gelu, (16, 128, 512))),
    Row(("silu", "silu.x"), "SiLU of 16x128x512", both_ways(F.silu, (16, 128, 512))),
    Row(("leaky_relu", "leaky_relu.x"), "leaky ReLU of 32x128x256", both_ways(F.leaky_relu, (32, 128, 256))),
    Row(("elu", "elu.x"), "ELU of 32x64x32x32", both_ways(F.elu, (32, 64, 32, 32))),
    Row(("softplus", "softplus.x"), "softplus of 32x128x256", both_ways(F.softplus, (32, 128, 256))),
    Row(
        ("normalise", "normalise.joint"),
        "batch norm of 32x16x32x32 (ResNet-20), the batch last in memory",
        both_ways(
            lambda x: mg.moveaxis(F.batch_norm(mg.moveaxis(x, -1, 0), None, None, training=True), 0, -1),
            (16, 32, 32, 32),
        ),
    ),
    Row(
        ("normalise", "normalise.joint"),
        "layer norm of 16x128x128 (transformer)",
        both_ways(lambda x, w, b: F.layer_norm(x, (128,), w, b), (16, 128, 128), (128,), (128,)),
    ),
    Row(
        ("rms_norm", "rms_norm.joint"),
        "RMS norm of 16x128x128",
        both_ways(lambda x, w: F.rms_norm(x, (128,), w), (16, 128, 128), (128,)),
    ),
    Row(CONV, "3x3 convolution 64 to 64, 16x64x64 (VGG)", convolved(16, 64, 64, (64, 64), 3)),
    Row(CONV, "3x3 convolution 16 to 16, 32x32x32 (ResNet-20)", convolved(32, 16, 16, (32, 32), 3)),
    Row(CONV, "3x3 convolution 32 to 64, stride 2, 32x16x16", convolved(32, 32, 64, (16, 16), 3, 2)),
    Row(CONV, "5 wide convolution 32 to 64, 32x250 (1-D ConvNet)", convolved(32, 32, 64, (250,), 5)),
    Row(CONV, "5x5 convolution 1 to 6, 64x28x28 (LeNet-5)", convolved(64, 1, 6, (28, 28), 5)),
    Row(
        GRAD_W, "gradient in 3x3 weights, 64 to 64, 16x64x64 (VGG)", weights_gradient(16, 64, 64, (64, 64), 3)
    ),
    Row(GRAD_W, "the same, 16 to 16, 32x32x32 (ResNet-20)", weights_gradient(32, 16, 16, (32, 32), 3)),
    Row(GRAD_W, "the same, 5 wide, 32 to 64, 32x250 (1-D ConvNet)", weights_gradient(32, 32, 64, (250,), 5)),
    Row(GRAD_W, "the same, 5x5, 1 to 6, 64x28x28 (LeNet-5)", weights_gradient(64, 1, 6, (28, 28), 5)),
    Row(
        MAX,
        "max pooling 2x2 of 16x64x64x64 (VGG)",
        pooled(partial(F.max_pool2d, kernel_size=2), 16, 64, 64, 64),
    ),
    Row(MAX, "max pooling 4 of 32x32x1000 (1-D)", pooled(partial(F.max_pool1d, kernel_size=4), 32, 32, 1000)),
    Row(
        MEAN,
        "mean pooling 2x2 of 64x6x28x28 (LeNet-5)",
        pooled(partial(F.avg_pool2d, kernel_size=2), 64, 6, 28, 28),
    ),
    Row(
        MEAN, "global means of 32x64x8x8", pooled(partial(F.adaptive_avg_pool2d, output_size=1), 32, 64, 8, 8)
    ),
    Row(
        ("attention", "attention.joint"),
        "attention of 16x4 heads, 128x32 each",
        both_ways(attention, *[(16, 4, 128, 32)] * 3),
    ),
    Row(
        ("packed_attention", "packed_attention.joint"),
        "the same, heads of one projection",
        both_ways(lambda x: packed_attention(x.transpose(2, 0, 3, 1, 4)), (16, 128, 3, 4, 32)),
    ),
    Row(("softmax", "softmax.x"), "softmax of 2048x65", both_ways(mg.softmax, (2048, 65))),
    Row(("log_softmax", "log_softmax.x"), "log-softmax of 2048x65", both_ways(mg.log_softmax, (2048, 65))),
    Row(
        ("cross_entropy",),
        "cross-entropy of 2048x65",
        both_ways(lambda x: mg.nn.functional.cross_entropy(x, mg.arange(2048) % 65), (2048, 65)),
    ),
    Row(
        ("lstm_sequence", "lstm_sequence.joint"),
        "LSTM 128 to 256, 64 steps of 32",
        sequence(lstm_sequence, 4, 2, 64, 32, 128, 256),
    ),
    Row(
        ("gru_sequence", "gru_sequence.joint"),
        "GRU 64 to 128, 50 steps of 32",
        sequence(gru_sequence, 3, 1, 50, 32, 64, 128),
    ),
    Row(
        ("rnn_sequence", "rnn_sequence.joint"),
        "RNN 64 to 128, 50 steps of 32",
        sequence(rnn_sequence, 1, 1, 50, 32, 64, 128),
    ),
]


def measure(row: Row, rounds: int) -> dict[str, Any]:
    """The row with its kernels and without, in turn."""
    work = row.make()

    def without() -> None:
        with mg.reference_mode():
            work()

    timing = harness.paired(work, without, rounds)
    return {"name": ", ".join(row.kernels), "what": row.what, "bar": 1.0, **timing}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser("python -m benchmarks.kernels", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=21, help="pairs timed per row (default 21)")
    parser.add_argument("--only", help="time the rows of this kernel alone")
    parser.add_argument("--json", metavar="FILE", help="write the rows there")
    options = parser.parse_args(arguments)
    rows = []
    for row in ROWS:
        if options.only is None or options.only in row.kernels:
            rows.append(measure(row, options.rounds))
            told = "{what}: {ours_ms:.3f} ms / {theirs_ms:.3f} ms = {ratio:.2f}".format(**rows[-1])
            print(f"{told} ({rows[-1]['name']})", flush=True)
    if options.json:
        harness.write(options.json, "kernels", harness.environment(packages=("numpy", "numba")), rows)


if __name__ == "__main__":
    main()
