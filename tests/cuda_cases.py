"""What the tests of CUDA kernels share: arrays sent over, and a note of what a kernel made of its job."""

import contextlib

import numpy as np

from minigrad.engine.kernels import kernel


def on_gpu(a):
    """The array as one of CuPy's, or of its stand-in's."""
    import cupy

    return cupy.asarray(np.array(a))


def from_gpu(x):
    """The array on the CPU, in its own memory layout."""
    return x.get()


@contextlib.contextmanager
def watched(*names):
    """What the CUDA kernels of these names return inside, by name."""
    made = {name: [] for name in names}
    kernels = {name: kernel(name, "cuda") for name in names}
    former = {name: k.function for name, k in kernels.items()}
    for name, k in kernels.items():
        assert k._load(), name

        def noted(*args, real=k.function, name=name, **kw):
            made[name].append(real(*args, **kw))
            return made[name][-1]

        k.function = noted
    try:
        yield made
    finally:
        for name, k in kernels.items():
            k.function = former[name]


def took(made):
    """Whether every kernel that was watched was asked, and declined nothing."""
    return all(results and not any(r is NotImplemented for r in results) for results in made.values())


def close(got, expected, dtype="float32"):
    """Within the rounding of the dtype, relative to the largest."""
    tolerance = {"float64": 1e-12, "float32": 1e-5, "float16": 2e-3, "bfloat16": 2e-2}[str(dtype)]
    got, expected = (np.asarray(a).astype(np.float64) for a in (got, expected))
    finite = np.isfinite(expected)
    np.testing.assert_array_equal(np.isfinite(got), finite)
    np.testing.assert_array_equal(got[~finite], expected[~finite])
    largest = max(float(np.abs(expected[finite]).max(initial=0.0)), 1e-30)
    worst = float(np.abs(got[finite] - expected[finite]).max(initial=0.0))
    assert worst <= tolerance * largest, f"off by {worst:.3g}, largest {largest:.3g}"
