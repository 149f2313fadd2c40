"""The same program on two array libraries, without a GPU: CuPy's place is taken by tests/stand_in.

What NumPy and CuPy differ in (arrays of the one are none of the other's, nothing is converted silently) is what
a program written on a machine without a GPU gets wrong. Each test runs in a process of its own.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def run(program):
    path = os.pathsep.join([str(HERE), *sys.path])
    command = [sys.executable, "-c", "import stand_in\nstand_in.install()\n" + program]
    ran = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path})
    assert ran.returncode == 0, ran.stderr[-2000:]
    return ran.stdout


@pytest.mark.slow
def test_a_tensor_goes_over_and_its_gradient_comes_back():
    said = run("""
import minigrad as mg
x = mg.ones(3).requires_grad_()
there = x.to("cuda")
(there * there).sum().backward()
print(there.device, x.grad.device, x.grad.tolist())
""")
    assert said == "cuda:0 cpu [2.0, 2.0, 2.0]\n"


@pytest.mark.slow
def test_devices_do_not_mix():
    said = run("""
import minigrad as mg
try:
    mg.ones(3) + mg.ones(3).to("cuda")
except TypeError as error:
    print(error)
""")
    assert said.startswith("add: ") and "a on cpu, b on cuda" in said


@pytest.mark.slow
def test_training_is_the_same_there():
    said = run("""
import minigrad as mg
from minigrad import nn

def losses(name):
    with mg.device(name):
        mg.manual_seed(0)
        model = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Dropout(0.5), nn.Linear(5, 3))
        optimiser = mg.optim.Adam(model.parameters(), lr=0.1)
        x, y, told = mg.rand(8, 6), mg.zeros(8, dtype="int64"), []
        for _ in range(4):
            optimiser.zero_grad()
            loss = nn.functional.cross_entropy(model(x), y)
            loss.backward()
            optimiser.step()
            told.append(loss.item())
    assert all(str(p.device).startswith(name) for p in model.parameters())
    return told

print(all(abs(a - b) < 1e-5 * a for a, b in zip(losses("cpu"), losses("cuda"), strict=True)))
""")
    assert said == "True\n"


@pytest.mark.slow
def test_the_notebook_of_two_devices_has_its_second_column():
    cells = json.loads((HERE.parent / "notebooks" / "12_one_engine_two_devices.ipynb").read_text())["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    small = code.replace('"cuda": 4096', '"cuda": 256').replace("1024, 2048, 4096)", "1024)")
    assert small.count("256}") == 1
    said = run(small)
    assert "devices in this notebook: cpu, cuda" in said and "(no GPU here)" not in said
    assert "the GPU is ahead from width" in said


def test_a_trace_of_the_other_library_has_the_same_numbers():
    said = run("""
import minigrad as mg
from minigrad import nn

def traced(name):
    with mg.device(name):
        mg.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Dropout(0.3), nn.LayerNorm(5), nn.Linear(5, 3))
        x, y = mg.rand(2, 4), mg.tensor([0, 2])
        return mg.trace(lambda x: nn.functional.cross_entropy(model(x), y), x)

here, there = traced("cpu"), traced("cuda")
for name in here.grads:
    assert abs(here.grads[name] - there.grads[name]).max() < 1e-6, name
assert there.check() and len(str(here)) == len(str(there))
print(there.output.data.dtype, len(there.show()._repr_html_()) > 1000)
""")
    assert said == "float32 True\n"
