"""Optimisers' groups, settings, hooks, names, copies, and what is refused."""

import copy
import pickle

import numpy as np
import pytest
from against_torch import both_reject

import minigrad as mg


def one_step(p, optimiser, gradient):
    p.grad = mg.tensor(gradient)
    optimiser.step()


def test_groups_have_settings_of_their_own():
    a, b = mg.zeros(1, requires_grad=True), mg.zeros(1, requires_grad=True)
    optimiser = mg.optim.SGD([{"params": [a]}, {"params": b, "lr": 1.0}], lr=0.1)
    a.grad, b.grad = mg.ones(1), mg.ones(1)
    optimiser.step()
    np.testing.assert_allclose([a.item(), b.item()], [-0.1, -1.0])


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
]  # fmt: skip


@pytest.mark.parametrize(("call", "kind", "told"), REFUSALS, ids=[t for *_, t in REFUSALS])
def test_what_cannot_be_meant_is_refused(call, kind, told):
    with pytest.raises(kind, match=told):
        call()


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


# ---------------------------------------------------------------- hooks, names, copies


def test_hooks_are_called_around_step_and_state():
    torch = pytest.importorskip("torch")

    def follow(lib):
        said = []

        class Mine(lib.optim.Optimizer):  # a user's own, which writes step() itself
            def __init__(self, params):
                super().__init__(params, {"lr": 0.5})

            def step(self, closure=None):
                said.append("mine")
                return closure and closure()

        for build in (lib.optim.SGD, Mine):
            optimiser = build([lib.ones(2, requires_grad=True)])
            handles = [
                optimiser.register_step_pre_hook(lambda o, args, kw: said.append(("before", args[1:] == (), list(kw)))),
                optimiser.register_step_pre_hook(lambda o, args, kw: ((o, lambda: 3.0), {}) if kw else None),
                optimiser.register_step_post_hook(lambda o, args, kw: said.append(("after", len(args), list(kw)))),
                optimiser.register_state_dict_pre_hook(lambda o: said.append("saving")),
                optimiser.register_state_dict_post_hook(lambda o, s: {**s, "extra": 1}),
                optimiser.register_state_dict_post_hook(lambda o, s: said.append(sorted(s)), prepend=True),
                optimiser.register_load_state_dict_pre_hook(lambda o, s: said.append(sorted(s))),
                optimiser.register_load_state_dict_post_hook(lambda o: said.append("loaded")),
            ]
            said += [optimiser.step(), optimiser.step(closure=None)]
            optimiser.load_state_dict(optimiser.state_dict())
            for handle in handles:
                handle.remove()
            optimiser.step()
        return said

    said = follow(mg)
    assert said == follow(torch)
    assert 3.0 in said and "mine" in said and "loaded" in said


def test_a_hook_may_not_return_nonsense():
    optimiser = mg.optim.SGD([mg.ones(1, requires_grad=True)])
    optimiser.register_step_pre_hook(lambda o, args, kw: 3)
    with pytest.raises(ValueError, match="of a step hook, got 3"):
        optimiser.step()


def test_named_parameters_are_taken_and_travel_with_the_state():
    torch = pytest.importorskip("torch")

    def groups(lib):
        model = lib.nn.Sequential(lib.nn.Linear(2, 2), lib.nn.Linear(2, 1))
        optimiser = lib.optim.Adam(model[0].named_parameters())
        optimiser.add_param_group({"params": [(f"1.{n}", p) for n, p in model[1].named_parameters()], "lr": 0.5})
        return optimiser

    a, b = groups(mg), groups(torch)
    assert repr(a) == repr(b) and a.state_dict() == {**b.state_dict(), "state": {}}
    plain = mg.optim.Adam([{"params": g["params"][:1]} for g in a.param_groups] + [{"params": a.param_groups[0]["params"][1:]}])
    assert "param_names" not in plain.state_dict()["param_groups"][0]
    with pytest.raises(ValueError, match="all groups or of none"):
        a.add_param_group({"params": [mg.ones(1, requires_grad=True)]})
    with pytest.raises(ValueError, match="all parameters"):
        mg.optim.SGD([("p", mg.ones(1, requires_grad=True)), mg.ones(1, requires_grad=True)])


@pytest.mark.parametrize("again", [copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))])
def test_an_optimiser_can_be_copied_in_mid_run(again):
    p = mg.ones(3, dtype="float64", requires_grad=True)
    optimiser = mg.optim.Adam([p], lr=0.1)
    one_step(p, optimiser, np.ones(3))
    other = again(optimiser)
    (q,) = other.param_groups[0]["params"]
    for params, o in ((p, optimiser), (q, other)):
        one_step(params, o, np.full(3, 2.0))
    assert q is not p and (p.data == q.data).all()


