"""What the studies' recipes are made of: forms of dropout, limits to weights, policies, frozen parameters, fits."""

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.data import Chain
from minigrad.data.transforms import RandomAffine
from minigrad.engine.random import Generator
from minigrad.models import ProteinLSTM
from minigrad.models.protein import encode
from minigrad.recipes import (
    augmentation,
    capacity,
    dropout,
    forecasting,
    penalties,
    protein,
    stopping,
    transfer,
)
from minigrad.recipes.base import Task
from minigrad.train import Settings

RNG = np.random.default_rng(0)


# ---------------------------------------------------------------- dropout


def test_weight_scaling_drops_without_making_larger_and_takes_keep_times_x_in_testing():
    mg.manual_seed(0)
    layer, x = dropout.ScaledDropout(0.25), mg.full((100, 400), 2.0)
    y = layer.train()(x).numpy()
    assert set(np.unique(y)) == {0.0, 2.0} and abs((y > 0).mean() - 0.75) < 3 * np.sqrt(0.75 * 0.25 / 40000)
    assert (layer.eval()(x).numpy() == 1.5).all()


def test_both_forms_begin_as_the_same_function():
    x = mg.tensor(RNG.random((5, 784), np.float32))
    found = []
    for form in (nn.Dropout, dropout.ScaledDropout):
        mg.manual_seed(3)
        net = dropout.network(16, 0.5, form)
        mg.manual_seed(4)
        found.append((net.train()(x).detach().numpy(), net.eval()(x).detach().numpy()))
    for inverted, scaling in zip(*found):
        np.testing.assert_allclose(inverted, scaling, rtol=1e-4, atol=1e-6)
    assert abs(found[0][0] - found[0][1]).max() > 0.01  # and dropping does something


def test_norms_are_held_by_unit_and_smaller_ones_left():
    net = nn.Sequential(nn.Linear(3, 2, bias=False))
    with mg.no_grad():
        net[0].weight.copy_(mg.tensor([[3.0, 0.0, 4.0], [0.1, 0.2, 0.2]]))
    dropout.hold_norms(net, 2.0)
    np.testing.assert_allclose(net[0].weight.detach().numpy(), [[1.2, 0, 1.6], [0.1, 0.2, 0.2]], rtol=1e-6)


# ---------------------------------------------------------------- penalties, capacity


def test_ridge_is_where_the_gradient_vanishes():
    x, y, weights = penalties.problem(60, 20, 0)
    assert (weights[:10] != 0).all() and (weights[10:] == 0).all()
    w = mg.tensor(penalties.ridge(x, y, 0.3), requires_grad=True)
    loss = ((mg.tensor(x) @ w - mg.tensor(y)) ** 2).mean() / 2 + nn.l2_penalty([w], 0.15)
    loss.backward()
    assert abs(w.grad.numpy()).max() < 1e-12


def test_a_polynomial_of_degree_n_minus_1_goes_through_n_points_and_lambda_holds_it_back():
    x, y = capacity.points(9, np.random.default_rng(1))
    assert capacity.mse(capacity.fit(x, y, 8), x, y) < 1e-20 < capacity.mse(capacity.fit(x, y, 7), x, y)
    sizes = [np.linalg.norm(capacity.fit(x, y, 8, strength)) for strength in (0, 1e-4, 1e-2, 1)]
    assert sizes == sorted(sizes, reverse=True) and sizes[0] > 2 * sizes[-1]
    v = np.polynomial.legendre.legvander(x, 3)
    closed = np.linalg.solve(v.T @ v + 9 * 0.1 * np.eye(4), v.T @ y)
    np.testing.assert_allclose(capacity.fit(x, y, 3, 0.1), closed, rtol=1e-9)


# ---------------------------------------------------------------- early stopping


def test_it_stops_patience_epochs_after_the_best_and_gives_that_one_back(tmp_path):
    settings = Settings(epochs=40, batch_size=1, lr=0.01, optimiser="adam", schedule="constant", patience=3)
    found = stopping.run(Task(settings, tmp_path), hidden=30, n=20)
    assert found["epochs after the best, less patience"] == found["restored less best"] == 0
    assert found["epochs"] < 40 and found["test MSE, stopped"] < found["test MSE, last epoch"]
    assert {"curves.png", "fits.png"} <= {p.name for p in tmp_path.iterdir()}


