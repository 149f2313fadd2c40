"""Run by .ci/run with a wheel installed beside NumPy and nothing else: what must work there."""

import json
import subprocess
import sys
import time
from pathlib import Path

start = time.perf_counter()
import minigrad as mg  # noqa: E402, its cost is measured

cost = time.perf_counter() - start

import minigrad_kernels.cuda  # noqa: E402

for package in (mg, minigrad_kernels):
    assert "site-packages" in package.__file__, f"imported from {package.__file__}, not from the wheel"
optional = {"cupy", "numba", "matplotlib", "rich", "typer", "safetensors", "pooch", "PIL"}
assert not optional & set(sys.modules), optional & set(sys.modules)
assert (Path(mg.__file__).parent / "py.typed").exists()

# Package data: CUDA sources, the handwritten digits, what the recipes reached.
sources = Path(__file__).parent.parent / "kernels" / "minigrad_kernels" / "cuda"
assert minigrad_kernels.cuda.names() == sorted(path.stem for path in sources.glob("*.cu"))
assert all("__global__" in minigrad_kernels.cuda.source(name) for name in minigrad_kernels.cuda.names())
images, labels = mg.data.digits("train")
assert len(images) == len(labels) > 1000
assert isinstance(json.loads((Path(mg.__file__).parent / "recipes" / "measured.json").read_text()), dict)

# The stepper: its page is made of files that a wheel must carry.
page = mg.trace(lambda w, x: mg.tanh(w * x), 2.0, 0.5).show().text
assert "dagre" in page and "</html>" in page and page.count("<script") <= 3

# A gradient, and one training step of a model, with NumPy alone.
x = mg.tensor([1.0, 2.0, 3.0], requires_grad=True)
(x * x).sum().backward()
assert x.grad.numpy().tolist() == [2.0, 4.0, 6.0]
model = mg.nn.Sequential(mg.nn.Linear(3, 4), mg.nn.ReLU(), mg.nn.Linear(4, 2))
optimiser = mg.optim.Adam(model.parameters())
loss = mg.nn.CrossEntropyLoss()(model(mg.ones(5, 3)), mg.tensor([0, 1, 0, 1, 0]))
loss.backward()
optimiser.step()

# The command without its extra says what to install, in one line.
done = subprocess.run([Path(sys.executable).parent / "minigrad", "recipes"], capture_output=True, text=True)
said = done.stdout + done.stderr
assert done.returncode != 0 and "Traceback" not in said and "minigrad[train]" in said, said

print(f"import minigrad: {cost:.3f} s (aim: under 0.5 s)")
