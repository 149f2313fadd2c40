"""The sequence kernels against the readable ops, in float32: shapes that fill no vector, packed lengths, both ways."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("numba")

import minigrad as mg
from minigrad.ops.recurrent import gru_sequence, lstm_sequence, rnn_sequence
from minigrad_kernels.cpu import find
from minigrad_kernels.cpu.panels import WIDE, pack, product
from minigrad_kernels.cpu.simd import LANES

GATES = {"lstm_sequence": 4, "gru_sequence": 3, "rnn_sequence": 1}
OPS = {"lstm_sequence": lstm_sequence.op, "gru_sequence": gru_sequence.op, "rnn_sequence": rnn_sequence.op}
few = settings(max_examples=25, deadline=None, derandomize=True)


def job(name, sizes, inputs, width, biases=True, **how):
    """(arrays, metadata) of a sequence op with random values."""
    rng = np.random.default_rng(len(sizes) + inputs + width)
    f = lambda *shape: rng.standard_normal(shape, np.float32)
    gates, near = GATES[name] * width, np.float32(1 / np.sqrt(width))
    states = [f(sizes[0], width) for _ in range(1 + (name == "lstm_sequence"))]
    vectors = [f(gates), f(gates)] if biases else [None, None]
    arrays = [f(sum(sizes), inputs), *states, f(gates, inputs) * near, f(gates, width) * near, *vectors]
    return arrays + [None] * (name == "lstm_sequence"), {"sizes": sizes, "reverse": False, **how}


def backwards(name, forward, y, saved, arrays, meta, needs):
    """What the joint backward of the kernel or of the op gives for a fixed gradient."""
    g = np.random.default_rng(1).standard_normal(y.shape, np.float32)
    named = arrays[:5] + [None] if name == "lstm_sequence" else arrays[:4]
    return forward(g, needs, *([y] if name == "rnn_sequence" else []), *named, saved, **meta)


def near(a, b):
    assert (a is None) == (b is None)
    if a is not None:
        assert a.shape == b.shape and a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5 * max(1e-30, np.abs(b).max(initial=0)))


def leaves(saved):
    """The arrays in what a forward saved."""
    return [a for part in saved for a in (leaves(part) if isinstance(part, list | tuple) else [part])]


def everything(name):
    """`needs` for all gradients there can be."""
    return (True,) * 7 + (False,) if name == "lstm_sequence" else (True,) * 6


@st.composite
def jobs(draw):
    name = draw(st.sampled_from(sorted(GATES)))
    sizes = sorted(draw(st.lists(st.integers(1, 20), min_size=2, max_size=5)), reverse=True)
    sizes = (sizes[0],) * len(sizes) if draw(st.booleans()) else tuple(sizes)
    how = {"reverse": draw(st.booleans()), "biases": draw(st.booleans())}
    if name == "rnn_sequence":
        how["nonlinearity"] = draw(st.sampled_from(["tanh", "relu"]))
    return (name, sizes, draw(st.integers(1, 40)), draw(st.integers(LANES, 5 * LANES))), how


@few
@given(jobs())
def test_forward_backward_and_what_is_saved_are_those_of_the_op(drawn):
    (name, *shape), how = drawn
    arrays, meta = job(name, *shape, **how)
    op, kernel, joint = OPS[name], find(name), find(f"{name}.joint")
    y, saved = op.forward(np, *arrays, **meta)
    fast, kept = kernel(*arrays, **meta)
    near(fast, y)
    assert len(leaves(kept)) == len(leaves(saved))
    for a, b in zip(leaves(kept), leaves(saved), strict=True):
        near(a, b)
    needs = everything(name)
    wanted = backwards(name, op.joint, y, saved, arrays, meta, needs)
    for s in (saved, kept):  # each backward takes what either forward saved
        for back in (joint, op.joint):
            for a, b in zip(backwards(name, back, y, s, arrays, meta, needs), wanted, strict=True):
                near(a, b)


@pytest.mark.parametrize("name", GATES)
def test_only_the_gradients_that_are_needed(name):
    arrays, meta = job(name, (3, 3), 5, LANES, **({"nonlinearity": "tanh"} if name == "rnn_sequence" else {}))
    y, saved = find(name)(*arrays, **meta)
    states = 1 + (name == "lstm_sequence")
    full = backwards(name, find(f"{name}.joint"), y, saved, arrays, meta, everything(name))
    for one in (0, *range(1 + states, 5 + states)):
        needs = tuple(k == one for k in range(len(arrays)))
        found = backwards(name, find(f"{name}.joint"), y, saved, arrays, meta, needs)
        for k, (a, b) in enumerate(zip(found, full, strict=True)):
            if k == one:
                near(a, b)
            elif not 1 <= k <= states:
                assert a is None
    biases = full[3 + states : 5 + states]
    assert not np.shares_memory(*biases)


@pytest.mark.parametrize("name", GATES)
def test_views_and_broadcast_gradients(name):
    """Transposed weights, every second row of x, a g of stride 0: the same as their copies, and nothing is written."""
    arrays, meta = job(name, (4, 4, 4), 6, 2 * LANES, **({"nonlinearity": "relu"} if name == "rnn_sequence" else {}))
    odd = [None if a is None else np.asfortranarray(a) if a.ndim > 1 else a for a in arrays]
    odd[0] = np.repeat(arrays[0], 2, axis=0)[::2]
    before = [None if a is None else a.copy() for a in odd]
    y, saved = find(name)(*odd, **meta)
    near(y, find(name)(*arrays, **meta)[0])
    g, joint = np.broadcast_to(np.float32(0.5), y.shape), find(f"{name}.joint")
    found, wanted = (
        backwards(name, lambda _, *rest, g=of, **meta: joint(g, *rest, **meta), y, saved, xs, meta, everything(name))
        for of, xs in ((g, odd), (g.copy(), arrays))
    )
    for a, b in zip(found, wanted, strict=True):
        near(a, b)
    for a, b in zip(odd, before, strict=True):
        assert a is None or np.array_equal(a, b)


@pytest.mark.parametrize("name", GATES)
def test_large_sums_saturate_and_nan_stays_in_its_sequence(name):
    arrays, meta = job(name, (3, 3), 4, LANES, **({"nonlinearity": "tanh"} if name == "rnn_sequence" else {}))
    arrays[0] = arrays[0] * np.float32(1e8)
    arrays[0][4, 0] = np.nan  # the second sequence at the second step
    y, _ = find(name)(*arrays, **meta)
    with np.errstate(invalid="ignore"):
        wanted, _ = OPS[name].forward(np, *arrays, **meta)
    np.testing.assert_allclose(y, wanted, rtol=1e-5, atol=1e-6)
    assert np.isnan(y[4 * LANES : 5 * LANES] if y.ndim == 1 else y[4]).all()


def test_what_does_not_fit_is_left_to_the_op():
    arrays, meta = job("gru_sequence", (3, 3), 4, LANES)
    kernel = find("gru_sequence")
    assert kernel(*arrays, sizes=(2, 4)) is NotImplemented
    assert kernel(*arrays, sizes=(3, 2)) is NotImplemented
    assert kernel(*arrays, sizes=()) is NotImplemented
    for k in range(6):
        wrong = list(arrays)
        wrong[k] = wrong[k][:-1]
        assert kernel(*wrong, **meta) is NotImplemented
    assert kernel(arrays[0].astype(np.float64), *arrays[1:], **meta) is NotImplemented
    small, how = job("gru_sequence", (3, 3), 4, LANES - 1)
    assert kernel(*small, **how) is NotImplemented
    lstm, how = job("lstm_sequence", (3, 3), 4, LANES)
    assert find("lstm_sequence")(*lstm[:-1], np.ones((2, LANES), np.float32), **how) is NotImplemented


def test_a_layer_takes_the_kernels():
    """Through the layer, with and without: the same; and the kernels were called."""
    layer, x = mg.nn.LSTM(32, 64, 2, bidirectional=True), mg.randn(9, 5, 32)
    found = []
    for mode in (mg.reference_mode, None):
        layer.zero_grad()
        if mode is None:
            layer(x)[0].sum().backward()
        else:
            with mode():
                layer(x)[0].sum().backward()
        found.append([p.grad.numpy() for p in layer.parameters()])
    for a, b in zip(*found, strict=True):
        near(b, a)
    assert lstm_sequence.op.kernels["cpu"].function is find("lstm_sequence")


@few
@given(st.integers(1, 20), st.integers(1, 600), st.integers(1, 3 * WIDE))
def test_products_by_panels(rows, deep, wide):
    rng = np.random.default_rng(rows)
    a, w = rng.standard_normal((rows + 2, deep), np.float32), rng.standard_normal((deep, wide), np.float32)
    packed = pack(w)
    out = np.zeros((rows + 2, packed.shape[0] * WIDE), np.float32)
    product(a.reshape(-1), deep, packed, out.reshape(-1), out.shape[1], rows)
    near(out[1:-1, :wide], a[1:-1] @ w)
    assert not out[[0, -1]].any() and not out[:, wide:].any()
