"""CUDA kernels compile for cards of three generations. Needs no GPU; skipped where NVRTC is not installed."""

import nvrtc
import pytest

from minigrad_kernels import cuda
from minigrad_kernels.cuda.launch import signature

needs_compiler = pytest.mark.skipif(nvrtc.library() is None, reason="NVRTC is not installed (nvidia-cuda-nvrtc-cu12)")


@needs_compiler
@pytest.mark.parametrize("architecture", nvrtc.ARCHITECTURES)
def test_a_file_compiles(architecture):
    """One, for a developer's suite; `python tests/nvrtc.py` compiles all, and CI runs it."""
    assert len(nvrtc.compiled(cuda.source("optim"), nvrtc.instances("optim"), architecture)) > 1000


@needs_compiler
def test_the_compiler_says_what_is_wrong():
    with pytest.raises(RuntimeError, match="identifier \"absent\" is undefined"):
        nvrtc.compiled("__global__ void f(int* x) { *x = absent; }", ["f"], "sm_80")


@pytest.mark.parametrize("name", cuda.names())
def test_every_instance_has_a_signature(name):
    for expression in nvrtc.instances(name):
        assert signature(name, expression)


def test_every_row_of_the_table_has_its_function():
    for name in cuda.TABLE:
        assert callable(cuda.find(name))
