"""Textbook examples on learning with exact answers: nearest neighbours, capacity, vanishing products, two dropouts."""

import itertools
import os
from pathlib import Path

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.data import mnist
from minigrad.models import KNN
from minigrad.nn import functional as F

REAL_MNIST = Path(os.environ.get("MINIGRAD_DATA", "nowhere"), "mnist", "train-images-idx3-ubyte.gz")


def array(t):
    return t.detach().cpu().numpy()


# ---------------------------------------------------------------- nearest neighbours


def test_ties_of_votes_go_to_the_nearest():
    points, labels = [[0.0], [1.0], [2.0], [4.0]], [2, 0, 0, 1]
    said = {k: KNN(k).fit(points, labels).predict([[-1.0]]).item() for k in (1, 2, 3)}
    assert said == {1: 2, 2: 2, 3: 0}  # k = 2: one vote each; the smaller label would be 0


@pytest.mark.slow
@pytest.mark.cpu
@pytest.mark.skipif(not REAL_MNIST.exists(), reason="needs MNIST in MINIGRAD_DATA")
def test_nearest_neighbours_on_all_of_mnist():
    """Errors of 10,000: 309, 283, 398 for k = 1, 3, 29, on raw pixels; 295 for k = 3 if ties go to the smaller label."""
    (images, labels), (new, truth) = mnist(True), mnist(False)
    knn = KNN(29, dtype=np.float32).fit(images, labels)
    near = labels[knn.neighbours(new)]
    for k, errors in ((1, 309), (3, 283), (29, 398)):
        votes = (near[:, :k, None] == near[:, None, :k]).sum(2)
        said = near[np.arange(10_000), votes.argmax(1)]
        assert (said != truth).sum() == errors
        assert (KNN(k, dtype=np.float32).fit(images, labels).predict(new[:100]) == said[:100]).all()
    counts = (near[:, :3, None] == np.arange(10)).sum(1)
    assert (counts.argmax(1) != truth).sum() == 295


# ---------------------------------------------------------------- capacity


def separated(points, labels, rounds=300):
    """True if the perceptron, a step of SGD on max(-y (w.x + b), 0) for one wrong point at a time, finds a line."""
    rows = mg.tensor(np.column_stack([points, np.ones(len(points))]) * np.array(labels)[:, None])
    w = mg.zeros(3, dtype="float64", requires_grad=True)
    optimiser = mg.optim.SGD([w], lr=1.0)
    for _ in range(rounds):
        wrong = np.flatnonzero(array(rows @ w) <= 0)
        if len(wrong) == 0:
            return True
        optimiser.zero_grad()
        (-(rows[int(wrong[0])] @ w)).backward()
        optimiser.step()
    return False


def test_a_line_shatters_three_points_and_not_four():
    signs = lambda n: list(itertools.product((-1, 1), repeat=n))
    square = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    assert all(separated(square[:3], labels) for labels in signs(3))
    failed = [labels for labels in signs(4) if not separated(square, labels)]
    assert failed == [(-1, 1, 1, -1), (1, -1, -1, 1)]  # XOR and its opposite


def test_no_four_points_are_shattered():
    """Any four points have weights a with sum a = 0, sum a x = 0: labels sign(a) would need sum a f(x) > 0, and it is 0."""
    rng = np.random.default_rng(0)
    for points in rng.normal(size=(10, 4, 2)):
        *_, a = np.linalg.svd(np.column_stack([points, np.ones(4)]).T)[2]
        assert np.abs(a @ points).max() < 1e-12 and abs(a.sum()) < 1e-12 and np.abs(a).min() > 1e-6
        assert not separated(points, np.sign(a), rounds=100)


def polynomial(x, y, x_new, decay):
    """Values at x_new of the polynomial of degree n - 1 through n points; decay: of its coefficients but the first."""
    phi, phi_new = (np.polynomial.legendre.legvander(v, len(x) - 1) for v in (x, x_new))
    shrink = decay * np.diag([0.0] + [1.0] * (len(x) - 1))
    return phi_new @ np.linalg.solve(phi.T @ phi + shrink, phi.T @ y)


def test_the_overfit_figure():
    """Degree n - 1 through n points: no error on them, a large one on new ones, and less of it the larger lambda is."""
    rng = np.random.default_rng(1)
    x, x_new = np.sort(rng.uniform(-1, 1, 10)), rng.uniform(-1, 1, 1000)
    y, y_new = (np.sin(np.pi * v) + 0.2 * rng.normal(size=len(v)) for v in (x, x_new))
    mse = lambda at, truth, decay: F.mse_loss(mg.tensor(polynomial(x, y, at, decay)), mg.tensor(truth)).item()
    assert mse(x, y, 0.0) < 1e-12 and mse(x_new, y_new, 0.0) > 100 * 0.2**2
    decays = [0.0, 1e-6, 1e-4, 1e-2]
    on_sample, on_new = ([mse(*where, decay) for decay in decays] for where in ((x, y), (x_new, y_new)))
    assert on_new == sorted(on_new, reverse=True) and on_sample == sorted(on_sample)
    assert on_new[-1] < on_new[0] / 10


