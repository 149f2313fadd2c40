"""What else there is to pick: `python -m benchmarks.vs_others`.

MyGrad, HIPS autograd and JAX beside minigrad and PyTorch, on two training steps of `vs_pytorch`: the MLP with
Adam and the chain of 200 small ops. Each library is used in its natural form: JAX jits the whole step, with
Adam written out; MyGrad and autograd have no Adam that updates a list of parameters, so theirs is NumPy. All
start from the same weights, and the losses of the first steps agree with PyTorch's before anything is timed,
in turn, in the same rounds. A library that is not installed is left out, and a line says so.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
from collections.abc import Callable, Iterator
from typing import Any

import benchmarks  # sets threads and matrix kernels, before NumPy loads
from benchmarks import harness, models, vs_pytorch

import numpy as np  # isort: skip
import torch  # isort: skip

import minigrad as mg  # isort: skip

Step = Callable[[], Any]  # one training step; gives the loss
RATE, B1, B2, EPS = 1e-3, 0.9, 0.999, 1e-8


def mlp_values() -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Weights (out, in) and biases in turn, the batch, its labels: those of `vs_pytorch`."""
    rng = np.random.default_rng(0)
    x, labels = rng.random((128, 784), dtype=np.float32), rng.integers(0, 10, 128)
    torch.manual_seed(0)
    return [p.detach().numpy().copy() for p in models.mlp(torch.nn).parameters()], x, labels


class NumPyAdam:
    """Adam as one writes it with NumPy, in place."""

    def __init__(self, weights: list[np.ndarray]) -> None:
        self.weights = weights
        self.m = [np.zeros_like(w) for w in weights]
        self.v = [np.zeros_like(w) for w in weights]
        self.t = 0

    def step(self, grads: list[np.ndarray]) -> None:
        self.t += 1
        for w, g, m, v in zip(self.weights, grads, self.m, self.v, strict=True):
            m *= B1
            m += (1 - B1) * g
            v *= B2
            v += (1 - B2) * g * g
            w -= RATE / (1 - B1**self.t) * m / (np.sqrt(v / (1 - B2**self.t)) + EPS)


# ---------------------------------------------------------------- MyGrad


def mygrad_mlp() -> Step:
    import mygrad
    from mygrad.nnet.activations import relu
    from mygrad.nnet.losses import softmax_crossentropy

    mygrad.turn_memory_guarding_off()  # its documentation's advice where speed matters
    values, x, labels = mlp_values()
    params = [mygrad.tensor(v) for v in values]
    w1, b1, w2, b2, w3, b3 = params
    adam = NumPyAdam([p.data for p in params])

    def step() -> Any:
        h = relu(mygrad.matmul(x, w1.T) + b1)
        h = relu(mygrad.matmul(h, w2.T) + b2)
        loss = softmax_crossentropy(mygrad.matmul(h, w3.T) + b3, labels)
        loss.backward()
        adam.step([p.grad for p in params])
        return loss

    return step


def mygrad_chain() -> Step:
    import mygrad
    from mygrad.nnet.activations import relu

    mygrad.turn_memory_guarding_off()
    values, x = vs_pytorch.chain_values()
    weights = [mygrad.tensor(v) for v in values]

    def step() -> Any:
        y = x
        for w, b, c in zip(weights[0::3], weights[1::3], weights[2::3], strict=True):
            y = relu(mygrad.tanh(y * w + b) - c)
        loss = y.sum()
        loss.backward()
        for w in weights:
            w.null_grad()
        return loss

    return step


# ---------------------------------------------------------------- HIPS autograd


def autograd_mlp() -> Step:
    import autograd.numpy as anp
    from autograd import value_and_grad

    weights, x, labels = mlp_values()
    rows = np.arange(len(labels))
    adam = NumPyAdam(weights)

    def loss_of(weights: list[Any]) -> Any:
        w1, b1, w2, b2, w3, b3 = weights
        h = anp.maximum(anp.dot(x, w1.T) + b1, 0.0)
        h = anp.maximum(anp.dot(h, w2.T) + b2, 0.0)
        scores = anp.dot(h, w3.T) + b3
        scores = scores - anp.max(scores, axis=1, keepdims=True)
        return anp.mean(anp.log(anp.sum(anp.exp(scores), axis=1)) - scores[rows, labels])

    gradient = value_and_grad(loss_of)

    def step() -> Any:
        loss, grads = gradient(weights)
        adam.step(grads)
        return loss

    return step


def autograd_chain() -> Step:
    import autograd.numpy as anp
    from autograd import value_and_grad

    weights, x = vs_pytorch.chain_values()

    def loss_of(weights: list[Any]) -> Any:
        y = x
        for w, b, c in zip(weights[0::3], weights[1::3], weights[2::3], strict=True):
            y = anp.maximum(anp.tanh(y * w + b) - c, 0.0)
        return anp.sum(y)

    gradient = value_and_grad(loss_of)
    return lambda: gradient(weights)[0]


# ---------------------------------------------------------------- JAX, the whole step jitted


