"""Optimisers step by step against PyTorch, schedules, state that moves, and what is refused."""

import itertools

import numpy as np
import pytest

import minigrad as mg
from minigrad.optim import lr_scheduler

RNG = np.random.default_rng(0)
SHAPES = ((3, 4), (70_001,), ())  # the second is longer than one block


def run(lib, name, values, gradients, **settings):
    """The parameters after a step per set of gradients."""
    params = [lib.tensor(v.copy(), requires_grad=True) for v in values]
    optimiser = getattr(lib.optim, name)(params, **settings)
    for step in gradients:
        for p, g in zip(params, step, strict=True):
            p.grad = lib.tensor(g)
        optimiser.step()
    return [p.detach().numpy() for p in params]


SGD = [
    {"lr": 0.1, "momentum": m, "dampening": d, "weight_decay": w, "nesterov": n, "maximize": x}
    for m, d, w, n, x in itertools.product((0, 0.9), (0, 0.2), (0, 0.1), (False, True), (False, True))
    if not n or (m and not d)
]
ADAM = [
    {"lr": 0.01, "weight_decay": w, "amsgrad": a, "maximize": x, "betas": (0.8, 0.99)}
    for w, a, x in itertools.product((0, 0.1), (False, True), (False, True))
]


@pytest.mark.parametrize(
    ("name", "settings"),
    [("SGD", s) for s in SGD] + [(n, s) for n in ("Adam", "AdamW") for s in ADAM],
    ids=str,
)
def test_twenty_steps_equal_pytorchs(name, settings):
    torch = pytest.importorskip("torch")
    values = [RNG.normal(size=s) for s in SHAPES]
    gradients = [[RNG.normal(size=s) for s in SHAPES] for _ in range(20)]
    for a, b in zip(
        run(mg, name, values, gradients, **settings),
        run(torch, name, values, gradients, **settings),
        strict=True,
    ):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-13)


def test_updates_are_in_place_and_skip_what_has_no_gradient():
    p, q = mg.ones(5, requires_grad=True), mg.ones(5, requires_grad=True)
    memory = p.data
    optimiser = mg.optim.Adam([p, q], lr=0.1)
    p.grad = mg.ones(5)
    optimiser.step()
    assert p.data is memory and (p.data != 1).all() and (q.data == 1).all()
    optimiser.zero_grad()
    assert p.grad is None


def test_a_parameter_of_any_memory_order_is_updated():
    memory = np.zeros((4, 3))
    p = mg.asarray(memory.T).requires_grad_()
    for name in ("SGD", "Adam"):
        before = p.data.copy()
        p.grad = mg.ones(3, 4, dtype="float64")
        getattr(mg.optim, name)([p], lr=0.1).step()
        np.testing.assert_allclose(p.data, before - 0.1, rtol=1e-6)


def test_groups_have_settings_of_their_own():
    a, b = mg.zeros(1, requires_grad=True), mg.zeros(1, requires_grad=True)
    optimiser = mg.optim.SGD([{"params": [a]}, {"params": b, "lr": 1.0}], lr=0.1)
    a.grad, b.grad = mg.ones(1), mg.ones(1)
    optimiser.step()
    np.testing.assert_allclose([a.item(), b.item()], [-0.1, -1.0])


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW"])
def test_a_state_dict_takes_the_run_up_bit_for_bit(name):
    gradients = [RNG.normal(size=4) for _ in range(10)]
    settings = {"lr": 0.1, **({"momentum": 0.9} if name == "SGD" else {"amsgrad": True})}

    def steps(p, optimiser, part):
        for g in part:
            p.grad = mg.tensor(g)
            optimiser.step()

    whole = mg.tensor(np.ones(4), requires_grad=True)
    steps(whole, getattr(mg.optim, name)([whole], **settings), gradients)
    first = mg.tensor(np.ones(4), requires_grad=True)
    optimiser = getattr(mg.optim, name)([first], **settings)
    steps(first, optimiser, gradients[:5])
    second = mg.tensor(first.data.copy(), requires_grad=True)
    fresh = getattr(mg.optim, name)([second], lr=0.5)
    fresh.load_state_dict(optimiser.state_dict())
    steps(second, fresh, gradients[5:])
    assert (second.data == whole.data).all()
    with pytest.raises(ValueError, match="has shape"):
        mg.optim.Adam([mg.ones(7, requires_grad=True)]).load_state_dict(optimiser.state_dict())


