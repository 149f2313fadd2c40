"""Metrics: hand cases, brute force over all pairs and thresholds, and scikit-learn where it is installed."""

import math

import numpy as np
import pytest

import minigrad as mg
from minigrad import metrics


def draw(seed, tied):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 2, 60)
    truth[:2] = 0, 1
    score = truth * 0.7 + rng.standard_normal(60)
    return truth, np.round(score) if tied else score


def every_pair(truth, score):
    pairs = [(p > n) + 0.5 * (p == n) for p in score[truth == 1] for n in score[truth == 0]]
    return sum(pairs) / len(pairs)


def every_threshold(truth, score):
    """Average precision by counting anew at each threshold."""
    area, before = 0.0, 0.0
    for t in sorted(set(score), reverse=True):
        said = score >= t
        recall = truth[said].sum() / truth.sum()
        area += (recall - before) * truth[said].mean()
        before = recall
    return area


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_areas_equal_brute_force(seed, tied):
    truth, score = draw(seed, tied)
    assert metrics.roc_auc(truth, score) == pytest.approx(every_pair(truth, score), abs=1e-12)
    assert metrics.pr_auc(truth, score) == pytest.approx(every_threshold(truth, score), abs=1e-12)


@pytest.mark.parametrize("tied", [False, True])
def test_equal_to_scikit_learn(tied):
    sk = pytest.importorskip("sklearn.metrics")
    truth, score = draw(7, tied)
    rng = np.random.default_rng(1)
    a, b = rng.integers(0, 4, 80), rng.integers(0, 4, 80)
    assert metrics.roc_auc(truth, score) == pytest.approx(sk.roc_auc_score(truth, score), abs=1e-12)
    assert metrics.pr_auc(truth, score) == pytest.approx(sk.average_precision_score(truth, score), abs=1e-12)
    for ours, theirs in zip(metrics.roc_curve(truth, score), sk.roc_curve(truth, score, drop_intermediate=False)):
        np.testing.assert_allclose(ours, theirs, atol=1e-12)
    assert metrics.f1(a, b, "macro") == pytest.approx(sk.f1_score(a, b, average="macro"), abs=1e-12)
    np.testing.assert_allclose(metrics.f1(a, b, None), sk.f1_score(a, b, average=None), atol=1e-12)
    assert metrics.f1(truth, score > 0.5) == pytest.approx(sk.f1_score(truth, score > 0.5), abs=1e-12)
    np.testing.assert_array_equal(metrics.confusion_matrix(a, b), sk.confusion_matrix(a, b))
    assert metrics.accuracy(a, b) == pytest.approx(sk.accuracy_score(a, b), abs=1e-12)


def test_hand_cases():
    assert metrics.roc_auc([0, 1], [0.0, 1.0]) == 1.0 == metrics.pr_auc([0, 1], [0.0, 1.0])
    assert metrics.roc_auc([0, 1], [1.0, 0.0]) == 0.0
    assert metrics.roc_auc([0, 1, 0, 1, 1], [3.0] * 5) == 0.5  # no opinion
    assert metrics.pr_auc([0, 1, 0, 1, 1], [3.0] * 5) == pytest.approx(0.6)  # the share of positives
    assert metrics.f1([0, 0], [0, 0]) == 0.0  # class 1 neither there nor said
    assert metrics.f1([0, 1, 2], [0, 1, 1], None).tolist() == pytest.approx([1, 2 / 3, 0])
    assert metrics.f1([0, 1], [0, 1], "macro", classes=3) == pytest.approx(2 / 3)
    assert metrics.confusion_matrix([0, 1], [1, 1], classes=3).tolist() == [[0, 1, 0], [0, 1, 0], [0, 0, 0]]
    mean, deviation = metrics.mean_and_deviation([0.9, 0.8])
    assert mean == pytest.approx(0.85) and deviation == pytest.approx(0.1 / math.sqrt(2))
    assert math.isnan(metrics.mean_and_deviation([1.0])[1])


def test_areas_see_only_the_order_of_scores():
    truth, score = draw(3, False)
    for squeezed in (np.tanh(score), 5 * score - 2, np.exp(score)):
        assert metrics.roc_auc(truth, squeezed) == pytest.approx(metrics.roc_auc(truth, score), abs=1e-12)
    assert metrics.roc_auc(1 - truth, score) == pytest.approx(1 - metrics.roc_auc(truth, score), abs=1e-12)


def test_curves_run_from_corner_to_corner():
    false_rate, true_rate, at = metrics.roc_curve([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    assert false_rate.tolist() == [0, 0, 0.5, 0.5, 1] and true_rate.tolist() == [0, 0.5, 0.5, 1, 1]
    assert at.tolist() == [math.inf, 0.8, 0.4, 0.35, 0.1]
    precision, recall, at = metrics.pr_curve([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    assert recall.tolist() == [0.5, 0.5, 1, 1] and precision.tolist() == pytest.approx([1, 0.5, 2 / 3, 0.5])
    assert len(at) == 4


def test_tensors_are_taken():
    assert metrics.accuracy(mg.tensor([0, 1]), mg.tensor([0, 0])) == 0.5
    assert metrics.roc_auc(mg.tensor([0, 1]), mg.tensor([0.1, 0.2])) == 1.0


def test_what_does_not_fit_is_told():
    with pytest.raises(ValueError, match=r"accuracy: expected two arrays of the same shape"):
        metrics.accuracy([0, 1], [0])
    with pytest.raises(ValueError, match=r"take scores\.argmax"):
        metrics.accuracy([0, 1], [0.2, 0.8])
    with pytest.raises(ValueError, match=r"roc_curve: expected truths 0 and 1, both there, got \[1\]"):
        metrics.roc_auc([1, 1], [0.2, 0.3])
    with pytest.raises(ValueError, match="nan"):
        metrics.pr_auc([0, 1], [0.2, math.nan])
    with pytest.raises(ValueError, match="average='macro' or None"):
        metrics.f1([0, 2], [0, 1])
    with pytest.raises(ValueError, match="average='micro'"):
        metrics.f1([0, 1], [0, 1], "micro")
    with pytest.raises(ValueError, match="below 2, got 2"):
        metrics.confusion_matrix([0, 2], [0, 1], classes=2)
    with pytest.raises(ValueError, match="one figure a seed"):
        metrics.mean_and_deviation([])
