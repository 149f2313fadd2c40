"""Every op through the table in cases.py."""

import numpy as np
import pytest
from cases import ALL, REFERENCES, SAMPLES, as_function

import minigrad as mg
from minigrad.engine.op import REGISTRY
from minigrad.engine.random import Generator
from minigrad.gradcheck import float32_error, gradients, second_gradients
from minigrad.gradtable import check_op, moved

OPS = sorted(SAMPLES)


def arguments(name, k):
    """The op, and its arguments as the sample gives them."""
    args, meta = SAMPLES[name][k]
    return REGISTRY[name], args, meta


def test_every_registered_op_has_samples_and_a_reference():
    ours = {name for name, op in REGISTRY.items() if op.forward.__module__.startswith("minigrad")}
    assert ours == set(SAMPLES) == set(REFERENCES)


@pytest.mark.parametrize(("name", "k"), ALL)
def test_forward_equals_the_slow_reference(name, k):
    op, args, meta = arguments(name, k)
    f, xs, _ = as_function(op, (args, meta))
    got = f(*map(mg.tensor, xs)).cpu().numpy()
    wanted = np.asarray(
        REFERENCES[name](*[a.copy() if isinstance(a, np.ndarray) else a for a in args], **meta)
    )
    assert got.shape == wanted.shape
    np.testing.assert_allclose(got.astype(float), wanted.astype(float), rtol=1e-11, atol=1e-12)


@pytest.mark.cpu  # a GPU's gradients are compared with these, below
@pytest.mark.parametrize("name", OPS)
def test_gradients_of_order_one_and_two(name):
    row = check_op(REGISTRY[name], SAMPLES[name])
    assert row["ok"], row["faults"]
    assert row["order1"] <= (1e-12 if row["method"] == "complex-step" else 1e-8)
    assert row["order2"] <= 1e-8


DIFFERENTIABLE = [(name, k) for name, k in ALL if REGISTRY[name].differentiable]


@pytest.mark.parametrize(("name", "k"), DIFFERENTIABLE)
def test_float32_agrees_with_float64(name, k):
    f, xs, _ = as_function(REGISTRY[name], SAMPLES[name][k])
    assert float32_error(f, xs) <= 1e-4
    y = f(*[mg.tensor(x.astype(np.float32)) for x in xs])
    assert y.dtype == (np.float64 if name == "cast" else np.float32), "a float32 op must stay float32"


@pytest.mark.parametrize(("name", "k"), DIFFERENTIABLE)
def test_memory_order_changes_nothing_and_inputs_are_left_alone(name, k):
    f, xs, _ = as_function(REGISTRY[name], SAMPLES[name][k])
    before = [x.copy() for x in xs]
    v = Generator(3).standard_normal(f(*map(mg.tensor, xs)).shape)
    plain = gradients(f, xs, v)
    there = [mg.tensor(x).data for x in xs]
    reversed_ = [x[::-1].copy()[::-1] if x.ndim else x for x in there]  # negative strides
    fortran = [x.T.copy().T for x in there]
    for other in (reversed_, fortran):
        with mg.no_grad():
            np.testing.assert_allclose(
                f(*map(mg.asarray, other)).cpu().numpy(),
                f(*map(mg.asarray, there)).cpu().numpy(),
                rtol=1e-12,
                atol=1e-14,
            )
        leaves = [mg.asarray(x).requires_grad_() for x in other]
        y = f(*leaves)
        if y.requires_grad:
            y.backward(mg.tensor(v))
        for leaf, g in zip(leaves, plain, strict=True):
            got = np.zeros_like(g) if leaf.grad is None else leaf.grad.cpu().numpy()
            np.testing.assert_allclose(got, g, rtol=1e-11, atol=1e-13)
    for x, b in zip(there, before, strict=True):
        assert (mg.asarray(x).cpu().numpy() == b).all(), "an op changed its input"


@pytest.mark.parametrize("name", [n for n in OPS if REGISTRY[n].reference is not None])
def test_fused_op_equals_its_reference(name):
    op = REGISTRY[name]
    for args, meta in SAMPLES[name]:
        f, xs, _ = as_function(op, (args, meta))

        def plain(*given, args=args, meta=meta):
            left, device = iter(given), given[0].device
            return op.reference(
                *[
                    next(left) if isinstance(a, np.ndarray) and a.dtype.kind == "f" else moved(a, device)
                    for a in args
                ],
                **moved(meta, device),
            )

        fused = f(*map(mg.tensor, xs))
        np.testing.assert_allclose(fused.cpu().numpy(), plain(*map(mg.tensor, xs)).cpu().numpy(), rtol=1e-12)
        v = Generator(3).standard_normal(fused.shape)
        for a, b in zip(gradients(f, xs, v), gradients(plain, xs, v), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-13)


@pytest.mark.gpu
@pytest.mark.parametrize(("name", "k"), ALL)
def test_gpu_equals_cpu(name, k, device):
    f, xs, _ = as_function(REGISTRY[name], SAMPLES[name][k])
    with mg.device("cpu"):
        here = f(*map(mg.tensor, xs))
    with mg.device(device):
        there = f(*map(mg.tensor, xs))
    assert here.device == "cpu" and (there.device == device or name == "transfer")
    np.testing.assert_allclose(
        there.cpu().numpy().astype(float), here.numpy().astype(float), rtol=1e-10, atol=1e-12
    )


@pytest.mark.gpu
@pytest.mark.parametrize(("name", "k"), DIFFERENTIABLE)
def test_gpu_gradients_of_order_one_and_two_equal_the_cpus(name, k, device):
    f, xs, _ = as_function(REGISTRY[name], SAMPLES[name][k])
    rng = Generator(3)
    with mg.device("cpu"):
        v = rng.standard_normal(f(*map(mg.tensor, xs)).shape)
    us = [rng.standard_normal(x.shape) for x in xs]
    found = {}
    for where in ("cpu", device):
        with mg.device(where):
            found[where] = [*gradients(f, xs, v), *second_gradients(f, xs, v, us)]
    for here, there in zip(found["cpu"], found[device], strict=True):
        scale = max(float(np.abs(here).max(initial=0.0)), 1e-3)
        np.testing.assert_allclose(there, here, rtol=1e-9, atol=1e-11 * scale)


def test_gradcheck_runs_where_tensors_are_born_or_where_its_inputs_are(stand_in):
    places = []

    def square(x):
        places.append(x.device.kind)
        return x * x

    with mg.device("cuda"):
        assert mg.tensor(np.ones(2)).device.kind == mg.tensor([1.0]).device.kind == "cuda"
        assert mg.asarray(np.ones(2)).device == "cpu"
        there = mg.tensor(np.ones(2))
        assert mg.gradcheck(square, [np.ones(2)], order=2)
    assert mg.gradcheck(square, [there], order=2)
    assert set(places) == {"cuda"}
