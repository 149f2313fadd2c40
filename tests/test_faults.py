"""Faults planted in VJPs: the gradient check as shipped must catch every one, and pass the unharmed op."""

import contextlib

import numpy as np
import pytest
from cases import SAMPLES

import minigrad as mg
from minigrad.engine.op import REGISTRY
from minigrad.gradtable import check_op
from minigrad.ops.elementwise import exp, where
from minigrad.ops.index import put_add
from minigrad.ops.reduce import _kept, cumsum
from minigrad.ops.shape import reshape, swapaxes


@contextlib.contextmanager
def planted(name, argument, vjp):
    """The op with another VJP for one argument; its call plans are made anew and thrown away after."""
    op = REGISTRY[name]
    before, plans = op.vjps[argument], dict(op.plans)
    op.vjps[argument] = vjp
    op.plans.clear()
    try:
        yield op
    finally:
        op.vjps[argument] = before
        op.plans.clear()
        op.plans.update(plans)


def zeroed(g):
    """g with its first element lost."""
    keep = np.ones(g.shape)
    keep.reshape(-1)[0] = 0.0
    return g * keep


def fixed(x):
    """x as a plain number: right at order 1, without its own derivative at order 2."""
    return getattr(x, "_data", x)


def scaled(name, argument, by):
    """The right VJP times a factor: same parameters, so that the node saves the same."""
    right = REGISTRY[name].vjps[argument]
    names = right.__code__.co_varnames[: right.__code__.co_argcount]
    body = f"lambda {', '.join(names)}: right({', '.join(names)}) * {by!r}"
    return eval(body, {"right": right})


TINY = 1.0 + 1e-8

