"""Behaviour of ops beyond the table of cases: NumPy's results over axes, in-place rules, edges, accuracy."""

import math

import numpy as np
import pytest

import minigrad as mg

RNG = np.random.default_rng(0)
A, B, V = RNG.normal(size=(3, 4)), RNG.normal(size=(2, 3, 4)), RNG.normal(size=4)
M = np.stack([A @ A.T + 3 * np.eye(3), A @ A.T + np.diag([1.0, 2.0, 3.0])])


def leaf(values):
    return mg.tensor(np.array(values, dtype=np.float64), requires_grad=True)


def beside(a, values):
    """A NumPy array to go with `a`, which may be NumPy's or a Tensor: sent to the GPU where `a` is there."""
    return mg.tensor(values, device=a.device) if getattr(a, "device", "cpu") != "cpu" else values


# ---------------------------------------------------------------- against NumPy


@pytest.mark.parametrize("name", ["sum", "mean", "prod", "max", "min", "var", "std", "ptp", "any", "all"])
@pytest.mark.parametrize("axis", [None, 0, -1, (0, 1), (-1, 0), ()])
@pytest.mark.parametrize("keepdims", [False, True])
def test_reductions(name, axis, keepdims):
    for a in (A, B, A.T, B[::-1, ::2], np.asfortranarray(A)):
        got = getattr(mg, name)(mg.tensor(a), axis=axis, keepdims=keepdims)
        np.testing.assert_allclose(
            got.cpu().numpy(), getattr(np, name)(a, axis=axis, keepdims=keepdims), rtol=1e-13, atol=1e-14
        )


SAME = {
    "kron of vector and matrix": (lambda m, a: m.kron(beside(a, V), a), A),
    "kron of a stack": (lambda m, a: m.kron(a, beside(a, A)), B),
    "trace of other axes": (lambda m, a: m.trace(a, 1, 1, 2), B),
    "repeat by a list": (lambda m, a: m.repeat(a, [1, 0, 2], 0), A),
    "tile with more axes": (lambda m, a: m.tile(a, (2, 1, 3)), A),
    "tensordot of named axes": (lambda m, a: m.tensordot(a, beside(a, B), ([-1, 0], [-1, 1])), A),
    "dot of stacks": (lambda m, a: m.dot(beside(a, A), m.swapaxes(a, 1, 2)), B),
    "inner": (lambda m, a: m.inner(a, beside(a, A)), A),
    "einsum with an ellipsis": (lambda m, a: m.einsum("...i,i->...", a, beside(a, V)), B),
    "einsum implicit": (lambda m, a: m.einsum("ji", a), A),
    "einsum over length 1": (lambda m, a: m.einsum("ij,ij->ij", a, beside(a, A[:1])), A),
    "pad by wrapping": (lambda m, a: m.pad(a, ((1, 2), (0, 3)), mode="wrap"), A),
    "pad by the edge": (lambda m, a: m.pad(a, 2, mode="edge"), B),
    "roll by two axes": (lambda m, a: m.roll(a, (1, -2), (0, 1)), A),
    "moveaxis of two": (lambda m, a: m.moveaxis(a, [0, 1], [-1, 0]), B),
    "diagonal of other axes": (lambda m, a: m.diagonal(a, -1, -1, 0), B),
    "diag of a vector": (lambda m, a: m.diag(a, -2), V),
    "atleast_2d of a vector": (lambda m, a: m.atleast_2d(a), V),
    "fmax": (lambda m, a: m.fmax(a, beside(a, np.where(A > 0, np.nan, A + 0.1))), A),
    "fmin": (lambda m, a: m.fmin(beside(a, np.where(A > 0, np.nan, A + 0.1)), a), A),
    "concatenate flat": (lambda m, a: m.concatenate([a, a[:1]], axis=None), A),
}


@pytest.mark.parametrize("name", SAME)
def test_numpys_results_and_right_gradients(name):
    f, a = SAME[name]
    np.testing.assert_allclose(f(mg, mg.tensor(a)).cpu().numpy(), f(np, a), rtol=1e-13)
    mg.gradcheck(lambda x: f(mg, x), [a.copy()])


def test_shifts_divmod_and_in_place_bits():
    n = np.array([5, 0, -7])
    i = mg.tensor(n)
    assert (i << 2).tolist() == (n << 2).tolist() and (1 << mg.tensor([0, 3])).tolist() == [1, 8]
    assert (i >> 1).tolist() == (n >> 1).tolist()
    for ours, theirs in zip(divmod(i, 3), divmod(n, 3), strict=True):
        assert ours.tolist() == theirs.tolist()
    i <<= 1
    i &= 12
    assert i.tolist() == ((n << 1) & 12).tolist()


# ---------------------------------------------------------------- linear algebra


def test_solve_broadcasts_matrices_and_one_vector():
    for a, b in ((M, A), (M[0], B), (M, V[:3]), (M[0], V[:3])):
        np.testing.assert_allclose(
            mg.solve(mg.tensor(a), mg.tensor(b)).cpu().numpy(), np.linalg.solve(a, b), rtol=1e-12
        )
        mg.gradcheck(mg.solve, [a.copy(), b.copy()])


def test_slogdet():
    a = M.copy()
    a[1, 0] *= -1.0
    sign, size = mg.slogdet(mg.tensor(a))
    wanted = np.linalg.slogdet(a)
    assert sign.tolist() == wanted[0].tolist() == [1.0, -1.0]
    np.testing.assert_allclose(size.cpu().numpy(), wanted[1], rtol=1e-13)
    mg.gradcheck(lambda x: mg.slogdet(x)[1], [a])


