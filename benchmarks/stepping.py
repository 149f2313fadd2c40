"""What looking costs: `python -m benchmarks.stepping [--json FILE]`.

Tracing a step against the plain step, the size of its page, and the seconds until a browser shows it.
The browser rows need Playwright and a Chromium, and are left out where there is none.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import benchmarks  # noqa: F401, sets threads and matrix kernels before NumPy loads
from benchmarks import harness

import minigrad as mg  # isort: skip
from minigrad import nn  # isort: skip
from minigrad.models.lenet5 import LeNet5  # isort: skip

COST, SIZE, OPEN = 5.0, 5.0, 2.0  # bars: times the plain step, MB, seconds


def steps() -> Iterator[tuple[str, Callable, Any]]:
    """Name, loss and input of each step that is looked at."""
    mg.manual_seed(0)
    lenet, label = LeNet5(), mg.tensor([3])
    yield "LeNet-5, one image", lambda x: nn.functional.cross_entropy(lenet(x), label), mg.randn(1, 1, 32, 32)
    for unrolled in (False, True):
        lstm = nn.LSTM(16, 32)
        lstm.unrolled = unrolled
        how = "node by node" if unrolled else "one op"
        yield f"LSTM, 20 steps, {how}", _mean_square(lambda x, lstm=lstm: lstm(x)[0]), mg.randn(20, 1, 16)
    block = nn.TransformerEncoderLayer(64, 4, 256, dropout=0.1, batch_first=True)
    yield "transformer block, T 16, d 64", _mean_square(block), mg.randn(1, 16, 64)


def _mean_square(model: Callable) -> Callable:
    return lambda x: (model(x) ** 2).mean()


def cost(name: str, loss: Callable, x: Any) -> dict[str, Any]:
    """Tracing, as a multiple of the plain step: forward and backward."""
    found = harness.paired(lambda: mg.trace(loss, x), lambda: loss(x).backward(), rounds=15)
    return row(f"{name}: tracing, as a multiple of the plain step", found["ratio"], COST, "times")


def size(name: str, loss: Callable, x: Any, page: Path) -> dict[str, Any]:
    mg.trace(loss, x).save(page)
    return row(f"{name}: its page", page.stat().st_size / 1e6, SIZE, "MB")


def opening(name: str, browser: Any, page: Path) -> dict[str, Any]:
    """Seconds until the page has drawn itself: the median of five."""
    times = []
    for _ in range(5):
        tab = browser.new_page(viewport={"width": 1280, "height": 800})
        start = time.perf_counter()
        tab.goto(page.as_uri())
        tab.wait_for_function("window.minigrad && window.minigrad.app")
        tab.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        times.append(time.perf_counter() - start)
        tab.close()
    return row(f"{name}: until a browser shows it", sorted(times)[2], OPEN, "s")


def row(what: str, value: float, bar: float, unit: str) -> dict[str, Any]:
    return {"name": what.split(":")[0], "what": what, "value": round(value, 3), "bar": bar, "unit": unit}


def measured(browser: Any) -> Iterator[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "step.html"
        for name, loss, x in steps():
            yield cost(name, loss, x)
            yield size(name, loss, x, page)
            if browser is not None:
                yield opening(name, browser, page)


def with_browser() -> Iterator[dict[str, Any]]:
    """The rows, with a Chromium where there is one."""
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError:
        yield from measured(None)
        return
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        except Error:
            browser = None
        yield from measured(browser)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser("python -m benchmarks.stepping", description=__doc__.splitlines()[0])
    parser.add_argument("--json", metavar="FILE", help="write the rows there")
    options = parser.parse_args(arguments)
    rows = []
    for found in with_browser():
        told = harness.verdict(found["value"], found["bar"])
        print(f"{found['what']:66} {found['value']:7.2f} {found['unit']:6} bar {found['bar']}: {told}")
        rows.append(found)
    if options.json:
        harness.write(options.json, "stepping", harness.environment(packages=("numpy", "playwright")), rows)


if __name__ == "__main__":
    main()
