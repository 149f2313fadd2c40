"""Models of sequences: the forms of an RNN, the adding problem, an autoencoder, forecasts against the best."""

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn, optim
from minigrad.models import AddingRNN, LinearForecaster, LSTMAutoencoder, LSTMForecaster
from minigrad.models.adding import BASELINE, adding_problem, gradient_by_distance
from minigrad.models.forecaster import ar2, bayes_mse, persistence, random_walk, windows
from minigrad.models.rnn_forms import FORMS, OneToOne, learn
from minigrad.nn import functional as F


def count(module):
    return sum(p.size for p in module.parameters())


def gradients(net, loss):
    loss.backward()
    for name, p in net.named_parameters():
        assert p.grad is not None and float(abs(p.grad.cpu().numpy()).max()) > 0, name


def fit(net, loss_of, steps, lr=1e-2):
    optimiser, losses = optim.Adam(net.parameters(), lr), []
    for _ in range(steps):
        optimiser.zero_grad()
        loss = loss_of()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        losses.append(loss.item())
    return losses


def rng(seed=0):
    return np.random.default_rng(seed)


# ---------------------------------------------------------------- the forms


@pytest.mark.parametrize("form", FORMS)
def test_every_form_has_its_shape_and_learns_its_toy(form):
    mg.manual_seed(0)
    network, batch, symbols, _ = FORMS[form]
    x, y = batch(7, rng())
    assert (x.shape[1] > 1, y.shape[1] > 1) == (form[:3] != "one", form not in ("one-one", "many-one"))
    net = network(symbols)
    scores = net(mg.tensor(x))
    assert scores.shape == (*y.shape, symbols)
    gradients(net, F.cross_entropy(scores.reshape(-1, symbols), mg.tensor(y.reshape(-1))))
    assert learn(form) > 0.97
    assert learn(form, updates=0) < 0.8


def test_the_toys_are_what_they_say():
    toys = {name: form.batch(3, rng(1)) for name, form in FORMS.items()}
    for x, y in zip(*toys["one-many"], strict=True):
        assert y.tolist() == [max(x[0] - i, 0) for i in range(1, 5)]
    for x, y in zip(*toys["many-many"], strict=True):
        assert y.tolist() == [x[0], *(a ^ b for a, b in zip(x[1:], x[:-1], strict=True))]
    for x, y in zip(*toys["encoder-decoder"], strict=True):
        assert y.tolist() == x.tolist()[::-1]


def test_without_memory_the_aligned_toy_stays_at_chance():
    net, (x, y) = OneToOne(2), FORMS["many-many"].batch(400, rng())
    x, y = mg.tensor(x.reshape(-1, 1)), mg.tensor(y.reshape(-1))
    fit(net, lambda: F.cross_entropy(net(x)[:, 0], y), 40)
    assert abs((net(x).detach().numpy()[:, 0].argmax(-1) == y.numpy()).mean() - 0.5) < 0.12


# ---------------------------------------------------------------- the adding problem


def test_the_adding_problem_marks_one_value_in_either_half():
    x, y = adding_problem(2000, 11, rng())
    assert x.dtype == y.dtype == np.float32 and set(np.unique(x[..., 1])) == {0, 1}
    assert (x[:, :5, 1].sum(1) == 1).all() and (x[:, 5:, 1].sum(1) == 1).all()
    np.testing.assert_allclose(((y - 1) ** 2).mean(), BASELINE, rtol=0.1)
    assert (x[:, :, 1].sum(0) > 0).all()  # every place


@pytest.mark.parametrize("kind, gates", [("tanh", 1), ("gru", 3), ("lstm", 4)])
def test_adding_rnns_have_their_size_and_learn_short_sums(kind, gates):
    mg.manual_seed(1)
    net = AddingRNN(kind, 16)
    assert count(net) == gates * 16 * (2 + 16 + 2) + 17
    x, y = map(mg.tensor, adding_problem(64, 4, rng()))
    gradients(net, F.mse_loss(net(x), y))
    assert fit(net, lambda: F.mse_loss(net(x), y), 120, 2e-2)[-1] < 0.5 * BASELINE


