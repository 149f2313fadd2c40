"""Optimisers step by step against PyTorch, what a step allocates, and state that moves both ways."""

import copy
import inspect
import itertools
import tracemalloc

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import minigrad as mg
from minigrad.optim import blocks

RNG = np.random.default_rng(0)


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks so short that small parameters are walked in several."""
    monkeypatch.setattr(blocks, "BLOCK", 8)


@pytest.fixture(scope="module")
def exact():
    """PyTorch with its scalars (a step's number, NAdam's and ASGD's factors) and Muon in float64 too."""
    torch = pytest.importorskip("torch")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.Tensor, "bfloat16", lambda t: t.clone())
        torch.set_default_dtype(torch.float64)
        yield torch
        torch.set_default_dtype(torch.float32)


def make(lib, name, groups, **settings):
    """Parameters, and an optimiser of them in groups, whose rates differ."""
    groups = [[lib.tensor(v.copy(), requires_grad=True) for v in group] for group in groups]
    parts = [{"params": params, "lr": settings["lr"] / (k + 1)} for k, params in enumerate(groups)]
    return [p for params in groups for p in params], getattr(lib.optim, name)(parts, **settings)


def walk(lib, params, optimiser, gradients):
    for step in gradients:
        for p, g in zip(params, step, strict=True):
            p.grad = lib.tensor(g)
        optimiser.step()
    return [p.detach().cpu().numpy() for p in params]


def close(ours, theirs, rtol=1e-9):
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-12)


flag = st.booleans()
decay = st.sampled_from([0, 0.1])
betas = st.tuples(st.floats(0.0, 0.95), st.floats(0.5, 0.999))
lr = st.floats(1e-3, 0.3)
COMMON = {"lr": lr, "weight_decay": decay, "maximize": flag}
OPTIONS = {
    "SGD": {**COMMON, "momentum": st.sampled_from([0, 0.5, 0.9]), "dampening": st.sampled_from([0, 0.2]), "nesterov": flag},
    "Adam": {**COMMON, "betas": betas, "amsgrad": flag, "eps": st.sampled_from([1e-8, 1e-3]), "decoupled_weight_decay": flag},
    "AdamW": {**COMMON, "betas": betas, "amsgrad": flag},
    "RMSprop": {**COMMON, "alpha": st.floats(0.1, 0.99), "momentum": st.sampled_from([0, 0.9]), "centered": flag},
    "Adagrad": {**COMMON, "lr_decay": st.sampled_from([0, 0.1]), "initial_accumulator_value": st.sampled_from([0, 0.5])},
    "Adadelta": {**COMMON, "rho": st.floats(0.1, 0.99), "eps": st.sampled_from([1e-6, 1e-2])},
    "Adamax": {**COMMON, "betas": betas},
    "NAdam": {**COMMON, "betas": betas, "momentum_decay": st.sampled_from([0, 4e-3, 0.1]), "decoupled_weight_decay": flag},
    "RAdam": {**COMMON, "betas": betas, "decoupled_weight_decay": flag},
    "ASGD": {**COMMON, "lambd": st.sampled_from([1e-4, 0.1]), "alpha": st.floats(0.5, 1), "t0": st.sampled_from([3, 1e6])},
    "Rprop": {"lr": lr, "maximize": flag, "etas": st.tuples(st.floats(0.1, 0.9), st.floats(1.1, 2))},
    "Adafactor": {**COMMON, "beta2_decay": st.floats(-1, -0.3), "eps": st.sampled_from([(None, 1e-3), (1e-2, 0.1)]), "d": st.floats(1, 2)},
    "Muon": {"lr": lr, "weight_decay": decay, "momentum": st.floats(0, 0.95), "nesterov": flag,
             "adjust_lr_fn": st.sampled_from([None, "original", "match_rms_adamw"]), "ns_steps": st.integers(1, 4)},
}  # fmt: skip
SHAPES = st.sampled_from([(), (3,), (20,), (3, 5), (7, 2), (2, 3, 4), (3, 2, 1, 5), (1, 9)])
MATRICES = st.sampled_from([(3, 5), (5, 3), (4, 4), (1, 9)])


@st.composite
def cases(draw, name):
    settings = {key: draw(choice) for key, choice in OPTIONS[name].items()}
    if name == "SGD" and settings["nesterov"]:
        settings.update(momentum=0.9, dampening=0)
    shape = MATRICES if name == "Muon" else SHAPES
    groups = draw(st.lists(st.lists(shape, min_size=1, max_size=3), min_size=1, max_size=2))
    return groups, settings


ordinary = settings(max_examples=10, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.generate])