def test_a_closure_is_run_with_gradients_on():
    p = mg.tensor([3.0], requires_grad=True)
    optimiser = mg.optim.SGD([p], lr=0.5)

    def closure():
        optimiser.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss

    with mg.no_grad():
        assert optimiser.step(closure).item() == 9.0
    assert p.item() == 0.0


SCHEDULES = [
    ("StepLR", {"step_size": 3, "gamma": 0.5}), ("MultiStepLR", {"milestones": [2, 5], "gamma": 0.1}),
    ("CosineAnnealingLR", {"T_max": 10, "eta_min": 0.01}), ("ExponentialLR", {"gamma": 0.9}),
    ("LinearLR", {"start_factor": 0.25, "total_iters": 4}), ("ConstantLR", {"factor": 0.5, "total_iters": 3}),
    ("LambdaLR", {"lr_lambda": lambda e: 1 / (1 + e)}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "settings"), SCHEDULES, ids=[n for n, _ in SCHEDULES])
def test_schedules_equal_pytorchs_and_resume(name, settings):
    torch = pytest.importorskip("torch")
    ours = mg.optim.SGD([mg.ones(1, requires_grad=True)], lr=0.3)
    theirs = torch.optim.SGD([torch.ones(1, requires_grad=True)], lr=0.3)
    a, b = (
        getattr(lr_scheduler, name)(ours, **settings),
        getattr(torch.optim.lr_scheduler, name)(theirs, **settings),
    )
    for _ in range(10):
        np.testing.assert_allclose(a.get_last_lr(), b.get_last_lr(), rtol=1e-12)
        theirs.step()
        a.step()
        b.step()
    other = mg.optim.SGD([mg.ones(1, requires_grad=True)], lr=0.3)
    again = getattr(lr_scheduler, name)(other, **settings)
    again.load_state_dict(a.state_dict())
    assert other.param_groups[0]["lr"] == ours.param_groups[0]["lr"]


P = mg.ones(2, requires_grad=True)
REFUSALS = [
    (lambda: mg.optim.SGD([], lr=0.1), ValueError, "at least one parameter"), (lambda: mg.optim.SGD(P), TypeError, "got a Tensor"),
    (lambda: mg.optim.SGD([P], lr=-1), ValueError, "lr=-1"), (lambda: mg.optim.SGD([P], nesterov=True), ValueError, "nesterov=True needs"),
    (lambda: mg.optim.Adam([P, P]), ValueError, "appears twice"), (lambda: mg.optim.Adam([P * 2]), ValueError, "leaf tensors"),
    (lambda: mg.optim.Adam([P], betas=(0.9, 1.0)), ValueError, r"betas\[1\]=1.0"), (lambda: mg.optim.Adam([3.0]), TypeError, r"params\[0\]"),
    (lambda: mg.optim.Adam([{"params": [P], "rate": 1}]), ValueError, "unknown setting 'rate'"),
    (lambda: mg.optim.Adam([P], lr="x"), ValueError, "lr='x'"), (lambda: mg.optim.Adam([P], betas=(0.9,)), ValueError, "two numbers"),
    (lambda: mg.optim.Adam([P], betas=0.9), ValueError, "betas=0.9"), (lambda: mg.optim.SGD([P], dampening="a"), ValueError, "dampening='a'"),
    (lambda: mg.optim.Adam([mg.tensor([1, 2])]), TypeError, "got int64"), (lambda: mg.optim.Adam(3), TypeError, "got int"),
    (lambda: lr_scheduler.LinearLR(mg.optim.SGD([P]), total_iters=0), ValueError, "total_iters=0"),
    (lambda: lr_scheduler.SequentialLR(mg.optim.SGD([P]), [], [3]), ValueError, "one milestone fewer"),
    (lambda: lr_scheduler.StepLR(mg.optim.SGD([P]), 0), ValueError, "step_size=0"), (lambda: lr_scheduler.StepLR(P, 1), TypeError, "expected an Optimizer"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "kind", "told"), REFUSALS, ids=[t for *_, t in REFUSALS])
