"""Explanations of a trained network: each against its definition, an identity or finite differences."""

import copy

import numpy as np
import pytest

import minigrad as mg
from minigrad import inspect, nn, optim
from minigrad.data import digits
from minigrad.nn import functional as F

RNG = np.random.default_rng(0)


def small_net():
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(),
        nn.Conv2d(8, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10),
    )  # fmt: skip


@pytest.fixture(scope="module")
def images():
    x, y = digits("train")
    return (x / 16).astype(np.float32)[:, None], y


@pytest.fixture(scope="module")
def net(images):
    """Trained for a second or so: far from perfect, and far from random."""
    mg.manual_seed(1)
    x, y = images
    model, order = small_net(), np.random.default_rng(1)
    optimizer = optim.Adam(model.parameters(), lr=0.02)
    for rate in (0.02,) * 6 + (0.002,) * 2:  # small steps at the end: accuracy no longer jumps from step to step
        optimizer.param_groups[0]["lr"] = rate
        for batch in np.array_split(order.permutation(len(x)), 20):
            optimizer.zero_grad()
            F.cross_entropy(model(mg.tensor(x[batch])), mg.tensor(y[batch])).backward()
            optimizer.step()
    optimizer.zero_grad()
    return model.eval()


@pytest.fixture(scope="module")
def exact(net):
    """The same in float64, for identities and differences."""
    return copy.deepcopy(net).double()


@pytest.fixture
def six(images):
    return images[0][:6].astype(np.float64)


def test_the_net_has_learned(net, images):
    with mg.no_grad():
        assert (np.asarray(net(mg.tensor(images[0]))).argmax(1) == images[1]).mean() > 0.8


def score(model, x, target):
    with mg.no_grad():
        return np.asarray(model(mg.tensor(x)))[np.arange(len(x)), target]


# ---------------------------------------------------------------- nothing changes


EXPLANATIONS = {
    "layer_outputs": lambda m, x: inspect.layer_outputs(m, x),
    "saliency": lambda m, x: inspect.saliency(m, x),
    "gradient_times_input": lambda m, x: inspect.gradient_times_input(m, x, 3),
    "smooth_grad": lambda m, x: inspect.smooth_grad(m, x, samples=2),
    "integrated_gradients": lambda m, x: inspect.integrated_gradients(m, x, steps=3),
    "class_activation_map": lambda m, x: inspect.class_activation_map(m, x),
    "grad_cam": lambda m, x: inspect.grad_cam(m, "5", x),
    "occlusion": lambda m, x: inspect.occlusion(m, x, stride=4),
    "maximise": lambda m, x: inspect.maximise(m, "3", 0, (1, 8, 8), steps=2, jitter=1, blur=0.5),
    "receptive_field_of": lambda m, x: inspect.receptive_field_of(m, "0", 0, (1, 8, 8)),
}


def state(model, x):
    return (
        [(name, p.requires_grad, p._data.tobytes()) for name, p in model.named_parameters()],
        [None if p.grad is None else np.asarray(p.grad).tobytes() for p in model.parameters()],
        [np.asarray(b).tobytes() for b in model.buffers()],
        [module.training for module in model.modules()],
        [[len(hooks) for hooks in module._hooks.values() if hooks] for module in model.modules()],
        mg.get_state(), mg.is_grad_enabled(), x.requires_grad, x.grad, np.asarray(x).tobytes(),
    )  # fmt: skip


def half_frozen():
    model = small_net()
    model[1].eval()  # a norm that is frozen while the rest trains
    model[0].requires_grad_(False)
    F.cross_entropy(model(mg.tensor(RNG.random((4, 1, 8, 8), np.float32))), mg.tensor([1, 2, 3, 4])).backward()
    return model


@pytest.mark.parametrize("name", EXPLANATIONS)
def test_nothing_changes(name):
    model, x = half_frozen(), mg.tensor(RNG.random((3, 1, 8, 8), np.float32))
    before = state(model, x)
    EXPLANATIONS[name](model, x)
    assert state(model, x) == before
    model.requires_grad_(False)  # nothing of the model has a gradient, and none is recorded
    with mg.no_grad():
        EXPLANATIONS[name](model, x)