@pytest.mark.parametrize("name", OPTIONS)
@ordinary
@given(data=st.data())
def test_twenty_steps_and_states_that_move_both_ways_equal_pytorchs(name, data, exact, small_blocks):
    shapes, options = data.draw(cases(name))
    gradients = [[RNG.normal(size=s) for group in shapes for s in group] for _ in range(20)]
    values = [[RNG.normal(size=s) for s in group] for group in shapes]
    (ours, a), (theirs, b) = (make(lib, name, values, **options) for lib in (mg, exact))
    assert repr(a) == repr(b)
    close(walk(mg, ours, a, gradients[:10]), walk(exact, theirs, b, gradients[:10]))
    to_ours, to_theirs = copy.deepcopy(b.state_dict()), tree_map(lambda x: exact.tensor(mg.asarray(x).cpu().numpy()), a.state_dict())
    assert {n: set(s) for n, s in to_ours["state"].items()} == {n: set(s) for n, s in to_theirs["state"].items()}
    ours2, a2 = successor(mg, ours, a, to_ours)
    theirs2, b2 = successor(exact, theirs, b, to_theirs)
    wanted = walk(exact, theirs, b, gradients[10:])
    for found in ((mg, ours, a), (mg, ours2, a2), (exact, theirs2, b2)):
        close(walk(*found, gradients[10:]), wanted)


def successor(lib, params, optimiser, state):
    """The same parameters, and a new optimiser of them, which takes a state up; its rates come with it."""
    fresh = [lib.tensor(np.array(p.detach().cpu().numpy()), requires_grad=True) for p in params]
    sizes = [len(group["params"]) for group in optimiser.param_groups]
    ends = [0, *itertools.accumulate(sizes)]
    parts = [{"params": fresh[a:b]} for a, b in itertools.pairwise(ends)]
    new = type(optimiser)(parts)
    new.load_state_dict(state)
    return fresh, new


def tree_map(f, state):
    """The arrays of a state dict made tensors."""
    if isinstance(state, dict):
        return {key: tree_map(f, value) for key, value in state.items()}
    if isinstance(state, list):
        return [tree_map(f, value) for value in state]
    return f(state) if hasattr(state, "dtype") else state


@pytest.mark.parametrize("name", [*OPTIONS, "LBFGS", "Optimizer"])
def test_arguments_are_pytorchs(name):
    torch = pytest.importorskip("torch")
    ours, theirs = (
        [(p.name, p.default, p.kind) for p in inspect.signature(getattr(lib.optim, name)).parameters.values()]
        for lib in (mg, torch)
    )
    assert ours == theirs


