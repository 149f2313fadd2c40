"""Every op on the other array library: the same numbers and gradients as on NumPy, and no silent transfers."""

import contextlib

import numpy as np
import pytest
from cases import ALL, SAMPLES

import minigrad as mg
from minigrad.engine.op import REGISTRY
from minigrad.engine.random import Generator

# Ops whose text asks the device for numbers, or sends some at every call: they wait, and cannot be captured.
WAITS = {
    "take_index": "the count of a boolean mask is the size of the result",
    "put": "as take_index, in the gradient of the values",
    "ctc_loss": "lengths and labels lay out the table of paths",
    "erf": "three formulas, each for the part of x that a boolean mask takes",
    "erfc": "as erf",
    "gelu_erf": "as erf",
    "prod": "whether there is a zero decides which gradient is computed",
    "cumprod": "as prod",
}


def outcome(name, k, send, dtype="float64"):
    """The op's result and the gradients of its floating arguments; `send` brings an array to the device."""
    op, (args, meta) = REGISTRY[name], SAMPLES[name][k]
    floating = [isinstance(a, np.ndarray) and a.dtype.kind == "f" for a in args]
    args = [a.astype(dtype) if yes else a for a, yes in zip(args, floating, strict=True)]
    leaves = [i for i, yes in enumerate(floating) if yes and not (op.constant and op.constant[i])]
    given = [mg.asarray(send(a)) if isinstance(a, np.ndarray) else a for a in args]
    if op.differentiable:
        for i in leaves:
            given[i].requires_grad_()
    meta = {key: sent(value, send) if key in ("index", "chosen") else value for key, value in meta.items()}
    if meta.get("generator") == "fixed":
        meta["generator"] = Generator(5)
    yield given  # what follows is the op's own work
    y = op.call(*given, **meta)
    if y.requires_grad:
        y.backward(mg.asarray(weights(y, send)))
    yield [y, *[given[i].grad for i in leaves]]


def sent(x, send):
    """The metadata, with arrays in it sent over."""
    if isinstance(x, tuple):
        return tuple(sent(part, send) for part in x)
    return send(x) if isinstance(x, np.ndarray) else x


def weights(y, send):
    return send(Generator(3).standard_normal(y.shape).astype(y.dtype))


def compared(stand_in, name, k, dtype):
    """Asserts equality; the transfers that the op itself made on the device."""
    import cupy

    _, here = outcome(name, k, np.array, dtype)
    for _ in range(2):  # small tables go over at the first call, and stay
        steps = outcome(name, k, cupy.array, dtype)
        next(steps)
        stand_in.ledger.clear()
        there = next(steps)
    made = [e for e in stand_in.ledger.transfers() if "test_stand_in_ops" not in e.line]
    for mine, theirs in zip(here, there, strict=True):
        assert (mine is None) == (theirs is None)
        if mine is not None:
            assert theirs.device.type == "cuda" and theirs.dtype == mine.dtype
            got, wanted = theirs.cpu().detach().numpy(), mine.detach().numpy()
            error = {"float64": 1e-11, "float32": 1e-5}[dtype] * max(abs(wanted[np.isfinite(wanted)]).max(initial=1.0), 1.0)
            np.testing.assert_allclose(got.astype(float), wanted.astype(float), rtol=0, atol=error)
    return made


WAYS = [
    pytest.param(mg.reference_mode, "float64", id="text"),
    pytest.param(contextlib.nullcontext, "float64", id="kernels", marks=pytest.mark.slow),
    pytest.param(contextlib.nullcontext, "float32", id="kernels32", marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("mode", "dtype"), WAYS)
@pytest.mark.parametrize(("name", "k"), ALL)
def test_same_there_without_silent_transfers(stand_in_module, name, k, mode, dtype):
    if name == "transfer":
        pytest.skip("is a transfer")
    if stand_in_module is None:
        pytest.skip("test_cases.py compares the two devices where there is a GPU")
    with mode():
        made = compared(stand_in_module, name, k, dtype)
    assert not made or name in WAITS, made
