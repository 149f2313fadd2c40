"""Fine-tuning: three strategies in one call each, statistics of frozen layers, and parameter groups by name."""

import copy
import pickle

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn, optim


class Net(nn.Module):
    """A base of two blocks with batch norm, and a head."""

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)
        self.layer1 = nn.Sequential(nn.Conv2d(2, 2, 3), nn.BatchNorm2d(2, affine=False), nn.ReLU())
        self.layer10 = nn.Conv2d(2, 2, 1)
        self.fc = nn.Linear(2, 3)

    def forward(self, x):
        y = self.layer10(self.layer1(self.bn1(self.conv1(x)))).mean(axis=(2, 3))
        return self.fc(y)


X = mg.tensor(np.random.default_rng(0).normal(size=(4, 1, 7, 7)).astype(np.float32))


def free(model):
    return {name for name, p in model.named_parameters() if p.requires_grad}


def step(model):
    """A training step; the names of what it changed."""
    before = {k: v.cpu().numpy().copy() for k, v in model.state_dict().items()}
    optimiser = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for _ in range(2):
        optimiser.zero_grad()
        nn.functional.cross_entropy(model.train()(X), mg.tensor([0, 1, 2, 0])).backward()
        optimiser.step()
    return {k for k, v in model.state_dict().items() if (v.cpu().numpy() != before[k]).any()}


ALL = {name for name, _ in Net().named_parameters()}
STATISTICS = {f"{at}.{s}" for at in ("bn1", "layer1.1") for s in ("running_mean", "running_var", "num_batches_tracked")}
IDLE = {"conv1.bias", "layer1.0.bias"}  # batch norm takes them off again: their gradient is rounding, or nothing


def test_train_all_frees_everything():
    model = Net()
    nn.freeze(model, "*")
    assert not free(model) and not step_would_move(model)
    assert nn.train_all(model) is model
    assert free(model) == ALL and model.bn1.training and model.layer1[1].training
    assert step(model) - IDLE == (ALL | STATISTICS) - IDLE


def step_would_move(model):
    return model.train()(X).requires_grad


@pytest.mark.parametrize(
    ("patterns", "frozen", "still"),
    [
        (("conv1",), {"conv1.weight", "conv1.bias"}, set()),
        (("conv1", "bn1"), {"conv1.weight", "conv1.bias", "bn1.weight", "bn1.bias"}, {"bn1"}),
        (("layer1",), {"layer1.0.weight", "layer1.0.bias"}, {"layer1.1"}),
        (("layer1*",), {"layer1.0.weight", "layer1.0.bias", "layer10.weight", "layer10.bias"}, {"layer1.1"}),
        (("*.bias",), {n for n in ALL if n.endswith("bias")}, set()),
        (("bn1.weight", "bn1.b*"), {"bn1.weight", "bn1.bias"}, {"bn1"}),
    ],
    ids=lambda names: " ".join(sorted(names)) or "none",
)
def test_freeze_stops_what_it_names_and_the_statistics_of_layers_that_are_done(patterns, frozen, still):
    model = Net()
    assert nn.freeze(model, *patterns) is model
    assert free(model) == ALL - frozen
    changed = step(model)
    assert not changed & frozen and ALL - frozen - IDLE <= changed
    assert changed & STATISTICS == {s for s in STATISTICS if s.rpartition(".")[0] not in still}
    for name in ("bn1", "layer1.1"):
        assert model.get_submodule(name).training == (name not in still)
    model.eval().train()
    nn.unfreeze(model, *patterns)
    assert free(model) == ALL and model.bn1.training and model.layer1[1].training


def test_freeze_base_trains_the_head_alone():
    model = Net()
    nn.freeze(model, "fc")  # whatever was before
    nn.freeze_base(model, "fc")
    assert step(model) == free(model) == {"fc.weight", "fc.bias"}
    assert model.training and model.fc.training and not model.bn1.training
    nn.freeze_base(model, "layer10", "fc")
    assert free(model) == {"layer10.weight", "layer10.bias", "fc.weight", "fc.bias"}


def test_a_frozen_layer_stays_frozen_in_copies_and_knows_its_own_layer():
    model = nn.freeze_base(Net(), "fc")
    for again in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        again.train()
        assert not again.bn1.training and again.fc.training
        assert again.bn1.train() is again.bn1
        nn.train_all(again)
        assert again.bn1.training and not model.bn1.training
    model.eval()
    nn.unfreeze(model, "bn1")
    assert not model.bn1.training and model.train().bn1.training
    nn.freeze(model, "bn1")
    with pytest.raises(ValueError, match="mode=1"):
        model.bn1.train(1)


def test_a_tied_weight_has_either_name():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[1].weight = model[0].weight
    nn.freeze(model, "1.weight")
    assert free(model) == {"0.bias", "1.bias"}


@pytest.mark.parametrize("call", [nn.freeze, nn.unfreeze, nn.freeze_base])
def test_names_of_nothing_are_refused_and_nothing_changes(call):
    model = nn.freeze(Net(), "conv1")
    before = free(model)
    with pytest.raises(ValueError, match=f"{call.__name__}: nothing is named 'fcc'; .*fc"):
        call(model, "conv1", "fcc")
    with pytest.raises(ValueError, match="got none"):
        call(model)
    with pytest.raises(TypeError, match="got int"):
        call(model, 3)
    with pytest.raises(TypeError, match="expected a Module"):
        call([1], "x")
    assert free(model) == before


def test_groups_by_name_give_each_parameter_its_settings():
    model = Net()
    groups = optim.param_groups(model, {"fc": {"lr": 0.5}, "*.bias": {"weight_decay": 0.0}, "bn1": {"weight_decay": 0.0}})
    optimiser = optim.SGD(groups, lr=0.1, weight_decay=0.01)
    found = {
        name: (group["lr"], group["weight_decay"])
        for group in optimiser.param_groups
        for name, p in zip(group["param_names"], group["params"], strict=True)
        if p is dict(model.named_parameters())[name]
    }
    assert found == {
        name: (0.5 if name.startswith("fc") else 0.1, 0.0 if "bias" in name or "bn1" in name else 0.01) for name in ALL
    }
    assert len(groups) == 4
    later = optim.param_groups(model, {"*": {"lr": 1.0}, "fc.weight": {"lr": 2.0}})
    assert [(g["lr"], len(g["params"])) for g in later] == [(1.0, len(ALL) - 1), (2.0, 1)]
    assert optim.param_groups(model, {}) == [{"params": list(model.named_parameters())}]


def test_groups_that_cannot_be_meant_are_refused():
    with pytest.raises(ValueError, match="param_groups: nothing is named 'head'"):
        optim.param_groups(Net(), {"head": {"lr": 1.0}})
    with pytest.raises(TypeError, match="dict of settings"):
        optim.param_groups(Net(), {"fc": 0.1})
    with pytest.raises(TypeError, match="expected a Module"):
        optim.param_groups([mg.ones(2)], {})
    with pytest.raises(ValueError, match="unknown setting 'rate'"):
        optim.SGD(optim.param_groups(Net(), {"fc": {"rate": 0.1}}))
