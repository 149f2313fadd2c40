"""What `benchmarks.cpu_vs_gpu` times: pieces of work that are made alike on either device, at many sizes.

A `Sweep` makes a `Work` for a size and a device. Weights and batches are drawn on the CPU from one seed, so
both devices have the same numbers; what a step leaves behind is compared before anything is timed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from benchmarks import models  # benchmarks itself sets threads and kernels, before NumPy loads

import numpy as np  # isort: skip

import minigrad as mg  # isort: skip


class Work(NamedTuple):
    """What to do on a device: the arrays that would be sent for it, the step, and the gradients it leaves."""

    host: list[np.ndarray]  # the batch, on the host
    step: Callable[..., Any]  # (the batch on the device) -> the result; forward and backward
    gradients: Callable[[], list[Any]]


class Sweep(NamedTuple):
    """One kind of work over sizes: `make(size, device)` gives the work, `size_is` what the size counts."""

    name: str
    kind: str  # "product", "layer" or "model"
    what: str
    size_is: str
    sizes: tuple[int, ...]
    make: Callable[[int, str], Work]


def draw(*shape: int, seed: int = 0) -> np.ndarray:
    """Normal random float32."""
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def whole(high: int, *shape: int, seed: int = 0) -> np.ndarray:
    """Random whole numbers below `high`."""
    return np.random.default_rng(seed).integers(0, high, shape)


def there(array: np.ndarray, device: str, learns: bool = False) -> Any:
    """The array as a tensor on the device."""
    return mg.tensor(array, device=device, requires_grad=learns)


# ---------------------------------------------------------------- kinds of work


def differentiated(f: Callable[..., Any], host: list[np.ndarray], learn: list[Any], device: str) -> Work:
    """f(batch) and its backward pass with a fixed gradient; of the batch every float array learns too."""
    shape = f(*[there(a, device) for a in host]).shape
    g = there(draw(*shape, seed=9), device)
    batch: list[Any] = []

    def step(*sent: Any) -> Any:
        batch[:] = [x.detach().requires_grad_() if x.dtype.kind == "f" else x for x in sent]
        for p in learn:
            p.grad = None
        y = f(*batch)
        y.backward(g)
        return y.detach()

    return Work(host, step, lambda: [x.grad for x in [*batch, *learn] if x.grad is not None])


def module(make: Callable[[], Any], host: Callable[[int], list[np.ndarray]], first: bool = False) -> Callable:
    """The work of a layer on a batch of each size; `first`: of a tuple of results, the first."""

    def work(size: int, device: str) -> Work:
        mg.manual_seed(0)
        layer = make().to(device)
        f = (lambda *x: layer(*x)[0]) if first else layer
        return differentiated(f, host(size), list(layer.parameters()), device)

    return work


def product(size: int, device: str) -> Work:
    """A matrix product of size x size, and both its gradients: three products."""
    return differentiated(mg.matmul, [draw(size, size), draw(size, size, seed=1)], [], device)


def scores(size: int, device: str) -> Work:
    """Softmax cross-entropy of `size` rows of 1,000 classes."""
    host = [draw(size, 1000), whole(1000, size)]
    return differentiated(lambda x, t: mg.nn.functional.cross_entropy(x, t), host, [], device)


def attended(size: int, device: str) -> Work:
    """Attention of 8 heads of 64 over sequences of `size`."""
    host = [draw(1, 8, size, 64, seed=seed) for seed in range(3)]
    return differentiated(mg.nn.functional.scaled_dot_product_attention, host, [], device)


def dropped(size: int, device: str) -> Work:
    """Dropout: the same bits on either device, from one seed."""

    def f(x: Any) -> Any:
        mg.manual_seed(1)
        return mg.nn.functional.dropout(x, 0.5)

    return differentiated(f, [draw(size)], [], device)


def adam(size: int, device: str) -> Work:
    """One step of Adam on `size` numbers in 16 parameters: gradients are sent, one parameter is read."""
    host = [draw(size // 16, seed=seed) for seed in range(16)]
    parameters = [mg.nn.Parameter(there(draw(len(a), seed=16 + i), device)) for i, a in enumerate(host)]
    optimiser = mg.optim.Adam(parameters)

    def step(*gradients: Any) -> Any:
        for p, g in zip(parameters, gradients, strict=True):
            p.grad = g
        optimiser.step()
        return parameters[0].detach()

    return Work(host, step, lambda: [p.detach() for p in parameters])


def model(make: Callable, *shape: int, words: int = 0) -> Callable[[int, str], Work]:
    """A model's loss and its gradients on a batch of each size; `words`: of tokens, each labelled."""

    def work(size: int, device: str) -> Work:
        mg.manual_seed(0)
        net, rng = make(mg.nn).to(device), np.random.default_rng(0)
        x = rng.integers(0, words, (size, *shape)) if words else rng.random((size, *shape), dtype=np.float32)
        labels = rng.integers(0, 10, x.size if words else size)
        parameters = list(net.parameters())

        def step(x: Any, labels: Any) -> Any:
            for p in parameters:
                p.grad = None
            loss = mg.nn.functional.cross_entropy(net(x), labels)
            loss.backward()
            return loss.detach()

        return Work([x, labels], step, lambda: [p.grad for p in parameters])

    return work


