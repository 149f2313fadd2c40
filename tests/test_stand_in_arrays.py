"""The stand-in's arrays: strict as CuPy's, in memory that is really reused, counted, and recorded in a capture."""

import copy
import pickle

import numpy as np
import pytest

RAISE = """
__global__ void raise(float* x, float by, int n) { for (int i = threadIdx.x; i < n; i += blockDim.x) x[i] += by; }
"""


@pytest.fixture
def cupy(stand_in):
    if stand_in is None:
        pytest.skip("about the stand-in: CuPy itself is here")
    import cupy

    return cupy


@pytest.fixture
def x(cupy):
    return cupy.arange(12, dtype="float32").reshape(3, 4)


# ---------------------------------------------------------------- strict


def test_nothing_becomes_a_numpy_array_unasked(cupy, x):
    for convert in (np.asarray, np.array, lambda a: np.concatenate([a, np.ones((1, 4))]), lambda a: np.ones((3, 4)) + a):
        with pytest.raises(TypeError, match=r"Implicit conversion|Unsupported type"):
            convert(x)
    assert type(x.get()) is np.ndarray and type(x).__module__ == "cupy"
    assert not hasattr(x, "__array_interface__") and x.__cuda_array_interface__["shape"] == (3, 4)


@pytest.mark.parametrize("mix", [
    lambda cp, x: x + np.ones((3, 4), "f"), lambda cp, x: cp.maximum(x, [1.0]), lambda cp, x: cp.add(np.ones(4), np.ones(4)),
    lambda cp, x: x.__setitem__(..., np.ones((3, 4), "f")), lambda cp, x: cp.where(np.ones((3, 4), bool), x, x),
    lambda cp, x: cp.sum(np.ones(3)), lambda cp, x: cp.exp(x, out=np.empty((3, 4), "f")), lambda cp, x: cp.concatenate([x, np.ones((1, 4))]),
])  # fmt: skip
def test_the_two_kinds_do_not_mix(cupy, x, mix):
    with pytest.raises(TypeError):
        mix(cupy, x)


def test_numbers_are_welcome_and_weak(cupy, x):
    assert (x * 2 + 0.5).dtype == (x * np.float32(2)).dtype == (2.0 / (x + 1)).dtype == np.float32
    assert (x * np.float64(2)).dtype == np.float64  # as NumPy 2 has it


def test_numpys_functions_lead_back_to_cupy(cupy, x):
    assert type(np.exp(x)) is cupy.ndarray and type(np.concatenate([x, x])) is cupy.ndarray


def test_what_cupy_lacks_is_lacking(cupy, x):
    for missing in ("fromregex", "longdouble", "float128", "nothing_such"):
        with pytest.raises(AttributeError):
            getattr(cupy, missing)
    with pytest.raises(NotImplementedError):
        cupy.maximum.reduce(x)
    with pytest.raises(TypeError, match="any order"):
        cupy.add.at(x, 0, 1.0)
    with pytest.raises(TypeError, match="keyword"):
        cupy.sum(x, initial=1.0)
    with pytest.raises(ImportError):
        import cupyx.cudnn  # noqa: F401


def test_results_are_in_c_order_and_of_zero_dimensions(cupy, x):
    assert cupy.exp(x.T).flags.c_contiguous and not x.T.flags.c_contiguous
    assert x.T.astype("f8").strides == (8, 32) and x.T.copy().flags.c_contiguous
    assert cupy.copy(x.T).strides == cupy.empty_like(x.T).strides == x.T.strides
    total = x.sum()
    assert type(total) is cupy.ndarray and total.shape == () and float(total) == 66
    with pytest.raises(TypeError, match="0-d"):
        iter(total)