def test_settings_that_are_numpys_numbers_keep_float32():
    p = mg.ones(3, requires_grad=True)
    optimiser = mg.optim.SGD([p], lr=np.float64(0.1), momentum=np.float32(0.5))
    assert type(optimiser.param_groups[0]["lr"]) is float
    one_step(p, optimiser, np.ones(3, np.float32))
    assert p.dtype == np.float32 and optimiser.state[p]["momentum_buffer"].dtype == np.float32


BAD = [
    ("RMSprop", {"alpha": -1}), ("RMSprop", {"momentum": -1}), ("Adagrad", {"lr_decay": -1}), ("Adagrad", {"eps": -1}),
    ("Adagrad", {"initial_accumulator_value": -1}), ("Adadelta", {"rho": 1.5}), ("Adamax", {"betas": (0.9, -0.1)}),
    ("NAdam", {"momentum_decay": -1}), ("RAdam", {"betas": (1.0, 0.9)}), ("ASGD", {"weight_decay": -1}),
    ("Rprop", {"etas": (1.5, 1.2)}), ("Adafactor", {"beta2_decay": 0.5}), ("Adafactor", {"d": 0.5}),
    ("Adafactor", {"eps": (None, -1)}), ("Adafactor", {"eps": (-1, 1)}), ("Muon", {"adjust_lr_fn": "x"}),
    ("Muon", {"momentum": -1}), ("LBFGS", {"lr": -1}), ("SGD", {"momentum": -1}), ("AdamW", {"weight_decay": -1}),
    ("SGD", {"lr": "x"}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "options"), BAD, ids=str)
def test_what_pytorch_refuses_is_refused_with_a_message_that_names_it(name, options):
    torch = pytest.importorskip("torch")
    build = lambda lib: getattr(lib.optim, name)([lib.ones(2, 2, requires_grad=True)], **options)
    both_reject(lambda: build(mg), lambda: build(torch))
    with pytest.raises(ValueError, match=next(iter(options))):
        build(mg)


@pytest.mark.parametrize("choice", ["foreach", "fused", "capturable", "differentiable"])
def test_there_is_one_implementation_to_choose(choice):
    with pytest.raises(ValueError, match=f"{choice}=True"):
        mg.optim.Adam([P], **{choice: True})
    state = mg.optim.Adam([P]).state_dict()
    state["param_groups"][0][choice] = True  # a run of PyTorch's, say; here it goes on all the same
    fresh = mg.optim.Adam([P])
    fresh.load_state_dict(state)
    assert not fresh.param_groups[0][choice]


OTHERS = [
    (lambda o: o.SGD({P}), TypeError, "got a set"), (lambda o: o.SGD([{"params": {P}}]), TypeError, "got a set"),
    (lambda o: o.Muon([P]), ValueError, "expected matrices"), (lambda o: o.SGD([P], lr=mg.tensor(0.1)), ValueError, "got a Tensor"),
    (lambda o: o.LBFGS([{"params": [P]}, {"params": [mg.ones(1)]}]), ValueError, "one group"),
    (lambda o: o.LBFGS([P], line_search_fn="armijo"), ValueError, "'armijo'"), (lambda o: o.LBFGS([P], max_iter=0), ValueError, "max_iter=0"),
    (lambda o: o.LBFGS([P]).step(), TypeError, "closure"), (lambda o: o.Rprop([P], step_sizes=(2, 1)), ValueError, "step_sizes"),
    (lambda o: o.Muon([mg.ones(2, 2)], ns_steps=100), ValueError, "ns_steps=100"),
    (lambda o: o.Muon([mg.ones(2, 2)], ns_coefficients=(1, 2)), ValueError, "three numbers"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "kind", "told"), OTHERS, ids=[t for *_, t in OTHERS])
def test_what_only_some_optimisers_refuse(call, kind, told):
    with pytest.raises(kind, match=told):
        call(mg.optim)


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("Adafactor", lambda s: s.update(row_var=np.ones((1, 2)))),
        ("Adafactor", lambda s: s.pop("col_var")),
        ("Rprop", lambda s: s.pop("step_size")),
        ("ASGD", lambda s: s.update(ax=np.ones(5))),
        ("NAdam", lambda s: s.pop("mu_product")),
        ("Muon", lambda s: s.update(momentum_buffer=np.ones(2))),
    ],
)
def test_a_state_that_does_not_fit_is_refused(name, spoil):
    p = mg.ones(2, 3, requires_grad=True)
    optimiser = getattr(mg.optim, name)([p])
    one_step(p, optimiser, np.ones((2, 3), "float32"))
    state = optimiser.state_dict()
    spoil(state["state"][0])
    fresh = getattr(mg.optim, name)([p])
    with pytest.raises(ValueError, match=r"state\[0\]"):
        fresh.load_state_dict(state)
    assert not fresh.state
