"""Options and fixtures of the suite: `--device cuda` runs it on a GPU, `--slow` adds the long tests."""

import os

# The suite's matrices are small. On a busy machine the threads of a matrix library wait for one another,
# at many times the cost of doing the work in one.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")

import pytest
import stand_in
from browser import browser_page, chromium  # noqa: F401  (fixtures for every file)

from minigrad_kernels.cpu.memory import keep_freed_memory

keep_freed_memory()


def pytest_addoption(parser):
    parser.addoption("--device", default="cpu", help="where tensors are born: cpu, cuda or cuda:N")
    parser.addoption("--stand-in-gpu", action="store_true", help="run on a stand-in for CuPy (tests/stand_in)")
    parser.addoption("--check-kernels", action="store_true", help="the stand-in looks at every access of a kernel")
    parser.addoption("--slow", action="store_true", help="also run the tests marked slow")


def pytest_configure(config):
    name = config.getoption("--device")
    if config.getoption("--stand-in-gpu"):
        name = config.option.device = "cuda"
        stand_in.install()
    if name != "cpu":
        import minigrad as mg

        mg.set_default_device(name)  # raises here, once and readably, where there is no such device


ABOUT_THE_CPU = (  # whole files, by how their names begin: as if every test were marked `cpu`
    "test_cpu_", "test_numpy_protocol", "test_gradcheck", "test_faults", "test_stepper", "test_notebook",
    "test_page", "test_explain", "test_exercise", "test_gallery", "test_draw", "test_plots", "test_packaging",
)  # fmt: skip


def about_the_cpu(item):
    """Tests of NumPy's side, of pages and packages, and examples that print CPU tensors."""
    return "cpu" in item.keywords or isinstance(item, pytest.DoctestItem) or item.path.name.startswith(ABOUT_THE_CPU)


def pytest_collection_modifyitems(config, items):
    on_gpu = config.getoption("--device") != "cpu"
    for item in items:
        if "slow" in item.keywords and not config.getoption("--slow"):
            item.add_marker(pytest.mark.skip(reason="slow: runs with --slow"))
        if "gpu" in item.keywords and not on_gpu:
            item.add_marker(pytest.mark.skip(reason="needs a GPU: runs with --device cuda"))
        if on_gpu and about_the_cpu(item):
            item.add_marker(pytest.mark.skip(reason="is about the CPU: runs without --device"))


@pytest.fixture(autouse=True)
def told_where_it_happens(request, monkeypatch):
    """On a GPU a wrong index is told late. Here it is told at once, but in the tests of that very delay."""
    late = any(word in request.module.__name__ for word in ("cuda", "gpu", "stand_in")) if request.module else True
    if request.config.getoption("--device") != "cpu" and not late:
        from minigrad.engine import flags

        monkeypatch.setattr(flags, "at_once", True)


@pytest.fixture
def device(request):
    """Name of the device that the suite runs on."""
    return request.config.getoption("--device")


def _stand_in(request):
    """CuPy's place taken by tests/stand_in, with an empty ledger; `import cupy` finds it, and g++ its kernels.

    With `--device cuda` the real CuPy is there and stays: then this is None, and what a test wants of the
    ledger it asks only `if stand_in`.
    """
    always = request.config.getoption("--stand-in-gpu")
    if request.config.getoption("--device") != "cpu" and not always:
        yield None
        return
    if not stand_in.available():
        pytest.skip("CUDA kernels are emulated by g++, which is not installed")
    stand_in.install()
    stand_in.settings.checked = request.config.getoption("--check-kernels")
    yield stand_in
    stand_in.reset() if always else stand_in.remove()


one_stand_in = pytest.fixture(name="stand_in")(_stand_in)
module_stand_in = pytest.fixture(name="stand_in_module", scope="module")(_stand_in)
