"""The stand-in for CuPy and CUDA: kernels run as CUDA says, and what it would not allow is reported."""

import numpy as np
import pytest


@pytest.fixture
def run(stand_in):
    """run(text, "name<args>", block, *args, grid=, shared=): one launch; NumPy arrays go over and come back."""
    if stand_in is None:
        pytest.skip("about the emulation: on a GPU there is none")
    import cupy

    def launched(text, name, block, *args, grid=1, shared=0):
        function = cupy.RawModule(code=text, name_expressions=(name,)).get_function(name)
        there = [cupy.array(a) if isinstance(a, np.ndarray) else a for a in args]
        shape = [n if isinstance(n, tuple) else (n,) for n in (grid, block)]
        function(*shape, tuple(there), shared_mem=shared)
        return [a.get() for a in there if isinstance(a, cupy.ndarray)]

    return launched


def fails(match):
    return pytest.raises(RuntimeError, match=match)


# ---------------------------------------------------------------- threads

PLACES = """
__global__ void places(int* out) {
    int block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
    int thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
    out[block * blockDim.x * blockDim.y * blockDim.z + thread] = blockIdx.y * 1000 + threadIdx.y * 10 + threadIdx.z;
}
"""


def test_every_thread_of_every_block_runs_once(run):
    (out,) = run(PLACES, "places", (3, 4, 5), np.full((2 * 3 * 2, 5, 4, 3), -1, np.int32), grid=(2, 3, 2))
    blocks, z, y, _ = np.indices(out.shape)
    assert (out == blocks // 2 % 3 * 1000 + y * 10 + z).all()


REVERSED = """
template <typename T, int N> __global__ void reversed(const T* x, T* y) {
    __shared__ T tile[N];
    tile[threadIdx.x] = x[blockIdx.x * N + threadIdx.x];
    __syncthreads();
    y[blockIdx.x * N + threadIdx.x] = tile[N - 1 - threadIdx.x];
}
"""


@pytest.mark.parametrize("n", [1, 32, 33, 1000])
def test_a_barrier_lets_threads_see_what_others_wrote(run, n):
    x = np.arange(2 * n, dtype=np.float32)
    _, y = run(REVERSED, f"reversed<float, {n}>", n, x, np.zeros_like(x), grid=2)
    assert (y.reshape(2, n) == x.reshape(2, n)[:, ::-1]).all()


def test_without_the_barrier_the_order_of_threads_shows(run, stand_in):
    racy = REVERSED.replace("__syncthreads();", "")
    x = np.arange(64, dtype=np.float32)
    _, forward = run(racy, "reversed<float, 64>", 64, x, np.zeros_like(x))
    stand_in.settings.order = "reverse"
    _, backward = run(racy, "reversed<float, 64>", 64, x, np.zeros_like(x))
    assert (forward != backward).any()
    _, correct = run(REVERSED, "reversed<float, 64>", 64, x, np.zeros_like(x))
    assert (correct == x[::-1]).all()


COUNTS = """
__global__ void counts(int* out, int n) {
    int few = __syncthreads_count(threadIdx.x < n), any = __syncthreads_or(threadIdx.x == n), all = __syncthreads_and(threadIdx.x < n);
    out[threadIdx.x] = few * 100 + any * 10 + all;
}
"""


@pytest.mark.parametrize("n", [0, 7, 50])
def test_barriers_that_count(run, n):
    (out,) = run(COUNTS, "counts", 50, np.zeros(50, np.int32), np.int32(n))
    assert (out == n * 100 + (n < 50) * 10 + (n == 50)).all()


DIVERGENT = """
__device__ inline void wait() { __syncthreads(); }
__global__ void some_wait(int* out, int n) {
    if (threadIdx.x < n) __syncthreads();
    out[threadIdx.x] = 1;
}
__global__ void some_leave(int* out, int n) {
    if (threadIdx.x >= n) return;
    wait();
}
__global__ void two_places(int* out, int n) {
    if (threadIdx.x < n)
        __syncthreads();
    else
        __syncthreads();
}
"""


def test_a_barrier_that_not_all_reach_is_reported(run):
    out = np.zeros(64, np.int32)
    run(DIVERGENT, "some_wait", 64, out, np.int32(64))
    with fails(r"some_wait: block \(0, 0, 0\), thread .*line 4: __syncthreads waits for thread \(5, 0, 0\), which has ended"):
        run(DIVERGENT, "some_wait", 64, out, np.int32(5))
    with fails(r"(?s)some_leave.*line 2.*has ended\n    __device__ inline void wait"):
        run(DIVERGENT, "some_leave", 64, out, np.int32(33))
    with fails(r"two_places.* waits at __syncthreads in line 15"):
        run(DIVERGENT, "two_places", 64, out, np.int32(32))
    (out,) = run(DIVERGENT, "some_wait", 64, out, np.int32(0))  # what was abandoned does no harm
    assert out.all()


# ---------------------------------------------------------------- warps

SHUFFLES = """
template <typename T> __global__ void shuffles(const T* x, T* y, int by, int width) {
    int i = threadIdx.x, n = blockDim.x;
    y[i] = __shfl_sync(0xffffffff, x[i], by, width);
    y[n + i] = __shfl_xor_sync(0xffffffff, x[i], by, width);
    y[2 * n + i] = __shfl_up_sync(0xffffffff, x[i], by, width);
    y[3 * n + i] = __shfl_down_sync(0xffffffff, x[i], by, width);
}
"""


@pytest.mark.parametrize("kind, dtype", [("float", "f4"), ("long long", "i8")])
@pytest.mark.parametrize("by, width", [(1, 32), (5, 32), (3, 8), (16, 32), (2, 4)])
def test_shuffles(run, kind, dtype, by, width):
    x = np.arange(64).astype(dtype) * 7
    _, y = run(SHUFFLES, f"shuffles<{kind}>", 64, x, np.zeros((4, 64), dtype), np.int32(by), np.int32(width))
    lane = np.arange(64)
    first = lane // width * width
    inside = lambda place: np.where((place >= first) & (place < first + width), place, lane)
    places = [first + by % width, inside(lane ^ by), inside(lane - by), inside(lane + by)]
    for got, place in zip(y, places, strict=True):
        assert (got == x[place]).all()


VOTES = """
__global__ void votes(const int* x, unsigned* y) {
    int i = threadIdx.x, yes = x[i];
    y[i] = __ballot_sync(0xffffffff, yes);
    y[blockDim.x + i] = __any_sync(0xffffffff, yes) * 2 + __all_sync(0xffffffff, yes);
    if (i % 32 < 8) y[2 * blockDim.x + i] = __ballot_sync(0xff, yes);
    __syncwarp();
}
"""


def test_votes(run):
    x = np.random.default_rng(0).integers(0, 2, 96).astype(np.int32)
    x[:32], x[32:64] = 0, 1
    _, y = run(VOTES, "votes", 96, x, np.zeros((3, 96), np.uint32))
    bits = (x.reshape(3, 32).astype(np.uint64) << np.arange(32, dtype=np.uint64)).sum(1)
    assert (y[0].reshape(3, 32) == bits[:, None]).all()
    assert (y[1].reshape(3, 32) == (2 * x.reshape(3, 32).any(1) + x.reshape(3, 32).all(1))[:, None]).all()
    assert (y[2].reshape(3, 32)[:, :8] == bits[:, None] % 256).all()


BAD_WARPS = """
__global__ void some_lanes(int* out, int n) {
    if (threadIdx.x < n) out[threadIdx.x] = __shfl_sync(0xffffffff, 1, 0);
    __syncthreads();
}
__global__ void two_ways(int* out, int n) {
    out[threadIdx.x] = threadIdx.x < n ? __shfl_sync(0xffffffff, 1, 0)
                                       : __shfl_xor_sync(0xffffffff, 1, 1);
}
__global__ void short_warp(int* out, int n) { out[threadIdx.x] = __shfl_down_sync(0xffffffff, 1, 1); }
__global__ void not_of_mask(int* out, int n) { __syncwarp(0xff); }
"""


def test_what_a_warp_must_not_do_is_reported(run):
    out, five = np.zeros(32, np.int32), np.int32(5)
    with fails(r"some_lanes: .*line 3: __shfl_sync waits for thread \(5, 0, 0\), which waits at __syncthreads in line 4"):
        run(BAD_WARPS, "some_lanes", 32, out, five)
    with fails("took different ways"):
        run(BAD_WARPS, "two_ways", 32, out, five)
    with fails("__shfl_down_sync reads lane 20, which takes no part"):
        run(BAD_WARPS, "short_warp", 20, out, five)
    with fails("lane 8 is not in its own mask 0x000000ff"):
        run(BAD_WARPS, "not_of_mask", 32, out, five)


# ---------------------------------------------------------------- memory

SHARED = """
__global__ void filled(float* out, int n, int written) {
    float* tile = reinterpret_cast<float*>(emulated_dynamic_shared());
    for (int i = threadIdx.x; i < written; i += blockDim.x) tile[i] = i;
    __syncthreads();
    if (threadIdx.x == 0) for (int i = 0; i < n; i++) out[i] = tile[i];
}
"""


def test_dynamic_shared_memory_is_nan_at_first_and_has_an_end(run):
    (out,) = run(SHARED, "filled", 32, np.zeros(10, "f"), np.int32(10), np.int32(6), shared=40)
    assert (out[:6] == np.arange(6)).all() and np.isnan(out[6:]).all()
    with fails("beyond its 40 bytes of dynamic shared memory"):
        run(SHARED, "filled", 32, np.zeros(10, "f"), np.int32(10), np.int32(11), shared=40)
    with fails("set max_dynamic_shared_size_bytes"):
        run(SHARED, "filled", 32, np.zeros(10, "f"), np.int32(10), np.int32(6), shared=50_000)


WILD = """
__global__ void wild(float* x, long long i) { x[i] = 1; }
__global__ void deep(float* x, long long i) { float big[100000]; for (int k = 0; k < i; k++) big[k] = x[0]; x[1] = big[i / 2]; }
__global__ void zero(float* x, long long i) { x[0] = 7 / i; }
"""


def test_wild_memory_is_reported(run):
    x = np.zeros(4, "f")
    with fails("wild: wrote behind the end of an array"):
        run(WILD, "wild", 1, x, np.int64(4))
    with fails(r"wild: block \(0, 0, 0\), thread \(0, 0, 0\): touched memory at 0x"):
        run(WILD, "wild", 1, x, np.int64(1 << 40))
    with fails("deep: .*its stack is full"):
        run(WILD, "deep", 1, x, np.int64(100_000))
    with fails("zero: .*divided a whole number by zero"):
        run(WILD, "zero", 1, x, np.int64(0))


def test_sizes_that_no_card_has_are_refused(run):
    for block, grid in ((1025, 1), ((32, 33), 1), (1, (1, 70_000)), ((1, 1, 65), 1)):
        with fails("no card launches"):
            run(WILD, "wild", block, np.zeros(4, "f"), np.int64(0), grid=grid)


def test_a_text_that_is_no_cpp_is_refused_with_the_compilers_words(run):
    with fails("(?s)g\\+\\+ refused the kernel.*kernel:1.*expected"):
        run("__global__ void broken(float* x { }", "broken", 1, np.zeros(4, "f"))
    with fails("(?s)deleted function.*atomicAdd"):
        run("__global__ void sums(float* x) { atomicAdd(x, 1.f); }", "sums", 1, np.zeros(4, "f"))


ATOMICS = """
__global__ void atomics(int* x, unsigned long long* y) {
    atomicAdd(&x[0], 2); atomicMax(&x[1], int(threadIdx.x)); atomicMin(&x[2], -int(threadIdx.x));
    if (atomicCAS(&x[3], 0, int(threadIdx.x) + 1) == 0) atomicExch(&x[4], 9);
    atomicAdd(y, 1ull << 33);
}
"""


def test_atomics_of_whole_numbers(run):
    x, y = run(ATOMICS, "atomics", 40, np.zeros(5, np.int32), np.zeros(1, np.uint64))
    assert x.tolist() == [80, 39, -39, 1, 9] and y[0] == 40 << 33


ARITHMETIC = """
__global__ void arithmetic(const float* x, float* y, const unsigned* a, unsigned* b) {
    int i = threadIdx.x, n = blockDim.x;
    float4 v = make_float4(x[i], rsqrtf(x[i]), __fdividef(1.f, x[i]), max(x[i], 1.f));
    y[i] = v.y; y[n + i] = v.z; y[2 * n + i] = v.w; y[3 * n + i] = __int_as_float(__float_as_int(v.x));
    b[i] = __umulhi(a[i], 0xD2511F53u); b[n + i] = __popc(a[i]); b[2 * n + i] = __clz(a[i]); b[3 * n + i] = __brev(a[i]);
}
"""


def test_arithmetic(run):
    rng = np.random.default_rng(1)
    x, a = rng.random(32, dtype=np.float32) + 0.5, rng.integers(0, 2**32, 32, dtype=np.uint32)
    _, y, _, b = run(ARITHMETIC, "arithmetic", 32, x, np.zeros((4, 32), "f"), a, np.zeros((4, 32), np.uint32))
    np.testing.assert_allclose(y, [1 / np.sqrt(x), 1 / x, np.maximum(x, 1), x], rtol=1e-6)
    bits = [f"{n:032b}" for n in a]
    assert (b[0] == (a.astype(np.uint64) * 0xD2511F53 >> np.uint64(32))).all()
    assert b[1:].tolist() == [[s.count("1") for s in bits], [(s + "1").index("1") for s in bits], [int(s[::-1], 2) for s in bits]]