@pytest.mark.cpu  # tracemalloc sees NumPy's memory
@pytest.mark.parametrize("name", [n for n in OPTIONS if n not in ("Muon", "Adafactor")])
def test_a_step_allocates_nothing_of_a_parameters_size(name):
    """Gradients in either memory order; Muon's and Adafactor's docstrings say what they need."""
    size = 600_000
    params = [mg.zeros(2, size // 2, requires_grad=True), mg.zeros(300, size // 300, requires_grad=True)]
    orders = [np.ones((2, size // 2), np.float32), np.ones((300, size // 300), np.float32, order="F")]
    on = {"SGD": {"momentum": 0.9, "nesterov": True}, "RMSprop": {"momentum": 0.9, "centered": True}, "Adam": {"amsgrad": True}}
    settings = {"maximize": True, **({} if name == "Rprop" else {"weight_decay": 0.1}), **on.get(name, {})}
    optimiser = getattr(mg.optim, name)(params, lr=0.1, **settings)
    for p, g in zip(params, orders, strict=True):
        p.grad = mg.asarray(g)
    optimiser.step()
    tracemalloc.start()
    optimiser.step()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # A row of NumPy's buffers where memory orders meet; Rprop: truth values of a block's elements as well.
    assert peak < (300_000 if name == "Rprop" else 50_000)


@pytest.mark.cpu
def test_adafactor_keeps_a_row_and_a_column_and_allocates_little():
    p = mg.zeros(700, 900, requires_grad=True)
    optimiser = mg.optim.Adafactor([p])
    p.grad = mg.ones(700, 900)
    optimiser.step()
    tracemalloc.start()
    optimiser.step()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < p.size
    assert sum(np.size(s) for s in optimiser.state[p].values()) == 700 + 900 + 1


def test_updates_are_in_place_and_skip_what_has_no_gradient():
    p, q = mg.ones(5, requires_grad=True), mg.ones(5, requires_grad=True)
    memory = p.data
    optimiser = mg.optim.Adam([p, q], lr=0.1)
    p.grad = mg.ones(5)
    optimiser.step()
    assert p.data is memory and (p.data != 1).all() and (q.data == 1).all()
    optimiser.zero_grad()
    assert p.grad is None


@pytest.mark.parametrize("name", OPTIONS)
def test_parameters_and_gradients_of_any_memory_order_move_alike(name, small_blocks):
    values, gradients = RNG.normal(size=(5, 4)), RNG.normal(size=(4, 5, 4))
    orders = [lambda a: a, lambda a: a.T.copy().T, lambda a: a.repeat(2, axis=1)[:, ::2]]
    ends = []
    for of_p, of_g in itertools.product(orders, orders):
        p = mg.asarray(of_p(mg.tensor(values).data)).requires_grad_()
        memory, optimiser = p.data, getattr(mg.optim, name)([p], lr=0.1)
        for g in gradients:
            p.grad = mg.asarray(of_g(mg.tensor(g).data))
            optimiser.step()
        assert p.data is memory
        ends.append(p.detach().cpu().numpy())
    for end in ends:
        np.testing.assert_allclose(end, ends[0], rtol=1e-12)
    assert (ends[0] != values).all()


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


# ---------------------------------------------------------------- L-BFGS


def valley(lib, x, y):
    """Rosenbrock's valley in x, and a bowl that ties y to it."""
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum() + ((y - x[:2]) ** 4).sum()


def descend(lib, params, optimiser, steps):
    def closure():
        optimiser.zero_grad()
        loss = valley(lib, *params)
        loss.backward()
        return loss

    return [optimiser.step(closure).item() for _ in range(steps)]


@pytest.mark.parametrize(
    "options",
    [
        {"line_search_fn": "strong_wolfe", "max_iter": 5, "history_size": 3},
        {"line_search_fn": "strong_wolfe", "max_iter": 4, "max_eval": 3},
        {"line_search_fn": "strong_wolfe", "max_iter": 12, "tolerance_change": 1e-3, "lr": 0.5},
        {"lr": 1e-3, "max_iter": 4, "history_size": 2},
        {"lr": 1e-3, "tolerance_grad": 10.0, "max_iter": 3},
    ],
    ids=str,
)
@pytest.mark.parametrize("seed", range(3))
def test_lbfgs_takes_pytorchs_steps_and_its_state_moves_both_ways(options, seed, exact):
    start = [np.random.default_rng(seed).normal(size=n) / 2 for n in (5, 2)]
    runs = {}
    for lib in (mg, exact):
        params = [lib.tensor(v, requires_grad=True) for v in start]
        runs[lib] = params, lib.optim.LBFGS(params, **options)
    losses = [descend(lib, *runs[lib], 3) for lib in (mg, exact)]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-9)
    (ours, a), (theirs, b) = runs[mg], runs[exact]
    assert repr(a) == repr(b)
    counts = [{k: next(iter(o.state.values()))[k] for k in ("func_evals", "n_iter")} for o in (a, b)]
    assert counts[0] == counts[1]
    to_ours, to_theirs = copy.deepcopy(b.state_dict()), tree_map(exact.tensor, copy.deepcopy(a.state_dict()))
    ours2, a2 = successor(mg, ours, a, to_ours)
    theirs2, b2 = successor(exact, theirs, b, to_theirs)
    wanted = descend(exact, theirs, b, 2)
    for found in ((mg, ours, a), (mg, ours2, a2), (exact, theirs2, b2)):
        np.testing.assert_allclose(descend(*found, 2), wanted, rtol=1e-7)


@ordinary
@given(lr=st.floats(0.01, 30), start=st.floats(-6, 6), waves=st.floats(0.5, 4), steep=st.sampled_from([0.01, 1.0, 30.0]))
def test_the_line_search_tries_pytorchs_points_on_a_wavy_line(lr, start, waves, steep, exact):
    tried = []
    for lib in (mg, exact):
        p = lib.tensor(np.array([start]), requires_grad=True)
        optimiser = lib.optim.LBFGS([p], lr=lr, max_iter=3, max_eval=40, line_search_fn="strong_wolfe")
        tried.append([])

        def closure():
            optimiser.zero_grad()
            loss = (steep * (p * waves).sin() + 0.1 * p**2 + (p**2 + 1e-3).sqrt()).sum()
            loss.backward()
            tried[-1].append((p.item(), loss.item()))
            return loss

        optimiser.step(closure)
    np.testing.assert_allclose(*tried, rtol=1e-6, atol=1e-8)


def test_lbfgs_finds_the_bottom_of_the_valley():
    params = [mg.tensor(v, requires_grad=True) for v in (np.zeros(5), np.zeros(2))]
    descend(mg, params, mg.optim.LBFGS(params, line_search_fn="strong_wolfe", max_iter=100), 2)
    np.testing.assert_allclose(params[0].detach().cpu().numpy(), 1.0, rtol=1e-5)