def test_the_gradient_of_a_tanh_rnn_vanishes_with_distance_and_that_of_an_lstm_less():
    x = mg.tensor(adding_problem(8, 60, rng())[0])
    mg.manual_seed(0)
    slopes = {kind: gradient_by_distance(AddingRNN(kind, 32), x) for kind in ("tanh", "lstm")}
    far = {kind: s[40] / s[0] for kind, s in slopes.items()}
    assert all(s.shape == (60,) for s in slopes.values()) and not x.requires_grad
    assert far["tanh"] < 1e-4 and far["lstm"] > 100 * far["tanh"]


def test_gradient_by_distance_is_the_chain_of_a_scalar_rnn():
    net = AddingRNN("tanh", 1)
    for p, value in zip(net.parameters(), ([[0.5, 0.0]], [[0.8]], [0.0], [0.0], [[2.0]], [0.0]), strict=True):
        with mg.no_grad():
            p.copy_(mg.tensor(value))
    x, h = adding_problem(1, 6, rng())[0], [0.0]
    for value in x[0, :, 0]:
        h.append(np.tanh(0.5 * value + 0.8 * h[-1]))
    slope, expected = 2.0, []
    for state in h[:0:-1]:  # from the last state back
        slope *= 1 - state**2
        expected.append(slope * 0.5)
        slope *= 0.8
    np.testing.assert_allclose(gradient_by_distance(net, mg.tensor(x)), expected, rtol=1e-4)


def test_an_lstm_for_adding_begins_with_open_forget_gates():
    net = AddingRNN("lstm", 3)
    assert net.rnn.bias_ih_l0.detach().numpy()[3:6].tolist() == [1, 1, 1] and net.rnn.bias_ih_l0.requires_grad
    assert not net.rnn.bias_hh_l0.detach().numpy()[3:6].any()


# ---------------------------------------------------------------- the autoencoder


def waves(n, seed=0):
    phase = rng(seed).uniform(0, 2 * np.pi, (n, 1))
    return np.sin(phase + np.arange(12) * np.pi / 6)[..., None].astype("float32")


def test_the_autoencoder_rebuilds_what_it_knows_and_scores_the_rest_high():
    mg.manual_seed(0)
    net, x = LSTMAutoencoder(1, 12), mg.tensor(waves(64))
    assert count(net) == 4 * 12 * (1 + 12 + 2) + 4 * 12 * (12 + 12 + 2) + 13 and net(x).shape == x.shape
    gradients(net, F.mse_loss(net(x), x))
    losses = fit(net, lambda: F.mse_loss(net(x), x), 120, 2e-2)
    assert losses[-1] < 0.2 * losses[0]
    normal, odd = waves(30, 1), waves(30, 2)
    odd[:, 6] += 2.0  # a spike
    usual, unusual = net.score(mg.tensor(normal)), net.score(mg.tensor(odd))
    assert usual.shape == (30,) and (unusual[:, None] > usual).mean() > 0.95  # the area under the ROC


def test_all_that_the_decoder_knows_is_the_code():
    net, x = LSTMAutoencoder(2, 5), mg.randn(3, 7, 2)
    code = net.encode(x)
    assert code.shape == (3, 5)
    np.testing.assert_array_equal(net.decode(code, 7).detach().numpy(), net(x).detach().numpy())
    longer = net.decode(code, 9).detach().numpy()
    np.testing.assert_allclose(longer[:, 2:], net(x).detach().numpy(), atol=1e-6)  # it speaks backwards


# ---------------------------------------------------------------- forecasts


def test_ar2_has_the_variance_and_correlations_of_the_book():
    a, b = 1.5, -0.8
    x = ar2(400, 200, rng(), a, b)
    rho1 = a / (1 - b)
    variance = 1 / (1 - a * rho1 - b * (a * rho1 + b))
    np.testing.assert_allclose(x.var(), variance, rtol=0.05)
    np.testing.assert_allclose((x[:, 1:] * x[:, :-1]).mean() / x.var(), rho1, rtol=0.02)
    np.testing.assert_allclose(x[:, 0].var(), variance, rtol=0.25)  # from the first value on
    assert ar2(2, 3, rng(), 0.0, 0.0).shape == (2, 3)


