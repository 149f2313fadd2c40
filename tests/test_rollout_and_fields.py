"""Attention followed through layers, and receptive fields: each against its definition or formula."""

import numpy as np
import pytest

import minigrad as mg
from minigrad import inspect, nn
from minigrad.models import LeNet5, resnet20
from minigrad.nn import functional as F

RNG = np.random.default_rng(0)


# ---------------------------------------------------------------- roll-out


def encoder(**how):
    mg.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, nhead=2, dim_feedforward=16, batch_first=True, **how)
    return nn.TransformerEncoder(layer, num_layers=3)


def test_collecting_weights_changes_no_output():
    model, x = encoder(), mg.tensor(RNG.standard_normal((2, 5, 8)).astype(np.float32))
    model.layers[1].train()
    seen = []
    model.layers[0].register_forward_hook(lambda m, a, y: seen.append(np.asarray(y.detach())))
    flags = [m.training for m in model.modules()]
    weights = inspect.attention_weights(model, x)
    assert [m.training for m in model.modules()] == flags
    assert not any(hooks for hooks in model.layers[0].self_attn._hooks.values())
    assert list(weights) == [f"layers.{i}.self_attn" for i in range(3)]
    assert all(w.shape == (2, 2, 5, 5) and np.allclose(np.asarray(w).sum(-1), 1) for w in weights.values())
    model.eval()
    assert np.allclose(seen[0], np.asarray(model.layers[0](x).detach()), atol=1e-5)


@pytest.mark.parametrize("average", [True, False])
def test_who_asked_for_weights_still_gets_them(average):
    mine = []

    class Asks(nn.Module):
        def __init__(self):
            super().__init__()
            self.attend = nn.MultiheadAttention(4, 2)

        def forward(self, x):
            y, weights = self.attend(x, x, x, average_attn_weights=average)
            mine.append(weights)
            y, nothing = self.attend(y, y, y, need_weights=False)
            mine.append(nothing)
            return y

    model = Asks()
    found = inspect.attention_weights(model, RNG.standard_normal((6, 3, 4)).astype(np.float32))
    assert list(found) == ["attend", "attend (2)"] and found["attend (2)"].shape == (3, 2, 6, 6)
    heads = np.asarray(found["attend"])
    assert np.allclose(mine[0], heads.mean(1) if average else heads, atol=1e-6) and mine[1] is None


def test_rollout_is_the_product_with_the_shortcuts():
    a, b = (np.asarray(F.softmax(mg.tensor(RNG.standard_normal((2, 4, 4))), -1)) for _ in range(2))
    mixed = lambda w, r: (1 - r) * w + r * np.eye(4)
    assert np.allclose(inspect.attention_rollout([a, b]), mixed(b, 0.5) @ mixed(a, 0.5))
    assert np.allclose(inspect.attention_rollout([a, b], residual=0.0), b @ a)
    heads = inspect.attention_weights(encoder(), RNG.standard_normal((2, 5, 8)).astype(np.float32))
    rolled = inspect.attention_rollout(heads)
    assert rolled.shape == (2, 5, 5) and np.allclose(np.asarray(rolled).sum(-1), 1, atol=1e-6)
    averaged = [np.asarray(w).mean(1) for w in heads.values()]
    assert np.allclose(rolled, inspect.attention_rollout(averaged), atol=1e-6)


# ---------------------------------------------------------------- receptive fields


CHAINS = {
    "pool": nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 4, 3)),
    "stride": nn.Sequential(nn.Conv2d(2, 4, 5, stride=2, padding=2), nn.BatchNorm2d(4), nn.Conv2d(4, 3, 3, padding=1)),
    "dilated": nn.Sequential(nn.Conv2d(1, 3, 3, dilation=2, padding="same"), nn.AvgPool2d(3, 2, padding=1)),
    "uneven": nn.Sequential(nn.Conv2d(1, 3, (3, 1)), nn.Conv2d(3, 3, (1, 4), padding="same")),
}


@pytest.mark.parametrize("name", CHAINS)
@pytest.mark.parametrize("corner", [False, True])
def test_the_footprint_is_the_formulas(name, corner):
    model = CHAINS[name]
    channels = model[0].in_channels
    layer = str(len(model) - 1)
    unit = (1, 0, 0) if corner else 1
    found = inspect.receptive_field_of(model, layer, unit, (channels, 20, 22))
    assert found.box == found.expected
    formula = nn.receptive_field(model).size
    assert found.formula == formula
    assert corner or found.size == formula  # in the middle nothing is cut off
    assert found.influence.shape == (20, 22)


def test_fields_of_models_that_are_no_chain_of_names():
    lenet = inspect.receptive_field_of(LeNet5(), "C3", (3, 4, 5), (1, 32, 32), samples=8)
    assert lenet.size == lenet.formula == (14, 14) and lenet.box == lenet.expected == ((8, 22), (10, 24))
    blocks = resnet20()
    name = next(n for n, m in blocks.named_modules() if n.endswith("conv2"))
    branched = inspect.receptive_field_of(blocks, name, 0, (3, 32, 32), samples=8)
    assert branched.size == branched.formula
    sequence = nn.Sequential(nn.Conv1d(1, 2, 2, padding="causal"), nn.Conv1d(2, 2, 2, dilation=2, padding="causal"))
    past = inspect.receptive_field_of(sequence, "1", (0, 9), (1, 16))
    assert past.box == past.expected == ((6, 10),) and "sees 4 at 6..9" in repr(past)
    linear = nn.Sequential(nn.Flatten(), nn.Linear(16, 2))
    assert inspect.receptive_field_of(linear, "1", 0, (1, 4, 4)).expected is None


# ---------------------------------------------------------------- mistakes


NET = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU())
DEAD = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU())
DEAD[0].bias.data = [-1e6, 1.0]


@pytest.mark.parametrize(
    ("error", "words", "call"),
    [
        (ValueError, "no MultiheadAttention", lambda: inspect.attention_weights(NET, np.zeros((2, 1, 8, 8)))),
        (ValueError, "at least one layer", lambda: inspect.attention_rollout([])),
        (ValueError, "the same", lambda: inspect.attention_rollout([np.eye(3), np.eye(4)])),
        (ValueError, "residual=1", lambda: inspect.attention_rollout([np.eye(3)], residual=1)),
        (ValueError, "dead ReLU", lambda: inspect.receptive_field_of(DEAD, "1", 0, (1, 8, 8))),
        (ValueError, "an index into", lambda: inspect.receptive_field_of(NET, "0", (0, 8, 0), (1, 8, 8))),
        (ValueError, "shape .C, H, W.", lambda: inspect.receptive_field_of(NET, "0", 0, (8,))),
    ],
)  # fmt: skip
def test_mistakes_are_named_in_one_line(error, words, call):
    with pytest.raises(error, match=words) as caught:
        call()
    assert "\n" not in str(caught.value)
