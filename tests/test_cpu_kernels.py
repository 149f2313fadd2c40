"""Every CPU kernel against the readable text that it stands for, on the samples of its op, in float32.

Larger and stranger shapes stand in test_cpu_<file>.py, one for each file of kernels.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from cases import SAMPLES

pytest.importorskip("numba")

import minigrad as mg
from minigrad.engine.kernels import Kernel, anysize, kernel
from minigrad.engine.op import REGISTRY
from minigrad.gradtable import as_function
from minigrad_kernels.cpu import TABLE

OPS = sorted({name.split(".")[0] for name in TABLE} & set(SAMPLES))


def results(op, sample):
    """The op's result on a sample in float32, and the gradients of all that has one."""
    args, meta = sample
    small = tuple(a.astype(np.float32) if isinstance(a, np.ndarray) and a.dtype == np.float64 else a for a in args)
    f, xs, _ = as_function(op, (small, meta))
    leaves = [mg.tensor(x, requires_grad=True) for x in xs]
    y = f(*leaves)
    if y.requires_grad:
        y.backward(mg.tensor(np.random.default_rng(0).standard_normal(y.shape).astype(np.float32)))
    return [y.detach().numpy(), *[leaf.grad.numpy() for leaf in leaves if leaf.grad is not None]]


@pytest.mark.parametrize("name", OPS)
def test_samples_give_the_same_with_and_without_kernels(name):
    for sample in SAMPLES[name]:
        with mg.reference_mode():
            plain = results(REGISTRY[name], sample)
        with anysize():
            fast = results(REGISTRY[name], sample)
        assert len(plain) == len(fast)
        for a, b in zip(fast, plain, strict=True):
            assert a.dtype == b.dtype
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5 * max(1.0, np.abs(b).max(initial=0)))


def test_every_kernel_stands_for_something():
    optimisers = {"adam", "sgd"}
    for name in TABLE:
        op, _, part = name.partition(".")
        assert op in REGISTRY or op in optimisers, name
        assert not part or (part == "joint") == (REGISTRY[op].joint is not None), name
        assert callable(kernel(name))


def test_small_arrays_other_dtypes_and_tensors_are_declined():
    relu = Kernel("relu")
    assert relu(np.ones(3, np.float32)) is NotImplemented
    assert relu(np.ones(1 << 17)) is NotImplemented
    assert relu(mg.ones(1 << 17)) is NotImplemented
    assert relu(np.ones(1 << 17, np.float32)).shape == (1 << 17,)
    with mg.reference_mode():
        assert relu(np.ones(1 << 17, np.float32)) is NotImplemented


def test_a_forked_process_reads_the_plain_text():
    """OpenMP ends a child that enters threads which the fork did not copy."""
    code = (
        "import os, warnings, numpy as np, minigrad as mg\n"
        "warnings.simplefilter('ignore')\n"
        "x = mg.tensor(np.linspace(-1, 1, 1 << 17, dtype=np.float32))\n"
        "y = mg.relu(x).numpy()\n"
        "child = os.fork()\n"
        "if child == 0: os._exit(0 if (mg.relu(x).numpy() == y).all() else 1)\n"
        "print(os.waitpid(child, 0)[1])\n"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "0\n"


def test_without_numba_everything_runs_as_the_readable_text():
    code = (
        "import sys; sys.modules['numba'] = sys.modules['llvmlite'] = None\n"
        "import numpy as np, minigrad as mg\n"
        "w = mg.tensor(np.ones(1 << 17, np.float32), requires_grad=True)\n"
        "opt = mg.optim.Adam([w])\n"
        "@mg.capture\n"
        "def step(x):\n"
        "    opt.zero_grad(); loss = mg.relu(w * x).sum(); loss.backward(); opt.step(); return loss\n"
        "print([step(mg.ones(1 << 17)).item() > 0 for _ in range(4)])\n"
    )
    told = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True).stdout
    assert told == "[True, True, True, True]\n"


def test_every_kernel_has_its_benchmark_row():
    code = (  # in a process of its own: benchmarks set threads and memory for the whole process
        "from benchmarks.kernels import ROWS; from minigrad_kernels.cpu import TABLE\n"
        "print(sorted(set(TABLE) ^ {k for row in ROWS for k in row.kernels}))\n"
    )
    root = Path(__file__).parent.parent
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root).stdout
    assert told == "[]\n"
