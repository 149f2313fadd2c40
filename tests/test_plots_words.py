"""Shaded words: every word is drawn once, in its sentence's line, as deep as its weight."""

import pytest

from minigrad.inspect import plots

pytest.importorskip("matplotlib")


def drawn(figure):
    """{text: (column, line, colour behind it)} of what stands in the picture."""
    (axes,) = figure.axes
    return {
        t.get_text(): (*t.get_position(), t.get_bbox_patch().get_facecolor() if t.get_bbox_patch() else None)
        for t in axes.texts
    }


def test_words_have_their_shades(tmp_path):
    figure = plots.shaded_words([["a", "$b", "cc"], ["d"]], [[0.0, 0.5, 1.0], [0.1]], tmp_path / "w.png")
    found = drawn(figure)
    assert set(found) == {"a", r"\$b", "cc", "d"} and (tmp_path / "w.png").stat().st_size > 1000
    red = [found[word][2][0] for word in ("a", r"\$b", "cc", "d")]
    assert red[0] > red[1] > red[2] == red[3]  # the deeper, the less red; a sentence's strongest is deepest
    assert [found[word][:2] for word in ("a", r"\$b", "cc", "d")] == [(0, 0.5), (2, 0.5), (5, 0.5), (0, 2.5)]


def test_long_sentences_are_broken_and_labels_stand_above():
    found = drawn(plots.shaded_words([["aaaa", "bbbb", "cccc"]], [[1, 1, 1]], labels=["x"], letters=9))
    assert {k: v[:2] for k, v in found.items()} == {
        "x": (0, 0.5), "aaaa": (0, 1.5), "bbbb": (5, 1.5), "cccc": (0, 2.5),
    }  # fmt: skip
    plots.shaded_words([["a"]], [[0.0]])  # nothing looked at: no division by zero


@pytest.mark.parametrize(
    ("words", "weights", "labels"),
    [([], [], None), ([["a"]], [], None), ([["a"]], [[1]], []), ([["a"]], [[1, 2]], None),
     ([["a"]], [[-1]], None), ([[]], [[]], None)],
)  # fmt: skip
def test_refused(words, weights, labels):
    with pytest.raises(ValueError, match="shaded_words: expected"):
        plots.shaded_words(words, weights, labels=labels)
