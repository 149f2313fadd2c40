"""Adam and SGD in one pass: the same parameters and state as the readable text, for every setting."""

import copy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("numba")

import minigrad as mg
from minigrad.engine.kernels import anysize, kernel
from minigrad_kernels.cpu import optim

RNG = np.random.default_rng(0)
SHAPES = [(7, 33), (5,), (), (2, 3, 4, 5), (40, 50)]
ADAM = {"betas": st.tuples(st.floats(0.0, 0.95), st.floats(0.5, 0.999)), "eps": st.sampled_from([1e-8, 1e-3])}
SGD = {"momentum": st.sampled_from([0, 0.9]), "dampening": st.sampled_from([0, 0.3]), "nesterov": st.booleans()}


def walked(make, steps=4, fast=True, shapes=SHAPES, without=None):
    """The parameters and the optimiser after some steps on fixed gradients; `without`: (step, parameter) left out."""
    rng = np.random.default_rng(1)
    params = [mg.tensor(rng.standard_normal(s).astype(np.float32), requires_grad=True) for s in shapes]
    optimiser = make(params)
    with anysize() if fast else mg.reference_mode():
        for step in range(steps):
            for i, p in enumerate(params):
                g = mg.tensor(rng.standard_normal(p.shape).astype(np.float32))
                p.grad = None if (step, i) == without else g
            optimiser.step()
    return params, optimiser


def same(make, **how):
    (ours, one), (theirs, two) = (walked(make, fast=fast, **how) for fast in (True, False))
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a.data, b.data, rtol=2e-6, atol=1e-6)
    mine, other = one.state_dict(), two.state_dict()
    assert mine["param_groups"] == other["param_groups"]
    assert mine["state"].keys() == other["state"].keys()
    for i, state in mine["state"].items():
        assert list(state) == list(other["state"][i])
        for key, value in state.items():
            np.testing.assert_allclose(value, other["state"][i][key], rtol=2e-6, atol=1e-6)
            assert np.asarray(value).dtype == np.asarray(other["state"][i][key]).dtype


@pytest.fixture
def calls(monkeypatch):
    """What the kernels returned."""
    seen = []
    for name in ("adam", "sgd"):
        function = getattr(optim, name)

        def noted(*args, function=function, **kw):
            seen.append(function(*args, **kw))
            return seen[-1]

        monkeypatch.setattr(kernel(name), "function", noted)
    return seen


COMMON = {"lr": st.floats(1e-3, 0.3), "weight_decay": st.sampled_from([0, 0.1]), "maximize": st.booleans()}


@settings(max_examples=25, deadline=None)
@given(st.fixed_dictionaries({**COMMON, **ADAM}), st.sampled_from(["Adam", "AdamW"]))
def test_adam_with_any_settings(chosen, name):
    same(lambda params: getattr(mg.optim, name)(params, **chosen))


@settings(max_examples=25, deadline=None)
@given(st.fixed_dictionaries({**COMMON, **SGD}))
def test_sgd_with_any_settings(chosen):
    if chosen["nesterov"]:
        chosen |= {"momentum": 0.9, "dampening": 0}
    same(lambda params: mg.optim.SGD(params, **chosen))


MAKERS = [
    lambda params: mg.optim.Adam(params, lr=0.1),
    lambda params: mg.optim.SGD(params, lr=0.1, momentum=0.9, dampening=0.5),
    lambda params: mg.optim.AdamW([{"params": params[:2]}, {"params": params[2:], "lr": 0.5}], lr=0.1),
]


@pytest.mark.parametrize("make", MAKERS)
def test_one_call_for_all_parameters_of_a_group(make, calls):
    _, optimiser = walked(make, steps=3)
    assert calls == [None] * 3 * len(optimiser.param_groups)


@pytest.mark.parametrize("make", MAKERS)
def test_a_parameter_without_a_gradient_stays_behind(make, calls):
    for left_out in [(0, 1), (2, 3)]:
        same(make, without=left_out)
    assert NotImplemented not in calls


