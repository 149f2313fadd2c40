"""What the recipes of pictures and point sets claim, besides their marks; and the plots made for them."""

import struct

import numpy as np
import pytest

from minigrad.inspect import plots
from minigrad.models import KNN
from minigrad.models.knn import vote

pytest.importorskip("matplotlib")


def test_votes_of_many_k_come_from_one_search():
    rng = np.random.default_rng(0)
    points, labels = rng.integers(0, 4, (60, 2)), rng.integers(0, 3, 60)  # many stand equally far
    asked = rng.integers(0, 4, (30, 2))
    near = KNN(k=9).fit(points, labels).neighbours(asked)
    for k in (1, 2, 3, 9):
        np.testing.assert_array_equal(vote(labels[near[:, :k]]), KNN(k).fit(points, labels).predict(asked))


def test_a_draw_of_votes_goes_to_the_nearest():
    assert vote(np.array([[2, 1, 1, 2], [5, 4, 4, 3]])).tolist() == [2, 4]


PLACES, LABELS = np.array([[0.0, 0.0], [1.0, 0.5], [0.5, 1.0]]), np.array([0, 1, 1])
MAPS = np.array([[[0, 1], [1, 1]], [[0, 0], [1, 1]]])


def test_regions_are_drawn_with_their_points(tmp_path):
    figure = plots.regions(MAPS, (0, 1, 0, 1), PLACES, LABELS, tmp_path / "a.png", ["k = 1", "k = 3"], "Two")
    assert [axes.get_title() for axes in figure.axes] == ["k = 1", "k = 3"]
    lower_left = [axes.images[0].get_array()[0, 0] for axes in figure.axes]
    np.testing.assert_array_equal(lower_left[0], lower_left[1])
    assert not np.array_equal(*[axes.images[0].get_array()[0, 1] for axes in figure.axes])
    width, height = struct.unpack(">II", (tmp_path / "a.png").read_bytes()[16:24])
    assert width > height > 300


def test_clouds_are_drawn_upright_with_their_marked_points():
    figure = plots.clouds([PLACES, PLACES + 1], marked=[[0, 0, 2], [1]], titles=["a", "b"])
    plain, marked = figure.axes[0].collections
    np.testing.assert_array_equal(plain.get_offsets(), PLACES)
    np.testing.assert_array_equal(marked.get_offsets(), PLACES[[0, 2]])
    assert figure.axes[0].get_ylim() == figure.axes[1].get_ylim() and not figure.axes[0].yaxis_inverted()


@pytest.mark.parametrize(
    ("draw", "words"),
    [
        (lambda: plots.regions(MAPS[0], (0, 1, 0, 1), PLACES, LABELS), "expected maps"),
        (lambda: plots.regions(MAPS, (0, 1, 0, 1), PLACES, LABELS, titles=["a"]), "expected 2 titles"),
        (lambda: plots.regions(MAPS + 7, (0, 1, 0, 1), PLACES, LABELS), "classes in 0..6"),
        (lambda: plots.clouds([]), "expected point clouds"),
        (lambda: plots.clouds([PLACES], marked=[]), "expected 1 marked"),
    ],
)
def test_plots_refuse_what_they_cannot_show(draw, words):
    with pytest.raises(ValueError, match=words):
        draw()