# ---------------------------------------------------------------- the table

nn = mg.nn
BATCHES = (1, 4, 16, 64, 256)
LAYERS = [
    Sweep(
        "linear", "layer", "linear 1024 to 1024", "rows", (1, 8, 64, 512, 4096),
        module(lambda: nn.Linear(1024, 1024), lambda n: [draw(n, 1024)]),
    ),
    Sweep(
        "conv2d", "layer", "3x3 convolution 64 to 64 of 32x32", "batch", (1, 2, 8, 32, 128),
        module(lambda: nn.Conv2d(64, 64, 3, padding=1), lambda n: [draw(n, 64, 32, 32)]),
    ),
    Sweep(
        "depthwise", "layer", "3x3 depthwise convolution, 64 channels of 32x32", "batch", (1, 4, 16, 64, 256),
        module(lambda: nn.Conv2d(64, 64, 3, padding=1, groups=64), lambda n: [draw(n, 64, 32, 32)]),
    ),
    Sweep(
        "conv1d", "layer", "5 wide convolution 64 to 64 of 1024", "batch", BATCHES,
        module(lambda: nn.Conv1d(64, 64, 5, padding=2), lambda n: [draw(n, 64, 1024)]),
    ),
    Sweep(
        "batch_norm", "layer", "batch norm, 64 channels of 32x32", "batch", BATCHES,
        module(lambda: nn.BatchNorm2d(64), lambda n: [draw(n, 64, 32, 32)]),
    ),
    Sweep(
        "layer_norm", "layer", "layer norm of 1024", "rows", (1, 16, 256, 4096, 16384),
        module(lambda: nn.LayerNorm(1024), lambda n: [draw(n, 1024)]),
    ),
    Sweep(
        "cross_entropy", "layer", "softmax cross-entropy, 1,000 classes", "rows", (1, 16, 256, 4096, 16384),
        scores,
    ),
    Sweep(
        "max_pool", "layer", "max pooling 2x2, 64 channels of 32x32", "batch", BATCHES,
        module(lambda: nn.MaxPool2d(2), lambda n: [draw(n, 64, 32, 32)]),
    ),
    Sweep(
        "lstm", "layer", "LSTM 256 to 256, 64 steps", "batch", BATCHES,
        module(lambda: nn.LSTM(256, 256), lambda n: [draw(64, n, 256)], first=True),
    ),
    Sweep(
        "gru", "layer", "GRU 256 to 256, 64 steps", "batch", BATCHES,
        module(lambda: nn.GRU(256, 256), lambda n: [draw(64, n, 256)], first=True),
    ),
    Sweep(
        "attention", "layer", "attention, 8 heads of 64", "sequence length", (16, 64, 256, 1024, 2048),
        attended,
    ),
    Sweep(
        "embedding", "layer", "embedding, 10,000 words of 256", "tokens", (16, 256, 4096, 65536),
        module(lambda: nn.Embedding(10_000, 256), lambda n: [whole(10_000, n)]),
    ),
    Sweep("dropout", "layer", "dropout", "numbers", (1024, 16384, 1 << 18, 1 << 22, 1 << 24), dropped),
    Sweep("adam", "layer", "a step of Adam, 16 parameters", "numbers", (1024, 16384, 1 << 18, 1 << 22), adam),
]  # fmt: skip

MODELS = [
    Sweep("mlp", "model", "MLP 784-512-512-10", "batch", BATCHES, model(models.mlp, 784)),
    Sweep("lenet5", "model", "LeNet-5", "batch", BATCHES, model(models.lenet5, 1, 28, 28)),
    Sweep("resnet20", "model", "ResNet-20", "batch", (2, 8, 32, 128), model(models.resnet20, 3, 32, 32)),
    Sweep("vgg", "model", "VGG block, 64x64", "batch", (1, 4, 16, 64), model(models.vgg_block, 3, 64, 64)),
    Sweep(
        "conv1d_net", "model", "1-D ConvNet, 1,000 samples", "batch", BATCHES,
        model(models.conv1d_net, 1, 1000),
    ),
    Sweep(
        "char_lstm", "model", "LSTM character model, T 64", "batch", BATCHES,
        model(models.char_lstm, 64, words=65),
    ),
    Sweep(
        "gru_tagger", "model", "2-layer bidirectional GRU tagger, T 50", "batch", BATCHES,
        model(models.gru_tagger, 50, words=1000),
    ),
    Sweep(
        "transformer", "model", "transformer, 4 layers, d 128, T 128", "batch", (1, 4, 16, 64),
        model(models.transformer, 128, words=65),
    ),
]  # fmt: skip

SWEEPS = [
    Sweep("matmul", "product", "matrix product n x n", "n", (32, 128, 512, 1024, 2048), product),
    *LAYERS, *MODELS,
]  # fmt: skip
