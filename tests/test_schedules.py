"""Schedules: PyTorch's rates over 50 steps, with any arguments, resumed anywhere, and combined."""

import copy
import inspect
import json
import warnings

import numpy as np
import pytest
from against_torch import both_reject
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import minigrad as mg
from minigrad.optim import lr_scheduler

torch = pytest.importorskip("torch")
theirs_ = torch.optim.lr_scheduler
pytestmark = pytest.mark.filterwarnings("ignore:.*lr_scheduler.step:UserWarning")  # a torch optimiser never steps here
ordinary = settings(
    max_examples=20, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), phases=[Phase.generate]
)


def optimiser(lib, groups=1, name="SGD"):
    params = [lib.ones(1, requires_grad=True) for _ in range(groups)]
    rates = [0.3, 0.05, 1.0]
    more = {"momentum": 0.9} if name == "SGD" else {}
    return getattr(lib.optim, name)([{"params": [p], "lr": r} for p, r in zip(params, rates, strict=False)], **more)


class Power:
    """A rate's factor as an object, whose state is saved."""

    def __init__(self, base):
        self.base = base

    def __call__(self, epoch):
        return self.base**epoch if epoch < 30 else self.base


whole, small, flag = st.integers(1, 12), st.floats(0.01, 1.0), st.booleans()
OPTIONS = {
    "LambdaLR": {"lr_lambda": st.sampled_from([lambda e: 1 / (1 + e), Power(0.9)])},
    "MultiplicativeLR": {"lr_lambda": st.sampled_from([lambda e: 1 - 1 / (2 + e), Power(0.99)])},
    "StepLR": {"step_size": whole, "gamma": small},
    "MultiStepLR": {"milestones": st.lists(st.integers(1, 40), max_size=5), "gamma": small},
    "ConstantLR": {"factor": small, "total_iters": st.integers(1, 60)},
    "LinearLR": {"start_factor": small, "end_factor": st.sampled_from([0.0, 0.2, 1.0]), "total_iters": whole},
    "ExponentialLR": {"gamma": st.floats(0.8, 1.2)},
    "PolynomialLR": {"total_iters": whole, "power": st.floats(0.5, 3)},
    "CosineAnnealingLR": {"T_max": whole, "eta_min": st.sampled_from([0.0, 0.01, 0.5])},
    "CosineAnnealingWarmRestarts": {"T_0": whole, "T_mult": st.integers(1, 3), "eta_min": st.sampled_from([0.0, 0.01])},
    "CyclicLR": {
        "base_lr": small, "max_lr": st.floats(1, 2), "step_size_up": whole, "step_size_down": st.none() | whole,
        "mode": st.sampled_from(["triangular", "triangular2", "exp_range"]), "gamma": st.floats(0.9, 1),
        "scale_fn": st.sampled_from([None, lambda x: 1 / (1 + x), Power(0.9)]),
        "scale_mode": st.sampled_from(["cycle", "iterations"]), "cycle_momentum": flag, "base_momentum": st.floats(0.5, 0.8),
    },
    "OneCycleLR": {
        "max_lr": small, "total_steps": st.integers(55, 80), "pct_start": st.floats(0.1, 0.4), "cycle_momentum": flag,
        "anneal_strategy": st.sampled_from(["cos", "linear"]), "three_phase": flag, "div_factor": st.floats(5, 30),
    },
}  # fmt: skip


def state_of(o):
    """Rate and momentum of each group."""
    return [(g["lr"], g["betas"][0] if "betas" in g else g["momentum"]) for g in o.param_groups]


def close(a, b):
    np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name", OPTIONS)
@ordinary
@given(data=st.data())
def test_rates_are_pytorchs_and_a_saved_schedule_goes_on(name, data):
    options = {key: data.draw(choice) for key, choice in OPTIONS[name].items()}
    groups, kind, at = data.draw(st.integers(1, 3)), data.draw(st.sampled_from(["SGD", "Adam"])), data.draw(st.integers(1, 40))
    if name in ("CyclicLR", "OneCycleLR") and data.draw(flag):
        options["max_lr"] = [options["max_lr"] * (k + 1) for k in range(groups)]
    a, b = optimiser(mg, groups, kind), optimiser(torch, groups, kind)
    ours, theirs = getattr(lr_scheduler, name)(a, **options), getattr(theirs_, name)(b, **options)
    for step in range(50):
        close(state_of(a), state_of(b))
        close(ours.get_last_lr(), theirs.get_last_lr())
        if step == at:
            a, ours = successor(mg, lr_scheduler, a, ours, name, options)
            b, theirs = successor(torch, theirs_, b, theirs, name, options, swapped=ours)
        ours.step()
        theirs.step()