@pytest.mark.parametrize("name", EXPLANATIONS)
def test_nothing_changes_by_an_error_either(name, monkeypatch):
    model, x = half_frozen(), mg.tensor(RNG.random((3, 1, 8, 8), np.float32))
    before = state(model, x)
    calls = []

    def broken(x):
        calls.append(1)
        raise ZeroDivisionError

    monkeypatch.setattr(model[5], "forward", broken)
    with pytest.raises(ZeroDivisionError):
        EXPLANATIONS[name](model, x)
    monkeypatch.undo()
    assert calls and state(model, x) == before


def test_layers_in_the_order_in_which_they_finish():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.act = nn.Sequential(nn.Linear(2, 2)), nn.ReLU()

        def forward(self, x):
            return self.act(self.inner(self.act(x)))

    found = inspect.layer_outputs(Twice(), [[-1.0, 2.0]])
    assert list(found) == ["act", "inner.0", "inner", "act (2)"]
    assert found["act"].tolist() == [[0.0, 2.0]] and not found["act (2)"].requires_grad


# ---------------------------------------------------------------- gradients of scores


def test_saliency_equals_finite_differences(exact, six):
    found = np.asarray(inspect.saliency(exact, six, target=4))
    assert found.shape == six.shape
    h = 1e-6
    for place in [(0, 0, 3, 3), (2, 0, 5, 4), (5, 0, 0, 2)]:
        step = np.zeros_like(six)
        step[place] = h
        slope = (score(exact, six + step, 4) - score(exact, six - step, 4))[place[0]] / (2 * h)
        assert found[place] == pytest.approx(abs(slope), rel=1e-5, abs=1e-8)


def test_a_batch_is_explained_sample_by_sample(exact, six):
    own = score(exact, six, slice(None))[0].argmax()
    for explain in (
        inspect.saliency, inspect.gradient_times_input, inspect.occlusion, inspect.class_activation_map,
        lambda m, x: inspect.integrated_gradients(m, x, steps=10).attributions,
        lambda m, x: inspect.grad_cam(m, "5", x),
    ):  # fmt: skip
        together = np.asarray(explain(exact, six))
        alone = np.concatenate([np.asarray(explain(exact, six[i : i + 1])) for i in range(2)])
        assert np.allclose(together[:2], alone, atol=1e-12)
    assert own == np.asarray(exact(mg.tensor(six)))[0].argmax()


def test_targets_are_one_many_or_the_models_own(exact, six):
    answers = np.asarray(exact(mg.tensor(six)).detach()).argmax(1)
    assert np.array_equal(inspect.saliency(exact, six), inspect.saliency(exact, six, answers))
    mixed = np.asarray(inspect.saliency(exact, six, mg.tensor([0, 1, 2, 3, 4, 5])))
    assert np.allclose(mixed[2], np.asarray(inspect.saliency(exact, six, 2))[2])


def test_gradient_times_input_of_a_net_without_biases_is_the_score():
    model = nn.Sequential(nn.Linear(5, 8, bias=False), nn.ReLU(), nn.Linear(8, 3, bias=False)).double()
    x = RNG.standard_normal((4, 5))
    shares = np.asarray(inspect.gradient_times_input(model, x, target=2))
    assert np.allclose(shares.sum(1), score(model, x, 2), atol=1e-14)


def test_smooth_grad_is_a_mean_of_gradients(exact, six):
    plain = inspect.smooth_grad(exact, six, 1, samples=3, noise=0.0)
    assert np.allclose(abs(plain), inspect.saliency(exact, six, 1))
    one = inspect.smooth_grad(exact, six, 1, samples=40, noise=0.2)
    assert np.array_equal(one, inspect.smooth_grad(exact, six, 1, samples=40, noise=0.2))
    other = np.asarray(inspect.smooth_grad(exact, six, 1, samples=40, noise=0.2, seed=1))
    apart = lambda a, b: float(np.abs(np.asarray(a) - np.asarray(b)).mean())
    assert 0 < apart(one, other) < apart(plain, other)  # two means are nearer than one gradient is to a mean