# ---------------------------------------------------------------- augmentation


def test_a_random_policy_is_its_seed_s_and_keeps_the_images_range():
    images = augmentation.LOW + RNG.random((20, 1, 32, 32), np.float32) * 1.275
    results = []
    for seed in (1, 1, 2):
        policy = augmentation.on_digits(augmentation.random_policy(seed))
        results.append(policy(images, Generator(0)))
    same, again, other = results
    assert same.dtype == np.float32 and same.shape == images.shape
    assert same.min() >= augmentation.LOW - 1e-6 and same.max() <= augmentation.HIGH + 1e-6
    assert (same == again).all() and abs(same - other).max() > 0.1 and abs(same - images).max() > 0.1
    nothing = augmentation.on_digits(RandomAffine())(images, Generator(0))
    np.testing.assert_allclose(nothing, images, atol=1e-6)


# ---------------------------------------------------------------- transfer


def test_a_frozen_number_that_moves_by_its_last_bit_is_seen():
    net = nn.freeze_base(nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1)), "1")
    before = {name: p.detach().numpy().copy() for name, p in net.named_parameters()}
    with mg.no_grad():
        net[1].weight.add_(1.0)  # free to move
        assert transfer.frozen_that_moved(net, before) == 0
        moved = net[0].weight.numpy().copy()
        moved[0, 0] = np.nextafter(moved[0, 0], np.float32(9))
        net[0].weight.copy_(mg.tensor(moved))
    assert transfer.frozen_that_moved(net, before) == 1


def test_few_labels_are_so_many_of_each_class():
    part = transfer.of_classes((np.arange(100), np.arange(100) % 10), 5, 9)
    assert set(part[1]) == set(range(5)) and set(part[0] % 10) == set(range(5, 10))
    images, labels = transfer.few(part, 4, np.random.default_rng(0))
    assert np.bincount(labels).tolist() == [4] * 5 and len(set(images)) == 20
    assert (images % 10 - 5 == labels).all()


# ---------------------------------------------------------------- forecasting


def test_a_walk_s_windows_end_at_zero_and_ask_for_the_next_change():
    x, y = forecasting.scaled("random walk", 3, 20, 1.0, np.random.default_rng(0))
    assert x.shape == (300, 20) and (x[:, -1] == 0).all()
    # The change that a window asks for is the one with which the next window ends.
    np.testing.assert_allclose(y[:99], -x[1:100, -2], atol=1e-5)
    assert abs((y**2).mean() - 1) < 0.3


# ---------------------------------------------------------------- protein


def test_pieces_cover_a_chain_and_shorter_ones_stay_whole():
    residues, structure = "ACDEFGHIKLMNPQRSTVWYACD", "_he" * 7 + "_h"
    cut = protein.pieces([Chain(residues, structure), Chain("ACD", "___")], 10)
    assert cut[-1] == Chain("ACD", "___") and all(len(c.residues) == 10 for c in cut[:-1])
    starts = [0, 5, 10, 13]
    assert cut[:-1] == [Chain(residues[a : a + 10], structure[a : a + 10]) for a in starts]
    whole = protein.pieces([Chain("ACDEFGHIKL", "_" * 10)], 10)
    assert whole == [Chain("ACDEFGHIKL", "_" * 10)]


@pytest.mark.parametrize("window", [0, 5])
def test_a_chain_s_scores_do_not_depend_on_the_padding_behind_it(window):
    mg.manual_seed(0)
    net = ProteinLSTM(8, 4, window=window).eval()
    short, long = Chain("ACDEF", "_hhe_"), Chain("KLMNPQRSTV", "__eehh____")
    x, y, lengths = protein.together([short, long])
    assert (y[0, 5:].numpy() == protein.NOT_SCORED).all() and lengths.tolist() == [5, 10]
    alone = net(mg.tensor(encode("ACDEF")[None])).detach().numpy()[0]
    np.testing.assert_allclose(net(x, lengths).detach().numpy()[0, :5], alone, atol=1e-6)


def test_windows_are_odd_and_q3_counts_residues():
    with pytest.raises(ValueError, match="odd"):
        ProteinLSTM(window=4)
    sure = np.eye(3)
    chains = [Chain("ACD", "_he"), Chain("A", "h")]
    assert protein.q3([sure[[0, 1, 1]], sure[[0]]], chains) == 50.0
