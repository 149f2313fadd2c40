"""Matrix products on the GPU: what cuBLAS is asked, and what comes back, against the readable text.

Without a GPU a library of our own stands in for cuBLAS (stand_in_blas): the same C calls, over host memory.
"""

import shutil
import sys
import threading

import numpy as np
import pytest
import stand_in_blas
from cuda_cases import close, from_gpu, on_gpu, took, watched
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import minigrad as mg
from minigrad_kernels.cuda import cublas, handle, linalg, precision
from minigrad_kernels.cuda.einsum import einsum

AGAIN = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def asked(stand_in):
    """What the stand-in for cuBLAS was asked; None on a real GPU."""
    return stand_in_blas.asked() if stand_in else None


def numbers(*shape, seed=0, dtype="float32"):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def half(name):
    import ml_dtypes

    return np.dtype(ml_dtypes.bfloat16 if name == "bfloat16" else name)


def product(a, b):
    return np.matmul(np.asarray(a, np.float64), np.asarray(b, np.float64))


def near(got, expected, a, b):
    """Within 1e-5 of the largest sum of magnitudes: terms may cancel, and float32 adds them in another order."""
    largest = product(np.abs(a), np.abs(b)).max() + np.abs(expected).max()
    assert got.shape == expected.shape
    assert np.abs(got - expected).max() <= 1e-5 * largest


# ---------------------------------------------------------------- any layout


@st.composite
def laid_out(draw, shape, seed):
    """(array on the GPU, the same on the CPU): a view of some larger memory."""
    rank = len(shape)
    order = draw(st.permutations(range(rank))) if draw(st.booleans()) else list(range(rank))
    steps = [draw(st.sampled_from([1, 1, 1, 2, -1])) for _ in shape]
    extra = [draw(st.integers(0, 2)) for _ in shape]
    repeat = [draw(st.integers(0, 9)) == 0 for _ in shape]
    full = [1 if r else n * abs(s) + e for n, s, e, r in zip(shape, steps, extra, repeat, strict=True)]
    memory = numbers(*(full[i] for i in order), seed=seed)
    back = sorted(range(rank), key=lambda i: order[i])
    cut = tuple(
        slice(None) if r else slice(None, n * s, s) if s > 0 else slice(n - 1, None, -1)
        for n, s, r in zip(shape, steps, repeat, strict=True)
    )
    view = lambda m: m.transpose(back)[cut]
    here, there = view(memory), view(on_gpu(memory))
    if any(repeat):
        import cupy

        here, there = np.broadcast_to(here, shape), cupy.broadcast_to(there, shape)
    return there, here


@st.composite
def factors(draw):
    lead = draw(st.lists(st.integers(1, 3), max_size=3))
    m, k, n = (draw(st.integers(1, 5)) for _ in range(3))
    leads = []
    for _ in range(2):
        own = [1 if draw(st.integers(0, 3)) == 0 else d for d in lead]
        leads.append(own[draw(st.integers(0, len(own))) :])
    return draw(laid_out((*leads[0], m, k), 1)), draw(laid_out((*leads[1], k, n), 2))


@AGAIN
@given(data=st.data())
def test_products_of_any_views(stand_in, data):
    (a, a_here), (b, b_here) = data.draw(factors())
    y = linalg.matmul(a, b)
    near(from_gpu(y), product(a_here, b_here), a_here, b_here)
    assert y.flags.c_contiguous


