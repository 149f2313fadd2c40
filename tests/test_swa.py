"""Averages of weights: PyTorch's numbers over a run, state both ways, statistics anew, and the rate that goes with them."""

import copy
import inspect

import numpy as np
import pytest
from against_torch import both_reject

import minigrad as mg
from minigrad.optim import swa_utils

torch = pytest.importorskip("torch")
theirs_ = torch.optim.swa_utils
pytestmark = pytest.mark.filterwarnings("ignore:.*lr_scheduler.step:UserWarning")
NAMES = ["AveragedModel", "SWALR", "get_ema_avg_fn", "get_ema_multi_avg_fn", "get_swa_avg_fn", "get_swa_multi_avg_fn", "update_bn"]


def net(lib):
    nn = lib.nn
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2, bias=False)).double()


def pair():
    """The same model in both libraries."""
    ours, theirs = net(mg), net(torch)
    ours.load_state_dict({k: mg.tensor(v.cpu().numpy()) for k, v in theirs.state_dict().items()})
    return ours, theirs


def shake(ours, theirs, seed):
    """New weights and statistics for both."""
    rng = np.random.default_rng(seed)
    state = {
        k: abs(rng.normal(size=tuple(v.shape))) if v.dtype == torch.float64 else np.array(seed) for k, v in theirs.state_dict().items()
    }
    ours.load_state_dict({k: mg.tensor(v) for k, v in state.items()})
    theirs.load_state_dict({k: torch.tensor(v) for k, v in state.items()})


def same_state(ours, theirs):
    a, b = ours.state_dict(), theirs.state_dict()
    assert list(a) == list(b)
    for key, value in b.items():
        whole = not value.is_floating_point()  # a mean of counts is cut off: 2.9999 may be 3 there
        np.testing.assert_allclose(a[key].cpu().numpy(), value.cpu().numpy(), rtol=1e-12, atol=whole or 1e-14, err_msg=key)


WAYS = {
    "the plain mean": lambda s: {},
    "EMA": lambda s: {"multi_avg_fn": s.get_ema_multi_avg_fn(0.9)},
    "EMA, one at a time": lambda s: {"avg_fn": s.get_ema_avg_fn(0.8)},
    "SWA, one at a time": lambda s: {"avg_fn": s.get_swa_avg_fn()},
    "SWA": lambda s: {"multi_avg_fn": s.get_swa_multi_avg_fn()},
    "a user's": lambda s: {"avg_fn": lambda mean, value, count: mean * 0.25 + value * 0.75},
}