def test_indices_out_of_range_go_round(cupy, x):
    assert x[cupy.array([3, -4])].get().tolist() == x.get()[[0, 2]].tolist()
    x[:, cupy.array([7])] = 0
    assert (x.get()[:, 3] == 0).all()
    with pytest.raises(IndexError):
        x[3]
    import cupyx

    y = cupy.zeros(3, "f")
    cupyx.scatter_add(y, cupy.array([0, 0, 4]), cupy.ones(3, "f"))
    assert y.get().tolist() == [2, 1, 0]


def test_half_products(cupy):
    a = cupy.ones((2, 3, 300), "float16") * np.float16(0.1)
    assert abs((a @ a.swapaxes(-1, -2)).get() - 3).max() < 0.01
    bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
    b = a.astype(bfloat16)
    assert (b[0] @ b[0].T).dtype == bfloat16
    with pytest.raises(TypeError, match="bfloat16"):
        b @ b.swapaxes(-1, -2)


def test_copies_of_arrays(cupy, x):
    for y in (copy.copy(x), copy.deepcopy(x), pickle.loads(pickle.dumps(x)), cupy.array(x), x.copy()):
        y += 1
        assert (y.get() == x.get() + 1).all()
    assert cupy.asarray(x) is x and cupy.ascontiguousarray(x) is x and x.astype("f", copy=False) is x


# ---------------------------------------------------------------- memory


def test_views_and_in_place_work_share_memory(cupy, x):
    y, address = x, x.data.ptr
    x += 1
    x[0] *= cupy.array(2.0, dtype="f")
    cupy.exp(x[1], out=x[1])
    assert y is x and x.data.ptr == address
    assert x.T.base is x.base and x[1].base is x.base and x[1].data.ptr == address + 16 and x.copy().base is None
    assert np.allclose(x.get()[:2], [[2, 4, 6, 8], np.exp([5, 6, 7, 8])])


def test_freed_memory_is_used_again_and_new_memory_is_no_number(cupy):
    pool = cupy.get_default_memory_pool()
    a = cupy.ones(1000, "f")
    address, used = a.data.ptr, pool.used_bytes()
    view = a[10:]
    del a
    assert pool.used_bytes() == used  # the view holds it
    del view
    assert pool.used_bytes() == used - 4096
    b = cupy.empty(900, "f")
    assert b.data.ptr == address and cupy.isnan(b).all()
    del b
    pool.free_all_blocks()
    assert pool.total_bytes() == pool.used_bytes()


def test_memory_runs_out(cupy, stand_in):
    with cupy.cuda.using_allocator(cupy.cuda.MemoryPool().malloc):
        pass
    pool = cupy.get_default_memory_pool()
    pool.set_limit(size=pool.total_bytes() + 4096)
    kept = cupy.empty(1000, "f")
    with pytest.raises(cupy.cuda.memory.OutOfMemoryError, match=r"Out of memory allocating 4,096 bytes .*limit set to"):
        cupy.empty(1000, "f")
    del kept
    cupy.empty(1000, "f")
    pool.set_limit(0)
    stand_in.settings.memory = 1 << 20
    with pytest.raises(MemoryError):
        cupy.empty(1 << 20, "f")


def test_a_hook_hears_of_allocations(cupy):
    heard = []

    class Hook(cupy.cuda.MemoryHook):
        name = "mine"

        def malloc_postprocess(self, *, device_id, size, mem_size, mem_ptr, pmem_id):
            heard.append(("malloc", size, mem_size))

        def free_postprocess(self, *, device_id, mem_size, mem_ptr, pmem_id):
            heard.append(("free", mem_size))

    with Hook():
        x = cupy.empty(3, "f")
        del x
    cupy.empty(3, "f")
    assert heard == [("malloc", 12, 512), ("free", 512)]


# ---------------------------------------------------------------- kernels' arguments


