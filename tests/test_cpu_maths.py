"""The functions of vectors that kernels use, against float64: within 2 units in the last place, everywhere."""

import math

import numpy as np
import pytest

pytest.importorskip("numba")

import numba

from minigrad_kernels.cpu import maths
from minigrad_kernels.cpu.simd import LANES, load, store

erf, erfc = np.vectorize(math.erf), np.vectorize(math.erfc)
TRUTH = {
    "exp": np.exp,
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
    "tanh": np.tanh,
    "sigmoid": lambda x: 1.0 / (1.0 + np.exp(-x)),
    "bell": lambda x: np.exp(-x * x),
    "erf": erf,
    "erfc_over_bell": lambda x: erfc(x) * np.exp(x * x),
}
UNITS = {"expm1": 2.5, "tanh": 2.2, "erfc_over_bell": 8.0}
RANGE = {"expm1": (-np.inf, 88.0), "log": (0.0, np.inf), "log1p": (0.0, 1.0), "erfc_over_bell": (0.0, 8.0)}


def over(name):
    """The function as one of float32 arrays."""
    f = getattr(maths, name)

    @numba.njit(error_model="numpy", fastmath={"contract", "nsz", "reassoc"})
    def loop(x, y):
        for i in range(0, x.size, LANES):
            store(y, i, f(load(x, i)))

    def of(x):
        padded = np.zeros(-(-x.size // LANES) * LANES, np.float32)
        padded[: x.size] = x
        y = np.empty_like(padded)
        loop(padded, y)
        return y[: x.size]

    return of


def numbers(low, high):
    """Every 8209th float32 bit pattern (half a million of them), and where functions bend, between two ends."""
    every = np.arange(0, 1 << 32, 8209, dtype=np.uint64).astype(np.uint32).view(np.float32)
    near = np.linspace(-12, 12, 100_003, dtype=np.float32)
    ends = np.linspace(-110, 110, 20_011, dtype=np.float32)
    x = np.concatenate([every[np.isfinite(every)], near, ends, np.float32([0, -0.0])])
    return x[(x >= low) & (x <= high)]


@pytest.mark.parametrize("name", TRUTH)
def test_two_units_in_the_last_place(name):
    x = numbers(*RANGE.get(name, (-np.inf, np.inf)))
    with np.errstate(all="ignore"):
        y, truth = over(name)(x), TRUTH[name](x.astype(np.float64))
        unit = np.spacing(np.abs(truth).astype(np.float32)).astype(np.float64)
        off = np.abs(y - truth) / unit
    kept = (np.abs(truth) < 3.4028235e38) & (np.abs(truth) >= 1.2e-38)  # the rest is infinite or denormal
    worst = np.argmax(np.where(kept, off, 0))
    assert off[worst] <= UNITS.get(name, 2.0), (off[worst], x[worst], y[worst], truth[worst])
    infinite = np.abs(truth) > 3.4028236e38
    assert np.all(y[infinite] == np.sign(truth[infinite]) * np.inf)
    assert np.all(np.abs(y[~kept & ~infinite]) <= 1.2e-38)


@pytest.mark.parametrize(
    ("name", "x", "y"),
    [
        ("exp", [np.inf, -np.inf, 89.0, -104.0, 0.0], [np.inf, 0, np.inf, 0, 1]),
        ("log", [np.inf, 0.0, -1.0, -np.inf, 1.0], [np.inf, -np.inf, np.nan, np.nan, 0]),
        ("tanh", [np.inf, -np.inf, 20.0, -20.0, 0.0], [1, -1, 1, -1, 0]),
        ("sigmoid", [np.inf, -np.inf, 100.0, -200.0, 0.0], [1, 0, 1, 0, 0.5]),
        ("bell", [np.inf, -np.inf, 1e30, 0.0], [0, 0, 0, 1]),
        ("erf", [np.inf, -np.inf, 5.0, -5.0, 0.0], [1, -1, 1, -1, 0]),
    ],
)
def test_ends(name, x, y):
    nan = np.float32([np.nan])
    np.testing.assert_array_equal(over(name)(np.float32([*x, np.nan])), np.float32([*y, np.nan]))
    assert np.isnan(over(name)(nan))
