"""Blocked attention on the GPU against the readable text: shapes, masks, causality, heads as views, precisions."""

import contextlib

import ml_dtypes
import numpy as np
import pytest
from cuda_cases import close, from_gpu, on_gpu, took, watched

import minigrad as mg
from minigrad.ops.attention import attention
from minigrad.ops.packed_attention import packed_attention

rng = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def _same_numbers():
    """Whatever tests ran before."""
    rng.bit_generator.state = np.random.default_rng(0).bit_generator.state


NAMES = ("attention", "attention.joint")
PACKED = ("packed_attention", "packed_attention.joint")


def dtype_of(name):
    return np.dtype(ml_dtypes.bfloat16 if name == "bfloat16" else name)


def normal(*shape, dtype="float32"):
    return rng.standard_normal(shape).astype(dtype_of(dtype))


def there_and_back(f, arrays):
    """The output of f and the gradients of its arrays."""
    xs = [mg.Tensor(a).requires_grad_() for a in arrays]
    y = f(*xs)
    weight = np.sin(np.arange(np.prod(y.shape), dtype=np.float32)).reshape(y.shape).astype(arrays[0].dtype)
    y.backward(mg.Tensor(weight if isinstance(arrays[0], np.ndarray) else on_gpu(weight)))
    return [y.data, *[x.grad.data for x in xs]]


def check(f, *arrays, names=NAMES, kernel_of="", stand_in=None):
    """The kernels take f's attention, forward and backward, and agree with the readable text in float32."""
    dtype = arrays[0].dtype
    with mg.reference_mode():
        plain = there_and_back(f, [a.astype(np.float32) for a in arrays])
    if stand_in:
        stand_in.ledger.clear()
    with watched(*names) as made:
        fast = there_and_back(f, [on_gpu(a) for a in arrays])
    assert took(made)
    if stand_in:
        launched = [e.what for e in stand_in.ledger.all("launch") if "cast" not in e.what]
        assert any(kernel_of in what for what in launched), launched
    for a, b in zip(fast, plain, strict=True):
        assert a.shape == b.shape and a.dtype == dtype
        close(from_gpu(a), b, dtype.name)
    return fast


def somewhere(*arrays):
    """Constants (biases, masks) for the side that a tensor is on."""
    return lambda x: [a if a is None or isinstance(x.data, np.ndarray) else on_gpu(a) for a in arrays]


SHAPES = [  # lead, queries, keys, width, value width
    ((), 1, 1, 1, 1), ((2,), 3, 5, 4, 7), ((2, 3), 17, 9, 32, 32), ((1,), 130, 200, 8, 8),
    ((2,), 64, 128, 32, 32), ((1,), 70, 129, 20, 12), ((2, 1, 2), 5, 100, 3, 2),
]  # fmt: skip


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_shapes(stand_in, shape, causal):
    lead, queries, keys, width, deep = shape
    f = lambda q, k, v: attention(q, k, v, causal=causal)
    check(f, normal(*lead, queries, width), normal(*lead, keys, width), normal(*lead, keys, deep))


@pytest.mark.parametrize(("width", "deep"), [(64, 40), (128, 100)])
def test_wide_heads(stand_in, width, deep):
    f = lambda q, k, v: attention(q, k, v, causal=True)
    check(f, normal(35, width), normal(40, width), normal(40, deep))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("shape", [((2,), 3, 5, 8, 16), ((2, 2), 130, 70, 32, 24), ((1,), 70, 200, 16, 32)])
def test_16_bit_numbers_on_tensor_cores(stand_in, shape, causal, dtype):
    lead, queries, keys, width, deep = shape
    sizes = (*lead, queries, width), (*lead, keys, width), (*lead, keys, deep)
    f = lambda q, k, v: attention(q, k, v, causal=causal)
    check(f, *[normal(*s, dtype=dtype) for s in sizes], kernel_of="mma", stand_in=stand_in)


@pytest.mark.parametrize("width", [64, 128])
def test_wide_heads_on_tensor_cores(stand_in, width):
    f = lambda q, k, v: attention(q, k, v, causal=True)
    arrays = [normal(n, width, dtype="bfloat16") for n in (70, 80, 80)]
    check(f, *arrays, kernel_of="mma", stand_in=stand_in)


def test_16_bit_numbers_without_tensor_cores(stand_in):
    arrays = [normal(2, n, 5, dtype="float16") for n in (20, 30, 30)]  # rows do not begin at whole 16 bytes
    check(attention, *arrays, kernel_of="forward<__half, 32>", stand_in=stand_in)