def test_einsum_sums_the_gradient_of_a_broadcast_length_one():
    a, b = leaf(A), leaf(A[:1])
    mg.einsum("ij,ij->ij", a, b).sum().backward()
    np.testing.assert_allclose(b.grad.cpu().numpy(), A.sum(0, keepdims=True), rtol=1e-14)
    np.testing.assert_allclose(a.grad.cpu().numpy(), np.broadcast_to(A[:1], A.shape))


def test_norms_have_gradient_zero_at_zero():
    for p in (1, 2, 3, math.inf):
        x = leaf([0.0, 0.0])
        mg.norm(x, p).backward()
        assert x.grad.tolist() == [0.0, 0.0]


# ---------------------------------------------------------------- accuracy and edges


def test_erf_and_erfc_reach_the_last_bits():
    x = np.concatenate([np.linspace(-6, 26, 1001), [1e-300, -1e-12, 0.999999, 1.0, 1.904, 2.0]])
    for f, true in ((mg.erf, math.erf), (mg.erfc, math.erfc)):
        np.testing.assert_allclose(f(mg.tensor(x)).cpu().numpy(), [true(v) for v in x], rtol=3e-15, atol=0)
    inf = mg.tensor([math.inf, -math.inf, math.nan])
    np.testing.assert_array_equal(mg.erf(inf).cpu().numpy(), [1.0, -1.0, math.nan])
    np.testing.assert_array_equal(mg.erfc(inf).cpu().numpy(), [0.0, 2.0, math.nan])
    z = mg.erfc(mg.tensor(np.array([0.5, 1.5, -1.5, 4.0]) + 1e-30j)).cpu().numpy()  # a complex step
    slope = [-2 / math.sqrt(math.pi) * math.exp(-v * v) for v in (0.5, 1.5, -1.5, 4.0)]
    np.testing.assert_allclose(z.imag * 1e30, slope, rtol=1e-14)


def test_pow_is_clean_at_zero_and_for_negative_bases():
    for a, b, da in ((0.0, 0.0, 0.0), (0.0, 1.0, 1.0), (0.0, 2.0, 0.0), (-2.0, 3.0, 12.0), (-2.0, 2.0, -4.0)):
        for exponent in (b, leaf(b)):
            x = leaf(a)
            (x**exponent).backward()
            assert x.grad.item() == da
            assert not isinstance(exponent, mg.Tensor) or exponent.grad.item() == 0.0


def test_empty_arrays_pass_through():
    x = mg.zeros((0, 3), requires_grad=True)
    total = (
        x.sum()
        + (x @ mg.ones(3, 2)).sum()
        + x[:, 1].sum()
        + mg.sort(x, 1).sum()
        + mg.concatenate([x, x]).sum()
    )
    total.backward()
    assert x.grad.shape == (0, 3) and total.item() == 0.0


# ---------------------------------------------------------------- in place


def test_in_place_on_a_computed_tensor_rebinds_it():
    x = leaf([1.0, 2.0, 3.0])
    y = x * 2.0
    same, view = y, y[:2]
    y += 1.0
    y[0] = x[1] * 5.0
    y *= x
    assert same is y and view.tolist() == [2.0, 4.0]
    y.sum().backward()  # 5 x1 x0 + (2 x1 + 1) x1 + (2 x2 + 1) x2
    assert x.grad.tolist() == [10.0, 14.0, 13.0]


def test_second_order_through_an_assignment():
    u = leaf([1.0, 2.0, 3.0])
    h = u**2
    h[1] = u[0] ** 3
    (g,) = mg.grad((h * h).sum(), [u], create_graph=True)  # u0^4 + u0^6 + u2^4
    (gg,) = mg.grad(g.sum(), [u])
    assert gg.tolist() == [42.0, 0.0, 108.0]


CHANGES = [
    lambda t: t.__iadd__(1.0),
    lambda t: t.__imod__(2.0),
    lambda t: t.__itruediv__(2.0),
    lambda t: t.__setitem__(0, 1.0),
    lambda t: t.zero_(),
    lambda t: t.fill_(2.0),
    lambda t: t.copy_(mg.ones(2)),
    lambda t: t.mul_(2.0),
]


@pytest.mark.parametrize("change", CHANGES)
def test_a_leaf_that_requires_grad_changes_only_under_no_grad(change):
    x = leaf([3.0, 4.0])
    with pytest.raises(ValueError, match="no_grad"):
        change(x)
    assert x.tolist() == [3.0, 4.0]
    memory = x.data
    with mg.no_grad():
        change(x)
    assert x.data is memory and x.requires_grad and x.tolist() != [3.0, 4.0]


def test_in_place_keeps_shape_and_dtype():
    with pytest.raises(ValueError, match="keeps its shape"):
        mg.zeros(3).add_(mg.ones(2, 3))
    with pytest.raises(TypeError, match="keeps its dtype int64"):
        mg.arange(3).add_(0.5)
    with pytest.raises(TypeError, match="keeps its dtype bool"):
        mg.tensor([True]).add_(3)
    half = mg.ones(2, dtype="float16")
    half += mg.ones(2, dtype="float64")
    assert half.dtype == np.float16


def test_what_an_op_saved_may_not_change():
    x, w = leaf([1.0, 2.0]), mg.ones(2, dtype="float64")
    y = (x * w).sum()
    w += 1.0
    with pytest.raises(ValueError, match="'mul' saved b"):
        y.backward()
