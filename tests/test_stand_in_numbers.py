"""The numbers of the emulation: 16-bit floats bit for bit, and the tensor cores' products."""

import numpy as np
import pytest
from test_stand_in import run  # noqa: F401  (the fixture)

BOTH = "#include <cuda_fp16.h>\n#include <cuda_bf16.h>\n"
FLOATS = ["float16", "bfloat16"]
KIND = {"float16": "__half", "bfloat16": "__nv_bfloat16"}
ROUNDED = """
template <typename H, typename F> __global__ void rounded(const F* x, H* y, int n) { for (int i = threadIdx.x; i < n; i += blockDim.x) y[i] = H(x[i]); }
template <typename H> __global__ void widened(const H* x, float* y, int n) { for (int i = threadIdx.x; i < n; i += blockDim.x) y[i] = float(x[i]); }
template <typename H> __global__ void combined(const H* x, const H* z, H* y, int n) {
    for (int i = threadIdx.x; i < n; i += blockDim.x) {
        y[i] = x[i] + z[i]; y[n + i] = x[i] - z[i]; y[2 * n + i] = x[i] * z[i]; y[3 * n + i] = x[i] / z[i];
        y[4 * n + i] = __hfma(x[i], z[i], x[i]); y[5 * n + i] = -x[i];
    }
}
"""


def dtype_of(name):
    return np.dtype(name) if name == "float16" else np.dtype(pytest.importorskip("ml_dtypes").bfloat16)


def everything(name):
    """All 65536 numbers."""
    return np.arange(1 << 16, dtype=np.uint16).view(dtype_of(name))


def same(got, expected):
    """Equal bits, any NaN being as good as another."""
    nan = np.isnan(expected.astype(np.float32))
    assert (np.isnan(got.astype(np.float32)) == nan).all()
    assert (got.view(np.uint16) == expected.view(np.uint16))[~nan].all()


def nearest(got, exact):
    """No neighbour of `got` is nearer to `exact`, and of two as near `got` is the even one."""
    bits, finite = got.view(np.uint16), np.isfinite(got.astype("f8")) & np.isfinite(exact)
    off = abs(got.astype("f8") - exact)[finite]
    for by in (1, 65535):
        other = abs((bits + np.uint16(by)).view(got.dtype).astype("f8") - exact)[finite]
        other = np.where(np.isfinite(other), other, np.inf)
        assert ((off < other) | ((off == other) & (bits[finite] % 2 == 0)) | (got[finite].astype("f8") == 0)).all()


@pytest.fixture(autouse=True)
def _quiet():
    with np.errstate(all="ignore"):
        yield


@pytest.mark.parametrize("name", FLOATS)
def test_every_number_widens_and_comes_back(run, name):  # noqa: F811
    x = everything(name)
    _, wide = run(BOTH + ROUNDED, f"widened<{KIND[name]}>", 256, x, np.zeros(x.size, "f"), np.int32(x.size))
    np.testing.assert_array_equal(wide, x.astype("f"))
    _, back = run(BOTH + ROUNDED, f"rounded<{KIND[name]}, float>", 256, wide, x * 0, np.int32(x.size))
    same(back, x)


@pytest.mark.parametrize("name", FLOATS)
@pytest.mark.parametrize("wide, kind", [("f4", "float"), ("f8", "double")])
def test_rounding_is_to_nearest_even(run, name, wide, kind):  # noqa: F811
    rng = np.random.default_rng(0)
    dtype = dtype_of(name)
    near = everything(name).astype(wide)
    near = near[np.isfinite(near)]
    middle = near[:-1] / 2 + near[1:] / 2  # ties, and what lies a little beside them
    random = rng.standard_normal(20000) * 2.0 ** rng.integers(-30, 20, 20000)
    far = np.array(np.inf, wide)
    x = np.concatenate([middle, np.nextafter(middle, far), np.nextafter(middle, -far), random]).astype(wide)
    x = np.concatenate([x, np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 65519.99, 65520, 3.4e38, 1e-45], wide)])
    _, y = run(BOTH + ROUNDED, f"rounded<{KIND[name]}, {kind}>", 256, x, np.zeros(x.size, dtype), np.int32(x.size))
    if name == "bfloat16" and kind == "double":  # ml_dtypes rounds by way of float32: twice
        nearest(y, x)
        x, y = x[-9:], y[-9:]
    same(y, x.astype(dtype))


