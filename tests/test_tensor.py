"""Tensors as users meet them: creation, promotion, indexing against NumPy, NumPy's protocols, in-place, errors."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import minigrad as mg

# ---------------------------------------------------------------- creation and dtype


def test_python_floats_take_the_default_dtype_and_arrays_keep_theirs():
    assert mg.tensor([1.0, 2.0]).dtype == np.float32
    assert mg.tensor(3).dtype == np.int64 and mg.tensor(3).shape == ()
    assert mg.tensor(np.arange(3.0)).dtype == np.float64
    assert mg.tensor([[True, False]]).dtype == np.bool_
    mg.set_default_dtype("float64")
    try:
        assert mg.tensor(1.5).dtype == mg.zeros(2).dtype == mg.randn(2).dtype == np.float64
    finally:
        mg.set_default_dtype("float32")


def test_tensor_copies_and_from_numpy_shares():
    a = np.zeros(3)
    shared, own = mg.from_numpy(a), mg.tensor(a)
    a[0] = 7.0
    assert shared.tolist() == [7.0, 0.0, 0.0] and own.tolist() == [0.0, 0.0, 0.0]


PROMOTIONS = [
    ("float32", "float64", "float64"), ("float16", "float32", "float32"), ("float32", "int64", "float32"),
    ("float16", "int32", "float16"), ("float32", "bool", "float32"), ("int32", "int64", "int64"), ("int64", "bool", "int64"),
]  # fmt: skip


@pytest.mark.parametrize(("a", "b", "result"), PROMOTIONS)
def test_promotion(a, b, result):
    x, y = mg.ones(2, dtype=a), mg.ones(2, dtype=b)
    for t in (x * y, y * x, x + y, mg.stack([x, y]), mg.maximum(x, y)):
        assert t.dtype == result
    assert (mg.ones((2, 2), dtype=a) @ mg.ones((2, 2), dtype=b)).dtype == result


@pytest.mark.parametrize("number", [2, 2.0, np.float64(2), np.int64(2), [2.0, 2.0], [2, 2]])
def test_numbers_and_lists_are_weak(number):
    x = mg.ones(2, requires_grad=True)
    for y in (x * number, number * x, x + number, mg.maximum(x, number)):
        assert y.dtype == np.float32 and y.requires_grad
    half = mg.ones(2, dtype="float16")
    assert (half * number).dtype == np.float16


def test_gradients_come_back_in_the_inputs_dtype():
    x = mg.ones(3, requires_grad=True)
    w = mg.ones((), dtype="float64", requires_grad=True)
    (x * w).sum().backward()
    assert (x.grad.dtype, w.grad.dtype, w.grad.shape) == (np.float32, np.float64, ())


def test_bfloat16_is_told_by_its_name():
    class BFloat16:
        name = "bfloat16"

    assert mg.is_float(BFloat16())
    assert not mg.is_float(np.dtype("int32")) and not mg.is_float(np.dtype("complex128"))
    assert mg.is_float(np.dtype("float16"))


@pytest.mark.cpu
def test_repr_shows_what_matters():
    assert repr(mg.tensor([1.0, 2.5])) == "tensor([1. , 2.5])"
    assert repr(mg.tensor(1.0, requires_grad=True)) == "tensor(1., requires_grad=True)"
    assert "op=exp" in repr(mg.tensor(1.0, requires_grad=True).exp())
    assert f"{mg.tensor(2.5):.2f}" == "2.50"


# ---------------------------------------------------------------- indexing


INDICES = [
    0, -1, slice(1, None), slice(None, None, -1), (slice(None), 1), (..., 0), None, (0, None, slice(2)), [2, 0], ([0, 1], [1, 1]),
    (slice(None), [0, 2, 2]), ([0, 1], slice(None), [1, 0]), np.array([[0, 1], [2, 2]]), (0, [1, 2], slice(1, 3)), (..., [0, 0]),
]  # fmt: skip


@pytest.mark.parametrize("index", INDICES, ids=str)
def test_indexing_and_its_gradient_are_numpys(index):
    a = np.arange(36.0).reshape(3, 3, 4)
    x = mg.tensor(a, requires_grad=True)
    y = x[index]
    np.testing.assert_array_equal(y.detach().cpu().numpy(), a[index])
    v = np.random.default_rng(0).normal(size=y.shape)
    y.backward(mg.tensor(v))
    wanted = np.zeros_like(a)
    np.add.at(wanted, index if not isinstance(index, list) else np.array(index), v)
    np.testing.assert_allclose(x.grad.cpu().numpy(), wanted, rtol=1e-15)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_basic_index(data):
    a = data.draw(hnp.arrays(np.float64, hnp.array_shapes(max_dims=3, max_side=4), elements=st.floats(-9, 9)))
    index = data.draw(hnp.basic_indices(a.shape, allow_newaxis=True))
    x = mg.tensor(a, requires_grad=True)
    y = x[index]
    np.testing.assert_array_equal(y.detach().cpu().numpy(), a[index])
    y.sum().backward()
    wanted = np.zeros_like(a)
    wanted[index] = 1.0
    np.testing.assert_array_equal(x.grad.cpu().numpy(), wanted)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_integer_or_boolean_index(data):
    a = data.draw(hnp.arrays(np.float64, hnp.array_shapes(max_dims=3, max_side=4), elements=st.floats(-9, 9)))
    mask = data.draw(st.booleans())
    index = (
        data.draw(hnp.arrays(np.bool_, a.shape)) if mask else data.draw(hnp.integer_array_indices(a.shape))
    )
    x = mg.tensor(a, requires_grad=True)
    y = x[mg.tensor(index)] if mask else x[index]
    np.testing.assert_array_equal(y.detach().cpu().numpy(), a[index])
    y.sum().backward()
    wanted = np.zeros_like(a)
    np.add.at(wanted, index, 1.0)
    np.testing.assert_array_equal(x.grad.cpu().numpy(), wanted)


def test_a_float_as_an_index_is_a_type_error_and_out_of_range_is_told():
    x = mg.arange(6.0).reshape(2, 3)
    with pytest.raises(TypeError, match="expected ints, slices"):
        x[mg.tensor([0.0, 1.0])]
    with pytest.raises(IndexError, match="index 5 is out of bounds for axis 1 with size 3"):
        x[:, 5]
    with pytest.raises(IndexError, match=r"out of (bounds|range) for axis 0 (with|of) size 2"):
        x[[0, 2]]


# ---------------------------------------------------------------- NumPy's protocols


@pytest.mark.cpu  # NumPy's functions take no arrays of a GPU
def test_numpy_functions_give_tensors_with_gradients():
    x = mg.tensor(np.array([[1.0, 2.0], [3.0, 4.0]]), requires_grad=True)
    calls = [
        np.tanh, np.exp, np.sum, np.mean, np.transpose, np.square, np.linalg.norm, np.cumsum, np.sort, np.ravel, np.std,
        lambda t: np.sum(t * 2, axis=0), lambda t: np.concatenate([t, t]), lambda t: np.where(t > 2, t, 0.0),
        lambda t: np.add.reduce(t), lambda t: np.matmul(t, t), lambda t: np.einsum("ij,kj->ik", t, t), lambda t: np.stack([t, t]),
        lambda t: np.float64(2) * t, lambda t: np.ones((2, 2)) * t, lambda t: np.ones(2) @ t, lambda t: 1.0 / t, lambda t: np.clip(t, 1.5, 3),
        lambda t: np.pad(t, 1), lambda t: np.maximum(t, 2.5), lambda t: np.reshape(t, (4,)), lambda t: np.power(t, 2), lambda t: np.expand_dims(t, 0),
    ]  # fmt: skip
    for f in calls:
        y = f(x)
        assert isinstance(y, mg.Tensor) and y.requires_grad
        np.testing.assert_allclose(y.detach().cpu().numpy(), np.asarray(f(x.detach().cpu().numpy())), rtol=1e-14)
    (g,) = mg.grad(np.tanh(x).sum(), [x])
    np.testing.assert_allclose(g.cpu().numpy(), 1 - np.tanh(x.detach().cpu().numpy()) ** 2)


@pytest.mark.cpu
def test_what_numpy_functions_cannot_do_is_said():
    x = mg.ones(2, requires_grad=True)
    with pytest.raises(TypeError, match=r"np.fft: no gradient is known"):
        np.fft.fft(x)
    with pytest.raises(TypeError, match="out= would overwrite"):
        np.add(x, 1.0, out=np.zeros(2))
    with pytest.raises(ValueError, match=r"requires grad; call detach\(\)"):
        x.cpu().numpy()
    assert np.asarray(x).tolist() == [1.0, 1.0]


# ---------------------------------------------------------------- arithmetic against NumPy


@settings(max_examples=80, deadline=None)
@given(
    hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=3),
    st.sampled_from("+-*/"),
    st.integers(0, 9),
)
def test_broadcasting_arithmetic(shapes, sign, seed):
    rng = np.random.default_rng(seed)
    a, b = (rng.uniform(0.5, 2.0, s) for s in shapes.input_shapes)
    x, y = (mg.tensor(v, requires_grad=True) for v in (a, b))
    act = {
        "+": lambda p, q: p + q,
        "-": lambda p, q: p - q,
        "*": lambda p, q: p * q,
        "/": lambda p, q: p / q,
    }[sign]
    z = act(x, y)
    np.testing.assert_array_equal(z.detach().cpu().numpy(), act(a, b))
    z.sum().backward()
    assert x.grad.shape == a.shape and y.grad.shape == b.shape
    total = {
        "+": np.ones_like(z.detach().cpu().numpy()),
        "-": np.ones(z.shape),
        "*": b + 0 * act(a, b),
        "/": 1 / b + 0 * act(a, b),
    }[sign]
    lead = total.ndim - a.ndim
    stretched = (*range(lead), *[i + lead for i, n in enumerate(a.shape) if n == 1])
    np.testing.assert_allclose(x.grad.cpu().numpy(), total.sum(axis=stretched).reshape(a.shape), rtol=1e-12)


def test_operators_comparisons_and_reflections():
    a = np.array([3.0, -2.0, 0.5])
    x = mg.tensor(a)
    for f in (
        lambda t: 7 - t,
        lambda t: 2**t,
        lambda t: t // 2,
        lambda t: t % 2,
        lambda t: -t,
        lambda t: abs(t),
        lambda t: 5 % (t + 4),
        lambda t: (t > 0) & (t < 1),
        lambda t: ~(t >= 0.5),
        lambda t: t != 3.0,
    ):
        np.testing.assert_array_equal(f(x).cpu().numpy(), f(a))
    assert (x == x).all() and bool((x > -9).any()) and 0.5 in x and len(x) == 3
    assert [t.item() for t in x] == a.tolist()
    assert {x: 1}[x] == 1  # hashed by identity
    with pytest.raises(ValueError, match="neither true nor false"):
        bool(x)


ERRORS = [
    (lambda: mg.ones(2, 3) + mg.ones(4), ValueError, r"add: expected shapes that broadcast.*a: \(2, 3\) float32, b: \(4,\)"),
    (lambda: mg.ones(2, 3) @ mg.ones(2, 3), ValueError, r"matmul: expected inner lengths to agree.*3 != 2"),
    (lambda: mg.ones(6).reshape(4, 2), ValueError, r"reshape: 6 elements of \(6,\) do not fit"),
    (lambda: mg.ones(2, 3).sum(axis=2), ValueError, r"sum: expected an axis in \[-2, 1\] \(axis=2\)"),
    (lambda: mg.zeros(0).max(), ValueError, "max: expected at least one element"),
    (lambda: mg.concatenate([mg.ones(2, 2), mg.ones(3, 3)]), ValueError, "concatenate: expected shapes equal but for axis 0"),
    (lambda: mg.einsum("ij,jk->ik", mg.ones(2, 3)), ValueError, "einsum: expected 2 operands"),
    (lambda: mg.einsum("ii->i", mg.ones(2, 2)), ValueError, "use diagonal"),
    (lambda: mg.inv(mg.zeros(2, 2)), ValueError, "inv: a matrix is singular"),
    (lambda: mg.cholesky(mg.tensor([[1.0, 2.0], [2.0, 1.0]])), ValueError, "positive definite"),
    (lambda: mg.tensor([[1], [2, 3]]), ValueError, "rectangular"),
    (lambda: mg.tensor("a"), TypeError, "expected numbers"),
    (lambda: mg.ones(2) * "a", TypeError, "mul: expected a Tensor, array or number, got str"),
    (lambda: mg.sum(mg.ones(2), axes=0), TypeError, "sum: unknown argument 'axes'"),
    (lambda: mg.zeros(-1), ValueError, "lengths >= 0"),
    (lambda: mg.topk(mg.ones(3), 4), ValueError, "0 <= k <= 3"),
    (lambda: mg.pad(mg.ones(2), 3, "reflect"), ValueError, "reflect allows at most 1"),
    (lambda: mg.ones(3).to("cuda:x"), ValueError, "expected 'cpu', 'cuda' or 'cuda:N'"),
    (lambda: mg.Device("tpu"), ValueError, "expected 'cpu', 'cuda' or 'cuda:N'"),
    (lambda: mg.ones(2).item(), ValueError, "expected one element"),
    (lambda: mg.clip(mg.ones(2)), ValueError, "clip: expected a bound"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "kind", "told"), ERRORS, ids=[told[:40] for *_, told in ERRORS])
def test_mistakes_are_told_in_one_line(call, kind, told):
    with pytest.raises(kind, match=told) as error:
        call()
    assert "\n" not in str(error.value)


def test_a_missing_gpu_is_one_line():
    try:
        import cupy  # noqa: F401
    except ImportError:
        for call in (
            lambda: mg.ones(2).cuda(),
            lambda: mg.set_default_device("cuda"),
            lambda: mg.zeros(2, device="cuda"),
        ):
            with pytest.raises(TypeError, match="needs CuPy, which is not installed; `minigrad doctor`"):
                call()


def test_products_and_norms_have_gradients_at_zero():
    x = mg.tensor(np.array([2.0, 0.0, 0.0]), requires_grad=True)
    x.prod().backward()
    assert x.grad.tolist() == [0.0, 0.0, 0.0]
    x.grad = None
    mg.norm(x * 0.0).backward()
    assert x.grad.tolist() == [0.0, 0.0, 0.0]
    y = mg.tensor(np.array([0.0, 2.0]), requires_grad=True)
    (y**0 + y**2).sum().backward()
    assert y.grad.tolist() == [0.0, 4.0]


def test_deepcopy_and_pickle_keep_leaves_and_refuse_the_rest():
    import copy
    import pickle

    x = mg.tensor([1.0, 2.0], requires_grad=True)
    for twin in (copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
        assert twin.tolist() == [1.0, 2.0] and twin.requires_grad and twin is not x
    with pytest.raises(ValueError, match="only leaves"):
        copy.deepcopy(x * 2.0)