def successor(lib, schedules, old, schedule, name, options, swapped=None):
    """A new optimiser and schedule, which take up the state of the old: PyTorch's that of ours, `swapped`."""
    new = optimiser(lib, len(old.param_groups), type(old).__name__)
    following = getattr(schedules, name)(new, **options)
    state = (swapped or schedule).state_dict()
    if lib is mg and name not in ("LambdaLR", "MultiplicativeLR", "CyclicLR"):
        state = json.loads(json.dumps(state))
    following.load_state_dict(copy.deepcopy(state))
    if swapped is None:
        close(new.param_groups[0]["lr"], old.param_groups[0]["lr"])
    new.load_state_dict(copy.deepcopy(old.state_dict()))
    return new, following


@pytest.mark.parametrize("name", [*OPTIONS, "ReduceLROnPlateau", "SequentialLR", "ChainedScheduler", "LRScheduler"])
def test_arguments_are_pytorchs(name):
    ours, theirs = (
        [(p.name, p.default, p.kind) for p in inspect.signature(getattr(s, name)).parameters.values()]
        for s in (lr_scheduler, theirs_)
    )
    assert ours == theirs


@pytest.mark.parametrize("name", [n for n in OPTIONS if n != "OneCycleLR"])
def test_a_run_is_taken_up_by_its_last_epoch_as_pytorch_does(name):
    options = {
        "LambdaLR": {"lr_lambda": lambda e: 1 / (1 + e)}, "MultiplicativeLR": {"lr_lambda": lambda e: 0.9},
        "CyclicLR": {"base_lr": 0.1, "max_lr": 1.0, "step_size_up": 4}, "StepLR": {"step_size": 3},
        "MultiStepLR": {"milestones": [3, 5]}, "ExponentialLR": {"gamma": 0.9}, "ConstantLR": {"total_iters": 3},
        "CosineAnnealingLR": {"T_max": 7}, "CosineAnnealingWarmRestarts": {"T_0": 4},
    }.get(name, {})  # fmt: skip
    rates = []
    for lib, schedules in ((mg, lr_scheduler), (torch, theirs_)):
        o = optimiser(lib, 2)
        with pytest.raises((KeyError, ValueError), match="initial_lr"):
            getattr(schedules, name)(o, last_epoch=2, **options)
        for group in o.param_groups:
            group["initial_lr"] = group["lr"]
        schedule = getattr(schedules, name)(o, last_epoch=2, **options)
        rates.append([])
        for _ in range(10):
            rates[-1].append(schedule.get_last_lr())
            schedule.step()
    close(*rates)


@pytest.mark.parametrize(
    ("name", "options", "epochs"),
    [
        ("StepLR", {"step_size": 3}, [7, None, 2, None]), ("CosineAnnealingLR", {"T_max": 7}, [5, None, 0]),
        ("CosineAnnealingWarmRestarts", {"T_0": 3, "T_mult": 2}, [0.5, 4.25, 8.75, 9, None, 2]),
        ("CosineAnnealingWarmRestarts", {"T_0": 3}, [0.5, 4.25, 8.75, 9, None, 2]), ("LinearLR", {}, [4, None, None, 1]),
    ],
)  # fmt: skip
def test_an_epoch_may_be_named(name, options, epochs):
    ours, theirs = (getattr(s, name)(optimiser(lib), **options) for lib, s in ((mg, lr_scheduler), (torch, theirs_)))
    for epoch in epochs:
        ours.step(epoch)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs.step(epoch)
        close(ours.get_last_lr(), theirs.get_last_lr())