BIAS_AND_MASK = [
    (None, (2, 1, 70, 1)), ((), None), ((90,), (90,)), ((70, 1), None), ((2, 1, 1, 90), (70, 90)),
    ((2, 3, 70, 90), (2, 1, 1, 90)), ((1, 3, 1, 1), (1, 1)),
]  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(("bias_shape", "mask_shape"), BIAS_AND_MASK)
def test_bias_and_mask(stand_in, bias_shape, mask_shape, dtype):
    bias = None if bias_shape is None else normal(*bias_shape, dtype=dtype)
    mask = None if mask_shape is None else np.asarray(rng.random(mask_shape) < 0.6)
    wide = None if bias is None else np.asarray(bias).astype(np.float32)

    def f(q, k, v):
        on_cpu = isinstance(q.data, np.ndarray)
        b = wide if on_cpu or bias is None else on_gpu(bias)
        m = mask if on_cpu or mask is None else on_gpu(mask)
        return attention(q, k, v, b, m, scale=0.3, causal=mask is None)

    shapes = (2, 3, 70, 8), (2, 3, 90, 8), (2, 3, 90, 16)
    check(f, *[normal(*s, dtype=dtype) for s in shapes])


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("first", ["batch", "time"])
def test_heads_of_one_projection_are_read_and_written_without_copies(stand_in, first, dtype):
    n, t, h, d = 2, 33, 4, 8
    order = (2, 0, 3, 1, 4) if first == "batch" else (2, 1, 3, 0, 4)
    back = (0, 2, 1, 3) if first == "batch" else (2, 0, 1, 3)
    packed = normal(*((n, t) if first == "batch" else (t, n)), 3, h, d, dtype=dtype)
    y, *_ = check(lambda x: attention(*x.transpose(*order)), packed)
    assert y.transpose(back).flags.c_contiguous
    y, dx = check(lambda x: packed_attention(x.transpose(*order)), packed, names=PACKED)
    assert y.transpose(back).flags.c_contiguous and dx.flags.c_contiguous
    if stand_in:
        q, k, v = on_gpu(packed).transpose(*order)
        stand_in.ledger.clear()
        attention(q, k, v)
        assert not stand_in.ledger.all("kernel", "h2d", "d2h", "sync")


def test_a_step_forward_and_back_waits_and_copies_nothing(stand_in):
    if not stand_in:
        pytest.skip("the ledger is the stand-in's")
    for dtype in ("float32", "float16"):
        x = mg.Tensor(on_gpu(normal(2, 9, 3, 2, 8, dtype=dtype))).requires_grad_()
        g = mg.Tensor(on_gpu(normal(2, 2, 9, 8, dtype=dtype)))
        stand_in.ledger.clear()
        packed_attention(x.transpose(2, 0, 3, 1, 4), causal=True).backward(g)
        assert not stand_in.ledger.all("h2d", "d2h", "sync")
        assert not [e for e in stand_in.ledger.all("kernel") if "minigrad_kernels" in e.line]  # leaves own their .grad
        assert stand_in.ledger.count("launch") == 4  # forward, g . y, dq, dk and dv


def test_a_card_with_little_shared_memory_is_left_to_the_readable_text(stand_in, monkeypatch):
    from minigrad_kernels.cuda import attention_backward

    monkeypatch.setattr(attention_backward, "_room", lambda lib, device: 64 * 1024)
    arrays = [normal(2, 9, 128) for _ in range(3)]
    with mg.reference_mode():
        plain = there_and_back(attention, arrays)
    for forward_by in (False, True):
        xs = [mg.Tensor(on_gpu(a)).requires_grad_() for a in arrays]
        with watched(*NAMES) as made:
            with mg.reference_mode() if forward_by else contextlib.nullcontext():
                y = attention(*xs, block_size=4)
            y.backward(mg.Tensor(on_gpu(np.sin(np.arange(y.size, dtype=np.float32)).reshape(y.shape))))
        assert all(r is NotImplemented for results in made.values() for r in results)
        for x, b in zip(xs, plain[1:], strict=True):
            close(from_gpu(x.grad.data), b)


@pytest.mark.parametrize("causal", [False, True])
def test_packed_with_a_bias(stand_in, causal):
    bias = somewhere(normal(1, 1, 70))
    f = lambda x: packed_attention(x, *bias(x), causal=causal)
    check(f, normal(3, 2, 70, 9), names=PACKED)


