"""Adam and SGD on the GPU: the fused launch against the readable text."""

import numpy as np
import pytest
from cuda_cases import close, took, watched
from hypothesis import given, settings
from hypothesis import strategies as st

import minigrad as mg

SHAPES = [(3, 4), (5000,), (1,), (2, 3, 4)]


def walked(make, device, shapes=SHAPES, steps=3, dtype="float32"):
    rng = np.random.default_rng(0)
    params = [mg.tensor(rng.standard_normal(s).astype(dtype)).to(device).requires_grad_() for s in shapes]
    optimiser = make(params)
    for _ in range(steps):
        for p in params:
            p.grad = mg.tensor(rng.standard_normal(p.shape).astype(dtype)).to(device)
        optimiser.step()
    return [p.detach().cpu().numpy() for p in params], optimiser


def same(make, name, **how):
    with mg.reference_mode():
        expected, _ = walked(make, "cpu", **how)
    with watched(name) as made:
        got, optimiser = walked(make, "cuda", **how)
    assert took(made)
    for a, b in zip(got, expected, strict=True):
        close(a, b, how.get("dtype", "float32"))
    return optimiser


@given(
    decay=st.sampled_from([0.0, 0.1]), decoupled=st.booleans(), maximize=st.booleans(),
    betas=st.sampled_from([(0.9, 0.999), (0.0, 0.5)]),
)  # fmt: skip
@settings(max_examples=6, deadline=None)
def test_adam(stand_in_module, decay, decoupled, maximize, betas):
    how = dict(lr=0.1, betas=betas, weight_decay=decay, maximize=maximize, decoupled_weight_decay=decoupled)
    optimiser = same(lambda params: mg.optim.Adam(params, **how), "adam")
    assert [state["step"] for state in optimiser.state.values()] == [3] * 4


@given(
    momentum=st.sampled_from([0.0, 0.9]), dampening=st.sampled_from([0.0, 0.5]), decay=st.sampled_from([0.0, 0.1]),
    nesterov=st.booleans(), maximize=st.booleans(),
)  # fmt: skip
@settings(max_examples=8, deadline=None)
def test_sgd(stand_in_module, momentum, dampening, decay, nesterov, maximize):
    if nesterov:
        momentum, dampening = 0.9, 0.0
    how = dict(lr=0.1, momentum=momentum, dampening=dampening, weight_decay=decay, nesterov=nesterov, maximize=maximize)
    same(lambda params: mg.optim.SGD(params, **how), "sgd")


def test_more_parameters_than_a_table_holds(stand_in):
    same(lambda params: mg.optim.Adam(params, lr=0.1), "adam", shapes=[(3,), (40, 110)] * 40, steps=2)


def test_float16_is_updated_in_float32(stand_in):
    same(lambda params: mg.optim.SGD(params, lr=0.1), "sgd", dtype="float16")


def test_gradients_in_another_order_of_axes(stand_in):
    def make(params):
        optimiser = mg.optim.SGD(params, lr=0.1)
        step = optimiser.step

        def turned():
            params[0].grad = params[0].grad.T.clone().T if params[0].ndim == 2 else params[0].grad
            step()

        optimiser.step = turned
        return optimiser

    same(make, "sgd")


@pytest.mark.parametrize("found", [0.0, 1.0])
def test_an_overflow_changes_nothing(stand_in, found):
    from cuda_cases import from_gpu, on_gpu

    from minigrad_kernels.cuda import optim

    p, g, m, v = (on_gpu(np.full(5, n, np.float32)) for n in (1.0, 8.0, 0.5, 0.5))
    numbers = np.array([1, 0, 0.9, 0.1, 0.99, 0.01, 1, 0, 0.1, 1e-8], np.float32)
    optim.adam(p, g, m, v, numbers=numbers, found_inf=on_gpu(np.float32([found])), scale=on_gpu(np.float32([4.0])))
    mean, square = 0.9 * 0.5 + 0.1 * 2.0, 0.99 * 0.5 + 0.01 * 4.0
    expected = (1.0 - 0.1 * mean / square**0.5, mean, square) if not found else (1.0, 0.5, 0.5)
    for array, number in zip((p, m, v), expected, strict=True):
        close(from_gpu(array), np.full(5, number))


def test_numbers_that_lie_on_the_device(stand_in):
    from cuda_cases import from_gpu, on_gpu

    from minigrad_kernels.cuda import optim

    here = np.array([0.5, 0.9, 0.1, 1, 0, 0, 0, 0, *[1.0, 0.0] * 70], np.float32)
    arrays = [(np.full(n, 1.0, np.float32), np.full(n, 2.0, np.float32), np.full(n, 3.0, np.float32)) for n in range(1, 71)]

    def run(numbers):
        there = [on_gpu(a) for group in arrays for a in group]
        optim.sgd(*there, numbers=numbers)
        return [from_gpu(a) for a in there]

    for a, b in zip(run(here), run(on_gpu(here)), strict=True):
        assert (a == b).all()


@pytest.mark.parametrize("make", [lambda p: mg.optim.Adam(p, lr=0.1), lambda p: mg.optim.AdamW(p, lr=0.1), lambda p: mg.optim.SGD(p, lr=0.1, momentum=0.9)])
@pytest.mark.parametrize("captured", [False, True])
def test_a_scaled_step_is_decided_about_on_the_device(stand_in, make, captured):
    """Steps that overflow are left out without a read, and count for nothing: as if they had not been."""
    factors = [1.0, 2.0, np.inf, 0.5, np.nan, 3.0, 1.5]

    def trained(device, scaled):
        w = mg.tensor([1.0, 2.0, -1.0]).to(device).requires_grad_()
        optimiser = make([w])
        scaler = mg.amp.GradScaler(device, init_scale=1024.0, growth_interval=3) if scaled else None

        def step(x):
            optimiser.zero_grad()
            loss = (w * w * x).sum()
            (scaler.scale(loss) if scaled else loss).backward()
            if scaled:
                scaler.step(optimiser)
                scaler.update()
            else:
                optimiser.step()

        run = mg.capture(step) if captured and scaled else step
        for x in factors if scaled else [f for f in factors if np.isfinite(f)]:
            x = mg.tensor([x] * 3, dtype="float32").to(device)
            if scaled:
                with mg.cuda.ledger() as seen:
                    run(x)
                assert not seen.transfers("d2h"), seen
            else:
                run(x)
        return w.detach().cpu().numpy(), optimiser.state_dict()["state"][0].get("step"), scaler and scaler.get_scale()

    got, count, scale = trained("cuda", True)
    expected, whole, _ = trained("cpu", False)
    close(got, expected)
    assert count == whole and scale == 1024.0 / 4