@ordinary
@given(
    mode=st.sampled_from(["min", "max"]), threshold_mode=st.sampled_from(["rel", "abs"]), factor=st.floats(0.1, 0.9),
    patience=st.integers(0, 4), cooldown=st.integers(0, 3), threshold=st.sampled_from([0.0, 1e-4, 0.2]), groups=st.integers(1, 2),
    min_lr=st.sampled_from([0, 0.02]), eps=st.sampled_from([1e-8, 0.05]), seed=st.integers(0, 99), at=st.integers(0, 39),
)  # fmt: skip
def test_a_plateau_is_seen_where_pytorch_sees_it(groups, seed, at, **options):
    a, b = optimiser(mg, groups), optimiser(torch, groups)
    ours, theirs = lr_scheduler.ReduceLROnPlateau(a, **options), theirs_.ReduceLROnPlateau(b, **options)
    for step, metric in enumerate(np.random.default_rng(seed).normal(1.0, 0.3, 40)):
        if step == at:
            a, ours = successor(mg, lr_scheduler, a, ours, "ReduceLROnPlateau", options)
        ours.step(mg.tensor(metric))
        theirs.step(torch.tensor(metric))
        close(state_of(a), state_of(b))


def test_a_plateau_heeds_a_rate_for_each_group_and_groups_that_join():
    o = optimiser(mg, 2)
    schedule = lr_scheduler.ReduceLROnPlateau(o, patience=0, factor=0.5, min_lr=[0.2, 0.0])
    [schedule.step(1.0) for _ in range(4)]
    close(schedule.get_last_lr(), [0.2, 0.05 / 8])
    o.add_param_group({"params": [mg.ones(1, requires_grad=True)]})
    with pytest.raises(ValueError, match="min_lrs of 3 groups"):
        schedule.step(1.0)
    plain = lr_scheduler.ReduceLROnPlateau(optimiser(mg), patience=0, factor=0.5)
    plain.optimizer.add_param_group({"params": [mg.ones(1, requires_grad=True)], "lr": 8.0})
    [plain.step(1.0) for _ in range(2)]
    close(plain.get_last_lr(), [0.15, 4.0])


def sequence(lib, s):
    o = optimiser(lib)
    parts = [
        s.LinearLR(o, 0.25, total_iters=4), s.CosineAnnealingLR(o, 6), s.ExponentialLR(o, 0.9),
        s.CyclicLR(o, 0.1, 0.5, 3, cycle_momentum=False), s.MultiplicativeLR(o, lambda e: 0.9), s.CosineAnnealingWarmRestarts(o, 3),
    ]  # fmt: skip
    return o, s.SequentialLR(o, parts, milestones=[4, 9, 12, 17, 20])


def chain(lib, s):
    o = optimiser(lib, 2)
    parts = [s.ConstantLR(o, 0.1, 4), s.ExponentialLR(o, 0.9), s.LinearLR(o, 0.5, total_iters=9), s.StepLR(o, 5)]
    return o, s.ChainedScheduler(parts)


def chain_in_sequence(lib, s):
    o = optimiser(lib)
    first = s.ChainedScheduler([s.LinearLR(o, 0.5), s.StepLR(o, 3)], o)
    return o, s.SequentialLR(o, [first, s.CosineAnnealingLR(o, 8)], [5])


@pytest.mark.parametrize("build", [sequence, chain, chain_in_sequence])
def test_combined_schedules_equal_pytorchs_and_resume(build):
    (a, ours), (b, theirs) = build(mg, lr_scheduler), build(torch, theirs_)
    for _ in range(25):
        close(ours.get_last_lr(), theirs.get_last_lr())
        close(state_of(a), state_of(b))
        other, again = build(mg, lr_scheduler)
        again.load_state_dict(copy.deepcopy(ours.state_dict()))
        assert again.get_last_lr() == ours.get_last_lr() and state_of(other) == state_of(a)
        ours.step()
        again.step()
        theirs.step()
        assert again.get_last_lr() == ours.get_last_lr()
    with pytest.raises(ValueError, match=f"{len(a.param_groups)} groups"):
        ours.load_state_dict({"last_epoch": 3, "base_lrs": [0.3] * 5})
    close(ours.get_last_lr(), theirs.get_last_lr())


