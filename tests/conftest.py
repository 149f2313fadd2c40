"""Options and fixtures of the suite: `--device cuda` runs it on a GPU, `--slow` adds the long tests."""

import os

# The suite's matrices are small. On a busy machine the threads of a matrix library wait for one another,
# at many times the cost of doing the work in one.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")

import pytest
from browser import browser_page, chromium  # noqa: F401  (fixtures for every file)

from minigrad_kernels.cpu.memory import keep_freed_memory

keep_freed_memory()


def pytest_addoption(parser):
    parser.addoption("--device", default="cpu", help="where tensors are born: cpu, cuda or cuda:N")
    parser.addoption("--slow", action="store_true", help="also run the tests marked slow")


def pytest_configure(config):
    name = config.getoption("--device")
    if name != "cpu":
        import minigrad as mg

        mg.set_default_device(name)  # raises here, once and readably, where there is no such device


def pytest_collection_modifyitems(config, items):
    on_gpu = config.getoption("--device") != "cpu"
    for item in items:
        if "slow" in item.keywords and not config.getoption("--slow"):
            item.add_marker(pytest.mark.skip(reason="slow: runs with --slow"))
        if "gpu" in item.keywords and not on_gpu:
            item.add_marker(pytest.mark.skip(reason="needs a GPU: runs with --device cuda"))


@pytest.fixture
def device(request):
    """Name of the device that the suite runs on."""
    return request.config.getoption("--device")