@pytest.mark.parametrize("name", FLOATS)
def test_arithmetic_is_rounded_once(run, name):  # noqa: F811
    rng = np.random.default_rng(2)
    x, z = rng.choice(everything(name), 20000), rng.choice(everything(name), 20000)
    _, _, y = run(BOTH + ROUNDED, f"combined<{KIND[name]}>", 256, x, z, np.zeros((6, x.size), x.dtype), np.int32(x.size))
    for got, expected in zip(y, [x + z, x - z, x * z, x / z, None, -x], strict=True):
        if expected is not None:
            same(got, expected)
    nearest(y[4], x.astype("f8") * z.astype("f8") + x.astype("f8"))


# ---------------------------------------------------------------- tensor cores

PTX = BOTH + '#include "ptx_emulated.hpp"\n'
# Fragments are filled from the whole matrices by the tables of the PTX manual.
MMA = """
template <typename H> __global__ void mma16(const unsigned short* a, const unsigned short* b, float* d) {
    int group = threadIdx.x / 4, place = threadIdx.x % 4;
    unsigned fa[4], fb[2];
    float fd[4];
    for (int i = 0; i < 4; i++) {
        const unsigned short* at = a + (group + i % 2 * 8) * 16 + place * 2 + i / 2 * 8;
        fa[i] = at[0] | at[1] << 16;
        fd[i] = d[(group + i / 2 * 8) * 8 + place * 2 + i % 2];
    }
    for (int i = 0; i < 2; i++) fb[i] = b[(place * 2 + i * 8) * 8 + group] | b[(place * 2 + i * 8 + 1) * 8 + group] << 16;
    if (sizeof(H) == 2) mma_m16n8k16_f16(fd, fa, fb); else mma_m16n8k16_bf16(fd, fa, fb);
    for (int i = 0; i < 4; i++) d[(group + i / 2 * 8) * 8 + place * 2 + i % 2] = fd[i];
}
__global__ void mma8(const float* a, const float* b, float* d) {
    int group = threadIdx.x / 4, place = threadIdx.x % 4;
    unsigned fa[4], fb[2];
    float fd[4];
    for (int i = 0; i < 4; i++) {
        fa[i] = to_tf32(a[(group + i % 2 * 8) * 8 + place + i / 2 * 4]);
        fd[i] = d[(group + i / 2 * 8) * 8 + place * 2 + i % 2];
    }
    for (int i = 0; i < 2; i++) fb[i] = to_tf32(b[(place + i * 4) * 8 + group]);
    mma_m16n8k8_tf32(fd, fa, fb);
    for (int i = 0; i < 4; i++) d[(group + i / 2 * 8) * 8 + place * 2 + i % 2] = fd[i];
}
__global__ void copied(const float* x, float* y, int n) {
    __shared__ __align__(16) float tile[128];
    cp_async_16(tile + threadIdx.x * 4, x + threadIdx.x * 4, threadIdx.x * 4 < n);
    cp_async_commit();
    cp_async_wait<0>();
    __syncthreads();
    for (int i = 0; i < 4; i++) y[threadIdx.x * 4 + i] = tile[threadIdx.x * 4 + i];
}
"""


@pytest.mark.parametrize("name, tag", [("float16", "short"), ("bfloat16", "int")])
def test_products_of_16_bit_fragments(run, name, tag):  # noqa: F811
    rng, dtype = np.random.default_rng(3), dtype_of(name)
    a, b, d = (rng.standard_normal(shape).astype("f") for shape in ((16, 16), (16, 8), (16, 8)))
    a, b = a.astype(dtype), b.astype(dtype)
    *_, got = run(PTX + MMA, f"mma16<{tag}>", 32, a.view(np.uint16), b.view(np.uint16), d)
    np.testing.assert_allclose(got, d + a.astype("f") @ b.astype("f"), atol=1e-5)


def test_products_of_tf32_fragments(run):  # noqa: F811
    rng = np.random.default_rng(4)
    a, b, d = (rng.standard_normal(shape).astype("f") for shape in ((16, 8), (8, 8), (16, 8)))
    *_, got = run(PTX + MMA, "mma8", 32, a, b, d)
    short = lambda x: ((x.view(np.uint32) + np.uint32(0x1000)) & ~np.uint32(0x1FFF)).view("f")
    np.testing.assert_allclose(got, d + short(a) @ short(b), atol=1e-5)
    assert abs(got - (d + a @ b)).max() > 1e-5  # the factors have lost their last bits


def test_asynchronous_copies_fill_with_zeros(run):  # noqa: F811
    x = np.arange(128, dtype="f") + 1
    _, y = run(PTX + MMA, "copied", 32, x, np.full(128, -1, "f"), np.int32(100))
    assert (y == np.where(np.arange(128) < 100, x, 0)).all()