@pytest.mark.parametrize(
    "leads", [((2, 4), (2, 1), (2, 1)), ((2, 2, 3), (2, 2, 1), (2, 2, 3)), ((), (3,), ()), ((3,), (3,), (1,))]
)
def test_keys_shared_by_queries_and_queries_shared_by_keys(stand_in, leads):
    arrays = [normal(*lead, n, 8) for lead, n in zip(leads, (9, 12, 12), strict=True)]
    check(attention, *arrays)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_groups_of_queries_on_heads_of_a_projection(stand_in, dtype):
    """Batch, head and group are walked as they lie; the keys' gradients are summed over the group."""
    bias = normal(2, 1, 1, 1, 20, dtype=dtype)

    def f(q, kv):
        b = bias.astype(np.float32) if isinstance(q.data, np.ndarray) else on_gpu(bias)
        k, v = kv.transpose(2, 0, 3, 1, 4).reshape(2, 2, 3, 1, 20, 8)
        return attention(q.transpose(0, 2, 3, 1, 4), k, v, b)

    check(f, normal(2, 9, 3, 2, 8, dtype=dtype), normal(2, 20, 2, 3, 8, dtype=dtype))


def test_rows_without_keys_are_zero(stand_in):
    mask = np.ones((40, 30), bool)
    mask[[3, 39]] = False
    there = somewhere(None, mask)
    for dtype in ("float32", "float16"):
        y, dq, *_ = check(lambda q, k, v: attention(q, k, v, *there(q)), *[normal(2, n, 8, dtype=dtype) for n in (40, 30, 30)])
        assert (from_gpu(y)[:, [3, 39]] == 0).all() and (from_gpu(dq)[:, [3, 39]] == 0).all()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_nan_and_infinity_go_where_they_go_in_the_readable_text(stand_in, dtype):
    q, k, v = (normal(2, n, 8, dtype=dtype) for n in (40, 70, 70))
    q[0, 3, 2], q[1, 5, 0], q[0, 7, 1], k[0, 66, 1] = np.nan, np.inf, 1e30, 1e30
    wide = [a.astype(np.float32) for a in (q, k, v)]
    with mg.reference_mode(), np.errstate(all="ignore"):
        plain = attention(*wide)
    fast = attention(*map(on_gpu, (q, k, v)))
    np.testing.assert_array_equal(np.isnan(from_gpu(fast).astype(np.float32)), np.isnan(plain))


def test_large_scores_do_not_overflow(stand_in):
    q, k, v = np.round(200 * normal(2, 70, 16)), np.round(2 * normal(2, 70, 16)), normal(2, 70, 4)
    with mg.reference_mode():
        plain = attention(q, k, v)
    close(from_gpu(attention(*map(on_gpu, (q, k, v)))), plain)


@pytest.mark.parametrize(("dtype", "as_close_as"), [("float32", "float32"), ("float16", "bfloat16")])
def test_each_half_works_with_the_readable_other(stand_in, dtype, as_close_as):
    """The readable text rounds to 16 bits at every step, so there it is less close."""
    arrays = [normal(2, 50, 8, dtype=dtype) for _ in range(3)]
    with mg.reference_mode():
        plain = there_and_back(attention, [a.astype(np.float32) for a in arrays])
    weight = np.sin(np.arange(plain[0].size, dtype=np.float32)).reshape(plain[0].shape).astype(arrays[0].dtype)
    for kernel_first in (True, False):
        xs = [mg.Tensor(on_gpu(a)).requires_grad_() for a in arrays]
        with watched(*NAMES) as made:
            if kernel_first:
                y = attention(*xs, block_size=16)
                with mg.reference_mode():
                    y.backward(mg.Tensor(on_gpu(weight)))
            else:
                with mg.reference_mode():
                    y = attention(*xs, block_size=16)
                y.backward(mg.Tensor(on_gpu(weight)))
        assert [len(made[name]) for name in NAMES] == [kernel_first, not kernel_first]
        for x, b in zip(xs, plain[1:], strict=True):
            close(from_gpu(x.grad.data), b, as_close_as)


def test_only_wanted_gradients_are_made(stand_in):
    arrays = [normal(2, n, 8) for n in (20, 30, 30)]
    with mg.reference_mode():
        plain = there_and_back(attention, arrays)
    for wanted in range(3):
        xs = [mg.Tensor(on_gpu(a)) for a in arrays]
        xs[wanted].requires_grad_()
        y = attention(*xs)
        y.backward(mg.Tensor(on_gpu(np.sin(np.arange(y.size, dtype=np.float32)).reshape(y.shape))))
        close(from_gpu(xs[wanted].grad.data), plain[1 + wanted])


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("causal", [False, True])
def test_dropout_takes_the_bits_of_the_readable_text(stand_in, causal, dtype):
    f = lambda q, k, v: attention(q, k, v, causal=causal, dropout_p=0.3, seed=(5, 2**63 + 7))
    check(f, *[normal(2, n, width, dtype=dtype) for n, width in ((70, 16), (90, 16), (90, 24))])