def test_arguments_are_passed_as_cupy_does(cupy):
    f = cupy.RawModule(code=RAISE, name_expressions=("raise",)).get_function("raise")
    x = cupy.zeros(5, "f")
    f((1,), (32,), (x, np.float32(2.5), 5))  # a Python int is 8 bytes: enough for an int
    assert (x.get() == 2.5).all()
    f((1,), (32,), (x, 2.5, 5))  # 8 bytes of a double, of which a float reads the lower half: 0
    assert (x.get() == 2.5).all()
    for bad in (None, np.zeros(5, "f"), "x", [1]):
        with pytest.raises(TypeError):
            f((1,), (32,), (bad, np.float32(1), 5))
    with pytest.raises(TypeError, match="tuples"):
        f(1, 32, (x, np.float32(1), 5))


# ---------------------------------------------------------------- the ledger


def test_every_transfer_and_launch_is_counted_with_its_line(cupy, x, stand_in):
    ledger = stand_in.ledger
    ledger.clear()
    y = x * 2 + 1
    assert not ledger.transfers() and ledger.count("kernel") == ledger.count("alloc") == 2
    assert __file__ in ledger.all("kernel")[0].line
    for ask in (float, int, bool, lambda v: v.item(), str, lambda v: v.tolist(), lambda v: f"{v:.2f}", lambda v: v.get()):
        ledger.clear()
        ask(y.sum())
        assert [e.kind for e in ledger.transfers()] == ["d2h"]
    ledger.clear()
    y[y > 3], cupy.nonzero(y), cupy.array([1, 2]), cupy.array(3.0), cupy.cuda.get_current_stream().synchronize()
    assert [e.kind for e in ledger.transfers()] == ["d2h", "d2h", "h2d", "sync"]


# ---------------------------------------------------------------- streams and graphs


def captured(cupy, work):
    stream = cupy.cuda.Stream(non_blocking=True)
    with stream:
        stream.begin_capture()
        try:
            work()
        finally:
            graph = stream.end_capture()
    return graph


def test_a_capture_does_nothing_until_it_is_launched(cupy, x):
    f = cupy.RawModule(code=RAISE, name_expressions=("raise",)).get_function("raise")
    out, made = cupy.zeros((3, 4), "f"), []

    def work():
        y = x * 2
        made.append(y)
        f((1,), (32,), (y, np.float32(1), 12))
        y -= x
        out[...] = y[::-1]

    graph = captured(cupy, work)
    assert (out.get() == 0).all() and np.isnan(made[0].get()).all()
    for _ in range(2):
        x += 1
        graph.launch()
        assert (out.get() == (x.get() + 1)[::-1]).all()


def test_host_reads_and_cublas_are_refused_in_a_capture(cupy, x):
    def work():
        for read in (x.get, lambda: float(x.sum()), lambda: bool(x.any()), lambda: x[x > 1], lambda: cupy.array([1.0])):
            with pytest.raises(RuntimeError, match="capturing"):
                read()
        with pytest.raises(RuntimeError, match="capturing"):
            cupy.cuda.get_current_stream().synchronize()
        for product in (lambda: x @ x.T, lambda: cupy.einsum("ij,kj->ik", x, x), lambda: cupy.linalg.inv(x[:, :3])):
            with pytest.raises(NotImplementedError, match="during stream capture"):
                product()

    captured(cupy, work)
    with pytest.raises(RuntimeError, match="legacy"):
        cupy.cuda.Stream.null.begin_capture()


def test_memory_freed_in_a_capture_is_overwritten_unless_its_pool_lives(cupy):
    x, results = cupy.ones(1000, "f"), {}
    for private in (False, True):
        out, pool = cupy.zeros(1000, "f"), cupy.cuda.MemoryPool()

        def work(out=out):
            scratch = x * 3
            out[...] = scratch + 1  # scratch goes back to its pool here

        with cupy.cuda.using_allocator(pool.malloc if private else None):
            graph = captured(cupy, work)
        stream = cupy.cuda.Stream(non_blocking=True)
        with stream:
            others = [cupy.full(1000, 7, "f") for _ in range(4)]
            graph.launch()
            results[private] = out.get(), [o.get() for o in others]
    for out, others in results.values():
        assert (out == 4).all()
        assert all((o == 7).all() for o in others)  # another stream's blocks: not reused