def test_integrated_gradients_are_complete(exact, six):
    coarse, fine = (inspect.integrated_gradients(exact, six, steps=n) for n in (5, 400))
    assert np.asarray(fine.gap).max() < 1e-3 * np.abs(fine.difference).max() < np.asarray(coarse.gap).max()
    target = np.asarray(exact(mg.tensor(six)).detach()).argmax(1)
    difference = score(exact, six, target) - score(exact, 0 * six, target)
    assert np.allclose(fine.difference, difference, atol=1e-12)
    total = np.asarray(fine.attributions).sum((1, 2, 3))
    assert np.allclose(abs(total - difference), fine.gap, atol=1e-12)


def test_integrated_gradients_of_smooth_nets_and_other_baselines():
    model = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3)).double()
    x = RNG.standard_normal((5, 4))
    for baseline in (0.5, x[0], mg.tensor(x[::-1].copy())):
        found = inspect.integrated_gradients(model, x, 1, baseline, steps=200)
        assert np.asarray(found.gap).max() < 1e-4
        start = np.broadcast_to(np.asarray(baseline), x.shape)
        assert np.allclose(found.difference, score(model, x, 1) - score(model, start, 1))
    assert not np.asarray(inspect.integrated_gradients(model, x, 1, x[0]).attributions)[0].any()


# ---------------------------------------------------------------- maps


def test_the_mean_of_a_class_activation_map_and_the_bias_are_the_score(exact, six):
    for target in (0, 7):
        heat = np.asarray(inspect.class_activation_map(exact, six, target))
        assert heat.shape == (6, 8, 8)
        logits = heat.mean((1, 2)) + float(exact[8].bias[target])
        assert np.abs(logits - score(exact, six, target)).max() < 1e-10


def test_grad_cam_is_proportional_to_the_class_activation_map(exact, six):
    heat = np.asarray(inspect.class_activation_map(exact, six, 3))
    signed = np.asarray(inspect.grad_cam(exact, "5", six, 3, relu=False))
    assert np.abs(64 * signed - heat).max() < 1e-10
    assert np.array_equal(np.asarray(inspect.grad_cam(exact, exact[5], six, 3)), signed.clip(0))


