"""Sentences with their words shaded: attention, importance, whatever each word has one number of."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .figure import GREY, INK, as_array, bare, finish, new_figure, rising

__all__ = ["shaded_words"]

LETTER, LINE = 0.077, 0.24  # inches: a letter's width at 9 points of a font whose letters are all as wide


def shaded_words(
    sentences: Sequence[Sequence[Any]],
    weights: Sequence[Any],
    path: str | Path | None = None,
    title: str = "",
    labels: Sequence[str] | None = None,
    letters: int = 90,
) -> Any:
    """Sentences in lines of at most `letters`, each word on a blue as deep as its weight >= 0.

    A sentence's strongest word has the deepest blue. labels: what stands above each sentence. Raises
    ValueError where a sentence has not as many weights as words, or for a negative weight.
    """
    if (
        len(sentences) == 0
        or len(sentences) != len(weights)
        or len(sentences) != len(sentences if labels is None else labels)
    ):
        raise ValueError(
            "shaded_words: expected at least one sentence, and weights (and labels, if any) for each, "
            f"got {len(sentences)} sentences and {len(weights)} rows of weights"
        )
    placed: list[tuple[int, int, str, float]] = []  # (line, column, word, shade)
    heads, line = [], 0
    for i, (words, row) in enumerate(zip(sentences, weights, strict=True)):
        if labels is not None:
            heads.append((line, labels[i]))
            line += 1
        for at, column, word, shade in _lines([str(w) for w in words], _shades(len(words), row), letters):
            placed.append((line + at, column, word, shade))
        line = placed[-1][0] + 2
    figure = new_figure(LETTER * letters + 0.6, LINE * (line - 1) + 0.7)
    axes = figure.subplots()
    axes.set(xlim=(0, letters), ylim=(line - 1, 0))
    bare(axes)
    axes.spines[:].set_visible(False)
    for at, label in heads:
        axes.text(0, at + 0.5, label.replace("$", r"\$"), fontsize=8, color=GREY, va="center")
    for at, column, word, shade in placed:
        box = {"facecolor": rising()(0.75 * shade), "edgecolor": "none", "pad": 1.2}
        axes.text(
            column, at + 0.5, word.replace("$", r"\$"), fontsize=9, family="monospace", va="center",
            color="white" if shade > 0.7 else INK, bbox=box,
        )  # fmt: skip
    return finish(figure, title, path)


def _shades(words: int, row: Any) -> np.ndarray:
    """Weights as shares of the strongest."""
    shades = as_array(row).astype(float)
    if shades.shape != (words,) or words == 0 or not (shades >= 0).all():
        raise ValueError(
            f"shaded_words: expected a weight >= 0 for each of {words} words, at least one, "
            f"got shape {shades.shape}"
        )
    return shades / (shades.max() or 1.0)


def _lines(words: list[str], shades: np.ndarray, letters: int) -> list[tuple[int, int, str, float]]:
    """Where each word stands: (line, column, word, shade), a new line before a word that would not fit."""
    found, line, column = [], 0, 0
    for word, shade in zip(words, shades, strict=True):
        if column and column + len(word) > letters:
            line, column = line + 1, 0
        found.append((line, column, word, float(shade)))
        column += len(word) + 1
    return found
