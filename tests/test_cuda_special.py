"""The error function on a GPU, against the readable text."""

import numpy as np
import pytest
from cuda_cases import close, from_gpu, took, watched

import minigrad as mg
from minigrad.engine.kernels import reference_mode

POINTS = np.concatenate([np.linspace(-6, 6, 241), [0.0, -0.0, np.inf, -np.inf, np.nan, 30.0, -30.0, 1e-30]])


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
@pytest.mark.parametrize("name", ["erf", "erfc"])
def test_the_error_function(stand_in, name, dtype):
    found = []
    for device in ("cpu", "cuda"):
        x = mg.tensor(POINTS, dtype=dtype, device=device).requires_grad_()
        with reference_mode() if device == "cpu" else watched(name) as made:
            y = getattr(mg, name)(x)
        if device == "cuda":
            assert took(made) and y.dtype == x.dtype
        y[np.isfinite(POINTS).nonzero()[0].tolist()].sum().backward()
        found.append([from_gpu(t._data) if device == "cuda" else t._data for t in (y, x.grad)])
    for here, there in zip(*found, strict=True):
        close(there, here, dtype)


def test_erfc_keeps_its_digits_far_out(stand_in):
    x = np.linspace(1.0, 9.0, 33).astype(np.float32)
    with reference_mode():
        text = mg.erfc(mg.tensor(x.astype(np.float64)))._data
    np.testing.assert_allclose(mg.erfc(mg.tensor(x, device="cuda")).cpu()._data, text, rtol=5e-6)


def test_shapes_and_views(stand_in):
    raw = np.linspace(-3, 3, 24, dtype=np.float32).reshape(2, 3, 4)
    for cut in (lambda a: a, lambda a: a.transpose(2, 0, 1), lambda a: a[:, :0], lambda a: a[0, 0, 0], lambda a: a[:, ::2]):
        x = cut(mg.tensor(raw, device="cuda"))
        y = mg.erf(x)
        assert y.shape == x.shape
        np.testing.assert_allclose(y.cpu()._data, mg.erf(cut(mg.tensor(raw)))._data, rtol=1e-5, atol=1e-7)