def jax_mlp() -> Step:
    import jax
    import jax.numpy as jnp

    values, x, labels = mlp_values()
    x, labels = jnp.asarray(x), jnp.asarray(labels)
    weights = [jnp.asarray(v) for v in values]
    state = [jnp.zeros_like(w) for w in weights], [jnp.zeros_like(w) for w in weights], jnp.zeros(())

    def loss_of(weights: list[Any], x: Any, labels: Any) -> Any:
        w1, b1, w2, b2, w3, b3 = weights
        h = jax.nn.relu(x @ w1.T + b1)
        h = jax.nn.relu(h @ w2.T + b2)
        scores = jax.nn.log_softmax(h @ w3.T + b3)
        return -jnp.mean(jnp.take_along_axis(scores, labels[:, None], axis=1))

    def update(weights: list[Any], state: tuple, x: Any, labels: Any) -> tuple:
        loss, grads = jax.value_and_grad(loss_of)(weights, x, labels)
        m, v, t = state
        t = t + 1
        m = [B1 * a + (1 - B1) * g for a, g in zip(m, grads, strict=True)]
        v = [B2 * a + (1 - B2) * g * g for a, g in zip(v, grads, strict=True)]
        down = [RATE * a / (1 - B1**t) / (jnp.sqrt(b / (1 - B2**t)) + EPS) for a, b in zip(m, v, strict=True)]
        return loss, [w - d for w, d in zip(weights, down, strict=True)], (m, v, t)

    jitted = jax.jit(update, donate_argnums=(0, 1))

    def step() -> Any:
        nonlocal weights, state
        loss, weights, state = jitted(weights, state, x, labels)
        return jax.block_until_ready((loss, weights))[0]

    return step


def jax_chain() -> Step:
    import jax
    import jax.numpy as jnp

    values, start = vs_pytorch.chain_values()
    weights, x = [jnp.asarray(v) for v in values], jnp.asarray(start)

    def loss_of(weights: list[Any], x: Any) -> Any:
        y = x
        for w, b, c in zip(weights[0::3], weights[1::3], weights[2::3], strict=True):
            y = jax.nn.relu(jnp.tanh(y * w + b) - c)
        return y.sum()

    jitted = jax.jit(jax.value_and_grad(loss_of))
    return lambda: jax.block_until_ready(jitted(weights, x))[0]


# ---------------------------------------------------------------- running them

CASES = [case for case in vs_pytorch.CASES if case.name in ("mlp", "chain")]
OTHERS = [  # name, package, its steps
    ("MyGrad", "mygrad", {"mlp": mygrad_mlp, "chain": mygrad_chain}),
    ("HIPS autograd", "autograd", {"mlp": autograd_mlp, "chain": autograd_chain}),
    ("JAX, jit", "jax", {"mlp": jax_mlp, "chain": jax_chain}),
]


def steps(case: vs_pytorch.Case) -> Iterator[tuple[str, Step]]:
    """Every library's name and its step of this row; PyTorch comes first."""
    ours, theirs = case.build("cpu")
    yield "PyTorch", theirs
    yield "minigrad", ours
    if hasattr(mg, "capture"):
        yield "minigrad, captured", mg.capture(case.build("cpu")[0])
    for library, package, made in OTHERS:
        if importlib.util.find_spec(package) is None:
            print(f"{library} is left out: not installed (pip install {package})")
        else:
            yield library, made[case.name]()


def measure(case: vs_pytorch.Case, rounds: int) -> list[dict[str, Any]]:
    """The rows of one training step: a row per library."""
    runs = dict(steps(case))
    check_agreement(case, runs)
    times, _ = harness.in_turn(runs, rounds)
    return [
        {
            "name": f"{case.name}: {library}", "what": case.what, "library": library, "rounds": rounds,
            "ms": harness.milliseconds(times[library]), **harness.ratios(times[library], times["PyTorch"]),
        }
        for library in runs
    ]  # fmt: skip


def check_agreement(case: vs_pytorch.Case, runs: dict[str, Step]) -> None:
    """The first losses of all are PyTorch's; ValueError otherwise."""
    first = [runs["PyTorch"]().item() for _ in range(5)]
    for library, step in runs.items():
        if library != "PyTorch":
            losses = iter(first)
            vs_pytorch.check_agreement(
                f"{case.name}, {library}", step, lambda it=losses: np.float64(next(it))
            )


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser("python -m benchmarks.vs_others", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=31, help="rounds timed per row (default 31)")
    parser.add_argument("--only", choices=[case.name for case in CASES], help="time this step alone")
    parser.add_argument("--json", metavar="FILE", help="write the rows there")
    options = parser.parse_args(arguments)
    torch.set_num_threads(benchmarks.THREADS)
    if hasattr(os, "sched_setaffinity"):  # JAX takes a thread per processor: no more for it
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: benchmarks.THREADS])
    rows = []
    for case in CASES:
        if options.only in (None, case.name):
            for row in measure(case, options.rounds):
                rows.append(row)
                print("{name:28} {ms:9.3f} ms, {ratio:7.3f} of PyTorch's".format(**row), flush=True)
    if options.json:
        packages = (*vs_pytorch.PACKAGES, *(package for _, package, _ in OTHERS))
        harness.write(options.json, "vs_others", harness.environment(packages=packages), rows)


if __name__ == "__main__":
    main()