FAULTS = [
    # a factor that is off in the ninth digit
    *[(op, arg, "scale 1 + 1e-8", scaled(op, arg, TINY)) for op, arg in (
        ("add", "a"), ("mul", "b"), ("div", "b"), ("exp", "x"), ("tanh", "x"), ("log", "x"), ("sqrt", "x"), ("sin", "x"),
        ("sigmoid", "x"), ("erf", "x"), ("softmax", "x"), ("log_softmax", "x"), ("sum", "x"), ("mean", "x"), ("matmul", "a"),
        ("linear", "weight"), ("linear", "bias"), ("relu", "x"), ("max", "x"), ("inv", "x"), ("logsumexp", "x"), ("conv", "bias"),
    )],
    # a sign, a factor, a function mistaken
    ("sub", "b", "sign", lambda g: g),
    ("cos", "x", "sign", lambda g, x: g * mg.sin(x)),
    ("reciprocal", "x", "power", lambda g, y: -g * y),
    ("square", "x", "lost 2", lambda g, x: g * x),
    ("sqrt", "x", "lost 1/2", lambda g, y: g / y),
    ("exp", "x", "as if a power", lambda g, y, x: g * x * y),
    ("log2", "x", "lost ln 2", lambda g, x: g / x),
    ("tanh", "x", "1 - y for 1 - y^2", lambda g, y: g * (1.0 - y)),
    ("sigmoid", "x", "lost factor", lambda g, y: g * y),
    ("sigmoid", "x", "of x for of y", lambda g, x: g * (x * (1.0 - x))),
    ("div", "b", "lost square", lambda g, a, b: -g * a / b),
    ("pow", "a", "exponent off by one", lambda g, a, b: g * b * a**b),
    ("arctan2", "a", "arguments swapped", lambda g, a, b: -g * a / (a * a + b * b)),
    ("mul", "a", "arguments swapped", lambda g, a: g * a),
    ("where", "a", "branches swapped", lambda g, condition: where(condition, 0.0, g)),
    ("relu", "x", "passes everywhere", lambda g: g),
    ("clip", "x", "passes everywhere", lambda g: g),
    ("silu", "x", "lost product rule", lambda g, x: g * mg.sigmoid(x)),
    ("gelu_erf", "x", "lost product rule", lambda g, x: g * 0.5 * mg.erfc(-x * 0.5**0.5)),
    # one element, one axis, one shape
    ("add", "b", "an element lost", lambda g: zeroed(g)),
    ("identity", "x", "an element lost", lambda g: zeroed(g)),
    ("reshape", "x", "an element lost", lambda g, x_shape: reshape(zeroed(g), x_shape)),
    ("matmul", "a", "lost transpose", lambda g, a_shape, b: mg.sum_to(mg.broadcast_to(g.sum(-1, keepdims=True), (*g.shape[:-1], a_shape[-1])), a_shape)),
    ("transpose", "x", "elements in the wrong order", lambda g, x_shape: reshape(g, x_shape)),
    ("flip", "x", "not turned back", lambda g: g),
    ("roll", "x", "rolled on", lambda g, shift, axis: mg.roll(g, shift, axis)),
    ("cumsum", "x", "from the wrong end", lambda g, axis: cumsum(g, axis)),
    ("tril", "x", "not masked", lambda g: g),
    ("take_index", "x", "assigned, not added", lambda g, x_shape, index: put_add(g, shape=x_shape, index=index) * 0.5),
    ("take_index", "x", "index off by one", lambda g, x_shape, index: mg.roll(put_add(g, shape=x_shape, index=index), 1, 0)),
    ("sum", "x", "lost axis", lambda g, x_shape: mg.broadcast_to(reshape(g.sum(), (1,) * len(x_shape)), x_shape)),
    ("mean", "x", "lost 1/n", lambda g, x_shape, axis: mg.broadcast_to(_kept(g, x_shape, axis), x_shape)),
    ("max", "x", "to all", lambda g, x_shape, axis: mg.broadcast_to(_kept(g, x_shape, axis), x_shape)),
    ("norm2", "x", "lost 1/norm", lambda g, x, axis: _kept(g, x.shape, axis) * x),
    ("prod", "x", "product with itself", lambda g, y, x, axis: _kept(g * y, x.shape, axis) * x),
    ("softmax", "x", "lost sum", lambda g, y: y * g),
    ("log_softmax", "x", "lost softmax", lambda g, y, axis: g - exp(y) * 0.0),
    ("inv", "x", "not transposed", lambda g, y: -(y @ g @ y)),
    ("inv", "x", "sign", lambda g, y: swapaxes(y, -1, -2) @ g @ swapaxes(y, -1, -2)),
    ("linear", "weight", "bias's gradient", lambda g, x, weight_shape: mg.broadcast_to(mg.sum_to(g, (g.shape[-1],)).reshape(-1, 1), weight_shape)),
    ("conv", "bias", "mean for sum", lambda g: g.mean((0, *range(2, g.ndim)))),
    ("conv", "x", "an element lost", lambda g, x_shape, w, **how: zeroed(mg.engine.op.REGISTRY["conv_grad_x"].call(g, w, x_shape=x_shape, **how))),
    # a broadcast sum lost: the first row stands for all
    ("mul", "b", "lost broadcast sum", lambda g, a, b_shape: mg.broadcast_to((g * a)[(0,) * (g.ndim - len(b_shape))], (g * a).shape) * (1.0 if g.ndim > len(b_shape) else 0.5)),
    # right at order 1, wrong at order 2
    ("exp", "x", "order 2: y detached", lambda g, y: g * fixed(y)),
    ("tanh", "x", "order 2: y detached", lambda g, y: g * (1.0 - fixed(y) * fixed(y))),
    ("mul", "a", "order 2: b detached", lambda g, b: g * fixed(b)),
    ("square", "x", "order 2: x detached", lambda g, x: g * (2.0 * fixed(x))),
    ("matmul", "b", "order 2: a detached", lambda g, a, b_shape: mg.sum_to(swapaxes(fixed(a), -1, -2) @ g if isinstance(g, mg.Tensor) else swapaxes(a, -1, -2) @ g, b_shape)),
    ("sin", "x", "order 2: g detached", lambda g, x: fixed(g) * mg.cos(x)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "argument", "vjp"),
    [pytest.param(op, arg, vjp, id=f"{op}.{arg}: {what}") for op, arg, what, vjp in FAULTS],
)
def test_the_fault_is_caught(name, argument, vjp):
    with planted(name, argument, vjp) as op:
        try:
            row = check_op(op, SAMPLES[name])
        except (ValueError, TypeError) as error:
            assert name in str(error)  # the engine itself refused: a shape that does not fit, by name
            return
        assert not row["ok"]
        assert row["faults"], "a fault must be told in words"


def test_there_are_enough_faults_in_ops_that_are_checked_unharmed_too():
    assert len(FAULTS) >= 40
    assert {op for op, *_ in FAULTS} <= set(SAMPLES)  # test_cases.py sees every one of these pass
