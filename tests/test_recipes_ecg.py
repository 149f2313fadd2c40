"""Recipes of signals: windows that stay inside their records, what a threshold is worth, what an irregular pulse is."""

import numpy as np
import pytest

from minigrad import inspect
from minigrad.data import Ecgs
from minigrad.engine.random import Generator
from minigrad.metrics import f1
from minigrad.recipes import anomaly, fibrillation, rhythm
from minigrad.recipes.ecg import Crops, irregularity, standardised, windows

RECORDS = [np.arange(1, n + 1, dtype=np.float32) for n in (30, 10, 4)]


def plain(rows):
    return rows[:, None]


def test_windows_lie_spread_over_a_record_and_short_ones_are_repeated():
    x = windows(RECORDS, 10, 2, plain)
    assert x.shape == (6, 1, 10)
    assert x[:2, 0, 0].tolist() == [6, 16]  # 20 places to spare: at a quarter and at three quarters
    assert x[2, 0].tolist() == x[3, 0].tolist() == RECORDS[1].tolist()
    assert x[4, 0].tolist() == [1, 2, 3, 4, 1, 2, 3, 4, 1, 2]


def test_crops_are_pieces_of_their_records_either_way_up_and_drawn_from_the_generator():
    crops = Crops(RECORDS, np.array([2, 0, 1]), 8, plain)
    chosen = np.repeat([0, 1, 2], 40)
    x, labels = crops.batch(chosen, Generator(5))
    assert x.shape == (120, 1, 8) and labels.tolist() == [2] * 40 + [0] * 40 + [1] * 40
    long, sign = abs(x[:40, 0]), np.sign(x[:, 0])
    assert (np.diff(long) == 1).all() and len(np.unique(long[:, 0])) > 8 and long.max() <= 30
    assert (sign == sign[:, :1]).all() and 30 < (sign[:, 0] > 0).sum() < 90
    assert np.array_equal(x, crops.batch(chosen, Generator(5))[0])
    assert not np.array_equal(x, crops.batch(chosen, Generator(6))[0])


def test_standardised_signals_have_mean_0_and_deviation_1_and_flat_ones_stay():
    x = standardised(np.array([[1.0, 5.0, 9.0, 1.0], [3.0, 3.0, 3.0, 3.0]], np.float32))
    np.testing.assert_allclose(x.mean(1), 0, atol=1e-6)
    np.testing.assert_allclose(x.std(1), [1, 0], atol=1e-6)


def pulse(lengths):
    """A record with a narrow spike after each of these numbers of samples."""
    record = 0.01 * np.random.default_rng(0).standard_normal(sum(lengths) + 100)
    for at in np.cumsum(lengths):
        record[at - 3 : at + 4] += np.array([1, 3, 7, 10, 7, 3, 1]) / 10
    return record.astype(np.float32)


def test_an_irregular_pulse_is_known_from_a_steady_one_at_any_rate():
    steady = [irregularity(pulse([n] * 20)) for n in (60, 80, 110)]
    rng = np.random.default_rng(1)
    irregular = [irregularity(pulse(list(rng.integers(45, 120, 20)))) for _ in range(3)]
    assert max(steady) < 0.1 and min(irregular) > 0.15, (steady, irregular)
    assert irregularity(np.zeros(1000, np.float32)) == 0.0


def test_the_threshold_is_the_one_of_the_largest_f1():
    rng = np.random.default_rng(2)
    truth = (rng.random(80) < 0.3).astype(int)
    score = 0.3 * truth + rng.random(80)
    at = fibrillation.best_threshold(truth, score)
    assert f1(truth, (score >= at).astype(int)) == max(f1(truth, (score >= t).astype(int)) for t in score)


def test_a_subset_holds_all_of_fibrillation_and_as_many_others_drawn_by_the_seed():
    positive = np.arange(50) % 5 == 0
    chosen = fibrillation.subset(positive, 2, seed=0)
    assert positive[chosen].sum() == 10 and len(set(chosen.tolist())) == len(chosen) == 30
    assert set(chosen.tolist()) != set(fibrillation.subset(positive, 2, seed=1).tolist())
    assert fibrillation.subset(positive, 0, seed=0).tolist() == list(range(50))


def test_a_record_has_windows_of_its_own_of_its_own_windows():
    records = Ecgs([np.full(40, v, np.float32) for v in (1, 2, 3)], np.array([0, 1, 3]), 100)
    held = fibrillation.Held(records, 20, 2, plain)
    assert held.x[:, 0, 0].tolist() == [1, 1, 2, 2, 3, 3] and held.truth.tolist() == [0, 1, 0]
    assert fibrillation.split_bands(np.random.rand(2, 200).astype(np.float32)).shape == (2, 4, 200)


def test_the_mean_f1_leaves_noise_out():
    truth, said = np.array([0, 0, 1, 2, 3, 3]), np.array([0, 0, 1, 0, 3, 2])
    assert rhythm.mean_f1(truth, said) == pytest.approx((0.8 + 1 + 0) / 3)


def test_the_distance_is_to_the_nearest_beat():
    found = anomaly.distance(np.array([[0.0, 3.0], [4.0, 0.0]]), np.array([[0.0, 0.0], [4.0, 1.0]]))
    np.testing.assert_allclose(found, [9, 1])


def test_traces_have_a_row_a_signal_and_the_deepest_ground_where_the_weight_is():
    figure = inspect.traces(np.ones((2, 8)), [[0, 1], [3, 1.5]], titles=["a", "b"], rate=2.0)
    first, second = figure.axes
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["a", "b"]
    assert first.images[0].get_array().tolist() == [[0, 1]]
    assert second.images[0].get_array().tolist() == [[1, 0.5]]
    assert tuple(first.images[0].get_extent()[:2]) == (0, 4)
    for wrong in (
        {"signals": np.ones(3)},
        {"weights": -np.ones((2, 2))},
        {"weights": np.ones((1, 2))},
        {"titles": "a"},
    ):
        with pytest.raises(ValueError, match="traces: expected"):
            inspect.traces(**{"signals": np.ones((2, 8)), **wrong})