def test_what_cannot_be_meant_is_refused(call, kind, told):
    with pytest.raises(kind, match=told):
        call()


def one_step(p, optimiser, gradient):
    p.grad = mg.tensor(gradient)
    optimiser.step()


@pytest.mark.parametrize("name", ["SGD", "Adam"])
@pytest.mark.parametrize("shape", [(), (3, 2)])
def test_a_loaded_state_of_any_shape_and_memory_order_goes_on(name, shape):
    settings = {"lr": 0.1, **({"momentum": 0.9} if name == "SGD" else {})}
    gradients = [RNG.normal(size=shape) for _ in range(3)]
    p = mg.tensor(np.ones(shape), requires_grad=True)
    optimiser = getattr(mg.optim, name)([p], **settings)
    one_step(p, optimiser, gradients[0])
    saved = optimiser.state_dict()
    saved["state"][0] = {k: np.array(v, order="F") for k, v in saved["state"][0].items()}
    q = mg.tensor(p.data.copy(), requires_grad=True)
    other = getattr(mg.optim, name)([q], **settings)
    other.load_state_dict(saved)
    for gradient in gradients[1:]:
        one_step(p, optimiser, gradient)
        one_step(q, other, gradient)
    assert (p.data == q.data).all()


def test_amsgrad_switched_on_in_mid_run_leaves_the_gradient_alone():
    p = mg.ones(2, requires_grad=True)
    optimiser = mg.optim.Adam([p])
    one_step(p, optimiser, np.ones(2, "float32"))
    optimiser.param_groups[0]["amsgrad"] = True
    one_step(p, optimiser, np.full(2, -3, "float32"))
    assert (p.grad == -3).all()


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda s: s.pop("param_groups"), "'param_groups'"),
        (lambda s: s["state"].update({5: {}}), r"state\[5\]"),
        (lambda s: s["state"][0].pop("exp_avg_sq"), "lacks exp_avg_sq"),
        (lambda s: s["state"][0].update(exp_avg=0.0), "has shape"),
        (lambda s: s["param_groups"][0].update(lr=-1), "lr=-1"),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(spoil, told):
    p = mg.ones(2, requires_grad=True)
    optimiser = mg.optim.Adam([p], lr=0.7)
    one_step(p, optimiser, np.ones(2, "float32"))
    state = optimiser.state_dict()
    spoil(
        state := {
            "state": {0: dict(state["state"][0])},
            "param_groups": [{**state["param_groups"][0], "lr": 0.1}],
        }
    )
    other = mg.optim.Adam([p], lr=0.7)
    with pytest.raises(ValueError, match=told):
        other.load_state_dict(state)
    assert not other.state and other.param_groups[0]["lr"] == 0.7


def test_schedules_in_sequence_equal_pytorchs_and_resume():
    torch = pytest.importorskip("torch")

    def build(lib, s):
        optimiser = lib.optim.SGD([lib.ones(1, requires_grad=True)], lr=0.3)
        parts = [
            s.LinearLR(optimiser, 0.25, total_iters=4),
            s.CosineAnnealingLR(optimiser, 6),
            s.ExponentialLR(optimiser, 0.9),
        ]
        return optimiser, s.SequentialLR(optimiser, parts, milestones=[4, 9])

    (_, a), (theirs, b) = build(mg, lr_scheduler), build(torch, torch.optim.lr_scheduler)
    for _ in range(14):
        np.testing.assert_allclose(a.get_last_lr(), b.get_last_lr(), rtol=1e-12)
        _, again = build(mg, lr_scheduler)
        again.load_state_dict(a.state_dict())
        assert again.get_last_lr() == a.get_last_lr()
        theirs.step()
        a.step()
        b.step()
    with pytest.raises(ValueError, match="1 groups"):
        a.load_state_dict({"last_epoch": 3, "base_lrs": [0.3, 0.3]})
    assert a.last_epoch == 14
