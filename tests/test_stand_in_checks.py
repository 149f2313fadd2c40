"""Checked kernels: accesses outside, races and memory not yet written are reported with the line that made them."""

import numpy as np
import pytest
from test_stand_in import REVERSED, WILD, fails
from test_stand_in import run as plain_run  # noqa: F401  (the fixture)


@pytest.fixture
def run(plain_run, stand_in):  # noqa: F811
    stand_in.settings.checked = True
    return plain_run


def test_a_sound_kernel_passes(run):
    x = np.arange(128, dtype=np.float32)
    _, y = run(REVERSED, "reversed<float, 64>", 64, x, np.zeros_like(x), grid=2)
    assert (y.reshape(2, 64) == x.reshape(2, 64)[:, ::-1]).all()


def test_a_missing_barrier_is_seen_in_any_order(run, stand_in):
    racy, x = REVERSED.replace("__syncthreads();", ""), np.arange(64, dtype=np.float32)
    for order in ("forward", "reverse"):
        stand_in.settings.order = order
        with fails(r"(?s)reads (shared memory that its block has not written|what was written by thread).*tile\[N - 1"):
            run(racy, "reversed<float, 64>", 64, x, np.zeros_like(x))


def test_wild_accesses(run):
    x = np.zeros(4, "f")
    for i in (4, -1, 100, 1 << 40):
        with fails("(?s)line 2: writes outside every array .*x\\[i\\] = 1"):
            run(WILD, "wild", 1, x, np.int64(i))
    run(WILD, "wild", 1, x, np.int64(3))


RACES = """
__global__ void again(float* x, int n) {
    __shared__ float tile[64];
    for (int k = 0; k < n; k++) {
        tile[threadIdx.x] = x[threadIdx.x] + k;
        __syncthreads();
        x[threadIdx.x] = tile[63 - threadIdx.x];
    }
}
__global__ void one_place(float* x, int n) { if (threadIdx.x < n) x[0] = threadIdx.x; }
__global__ void blocks(float* x, int n) { if (threadIdx.x == 0) x[blockIdx.x / n] = 1; }
__global__ void unwritten(float* x, int n) {
    __shared__ float tile[64];
    if (threadIdx.x < n) tile[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    x[threadIdx.x] = tile[threadIdx.x];
}
__global__ void bytes(unsigned char* x, int n) { x[threadIdx.x] = 1; }
__global__ void counted(int* x, int n) { atomicAdd(&x[threadIdx.x % n], 1); }
__global__ void warp(float* x, int n) {
    __shared__ float tile[64];
    tile[threadIdx.x] = x[threadIdx.x];
    if (n) __syncwarp();
    x[threadIdx.x] = tile[threadIdx.x ^ 1];
}
"""


def test_races(run):
    x, n = np.zeros(64, "f"), np.int32
    run(RACES, "again", 64, x, n(1))
    with fails(r"line [57]: (writes what was read|reads what was written) by thread"):
        run(RACES, "again", 64, x, n(2))
    run(RACES, "one_place", 64, x, n(1))
    with fails(r"writes what was written by thread \(0, 0, 0\)"):
        run(RACES, "one_place", 64, x, n(2))
    run(RACES, "blocks", 32, x, n(1), grid=3)
    with fails("meets what another block wrote"):
        run(RACES, "blocks", 32, x, n(2), grid=3)
    with fails("reads shared memory that its block has not written"):
        run(RACES, "unwritten", 64, x, n(63))
    run(RACES, "unwritten", 64, x, n(64))
    run(RACES, "bytes", 64, np.zeros(64, np.uint8), n(0))
    run(RACES, "counted", 64, np.zeros(64, np.int32), n(3), grid=4)
    run(RACES, "warp", 64, x, n(1))
    with fails("reads (what was written by|shared memory)"):
        run(RACES, "warp", 64, x, n(0))