def test_a_mean_written_out_is_found_too():
    class Written(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.drop, self.fc = nn.Conv2d(1, 4, 3), nn.Dropout(0.5), nn.Linear(4, 3)

        def forward(self, x):
            return self.fc(self.drop(mg.relu(self.conv(x)).mean((2, 3))))

    with pytest.raises(ValueError, match="ends in maps"):  # the ReLU's maps are nobody's output
        inspect.class_activation_map(Written(), RNG.random((1, 1, 6, 6), np.float32))
    Written.forward = lambda self, x: self.fc(self.drop(self.conv(x).mean((2, 3))))
    model, x = Written().double(), RNG.random((2, 1, 6, 6))
    heat = np.asarray(inspect.class_activation_map(model, x, 1))
    model.eval()
    assert np.allclose(heat.mean((1, 2)) + float(model.fc.bias[1]), score(model, x, 1), atol=1e-12)


def test_occlusion_is_the_drop_of_the_score(exact, six):
    drop = np.asarray(inspect.occlusion(exact, six, 2, window=(2, 3), stride=(1, 2), value=0.5))
    assert drop.shape == (6, 8, 4)
    covered = six.copy()
    covered[:, :, 3:5, 3:6] = 0.5  # around (3, 4), an even window reaching down
    assert np.allclose(drop[:, 3, 2], score(exact, six, 2) - score(exact, covered, 2), atol=1e-12)


def test_occlusion_costs_where_the_ink_is(net, images):
    x, y = images
    right = np.flatnonzero(score(net, x, slice(None)).argmax(1) == y)[:60]
    drop = np.asarray(inspect.occlusion(net, x[right], window=1))
    ink = x[right][:, 0] > 0.5
    assert drop[ink].mean() > 0.1
    assert np.abs(drop[x[right][:, 0] == 0]).max() < 1e-4  # nothing there to cover


def test_occlusion_of_a_sequence():
    model = nn.Sequential(nn.Flatten(), nn.Linear(7, 1, bias=False))
    model[1].weight.data = [list(range(7))]
    assert inspect.occlusion(model, np.ones((1, 1, 7), np.float32), window=1)[0].tolist() == list(range(7))


# ---------------------------------------------------------------- ascent


def test_ascent_beats_a_thousand_real_images(net, images):
    """Every filter of the second convolution, within the pixels' own range."""
    real = np.asarray(inspect.layer_outputs(net, images[0][:1000])["3"]).mean((2, 3)).max(0)
    found = inspect.maximise(net, "3", list(range(16)), (1, 8, 8), steps=60, limits=(0.0, 1.0))
    assert (found.activations[-1] > real).all()
    image = np.asarray(found.image)
    assert image.shape == (16, 1, 8, 8) and image.min() >= 0 and image.max() <= 1
    again = np.asarray(inspect.layer_outputs(net, image)["3"]).mean((2, 3))
    assert np.allclose(again[range(16), range(16)], found.activations[-1], atol=1e-5)
    assert (found.activations[-1] > found.activations[0]).all() and found.activations.shape == (61, 16)


def rough(x):
    x = np.asarray(x)
    return np.square(np.diff(x, axis=-1)).sum() + np.square(np.diff(x, axis=-2)).sum()


@pytest.mark.parametrize("settings", [{"tv": 20.0}, {"blur": 0.7}, {"jitter": 2, "tv": 5.0}])
def test_regularised_images_are_smoother(net, settings):
    climb = lambda **how: inspect.maximise(net, "3", [1, 5], (1, 8, 8), steps=30, limits=(0.0, 1.0), **how)
    plain, smooth = climb(), climb(**settings)
    assert rough(smooth.image) < 0.7 * rough(plain.image)
    assert (smooth.activations[-1] <= plain.activations[-1] + 1e-6).all()


def test_a_penalty_and_a_norm_have_the_known_maximum():
    """a = w x - l2 mean(x^2) is largest at w D / (2 l2); on a sphere at w / ||w||."""
    model = nn.Linear(3, 1, bias=False).double()
    model.weight.data = [[1.0, -2.0, 2.0]]
    wrapped = nn.Sequential(model)
    top = inspect.maximise(wrapped, "0", 0, (3,), steps=400, l2=3.0)
    assert np.allclose(top.image, [0.5, -1.0, 1.0], atol=1e-3)
    sphere = inspect.maximise(wrapped, model, 0, (3,), lr=0.3, norm=3.0, start=np.ones(3))
    assert np.allclose(sphere.image, [1, -2, 2], atol=1e-3)
    assert sphere.activations[-1] == pytest.approx(9.0, abs=1e-4)


def test_one_unit_is_one_of_many_and_a_place_has_its_own_field(net):
    start = RNG.random((1, 8, 8)).astype(np.float32)
    how = {"shape": (1, 8, 8), "steps": 10, "start": start}
    many, one = inspect.maximise(net, "3", [2, (4, 1, 1)], **how), inspect.maximise(net, "3", (4, 1, 1), **how)
    assert np.allclose(many.image[1], one.image, atol=1e-5) and one.activations.shape == (11,)
    moved = np.asarray(one.image)[0] != start[0]
    assert moved[:4, :4].all() and not moved[4:].any() and not moved[:, 4:].any()  # 5x5 around (1, 1), cut


def test_jitter_moves_the_image_there_and_back():
    """The net sees pixel 0 alone, so the pixel that was moved there is the one that must have grown."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(25, 1, bias=False))
    model[1].weight.data = np.eye(1, 25)
    start = np.arange(25.0, dtype=np.float32).reshape(1, 5, 5)
    for seed in range(5):
        found = inspect.maximise(model, "1", 0, (1, 5, 5), steps=1, jitter=2, start=start, seed=seed)
        assert np.flatnonzero(np.asarray(found.image) != start).tolist() == [found.activations[0]]


# ---------------------------------------------------------------- mistakes


X = np.zeros((2, 1, 8, 8), np.float32)
DEAD = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU())
DEAD[0].bias.data = [-1e6, 1.0]
TWICE = nn.Sequential(nn.ReLU(), nn.Conv2d(1, 1, 1))
TWICE.again = TWICE[0]
FLAT = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
LSTM = nn.Sequential(nn.LSTM(3, 4))


@pytest.mark.parametrize(
    ("error", "words", "call"),
    [
        (TypeError, "expected a Module", lambda m: inspect.saliency(lambda x: x, X)),
        (TypeError, "expected a Module", lambda m: inspect.layer_outputs("net", X)),
        (TypeError, "x is int64", lambda m: inspect.saliency(m, X.astype(np.int64))),
        (ValueError, r"0\.\.9 \(target=10\)", lambda m: inspect.saliency(m, X, 10)),
        (ValueError, "2 of them", lambda m: inspect.saliency(m, X, [1, 2, 3])),
        (TypeError, "target is float64", lambda m: inspect.grad_cam(m, "5", X, 1.0)),
        (ValueError, "gives scores", lambda m: inspect.saliency(m[:3], X)),
        (ValueError, "at least one sample", lambda m: inspect.saliency(m, X[:0])),
        (ValueError, "samples=0", lambda m: inspect.smooth_grad(m, X, samples=0)),
        (ValueError, "steps=0", lambda m: inspect.integrated_gradients(m, X, steps=0)),
        (ValueError, r"got baseline \(3,\)", lambda m: inspect.integrated_gradients(m, X, baseline=[1.0, 2, 3])),
        (ValueError, "0, 1, 2, 3, 4, 5, 6, 7, 8 .layer='conv'", lambda m: inspect.grad_cam(m, "conv", X)),
        (ValueError, "not in the model", lambda m: inspect.grad_cam(m, FLAT, X)),
        (ValueError, r"'7' gives shape \(2, 16\)", lambda m: inspect.grad_cam(m, "7", X)),
        (ValueError, "grad_cam takes", lambda m: inspect.class_activation_map(FLAT, X)),
        (ValueError, "image.None.", lambda m: inspect.occlusion(m, X[0, 0])),
        (ValueError, "window", lambda m: inspect.occlusion(m, X, window=0)),
        (ValueError, "unit of .16, 8, 8.", lambda m: inspect.maximise(m, "3", 16, (1, 8, 8))),
        (ValueError, "unit", lambda m: inspect.maximise(m, "3", (1, 2), (1, 8, 8))),
        (ValueError, "unit 0 is zero at the start", lambda m: inspect.maximise(DEAD, "1", [1, 0], (1, 8, 8))),
        (ValueError, "tv=-1", lambda m: inspect.maximise(m, "3", 0, (1, 8, 8), tv=-1)),
        (ValueError, "limits", lambda m: inspect.maximise(m, "3", 0, (1, 8, 8), limits=(1, 0))),
        (ValueError, "start", lambda m: inspect.maximise(m, "3", 0, (1, 8, 8), start=np.zeros(3))),
        (ValueError, "runs 2 times", lambda m: inspect.maximise(TWICE, "0", 0, (1, 8, 8))),
        (ValueError, "gives a tuple", lambda m: inspect.maximise(LSTM, "0", 0, (5, 3))),
    ],
)  # fmt: skip
def test_mistakes_are_named_in_one_line(error, words, call):
    model = small_net()
    before = state(model, mg.tensor(X))
    with pytest.raises(error, match=words) as caught:
        call(model)
    assert "\n" not in str(caught.value)
    assert state(model, mg.tensor(X)) == before


# ---------------------------------------------------------------- the whole, in some seconds


@pytest.mark.slow
def test_a_class_activation_map_finds_what_nobody_showed_it():
    """Digits anywhere on a larger empty image, labels without places: the map's peak lies on the digit."""
    rng, (x, y), (x_test, _) = np.random.default_rng(0), digits("train"), digits("test")

    def scattered(x):
        canvas, at = np.zeros((len(x), 1, 16, 16), np.float32), rng.integers(0, 9, (len(x), 2))
        for image, digit, (r, c) in zip(canvas, x, at, strict=True):
            image[0, r : r + 8, c : c + 8] = digit / 16
        return canvas, at

    mg.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10),
    )  # fmt: skip
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    for epoch in range(12):
        optimizer.param_groups[0]["lr"] = 0.01 if epoch < 8 else 0.001  # small steps to settle
        canvas, _ = scattered(x)
        for batch in np.array_split(rng.permutation(len(x)), 20):
            optimizer.zero_grad()
            F.cross_entropy(model(mg.tensor(canvas[batch])), mg.tensor(y[batch])).backward()
            optimizer.step()
    canvas, box = scattered(x_test)
    heat = inspect.class_activation_map(model, canvas).cpu().numpy()
    peak = np.stack(np.unravel_index(heat.reshape(len(heat), -1).argmax(1), (8, 8)), 1) * 2 + 0.5
    assert ((peak >= box) & (peak < box + 8)).all(1).mean() >= 0.9