@AGAIN
@given(data=st.data(), alpha=st.sampled_from([1.0, -0.5]), beta=st.sampled_from([0.0, 1.0, 2.0]))
def test_products_into_memory_that_is_there(stand_in, data, alpha, beta):
    (a, a_here), (b, b_here) = data.draw(factors())
    expected = product(a_here, b_here)
    lead, (m, n) = expected.shape[:-2], expected.shape[-2:]
    wide = [d + data.draw(st.integers(0, 1)) for d in lead]
    memory = numbers(*wide, m + 2, n + 3, seed=3)
    cut = (*(slice(d) for d in lead), slice(1, m + 1), slice(2, n + 2))
    view = lambda x: x[cut]
    if data.draw(st.booleans()):
        memory = np.swapaxes(memory, -1, -2).copy()
        view = lambda x: x.swapaxes(-1, -2)[cut]
    there = on_gpu(memory)
    assert linalg.matmul_into(a, b, view(there), alpha, beta) is not None
    changed = memory.astype(np.float64)
    view(changed)[...] = alpha * expected + beta * view(changed)
    near(from_gpu(there), changed, a_here, b_here)


def test_a_batch_that_only_the_result_interrupts(stand_in):
    a, b, memory = numbers(2, 3, 4, 5), numbers(2, 3, 5, 6, seed=1), on_gpu(np.zeros((2, 4, 4, 6), np.float32))
    linalg.matmul_into(on_gpu(a), on_gpu(b), memory[:, :3])
    close(from_gpu(memory)[:, :3], product(a, b))
    assert not from_gpu(memory)[:, 3].any()


def test_square_transposes_times_one_matrix(stand_in):
    a, b = numbers(2, 3, 3), numbers(3, 5)  # memory walks on evenly, but along the columns
    close(from_gpu(linalg.matmul(on_gpu(a).swapaxes(1, 2), on_gpu(b))), product(a.swapaxes(1, 2), b))


@pytest.mark.parametrize("dtype", ["float64", "float16", "bfloat16"])
def test_other_dtypes(asked, dtype):
    a, b = numbers(3, 4, 6, dtype=half(dtype)), numbers(3, 5, 6, seed=1, dtype=half(dtype))
    y = linalg.matmul(on_gpu(a), on_gpu(b).swapaxes(-1, -2))
    assert y.dtype == a.dtype
    close(from_gpu(y), product(a, b.swapaxes(-1, -2)), dtype)
    if asked:  # halves are added up in float32, also where a product is split along k
        assert asked.compute == (cublas.COMPUTE_64F if dtype == "float64" else cublas.COMPUTE_32F)
        assert asked.math & 16 and asked.tb == 0 and asked.ta == 1


def test_halves_into_float32(stand_in):
    a, b = numbers(4, 6, dtype="float16"), numbers(6, 5, seed=1, dtype="float16")
    out = on_gpu(np.ones((4, 5), np.float32))
    linalg.matmul_into(on_gpu(a), on_gpu(b), out, beta=1.0)
    close(from_gpu(out), product(a, b) + 1)


def test_an_operand_is_copied_only_where_it_must_be(stand_in):
    if not stand_in:
        pytest.skip("counts what the stand-in notes")
    q, k = on_gpu(numbers(2, 3, 4, 8)), on_gpu(numbers(2, 3, 4, 8))
    heads = on_gpu(numbers(2, 4, 3, 8)).swapaxes(1, 2)
    w = on_gpu(numbers(8, 5))
    for a, b in (
        (q, k.swapaxes(-1, -2)), (q, w), (q[:1], k.swapaxes(-1, -2)), (q[:, :, 1:3, 2:6], w[:4]), (heads, w),
        (heads, heads.swapaxes(-1, -2)),
    ):  # fmt: skip
        stand_in.ledger.clear()
        linalg.matmul(a, b)
        assert stand_in.ledger.count("kernel") == 0
    stand_in.ledger.clear()
    linalg.matmul(q[..., ::2], w[:4])
    assert stand_in.ledger.count("kernel") == 1


def planned(a, b, out=None):
    out = np.empty((*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1]), a.dtype) if out is None else out
    return linalg.plan(a.shape, a.strides, b.shape, b.strides, out.shape, out.strides, a.dtype, out.dtype)