# ---------------------------------------------------------------- thirty matrices


def sizes_through_thirty_matrices(sigma):
    """Root mean square after 30 layers of 1000 units with N(0, sigma^2) weights: of the signal, of the gradient."""
    rng = np.random.default_rng(0)
    x = mg.tensor(rng.normal(size=1000).astype(np.float32), requires_grad=True)
    h = x
    for _ in range(30):
        h = mg.tensor(np.float32(sigma) * rng.standard_normal((1000, 1000), np.float32)) @ h
    (g,) = mg.grad(h, [x], mg.tensor(rng.normal(size=1000).astype(np.float32)))
    return [float(np.sqrt(np.mean(array(t).astype(np.float64) ** 2))) for t in (h, g)]


@pytest.mark.parametrize(("sigma", "factor"), [(1 / 100, 1e-15), (1000**-0.5, 1.0)])
def test_thirty_products_of_random_matrices(sigma, factor):
    assert (np.sqrt(1000) * sigma) ** 30 == pytest.approx(factor, rel=1e-12)
    for size in sizes_through_thirty_matrices(sigma):
        assert factor / 2 < size < 2 * factor
        assert size > 1e20 * np.finfo(np.float32).tiny  # an ordinary number in float32: nothing warns


# ---------------------------------------------------------------- dropout, two ways


def test_both_dropouts_have_the_expectation_of_their_test_time():
    """Over all 2^8 masks: drop and scale at test time by the keep rate, or scale by its inverse in training."""
    keep, rng = 0.75, np.random.default_rng(0)
    h, w = rng.normal(size=8), rng.normal(size=8)
    masks = np.array(list(itertools.product((0, 1), repeat=8)))
    chance = np.prod(np.where(masks == 1, keep, 1 - keep), axis=1)
    outputs = (masks * h) @ w
    assert chance @ outputs == pytest.approx((keep * h) @ w, rel=1e-12)  # weight scaling: the test time has keep * h
    assert chance @ (outputs / keep) == pytest.approx(h @ w, rel=1e-12)  # inverted: the test time has h


def test_the_layer_is_inverted_dropout():
    mg.manual_seed(0)
    layer, n = nn.Dropout(0.25), 40_000
    values = array(layer(mg.ones(n)))
    assert set(np.unique(values)) == {np.float32(0), np.float32(4 / 3)}
    assert abs((values > 0).mean() - 0.75) < 3 * np.sqrt(0.75 * 0.25 / n)
    assert (array(layer.eval()(mg.ones(n))) == 1).all()


# ---------------------------------------------------------------- two cross-entropies


def test_one_against_the_rest_is_not_the_softmax():
    """Scores (2, 0, -1), truth 0: the sum over classes of -log sigma(+-score), and -log softmax: two numbers."""
    scores, truth = mg.tensor([[2.0, 0.0, -1.0]], dtype="float64"), mg.tensor([0])
    softplus = lambda v: np.log1p(np.exp(v))
    one_against_rest = 3 * F.multilabel_soft_margin_loss(scores, mg.tensor([[1.0, 0.0, 0.0]], dtype="float64")).item()
    assert one_against_rest == pytest.approx(softplus(-2.0) + softplus(0.0) + softplus(-1.0), rel=1e-14)
    softmax = F.cross_entropy(scores, truth).item()
    assert softmax == pytest.approx(np.log(np.exp(2.0) + 1 + np.exp(-1.0)) - 2.0, rel=1e-14)
    assert abs(one_against_rest - softmax) > 0.5
    shifted = scores + 5.0  # softmax sees differences only; the other form sees each score
    assert F.cross_entropy(shifted, truth).item() == pytest.approx(softmax, rel=1e-13)


# ---------------------------------------------------------------- sets and shortcuts


def test_self_attention_without_positions_sees_a_set():
    mg.manual_seed(1)
    layer = nn.MultiheadAttention(8, 2, batch_first=True).double()
    x, order = mg.randn(1, 5, 8, dtype="float64"), [3, 0, 4, 1, 2]
    out = lambda v: array(layer(v, v, v)[0])
    np.testing.assert_allclose(out(x[:, order]), out(x)[:, order], rtol=1e-12, atol=1e-12)
    place = nn.SinusoidalPositions(8)
    assert np.abs(out(place(x[:, order])) - out(place(x))[:, order]).max() > 1e-2