def test_a_replay_over_memory_that_another_array_has_now_is_seen(cupy):
    stream, x = cupy.cuda.Stream(non_blocking=True), cupy.ones(1000, "f")
    with stream:
        stream.begin_capture()
        lost = x * 3
        graph = stream.end_capture()
        del lost
        other = cupy.full(1000, 7, "f")  # the block that `lost` had
        graph.launch()
    assert (other.get() == 3).all()


def test_copies_by_address(cupy, x, stand_in):
    import cupyx

    runtime = cupy.cuda.runtime
    host = cupyx.empty_pinned((3, 4), "f")
    host[...] = 5
    current = cupy.cuda.get_current_stream
    graph = captured(cupy, lambda: runtime.memcpyAsync(x.data.ptr, host.ctypes.data, 48, runtime.memcpyHostToDevice, current().ptr))
    host[...] = 6
    graph.launch()
    assert (x.get() == 6).all()
    runtime.memsetAsync(x.data.ptr, 0, 16, 0)
    assert (x.get()[0] == 0).all() and (x.get()[1] == 6).all()
    unpinned = np.ones((3, 4), "f")
    stream = cupy.cuda.Stream(non_blocking=True)
    with stream, pytest.raises(RuntimeError, match="pinned"):
        stream.begin_capture()
        runtime.memcpyAsync(x.data.ptr, unpinned.ctypes.data, 48, runtime.memcpyHostToDevice, stream.ptr)


def test_a_capture_forks_and_joins(cupy, x):
    one, two, out = cupy.cuda.Stream(non_blocking=True), cupy.cuda.Stream(non_blocking=True), cupy.zeros((3, 4), "f")
    with one:
        one.begin_capture()
        forked = one.record()
        two.wait_event(forked)
        with two:
            assert two.is_capturing()
            out += x
            done = two.record()
        one.wait_event(done)
        graph = one.end_capture()
    assert (out.get() == 0).all() and not two.is_capturing()
    graph.launch(stream=two)
    assert (out.get() == x.get()).all()
    one.begin_capture()
    two.wait_event(one.record())
    with pytest.raises(RuntimeError, match="Unjoined"):
        one.end_capture()


def test_devices(cupy, stand_in):
    runtime = cupy.cuda.runtime
    assert runtime.getDeviceCount() == 1 and runtime.getDeviceProperties(0)["major"] == 9
    with pytest.raises(RuntimeError, match="InvalidDevice"):
        cupy.cuda.Device(1).use()
    stand_in.settings.devices = 2
    with cupy.cuda.Device(1):
        assert cupy.ones(3).device.id == runtime.getDevice() == 1
    assert cupy.ones(3).device.id == 0
    free, total = runtime.memGetInfo()
    assert 0 < free < total


def test_cublas_calls_are_recorded_too(cupy):
    from minigrad_kernels.cuda.linalg import linear_into, matmul_into

    rng = np.random.default_rng(0)
    a, b, bias = (cupy.array(rng.standard_normal(shape).astype("f")) for shape in ((2, 3, 4), (2, 4, 5), (3,)))
    out, y = cupy.zeros((2, 3, 5), "f"), cupy.zeros((2, 3, 3), "f")
    cupy.cuda.Stream(non_blocking=True)
    matmul_into(a, b, out)
    linear_into(a, a[0], bias, y, "relu")  # makes handles and plans

    def work():
        matmul_into(a, b, out)
        linear_into(a, a[0], bias, y, "relu")

    graph = captured(cupy, work)
    linear_into(a, a[0], bias * 0 + 5, cupy.zeros_like(y), "relu")  # the same plan, another bias
    a *= 2
    graph.launch()
    np.testing.assert_allclose(out.get(), a.get() @ b.get(), atol=1e-5)
    np.testing.assert_allclose(y.get(), np.maximum(a.get() @ a.get()[0].T + bias.get(), 0), atol=1e-5)