def test_a_batch_with_one_matrix_is_one_product():
    a, b = np.empty((6, 7, 3, 4), np.float32), np.empty((4, 5), np.float32)
    found = planned(a, b)
    assert (found.gemm.n, found.gemm.batch, len(found.offsets)) == (6 * 7 * 3, 1, 1)
    assert (planned(a[:, :, :1], b).gemm.n, planned(a[:, :, 0:1], b).gemm.ldb) == (6 * 7, 3 * 4)


def test_a_batch_of_two_levels_is_called_in_parts_or_copied():
    few = np.empty((2, 50, 8, 16), np.float32).swapaxes(1, 2)  # (B, H, L, E) over memory (B, L, H, E)
    assert [planned(few, few.swapaxes(-1, -2))[i] for i in (0, 1)] == [False, False]
    many = np.empty((64, 50, 60, 16), np.float32).swapaxes(1, 2)
    found = planned(many, many.swapaxes(-1, -2))
    assert (found.copy_a, found.copy_b, len(found.offsets)) == (True, True, 1)
    assert found.gemm.batch == 64 * 60


def test_strides_that_are_no_whole_numbers_of_elements_are_copied():
    odd = np.zeros(7, [("a", "f4"), ("b", "i2")])["a"].reshape(1, 7)  # 6 bytes from one to the next
    assert planned(odd, np.empty((7, 5), np.float32)).copy_a
    assert planned(odd.T, np.empty((1, 5), np.float32)).copy_a


def test_what_is_not_covered_is_declined(stand_in):
    f, d = on_gpu(numbers(3, 3)), on_gpu(numbers(3, 3, dtype="float64"))
    empty = on_gpu(numbers(0, 3))
    for a, b in ((f, d), (empty, f), (f, on_gpu(numbers(4, 3))), (on_gpu(np.ones((3, 3), int)), f)):
        assert linalg.matmul(a, b) is NotImplemented
    assert linalg.linear(f, on_gpu(numbers(4, 2))) is NotImplemented
    for wrong, kind in (((f, d, f), TypeError), ((f, f, empty), ValueError), ((f, f, f[::-1]), ValueError)):
        with pytest.raises(kind, match="matmul_into: expected"):
            linalg.matmul_into(*wrong)


def test_empty_sums(stand_in):
    out = on_gpu(np.ones((2, 3), np.float32))
    empty = on_gpu(numbers(2, 0)), on_gpu(numbers(0, 3))
    close(from_gpu(linalg.matmul_into(*empty, out, beta=2.0)), np.full((2, 3), 2.0))
    close(from_gpu(linalg.matmul_into(*empty, out)), np.zeros((2, 3)))


# ---------------------------------------------------------------- the ops


def run(f, *arrays):
    """Value and gradients of f, for a gradient that is no constant."""
    tensors = [mg.Tensor(x).requires_grad_() for x in arrays]
    y = f(*tensors)
    weights = np.cos(np.arange(y.size)).reshape(y.shape).astype(y.dtype)
    y.backward(mg.Tensor(weights if isinstance(arrays[0], np.ndarray) else on_gpu(weights)))
    return [y.data, *(t.grad.data for t in tensors)]


@pytest.mark.parametrize(
    "a, b",
    [((3, 4), (4, 5)), ((2, 3, 4), (4, 5)), ((2, 3, 4), (2, 4, 5)), ((2, 1, 3, 4), (5, 4, 2)), ((4,), (4, 3)), ((2, 3, 4), (4,))],
)
def test_matmul_and_its_gradients(stand_in, a, b):
    arrays = numbers(*a), numbers(*b, seed=1)
    with mg.reference_mode():
        expected = run(mg.matmul, *arrays)
    with watched("matmul") as made:
        got = run(mg.matmul, *map(on_gpu, arrays))
    assert took(made) and len(made["matmul"]) == 3
    for g, e in zip(got, expected, strict=True):
        close(from_gpu(g), e)
        assert g.strides == e.strides