def test_two_schedules_of_one_optimiser_multiply_and_respect_what_a_user_sets():
    rates = []
    for lib, s in ((mg, lr_scheduler), (torch, theirs_)):
        o = optimiser(lib)
        parts = [s.ExponentialLR(o, 0.9), s.MultiStepLR(o, [3, 5])]
        rates.append([])
        for epoch in range(8):
            o.param_groups[0]["lr"] *= 0.5 if epoch == 4 else 1.0
            [part.step() for part in parts]
            rates[-1].append(o.param_groups[0]["lr"])
    close(*rates)


def test_a_decay_that_is_over_leaves_the_rate_to_others():
    rates = []
    for lib, schedules in ((mg, lr_scheduler), (torch, theirs_)):
        o = optimiser(lib, 2)
        parts = [schedules.LambdaLR(o, lambda e: 1 / (1 + e)), schedules.PolynomialLR(o, 3), schedules.LinearLR(o, 0.5, 0.0, 2)]
        schedule = schedules.ChainedScheduler(parts)
        rates.append([])
        for _ in range(7):
            schedule.step()
            rates[-1].append(schedule.get_last_lr())
    close(*rates)
    assert rates[0][-1][0] > 0


def test_a_cycle_ends_and_leaves_the_schedule_where_it_was():
    schedule = lr_scheduler.OneCycleLR(optimiser(mg), 1.0, total_steps=3)
    [schedule.step() for _ in range(3)]
    before = copy.deepcopy(schedule.state_dict()), state_of(schedule.optimizer)
    with pytest.raises(ValueError, match="past the end"):
        schedule.step()
    assert (schedule.state_dict(), state_of(schedule.optimizer)) == before


def test_a_checkpoint_of_a_cycle_at_its_end_can_be_loaded():
    """OneCycleLR counts one step more than its straight lines have: the last rate lies below 0."""
    o = optimiser(mg, 2)
    schedule = lr_scheduler.OneCycleLR(o, 0.1, total_steps=8, anneal_strategy="linear", cycle_momentum=False)
    for _ in range(8):
        schedule.step()
    assert o.param_groups[0]["lr"] < 0
    again = optimiser(mg, 2)
    again.load_state_dict(o.state_dict())
    assert again.param_groups[0]["lr"] == o.param_groups[0]["lr"]


def test_a_state_of_another_schedule_is_refused():
    one, other = lr_scheduler.StepLR(optimiser(mg), 3), lr_scheduler.ExponentialLR(optimiser(mg), 0.9)
    with pytest.raises(ValueError, match="another schedule, with 'step_size'"):
        other.load_state_dict(one.state_dict())
    with pytest.raises(ValueError, match="'last_epoch'"):
        other.load_state_dict({"gamma": 0.5})
    assert other.gamma == 0.9


REJECTED = [
    ("ConstantLR", {"factor": 1.5}), ("ConstantLR", {"factor": -0.1}), ("LinearLR", {"start_factor": 0}),
    ("LinearLR", {"start_factor": 1.1}), ("LinearLR", {"end_factor": -1}), ("LambdaLR", {"lr_lambda": [abs, abs, abs]}),
    ("MultiplicativeLR", {"lr_lambda": 3}), ("MultiplicativeLR", {"lr_lambda": [abs]}), ("LambdaLR", {"lr_lambda": 3}),
    ("CosineAnnealingWarmRestarts", {"T_0": 0}), ("CosineAnnealingWarmRestarts", {"T_0": 2.0}),
    ("CosineAnnealingWarmRestarts", {"T_0": 2, "T_mult": 0}), ("CosineAnnealingWarmRestarts", {"T_0": 2, "eta_min": "x"}),
    ("CyclicLR", {"base_lr": 0.1, "max_lr": [1.0]}), ("CyclicLR", {"base_lr": 0.1, "max_lr": 1.0, "mode": "x"}),
    ("OneCycleLR", {"max_lr": 0.1}), ("OneCycleLR", {"max_lr": 0.1, "total_steps": 0}), ("OneCycleLR", {"max_lr": 0.1, "epochs": 3}),
    ("OneCycleLR", {"max_lr": 0.1, "epochs": 3, "steps_per_epoch": -1}), ("OneCycleLR", {"max_lr": 0.1, "total_steps": 9, "pct_start": 2.0}),
    ("OneCycleLR", {"max_lr": 0.1, "total_steps": 9, "anneal_strategy": "x"}), ("OneCycleLR", {"max_lr": [0.1], "total_steps": 9}),
    ("ReduceLROnPlateau", {"factor": 1.0}), ("ReduceLROnPlateau", {"mode": "x"}), ("ReduceLROnPlateau", {"threshold_mode": "x"}),
    ("ReduceLROnPlateau", {"min_lr": [0.1]}), ("SequentialLR", {"schedulers": [], "milestones": []}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "options"), REJECTED, ids=str)