def test_a_seed_may_lie_on_the_device(stand_in):
    from minigrad_kernels.cuda import attention as kernels

    how = {"scale": None, "causal": False, "dropout_p": 0.4, "block_size": None}
    x = [on_gpu(normal(2, 9, 4)) for _ in range(3)]
    y, _ = kernels.attention(*x, seed=(3, 4), **how)
    other, _ = kernels.attention(*x, seed=on_gpu(np.array([3, 4], np.uint64)), **how)
    np.testing.assert_array_equal(from_gpu(y), from_gpu(other))


@pytest.mark.parametrize("p", [0.0, 1.0, 2.0**-40])
def test_extreme_dropout(stand_in, p):
    f = lambda q, k, v: attention(q, k, v, dropout_p=p, seed=(1, 2))
    arrays = [normal(2, 9, 4) for _ in range(3)]
    with mg.reference_mode():
        plain = there_and_back(f, arrays)
    for a, b in zip(there_and_back(f, [on_gpu(a) for a in arrays]), plain, strict=True):
        close(from_gpu(a), b)


def test_what_is_not_covered_is_left_to_the_readable_text(stand_in):
    from minigrad_kernels.cuda import attention as kernels

    how = {"scale": None, "causal": False, "dropout_p": 0.0, "seed": None, "block_size": None}
    x = [on_gpu(normal(2, 9, 4)) for _ in range(3)]
    wide = [on_gpu(normal(2, 9, 132)) for _ in range(3)]
    many, repeated = on_gpu(normal(2, 2, 2, 2, 9, 4)), on_gpu(normal(2, 1, 2, 1, 9, 4))
    for arrays, settings in [
        (wide, how), (x, how | {"block_size": 0}), ([*x, on_gpu(normal(9, 9).astype(np.float64))], how),
        ([on_gpu(normal(0, 4)), x[1], x[2]], how), ([many, repeated, repeated], how),
    ]:  # fmt: skip
        assert kernels.attention(*arrays, **settings) is NotImplemented


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_a_bias_with_a_gradient_goes_back_by_the_readable_text(stand_in, dtype):
    arrays = [normal(2, 9, 8, dtype=dtype) for _ in range(3)] + [normal(9, 9, dtype=dtype)]
    with mg.reference_mode():
        plain = there_and_back(attention, [a.astype(np.float32) for a in arrays])
    for a, b in zip(there_and_back(attention, [on_gpu(a) for a in arrays]), plain, strict=True):
        close(from_gpu(a), b, "bfloat16" if dtype == "float16" else dtype)  # the text rounds at every step


def test_wrong_shapes_get_the_same_errors(stand_in):
    for shapes in [((2, 3), (2, 4), (2, 3)), ((2, 3), (2, 3), (4, 3)), ((2, 3, 3), (3, 3, 3), (3, 3, 3))]:
        with pytest.raises(ValueError, match="attention: expected"):
            attention(*[on_gpu(np.ones(s, np.float32)) for s in shapes])


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_no_order_of_threads_changes_a_bit(stand_in, dtype):
    if not stand_in:
        pytest.skip("a card's threads keep no order that one could reverse")
    arrays = [normal(2, n, 8, dtype=dtype) for n in (70, 90, 90)]
    forward = there_and_back(lambda *x: attention(*x, causal=True), [on_gpu(a) for a in arrays])
    stand_in.settings.order = "reverse"
    reverse = there_and_back(lambda *x: attention(*x, causal=True), [on_gpu(a) for a in arrays])
    for a, b in zip(forward, reverse, strict=True):
        np.testing.assert_array_equal(from_gpu(a), from_gpu(b))


def test_stacks_of_bfloat16_in_the_readable_text(stand_in):
    """CuPy cannot multiply these: the text asks cuBLAS itself."""
    ml_dtypes = pytest.importorskip("ml_dtypes")
    q = np.random.default_rng(0).standard_normal((2, 3, 5, 4)).astype(np.float32)
    bias = np.zeros((5, 5), np.float32)

    def attended(device, dtype):
        x = mg.tensor(q.astype(dtype)).to(device).requires_grad_()
        b = mg.tensor(bias.astype(dtype)).to(device).requires_grad_()
        y = mg.ops.attention.attention(x, x, x, b)
        y.sum().backward()
        return y.detach().cpu().numpy().astype(np.float32), b.grad.cpu().numpy().astype(np.float32)

    with mg.reference_mode():
        there = attended("cuda", ml_dtypes.bfloat16)
    for a, b in zip(there, attended("cpu", np.float32), strict=True):
        assert np.abs(a - b).max() <= 0.03 * max(1.0, np.abs(b).max())
