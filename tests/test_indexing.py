"""Taking, putting and scattering: against NumPy, against PyTorch's definitions, and through gradients."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import minigrad as mg

A = np.arange(12.0).reshape(3, 4)
FLOATS = st.floats(-9, 9, width=32)


def leaf(values):
    return mg.tensor(np.array(values, dtype=np.float64), requires_grad=True)


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_setting_any_basic_index_is_numpys_and_cuts_the_gradient(data):
    a = data.draw(hnp.arrays(np.float64, hnp.array_shapes(max_dims=3, max_side=4), elements=FLOATS))
    index = data.draw(hnp.basic_indices(a.shape, allow_newaxis=True))
    x, v = leaf(a), leaf(2.5)
    y = x * 1.0
    y[index] = v
    wanted, inside = a.copy(), np.ones_like(a)
    wanted[index], inside[index] = 2.5, 0.0
    np.testing.assert_array_equal(y.detach().cpu().numpy(), wanted)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.cpu().numpy(), inside)
    assert v.grad.item() == a.size - inside.sum()


MIXED = [
    (0, slice(None), [1, 2]),
    ([0, 1], slice(None), [[1], [2]]),
    (slice(None), [0, 1], None, 2),
    (..., [0, 1]),
    ([True, False],),
    (slice(None), np.array([True, False, True])),
    (1, [2, 2, 2], slice(None, None, -2)),
    (np.array(1), 0),
    [[0, 1], [1, 0]],
]


@pytest.mark.parametrize("index", MIXED, ids=str)
def test_mixed_indices_follow_numpys_axis_rules_at_both_orders(index):
    a = np.random.default_rng(0).normal(size=(2, 3, 4))
    key = np.array(index) if isinstance(index, list) else index
    x = leaf(a)
    y = x[index]
    np.testing.assert_array_equal(y.detach().cpu().numpy(), a[key])
    (g,) = mg.grad((y**3).sum(), [x], create_graph=True)
    (gg,) = mg.grad((g * g).sum(), [x])
    count, taken = np.zeros_like(a), np.zeros_like(a)
    np.add.at(count, key, 1.0)
    np.add.at(taken, key, 3 * a[key] ** 2)
    np.testing.assert_allclose(g.detach().cpu().numpy(), taken, rtol=1e-14)
    np.testing.assert_allclose(gg.cpu().numpy(), 2 * (3 * count * a**2) * (6 * count * a), rtol=1e-12)


def test_a_tensor_is_an_index_and_gets_no_gradient():
    x, i = leaf(A), mg.tensor([2, 0, 2])
    x[i].sum().backward()
    assert x.grad.tolist() == [[1.0] * 4, [0.0] * 4, [2.0] * 4]
    assert not i.requires_grad


@pytest.mark.parametrize("axis", [0, 1, -1, None])
def test_take(axis):
    x = leaf(A)
    y = mg.take(x, [2, 0, -1], axis)
    np.testing.assert_array_equal(y.detach().cpu().numpy(), np.take(A, [2, 0, -1], axis))
    y.sum().backward()
    assert x.grad.sum().item() == y.size


@pytest.mark.parametrize(
    ("index", "axis"), [([[0], [3], [1]], 1), ([[2]], 1), ([[0, 1, 2, 0]], 0), ([[1]], -2), ([[-1, 0]], 1)]
)
def test_take_along_axis_broadcasts_as_numpys(index, axis):
    x, index = leaf(A), np.array(index)
    y = mg.take_along_axis(x, index, axis)
    np.testing.assert_array_equal(y.detach().cpu().numpy(), np.take_along_axis(A, index, axis))
    y.sum().backward()
    assert x.grad.sum().item() == y.size


def test_gather_and_scatter_add_follow_their_definitions():
    rng = np.random.default_rng(0)
    for dim in (0, 1):
        index = rng.integers(0, 3, (2, 3))
        x, src = leaf(A), leaf(rng.normal(size=(3, 3)))
        y, z = mg.gather(x, dim, index), mg.scatter_add(x, dim, mg.tensor(index), src)
        wanted = A.copy()
        for i, j in np.ndindex(2, 3):
            place = (index[i, j], j) if dim == 0 else (i, index[i, j])
            assert y[i, j].item() == A[place]
            wanted[place] += src[i, j].item()
        np.testing.assert_allclose(z.detach().cpu().numpy(), wanted, rtol=1e-13)
        z.sum().backward()
        assert x.grad.tolist() == np.ones_like(A).tolist()
        assert src.grad.tolist() == [[1.0] * 3, [1.0] * 3, [0.0] * 3]  # the index has two rows


def test_put_add_counts_every_occurrence():
    v = leaf(np.arange(1.0, 5.0))
    y = mg.put_add(v, shape=(3,), index=np.array([0, 2, 2, -1]))
    assert y.tolist() == [1.0, 0.0, 9.0]
    rows = mg.put_add(leaf(A), shape=(2, 4), index=np.array([1, 1, -2]))
    assert rows.tolist() == [A[2].tolist(), (A[0] + A[1]).tolist()]


def test_masks():
    x = leaf(A)
    mask = mg.tensor(A % 2 == 0)
    y = mg.masked_fill(x, mask, -1.0)
    np.testing.assert_array_equal(y.detach().cpu().numpy(), np.where(A % 2 == 0, -1.0, A))
    (y + mg.where(mask, x, 0.0)).sum().backward()
    assert x.grad.tolist() == np.ones_like(A).tolist()
    for ours, theirs in zip(mg.nonzero(mg.tensor(A > 7)), (A > 7).nonzero(), strict=True):
        assert ours.tolist() == theirs.tolist()


MISTAKES = [
    (lambda: mg.take_along_axis(leaf(A), [[0, 1]], 0), ValueError, "indices of length 4 or 1 on axis 1"),
    (lambda: mg.take_along_axis(leaf(A), [0], 0), ValueError, "expected 2 axes of indices"),
    (lambda: mg.gather(leaf(A), 2, [[0]]), ValueError, r"gather: expected an axis in \[-2, 1\]"),
    (lambda: mg.gather(leaf(A), 0, [[0.5]]), TypeError, "gather: expected integer indices, got float64"),
    (lambda: mg.gather(leaf(A), 0, [[3]]), IndexError, "out of (bounds|range)"),
    (lambda: mg.scatter_add(leaf(A), 0, [[0, 1]], mg.ones(1, 1)), ValueError, "at least as long as index"),
    (lambda: mg.zeros(3).__setitem__(slice(2), mg.ones(3)), ValueError, "setitem"),
    (lambda: mg.zeros(3).__setitem__(7, 1.0), IndexError, "setitem: index 7 is out of bounds"),
    (lambda: mg.zeros(3).__setitem__(mg.zeros(1), 1.0), TypeError, "index: expected ints"),
]


@pytest.mark.parametrize(("call", "kind", "told"), MISTAKES, ids=[told for *_, told in MISTAKES])
def test_mistakes_are_told_in_one_line(call, kind, told):
    with pytest.raises(kind, match=told) as error:
        call()
    assert "\n" not in str(error.value)
