"""What a classifier is judged by, in NumPy alone: accuracy, confusion, F1, ROC and precision-recall.

Arguments stand in scikit-learn's order, the truth first. Arrays, lists and Tensors are taken alike.

A score is swept over every threshold. Of P positives and N negatives, TP and FP lie at or above it:

    ROC                true positive rate TP / P  against  false positive rate FP / N
    precision-recall   precision TP / (TP + FP)   against  recall TP / P

The area under the first is the chance that a random positive scores above a random negative (a tie counts
half), whatever the balance of the classes; the second depends on the balance: chance gives P / (P + N).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def _array(values: Any) -> np.ndarray:
    """An array on the host."""
    return np.asarray(values.cpu().numpy() if hasattr(values, "cpu") else values)


def _pair(name: str, truth: Any, other: Any) -> tuple[np.ndarray, np.ndarray]:
    """Both as arrays (N,), or an error."""
    truth, other = _array(truth), _array(other)
    if truth.ndim != 1 or truth.shape != other.shape or not truth.size:
        raise ValueError(
            f"{name}: expected two arrays of the same shape (N,), N > 0, got {truth.shape} and {other.shape}"
        )
    return truth, other


def _labels(name: str, truth: Any, predicted: Any) -> tuple[np.ndarray, np.ndarray]:
    """Both as class numbers 0, 1, ..., or an error."""
    truth, predicted = _pair(name, truth, predicted)
    for labels in (truth, predicted):
        if labels.dtype.kind not in "iub" or labels.min() < 0:
            raise ValueError(
                f"{name}: expected classes 0, 1, 2, ... as integers, got {labels.dtype}; "
                "take scores.argmax(-1) first"
            )
    return truth.astype(np.int64), predicted.astype(np.int64)


# ---------------------------------------------------------------- of labels


def accuracy(truth: Any, predicted: Any) -> float:
    """The share that is right.

    >>> accuracy([0, 1, 2, 2], [0, 1, 2, 1])
    0.75
    """
    truth, predicted = _labels("accuracy", truth, predicted)
    return float((truth == predicted).mean())


def confusion_matrix(truth: Any, predicted: Any, classes: int | None = None) -> np.ndarray:
    """(classes, classes) counts: row the truth, column what was said; classes: as many as are seen.

    >>> confusion_matrix([0, 1, 1, 1], [0, 0, 1, 1]).tolist()
    [[1, 0], [1, 2]]
    """
    truth, predicted = _labels("confusion_matrix", truth, predicted)
    seen = int(max(truth.max(), predicted.max())) + 1
    classes = seen if classes is None else classes
    if seen > classes:
        raise ValueError(f"confusion_matrix: expected classes below {classes}, got {seen - 1}")
    return np.bincount(truth * classes + predicted, minlength=classes * classes).reshape(classes, classes)


def _f1_of_counts(counts: np.ndarray) -> np.ndarray:
    """2 TP / (2 TP + FP + FN) of each class; 0 for one that is neither there nor predicted."""
    twice, said_or_there = 2.0 * np.diag(counts), counts.sum(0) + counts.sum(1)
    return np.divide(twice, said_or_there, out=np.zeros(len(counts)), where=said_or_there > 0)


def f1(truth: Any, predicted: Any, average: str | None = "binary", classes: int | None = None) -> Any:
    """The harmonic mean of precision and recall, 2 TP / (2 TP + FP + FN).

    average: "binary", of class 1 among 0 and 1; "macro", the mean over classes; None, an array, one a class.

    >>> f1([1, 1, 1, 0], [1, 1, 0, 1])  # TP 2, FP 1, FN 1
    0.6666666666666666
    """
    if average not in ("binary", "macro", None):
        raise ValueError(f"f1: expected binary, macro or None (average={average!r})")
    counts = confusion_matrix(truth, predicted, classes)
    if average == "binary":
        if len(counts) > 2:
            raise ValueError(
                f"f1: expected classes 0 and 1, got {len(counts)}; choose average='macro' or None"
            )
        return float(_f1_of_counts(np.pad(counts, (0, 2 - len(counts))))[1])
    each = _f1_of_counts(counts)
    return float(each.mean()) if average == "macro" else each


# ---------------------------------------------------------------- of scores


def _thresholds(name: str, truth: Any, score: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each distinct score, falling, with how many positives and negatives lie at or above it."""
    truth, score = _pair(name, truth, score)
    score = score.astype(np.float64)
    if not np.isin(truth, (0, 1)).all() or truth.min() == truth.max():
        raise ValueError(f"{name}: expected truths 0 and 1, both there, got {np.unique(truth)[:5].tolist()}")
    if np.isnan(score).any():
        raise ValueError(f"{name}: expected scores that compare, got nan among them")
    order = np.argsort(-score, kind="stable")
    truth, score = truth[order].astype(np.int64), score[order]
    last = np.flatnonzero(np.append(score[1:] != score[:-1], True))  # equal scores are passed together
    above = np.cumsum(truth)[last]
    return score[last], above, last + 1 - above


def roc_curve(truth: Any, score: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """False positive rates, true positive rates and their thresholds, from (0, 0) at infinity to (1, 1)."""
    at, positives, negatives = _thresholds("roc_curve", truth, score)
    false_rate = np.append(0.0, negatives / negatives[-1])
    true_rate = np.append(0.0, positives / positives[-1])
    return false_rate, true_rate, np.append(np.inf, at)


def roc_auc(truth: Any, score: Any) -> float:
    """Area under the ROC curve: a random positive scores above a random negative; ties count half.

    >>> roc_auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])  # 3 of the 4 pairs stand right
    0.75
    """
    false_rate, true_rate, _ = roc_curve(truth, score)
    return float((np.diff(false_rate) * (true_rate[1:] + true_rate[:-1])).sum() / 2)


def pr_curve(truth: Any, score: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Precisions, recalls and their thresholds, recall rising."""
    at, positives, negatives = _thresholds("pr_curve", truth, score)
    return positives / (positives + negatives), positives / positives[-1], at


def pr_auc(truth: Any, score: Any) -> float:
    """Average precision, sum (R_i - R_i-1) P_i: steps, since a straight line between points would flatter.

    >>> pr_auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])  # 1/2 at precision 1, 1/2 at 2/3
    0.8333333333333333
    """
    precision, recall, _ = pr_curve(truth, score)
    return float((np.diff(recall, prepend=0.0) * precision).sum())


# ---------------------------------------------------------------- over seeds


def mean_and_deviation(values: Sequence[float]) -> tuple[float, float]:
    """Mean and sample deviation (divided by n - 1) of one figure over seeds; deviation nan for one seed.

    >>> mean_and_deviation([1.0, 2.0, 3.0])
    (2.0, 1.0)
    """
    figures = np.asarray(values, dtype=np.float64)
    if figures.ndim != 1 or not figures.size:
        raise ValueError(f"mean_and_deviation: expected one figure a seed, got shape {figures.shape}")
    return float(figures.mean()), float(figures.std(ddof=1)) if figures.size > 1 else float("nan")