def test_what_pytorch_refuses_is_refused(name, options):
    both_reject(
        lambda: getattr(lr_scheduler, name)(optimiser(mg, 2), **options),
        lambda: getattr(theirs_, name)(optimiser(torch, 2), **options),
    )


def test_momentum_needs_an_optimiser_that_has_it():
    for name, options in (("CyclicLR", {"base_lr": 0.1, "max_lr": 1}), ("OneCycleLR", {"max_lr": 1, "total_steps": 5})):
        both_reject(
            lambda: getattr(lr_scheduler, name)(mg.optim.Adagrad([mg.ones(1, requires_grad=True)]), **options),
            lambda: getattr(theirs_, name)(torch.optim.Adagrad([torch.ones(1, requires_grad=True)]), **options),
        )


def test_parts_that_cannot_be_combined_are_refused():
    def parts(lib, s):
        o, other = optimiser(lib), optimiser(lib)
        good = s.StepLR(o, 3)
        return o, good, [s.ReduceLROnPlateau(o), s.StepLR(other, 3), 3]

    (a, ours, bad), (b, theirs, bad_) = parts(mg, lr_scheduler), parts(torch, theirs_)
    for x, y in zip(bad, bad_, strict=True):
        both_reject(lambda: lr_scheduler.SequentialLR(a, [ours, x], [3]), lambda: theirs_.SequentialLR(b, [theirs, y], [3]))
        both_reject(lambda: lr_scheduler.ChainedScheduler([ours, x]), lambda: theirs_.ChainedScheduler([theirs, y]))
    both_reject(lambda: lr_scheduler.ChainedScheduler([]), lambda: theirs_.ChainedScheduler([]))
    both_reject(lambda: lr_scheduler.SequentialLR(a, [ours], [3]), lambda: theirs_.SequentialLR(b, [theirs], [3]))
    with pytest.raises(ValueError, match="cannot begin at a milestone"):
        lr_scheduler.SequentialLR(a, [ours, lr_scheduler.ChainedScheduler([ours])], [3])


OURS = [
    (lambda s: s.LinearLR(optimiser(mg), total_iters=0), ValueError, "total_iters=0"),
    (lambda s: s.SequentialLR(optimiser(mg), [], [3]), ValueError, "one milestone fewer"),
    (lambda s: s.StepLR(optimiser(mg), 0), ValueError, "step_size=0"),
    (lambda s: s.StepLR(mg.ones(2), 1), TypeError, "expected an Optimizer"),
    (lambda s: s.CosineAnnealingLR(optimiser(mg), 0), ValueError, "T_max=0"),
    (lambda s: s.PolynomialLR(optimiser(mg), 0), ValueError, "total_iters=0"),
    (lambda s: s.CyclicLR(optimiser(mg), 0.1, 1.0, step_size_up=0), ValueError, "step_size_up"),
    (lambda s: s.CyclicLR(optimiser(mg), 0.1, 1.0, scale_fn=abs, scale_mode="x"), ValueError, "scale_mode='x'"),
    (lambda s: s.CosineAnnealingWarmRestarts(optimiser(mg), 3).step(-1), ValueError, "epoch=-1"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "kind", "told"), OURS, ids=[t for *_, t in OURS])
def test_what_cannot_be_meant_is_refused(call, kind, told):
    with pytest.raises(kind, match=told):
        call(lr_scheduler)


def test_a_schedule_of_ones_own_needs_only_get_lr():
    class Halves(lr_scheduler.LRScheduler):
        def get_lr(self):
            return [base * np.float64(0.5) ** self.last_epoch for base in self.base_lrs]

    schedule = Halves(optimiser(mg))
    schedule.step()
    assert schedule.get_last_lr() == [0.15] and type(schedule.get_last_lr()[0]) is float