@pytest.mark.parametrize("horizon", [1, 2, 4])
def test_the_bayes_error_is_the_error_of_the_best_forecast(horizon):
    a, b = 1.2, -0.5
    x, y = windows(ar2(300, 100, rng(), a, b, 2.0), 2, horizon)
    forecast = [x[:, 0], x[:, 1]]
    for _ in range(horizon):
        forecast.append(a * forecast[-1] + b * forecast[-2])
    np.testing.assert_allclose(((forecast[-1] - y) ** 2).mean(), bayes_mse(a, b, 2.0, horizon), rtol=0.05)
    x, y = windows(random_walk(300, 100, rng()), 2, horizon)
    np.testing.assert_allclose(((persistence(x) - y) ** 2).mean(), bayes_mse(1.0, horizon=horizon), rtol=0.1)


def test_windows_end_right_before_what_is_asked():
    x, y = windows(np.arange(12.0).reshape(2, 6), 3, 2)
    assert x.tolist() == [[0, 1, 2], [1, 2, 3], [6, 7, 8], [7, 8, 9]] and y.tolist() == [4, 5, 10, 11]


def test_the_linear_forecaster_comes_down_to_the_bayes_error_of_ar2():
    mg.manual_seed(0)
    net, (x, y) = LinearForecaster(), windows(ar2(20, 60, rng()), 4)
    x, y = mg.tensor(x.astype("float32")), mg.tensor(y.astype("float32"))
    gradients(net, F.mse_loss(net(x), y))
    fit(net, lambda: F.mse_loss(net(x), y), 300, 5e-2)
    weight = net.fc.weight.detach().numpy()[0]
    np.testing.assert_allclose(weight, [-0.8, 1.5], atol=0.06)
    new, truth = windows(ar2(100, 60, rng(5)), 4)
    error = ((net(mg.tensor(new.astype("float32"))).detach().numpy() - truth) ** 2).mean()
    assert 0.9 < error < 1.1 * bayes_mse(1.5, -0.8)
    assert ((persistence(new) - truth) ** 2).mean() > 2


def test_the_lstm_forecaster_beats_persistence_on_ar2():
    mg.manual_seed(0)
    net, (x, y) = LSTMForecaster(16), windows(ar2(4, 45, rng()) / 3, 5)
    assert count(net) == 4 * 16 * (1 + 16 + 2) + 17
    x, y = mg.tensor(x.astype("float32")), mg.tensor(y.astype("float32"))
    gradients(net, F.mse_loss(net(x), y))
    fit(net, lambda: F.mse_loss(net(x), y), 80, 2e-2)
    new, truth = windows(ar2(30, 45, rng(5)) / 3, 5)
    error = ((net(mg.tensor(new.astype("float32"))).detach().numpy() - truth) ** 2).mean()
    assert error < 0.6 * ((persistence(new) - truth) ** 2).mean()


def test_what_does_not_fit_is_told():
    for message, call in {
        r"form='two'": lambda: learn("two"),
        r"OneToOne: expected tokens \(N, T\)": lambda: OneToOne(3)(mg.tensor([1])),
        r"one of tanh, gru, lstm \(kind='relu'\)": lambda: AddingRNN("relu"),
        r"values and marks \(N, T, 2\), got \(3, 4, 1\)": lambda: AddingRNN()(mg.zeros(3, 4, 1)),
        r"two places to mark \(length=1\)": lambda: adding_problem(3, 1, rng()),
        r"expected \(N, T, inputs=1\), got \(3, 4\)": lambda: LSTMAutoencoder()(mg.zeros(3, 4)),
        r"roots inside the unit circle.* \(a=1.0, b=0.0\)": lambda: ar2(1, 9, rng(), 1.0, 0.0),
        r"width=5, horizon=2": lambda: windows(np.zeros((2, 6)), 5, 2),
        r"windows \(N, T >= 2\), got \(3, 1\)": lambda: LinearForecaster()(mg.zeros(3, 1)),
        r"LSTMForecaster: expected windows": lambda: LSTMForecaster()(mg.zeros(3)),
        r"horizon=0": lambda: bayes_mse(1.0, horizon=0),
    }.items():
        with pytest.raises(ValueError, match=message):
            call()