@pytest.mark.parametrize("x", [(5, 4), (2, 5, 4), (1, 4), (700, 4)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_linear_and_its_gradients(asked, x, dtype):
    arrays = numbers(*x, dtype=dtype), numbers(3, 4, seed=1, dtype=dtype), numbers(3, seed=2, dtype=dtype)
    linear = mg.nn.functional.linear
    with mg.reference_mode():
        expected = run(linear, *arrays)
    with watched("linear", "linear.x", "linear.weight", "linear.bias") as made:
        got = run(linear, *map(on_gpu, arrays))
    assert took(made)
    for g, e in zip(got, expected, strict=True):
        close(from_gpu(g), e, dtype)
        assert g.shape == e.shape and g.dtype == e.dtype and g.flags.c_contiguous == e.flags.c_contiguous


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_linear_in_half_precision(asked, dtype):
    x, w, b = numbers(6, 8, dtype=half(dtype)), numbers(5, 8, seed=1, dtype=half(dtype)), numbers(5, seed=2, dtype=half(dtype))
    y = linalg.linear(on_gpu(x), on_gpu(w), on_gpu(b))
    close(from_gpu(y), product(x, w.T) + b.astype(np.float64), dtype)
    g = numbers(700, 5, dtype=half(dtype))
    close(from_gpu(linalg.linear_bias(on_gpu(g))), g.astype(np.float64).sum(0), dtype)
    if asked:
        assert asked.reduction == cublas.REDUCTION_COMPUTE_TYPE


def activated(y, activation):
    if activation == "gelu_tanh":
        return 0.5 * y * (1 + np.tanh(np.sqrt(2 / np.pi) * (y + 0.044715 * y**3)))
    return np.maximum(y, 0) if activation == "relu" else y


@pytest.mark.parametrize("activation", ["", "relu", "gelu_tanh"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_bias_and_activation_in_one_product_or_behind_it(asked, activation, dtype):
    x, w, b = numbers(2, 9, 4, dtype=dtype), numbers(35, 4, seed=1, dtype=dtype), numbers(35, seed=2, dtype=dtype)
    out, before = on_gpu(np.empty((2, 9, 35), dtype)), asked.matmuls if asked else 0
    linalg.linear_into(on_gpu(x), on_gpu(w), on_gpu(b), out, activation)
    close(from_gpu(out), activated(product(x, w.T) + b, activation), dtype)
    if asked:  # it has no epilogue for float64: a kernel of ours does it
        assert asked.matmuls - before == (dtype == "float32")


def test_an_activation_needs_a_bias(stand_in):
    x = on_gpu(numbers(3, 3))
    with pytest.raises(ValueError, match="expected a bias with activation='relu'"):
        linalg.linear_into(x, x, None, on_gpu(numbers(3, 3)), "relu")


def test_not_a_number_stays_one_in_relu(stand_in):
    x, w, b = np.full((1, 2), np.nan, np.float32), numbers(3, 2), numbers(3)
    for dtype in ("float32", "float64"):
        there = [on_gpu(v.astype(dtype)) for v in (x, w, b)]
        out = linalg.linear_into(*there, on_gpu(np.empty((1, 3), dtype)), "relu")
        assert np.isnan(from_gpu(out)).all()


def test_cublaslt_is_asked_for_an_algorithm_once_per_shape_and_alignment(asked):
    if asked is None:
        pytest.skip("counts what the stand-in notes")
    w, b = on_gpu(numbers(5, 4)), on_gpu(numbers(5))
    x = on_gpu(numbers(9, 4))
    before = asked.heuristics
    for seed in range(3):  # the bias may lie elsewhere
        c = on_gpu(numbers(5, seed=seed))
        close(from_gpu(linalg.linear(x[:8], w, c)), product(from_gpu(x)[:8], from_gpu(w).T) + from_gpu(c))
    assert asked.heuristics == before + 1
    close(from_gpu(linalg.linear(x[1:], w, b)), product(from_gpu(x)[1:], from_gpu(w).T) + from_gpu(b))
    assert asked.heuristics == before + 2  # 16 bytes further: less may be loaded at once
    assert asked.epilogue == cublas.Epilogue.BIAS and asked.workspace and asked.bytes == 32 << 20


def test_sums_of_columns_are_the_same_bits_every_time(stand_in):
    g = on_gpu(numbers(3, 1000, 37))
    one, two = (from_gpu(linalg.linear_bias(g)) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    close(one, from_gpu(g).astype(np.float64).sum((0, 1)))
    close(from_gpu(linalg.linear_bias(g.swapaxes(0, 1))), one)


# ---------------------------------------------------------------- TF32


@pytest.fixture
def level():
    yield mg.set_float32_matmul_precision
    mg.set_float32_matmul_precision("highest")


def test_tf32_is_used_only_where_it_is_allowed(asked, level):
    if asked is None:
        pytest.skip("asks what the stand-in notes")
    a, b = numbers(8, 64), numbers(64, 8, seed=1)
    exact = product(a, b)
    for name, compute in (("highest", cublas.COMPUTE_32F), ("high", cublas.COMPUTE_32F_FAST_TF32), ("medium", cublas.COMPUTE_32F_FAST_TF32)):
        level(name)
        assert mg.get_float32_matmul_precision() == name
        error = np.abs(from_gpu(linalg.matmul(on_gpu(a), on_gpu(b))) - exact).max()
        assert asked.compute == compute and (error > 1e-4) == (name != "highest")
        linalg.linear(on_gpu(a), on_gpu(b.T.copy()), on_gpu(np.zeros(8, np.float32)))
        assert asked.compute == compute
    with precision.full():
        linalg.matmul(on_gpu(a), on_gpu(b))
    assert asked.compute == cublas.COMPUTE_32F
    linalg.matmul(on_gpu(a.astype("float16")), on_gpu(b.astype("float16")))
    assert asked.compute == cublas.COMPUTE_32F


def test_gradcheck_never_uses_tf32(level):
    level("high")
    seen = []

    def f(x):
        seen.append(precision.tf32())
        return x * x

    assert precision.tf32()
    assert mg.gradcheck(f, np.ones(2))
    assert precision.tf32() and seen and not any(seen)


def test_an_unknown_level_is_refused(level):
    with pytest.raises(ValueError, match=r"expected one of highest, high, medium \(precision='low'\)"):
        level("low")


# ---------------------------------------------------------------- streams, workspaces, threads, graphs


def test_each_stream_has_a_workspace_that_stays(asked):
    if asked is None:
        pytest.skip("asks what the stand-in notes")
    import cupy

    a, one, two = on_gpu(numbers(3, 3)), cupy.cuda.Stream(non_blocking=True), cupy.cuda.Stream(non_blocking=True)
    used = {}
    for stream in (one, two, one, two, cupy.cuda.Stream.null):
        with stream:
            linalg.matmul(a, a)
        assert asked.stream == stream.ptr and asked.bytes == 32 << 20 and asked.workspace % 256 == 0
        assert used.setdefault(stream.ptr, asked.workspace) == asked.workspace
    assert len(set(used.values())) == 3


def test_a_workspace_is_handed_over_to_who_captured_on_its_stream(asked):
    import cupy

    a, stream = on_gpu(numbers(3, 3)), cupy.cuda.Stream(non_blocking=True)
    with stream:
        linalg.matmul(a, a)
        workspace = handle.hand_over(a.device.id, stream.ptr)
        assert handle.hand_over(a.device.id, stream.ptr) is None
        linalg.matmul(a, a)
    if asked:
        assert workspace.nbytes == 32 << 20 and asked.workspace != workspace.data.ptr
    assert handle.hand_over(7, stream.ptr) is None


def test_each_thread_has_a_handle_and_leaves_it_to_the_next(asked):
    if asked is None:
        pytest.skip("asks what the stand-in notes")
    a = on_gpu(numbers(3, 3))
    linalg.matmul(a, a)
    before, found = asked.handles, []

    def work():
        found.append(from_gpu(linalg.matmul(a, a)))

    for _ in range(3):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert asked.handles == before + 1
    close(found[2], product(from_gpu(a), from_gpu(a)))


def test_products_are_part_of_a_captured_graph(stand_in):
    import cupy

    x, w, b = on_gpu(numbers(4, 6)), on_gpu(numbers(5, 6, seed=1)), on_gpu(numbers(5, seed=2))
    y, z = on_gpu(np.zeros((4, 5), np.float32)), on_gpu(np.zeros((4, 4), np.float32))
    stream = cupy.cuda.Stream(non_blocking=True)
    with stream:
        handle.warm_up(cupy, x.device.id)
        stream.begin_capture()
        linalg.linear_into(x, w, b, y, "relu")
        linalg.matmul_into(y, y.T, z)
        graph = stream.end_capture()
        for seed in (3, 4):
            x[...] = on_gpu(numbers(4, 6, seed=seed))
            linalg.linear(x, w, on_gpu(numbers(5, seed=9)))  # the same plan, with another bias
            graph.launch(stream)
            stream.synchronize()
            expected = np.maximum(product(numbers(4, 6, seed=seed), from_gpu(w).T) + from_gpu(b), 0)
            close(from_gpu(y), expected)
            close(from_gpu(z), product(expected, expected.T))


# ---------------------------------------------------------------- what goes wrong


def test_a_product_is_made_where_its_factors_are(stand_in):
    if not stand_in:
        pytest.skip("counts the stand-in's devices")
    import cupy

    stand_in.settings.devices = 2
    with cupy.cuda.Device(1):
        a, b = on_gpu(numbers(3, 4)), on_gpu(numbers(3))
    for y in (linalg.matmul(a, a.T), linalg.linear(a, a, b), linalg.linear_bias(a)):
        assert y.device.id == 1 and cupy.cuda.Device().id == 0
    with pytest.raises(ValueError, match=r"expected one device, got \[1, 0, 1\]"):
        linalg.matmul(a, on_gpu(numbers(4, 3)))


@pytest.mark.parametrize("function", ["cublasGemmEx", "cublasGemmStridedBatchedEx", "cublasLtMatmul", "cublasLtMatmulAlgoGetHeuristic"])
def test_a_failure_is_an_error_with_its_name_and_what_to_do(stand_in, function):
    if not stand_in:
        pytest.skip("plants an error in the stand-in")
    a, b = on_gpu(numbers(3, 3)), on_gpu(numbers(3))
    stand_in_blas.fail(function, 13)
    with pytest.raises(cublas.CublasError, match=rf"{function}: .*13 \(EXECUTION_FAILED\); a kernel failed") as raised:
        linalg.matmul(a, a)
        linalg.matmul(on_gpu(numbers(2, 3, 3)), on_gpu(numbers(2, 3, 3)))
        linalg.linear(a, a, b)
    assert raised.value.status == 13


def test_a_handle_that_cannot_be_made(stand_in):
    if not stand_in:
        pytest.skip("plants an error in the stand-in")
    cublas.forget()
    stand_in_blas.fail("cublasCreate_v2", 1)
    a = on_gpu(numbers(3, 3))
    with pytest.raises(cublas.CublasError, match=r"NOT_INITIALIZED.*doctor"):
        linalg.matmul(a, a)
    assert linalg.matmul(a, a) is not NotImplemented


@pytest.mark.parametrize("function", ["cublasLtMatmulAlgoGetHeuristic", "cublasLtMatmul"])
def test_no_algorithm_means_another_way_not_an_error(asked, function):
    if asked is None:
        pytest.skip("plants an error in the stand-in")
    x, w, b = on_gpu(numbers(3, 4)), on_gpu(numbers(6, 4)), on_gpu(numbers(6))
    stand_in_blas.fail(function, cublas.NOT_SUPPORTED)
    before = asked.matmuls
    for _ in range(2):
        close(from_gpu(linalg.linear(x, w, b)), product(from_gpu(x), from_gpu(w).T) + from_gpu(b))
    assert asked.matmuls == before


@pytest.mark.parametrize("major", [12, 13])
def test_the_library_of_the_right_cuda_is_found_where_it_was_installed(stand_in, monkeypatch, tmp_path, major):
    if not stand_in or not sys.platform.startswith("linux"):
        pytest.skip("installs the stand-in under the real names")
    monkeypatch.setattr(cublas, "_find", stand_in.project.find)
    monkeypatch.setattr(cublas, "_loaded", list)
    for name in ("libcublas.so.12", "libcublasLt.so.12", "libcublas.so.13", "libcublasLt.so.13"):
        (tmp_path / "lib64").mkdir(exist_ok=True)
        shutil.copy(stand_in_blas.compiled(), tmp_path / "lib64" / name)
    monkeypatch.setenv("CUDA_PATH", str(tmp_path))
    monkeypatch.setattr(cublas._Process, "major", major)
    cublas.use(None)
    if any(str(tmp_path) not in path for path in cublas._installed()):
        pytest.skip("a real cuBLAS is installed")
    found = cublas.library()
    assert found.path == str(tmp_path / "lib64" / f"libcublas.so.{major}") and found.has_lt
    assert cublas._beside("C:\\cuda\\bin/cublas64_12.dll").endswith("cublasLt64_12.dll")
    cublas.use(None)


def test_without_cublas_the_readable_text_runs(stand_in, monkeypatch):
    monkeypatch.setattr(cublas, "_find", stand_in.project.find if stand_in else cublas._find)
    for name in ("_loaded", "_installed"):
        monkeypatch.setattr(cublas, name, list)
    monkeypatch.setattr(cublas, "_names", lambda: ["libcublas-is-not-here.so.12"])
    cublas.use(None)
    a = on_gpu(numbers(3, 3))
    with pytest.warns(RuntimeWarning, match="matmul is not used: cublas: expected libcublas"):
        assert linalg.matmul(a, a) is NotImplemented
    assert cublas._Process.major >= 12
    assert linalg.matmul(a, a) is NotImplemented  # said once
    cublas.use(None)


# ---------------------------------------------------------------- einsum


@pytest.mark.parametrize(
    "subscripts, shapes",
    [
        ("ij,jk->ik", [(3, 4), (4, 5)]), ("ij,jk->ki", [(3, 4), (4, 5)]), ("bhqd,bhkd->bhqk", [(2, 3, 4, 5), (2, 3, 6, 5)]),
        ("bqhd,bkhd->bhqk", [(2, 4, 3, 5), (2, 6, 3, 5)]), ("ijk,kjl->li", [(2, 3, 4), (4, 3, 5)]), ("i,j->ij", [(3,), (4,)]),
        ("bi,bi->b", [(3, 4), (3, 4)]), ("abc,bd->adc", [(2, 3, 4), (3, 5)]), ("bi,bi->bi", [(3, 4), (3, 4)]),
    ],
)
def test_einsum_and_its_gradients(stand_in, subscripts, shapes):
    arrays = [numbers(*shape, seed=i) for i, shape in enumerate(shapes)]
    f = lambda *x: mg.einsum(subscripts, *x)
    with mg.reference_mode():
        expected = run(f, *arrays)
    with watched("einsum") as made:
        got = run(f, *map(on_gpu, arrays))
    assert took(made)
    for g, e in zip(got, expected, strict=True):
        close(from_gpu(g), e)
        assert g.shape == e.shape


def test_einsum_of_other_kinds_is_declined(stand_in):
    a, b = on_gpu(numbers(3, 4)), on_gpu(numbers(4, 5))
    for arrays, subscripts in (((a,), "ij->ji"), ((a, b), "ij,jk->k"), ((a, a, b), "ij,ij,jk->ik"), ((a[:, :1], b), "ij,jk->ik")):
        assert einsum(*arrays, subscripts=subscripts) is NotImplemented