@pytest.fixture
def exact():
    """PyTorch turns the count into a factor of its default type."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize(
    ("way", "use_buffers"),
    [(way, False) for way in WAYS] + [(way, True) for way in ("EMA", "EMA, one at a time", "a user's", "SWA, one at a time")],
)
def test_means_are_pytorchs_and_state_moves_both_ways(way, use_buffers, exact):
    ours, theirs = pair()
    a = swa_utils.AveragedModel(ours, use_buffers=use_buffers, **WAYS[way](swa_utils))
    b = theirs_.AveragedModel(theirs, use_buffers=use_buffers, **WAYS[way](theirs_))
    for seed in range(6):
        shake(ours, theirs, seed)
        a.update_parameters(ours)
        b.update_parameters(theirs)
        same_state(a, b)
        if seed == 3:
            state = copy.deepcopy(b.state_dict())
            b.load_state_dict({k: torch.tensor(v.cpu().numpy()) for k, v in a.state_dict().items()})
            a.load_state_dict({k: mg.tensor(v.cpu().numpy()) for k, v in state.items()})
    x = np.random.default_rng(0).normal(size=(5, 3))
    a.eval(), b.eval()
    with mg.no_grad(), torch.no_grad():
        np.testing.assert_allclose(a(mg.tensor(x)).cpu().numpy(), b(torch.tensor(x)).numpy(), rtol=1e-9)


def test_the_mean_is_a_copy_that_training_does_not_touch():
    model = mg.nn.Linear(300, 400)
    mean = swa_utils.AveragedModel(model, multi_avg_fn=swa_utils.get_ema_multi_avg_fn(0.5))
    mean.update_parameters(model)
    before, memory = mean.module.weight.data.copy(), mean.module.weight.data
    first = model.weight.data.copy()
    model.weight.data[...] += 1.0
    assert (mean.module.weight.data == before).all()
    mean.update_parameters(model)
    np.testing.assert_allclose(mean.module.weight.data, first + 0.5, rtol=1e-5)
    assert mean.module.weight.data is memory and (model.weight.data != mean.module.weight.data).all()


def test_statistics_anew_are_pytorchs():
    ours, theirs = pair()
    rng = np.random.default_rng(0)
    batches = [(rng.normal(size=(n, 3)), 7) for n in (6, 4, 5)]
    ours.eval(), theirs.eval()
    swa_utils.update_bn([(mg.tensor(x), y) for x, y in batches], ours)
    theirs_.update_bn([(torch.tensor(x), y) for x, y in batches], theirs)
    same_state(ours, theirs)
    assert not ours.training and ours[1].momentum == 0.1
    before = ours[1].running_mean.cpu().numpy().copy()
    swa_utils.update_bn([mg.tensor(batches[0][0])], ours)
    assert (ours[1].running_mean.cpu().numpy() != before).any()
    swa_utils.update_bn(iter(()), mg.nn.Linear(2, 2))  # nothing to do

    def spoiled():
        yield mg.tensor(batches[0][0])
        raise RuntimeError("the data ended")

    with pytest.raises(RuntimeError, match="the data ended"):
        swa_utils.update_bn(spoiled(), ours)
    assert not ours.training and ours[1].momentum == 0.1


@pytest.mark.parametrize("strategy", ["cos", "linear"])
@pytest.mark.parametrize("epochs", [0, 1, 5])
def test_the_rate_is_pytorchs_and_resumes(strategy, epochs):
    rates = []
    for lib, s in ((mg, swa_utils), (torch, theirs_)):
        optimiser = lib.optim.SGD([{"params": [lib.ones(1, requires_grad=True)], "lr": lr} for lr in (0.3, 0.9)])
        build = lambda o: s.SWALR(o, [0.05, 0.1], anneal_epochs=epochs, anneal_strategy=strategy)
        schedule = build(optimiser)
        rates.append([])
        for step in range(10):
            rates[-1].append(schedule.get_last_lr())
            if step == 2:
                state = schedule.state_dict()
                schedule = build(optimiser)
                schedule.load_state_dict(state)
                for group, lr in zip(optimiser.param_groups, rates[-1][-1], strict=True):
                    group["lr"] = lr
            schedule.step()
    np.testing.assert_allclose(*rates, rtol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_arguments_are_pytorchs(name):
    ours, theirs = (
        [(p.name, p.default, p.kind) for p in inspect.signature(getattr(s, name)).parameters.values()] for s in (swa_utils, theirs_)
    )
    assert ours == theirs


def test_what_pytorch_refuses_is_refused():
    ours, theirs = pair()
    f = lambda mean, value, count: mean
    both_reject(lambda: swa_utils.AveragedModel(ours, avg_fn=f, multi_avg_fn=f), lambda: theirs_.AveragedModel(theirs, avg_fn=f, multi_avg_fn=f))
    for decay in (-0.1, 1.1):
        both_reject(lambda: swa_utils.get_ema_avg_fn(decay), lambda: theirs_.get_ema_avg_fn(decay))
        both_reject(lambda: swa_utils.get_ema_multi_avg_fn(decay), lambda: theirs_.get_ema_multi_avg_fn(decay))
    for options in ({"anneal_strategy": "x"}, {"anneal_epochs": -1}, {"anneal_epochs": 1.5}, {"swa_lr": [0.1, 0.2]}):
        options = {"swa_lr": 0.1, **options}
        both_reject(
            lambda: swa_utils.SWALR(mg.optim.SGD([mg.ones(1)]), **options),
            lambda: theirs_.SWALR(torch.optim.SGD([torch.ones(1)]), **options),
        )


def test_another_model_is_refused_and_nothing_changes():
    mean = swa_utils.AveragedModel(mg.nn.Linear(2, 2))
    with pytest.raises(ValueError, match="the same parameters"):
        mean.update_parameters(mg.nn.Linear(2, 3))
    with pytest.raises(TypeError, match="expected a Module"):
        swa_utils.AveragedModel([mg.ones(2)])
    assert mean.n_averaged.item() == 0