@pytest.mark.parametrize("make", MAKERS)
def test_shared_among_threads_the_same_as_alone(make, monkeypatch):
    shapes = [(301, 7), (), (50, 40), (3,), (1000,)]
    results = []
    for least in (0, 1 << 30):
        monkeypatch.setattr(optim, "SHARED", least)
        results.append([p.data.copy() for p in walked(make, shapes=shapes)[0]])
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


def test_gradients_in_another_layout_are_not_copied_for_it(calls):
    value = RNG.standard_normal((6, 8)).astype(np.float32)
    g = RNG.standard_normal((8, 12)).astype(np.float32)
    read_only = np.broadcast_to(np.float32(1.5), (6, 8))
    for gradient in (g[:, ::2].T, read_only, np.asfortranarray(g[:6, :8])):
        p = mg.tensor(value.copy(), requires_grad=True)
        p.grad = mg.ones_like(p.detach())
        p.grad._data = gradient
        with anysize():
            mg.optim.SGD([p], lr=0.5, momentum=0.9).step()
        np.testing.assert_allclose(p.data, value - np.float32(0.5) * gradient, rtol=1e-6)
    assert calls == [NotImplemented] * 3


def test_parameters_that_are_views_and_other_dtypes_stay_with_the_readable_text(calls):
    memory = RNG.standard_normal((6, 8)).astype(np.float32)
    turned, exact = mg.ones(2, 3, requires_grad=True), mg.ones(3, dtype="float64", requires_grad=True)
    turned._data = memory[:2, :6:2]
    before = turned._data.copy()
    for p in (turned, exact):
        p.grad = mg.ones_like(p.detach())
        with anysize():
            mg.optim.SGD([p], lr=0.5).step()
    np.testing.assert_allclose(turned._data, before - 0.5)
    np.testing.assert_allclose(exact.data, 0.5)
    assert set(calls) == {NotImplemented}


def test_nan_and_infinity_go_where_they_would(calls):
    for make in MAKERS[:2]:
        p = mg.tensor(np.array([1, np.inf, np.nan, 1], np.float32), requires_grad=True)
        p.grad = mg.tensor(np.array([np.nan, 1, 1, 1], np.float32))
        with anysize():
            make([p]).step()
        assert np.isfinite(p.data).tolist() == [False, False, False, True]
        assert np.isinf(p.data).tolist() == [False, True, False, False]
    assert calls == [None, None]


def test_amsgrad_and_updates_of_ones_own_are_left_alone(calls):
    class Still(mg.optim.Adam):
        def _update(self, p, g, state, group):
            state["step"] = 1

    same(lambda params: mg.optim.Adam(params, amsgrad=True))
    (p, *_), _ = walked(Still)
    assert not calls
    np.testing.assert_array_equal(p.data, walked(lambda ps: mg.optim.SGD(ps, lr=0.0), fast=False)[0][0].data)


def test_a_state_goes_on_from_either_side():
    for make in MAKERS:
        (params, one), (others, two) = walked(make, fast=False), walked(make, fast=True)
        saved = copy.deepcopy(one.state_dict())
        two.load_state_dict(saved)
        for p, q in zip(params, others, strict=True):
            q.data = p.detach()
            p.grad = q.grad = mg.ones_like(p.detach())
        with mg.reference_mode():
            one.step()
        with anysize():
            two.step()
        for p, q in zip(params, others, strict=True):
            np.testing.assert_allclose(q.data, p.data, rtol=2e-6, atol=1e-6)


def test_small_models_do_not_ask_for_it(calls):
    (p, *_), _ = walked(MAKERS[0], shapes=[(3,)])
    assert len(calls) == 4
    p.grad = mg.ones_like(p.detach())
    mg.optim.Adam([p]).step()
    assert len(calls) == 4
