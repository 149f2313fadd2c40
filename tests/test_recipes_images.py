"""What the recipes of pictures and point sets claim, besides their marks; and the plots made for them."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest

import minigrad as mg
from minigrad.engine import random
from minigrad.inspect import plots
from minigrad.models import KNN, NIN, PointNet
from minigrad.models.knn import vote
from minigrad.recipes import cam, pointnet

pytest.importorskip("matplotlib")
DIGITS = np.zeros((6, 28, 28), np.uint8)
for i, digit in enumerate(DIGITS):
    digit[5 + i : 20, 8 : 12 + 2 * i] = 255  # blocks of many sizes stand for digits


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


# ---------------------------------------------------------------- digits on canvases


def test_canvas_holds_its_digit_in_its_box():
    made = cam.canvases(DIGITS, np.arange(6), 0, seed=3)
    np.testing.assert_array_equal(made.boxes[:, 1::2] - made.boxes[:, ::2], 28)
    np.testing.assert_array_equal(made.ink[:, ::2] - made.boxes[:, ::2], [(5 + i, 8) for i in range(6)])
    for i, (top, bottom, left, right) in enumerate(made.ink):
        assert (bottom - top, right - left) == (15 - i, 4 + 2 * i)
        assert (made.images[i, 0, top:bottom, left:right] == 1).all()
        assert made.images[i].sum() == (bottom - top) * (right - left)  # and nothing lies elsewhere
    assert len(np.unique(made.boxes[:, 0])) > 1


def test_scraps_are_added_and_cover_no_digit():
    bare, strewn = (cam.canvases(DIGITS, np.arange(6), n, seed=3) for n in (0, 8))
    assert strewn.images.sum() > 1.2 * bare.images.sum()
    for image, (top, bottom, left, right) in zip(strewn.images[:, 0], strewn.ink):
        assert (image[top:bottom, left:right] == 1).all()
    again = cam.canvases(DIGITS, np.arange(6), 8, seed=3)
    np.testing.assert_array_equal(strewn.images, again.images)


def test_peak_is_the_middle_of_the_highest_cell():
    maps = np.zeros((2, 21, 21))
    maps[0, 0, 20], maps[1, 10, 3] = 1, 2
    found = cam.peaks(maps)
    np.testing.assert_array_equal(found, [[1.5, 81.5], [41.5, 13.5]])
    boxes = np.array([[0, 2, 81, 83], [42, 50, 10, 20]])
    assert cam.inside(found, boxes).tolist() == [True, False]


# ---------------------------------------------------------------- digits as points


def inked(points):
    """The pixels (row, column) that points stand for."""
    x, y = (points * 14).T
    return {(round(13.5 - b), round(13.5 + a)) for a, b in zip(x, y)}


def test_points_are_the_pixels_with_ink():
    sets = pointnet.clouds(DIGITS, random.Generator(0))
    assert sets.shape == (6, 256, 2) and sets.dtype == np.float32
    for points, digit in zip(sets, DIGITS):
        assert inked(points) == set(map(tuple, np.argwhere(digit)))  # all of them: fewer than 256


def test_half_the_points_are_half_of_the_different_ones():
    sets = pointnet.clouds(DIGITS, random.Generator(0), keep=0.5)
    for points, digit in zip(sets, DIGITS):
        there = set(map(tuple, np.argwhere(digit)))
        assert inked(points) < there and len(inked(points)) == round(len(there) / 2)


def test_moved_points_stay_near_and_are_new_each_time():
    sets, stream = pointnet.clouds(DIGITS, random.Generator(0)), random.Generator(1)
    one, two = pointnet.moved(sets, stream), pointnet.moved(sets, stream)
    assert one.shape == sets.shape and one.dtype == np.float32 and not np.array_equal(one, two)
    assert np.abs(one).max() < 1.6
    ones = pointnet.moved(np.ones((4000, 256, 2), np.float32), stream)
    np.testing.assert_allclose(ones.mean((0, 1)), [1, 1], atol=0.05)  # turns go either way


def test_narrow_nets_are_the_wide_ones_scaled():
    sizes = {w: sum(p.size for p in PointNet(10, 2, width=w).parameters()) for w in (16, 64)}
    assert 15 < sizes[64] / sizes[16] < 25
    net = PointNet(10, 2, width=4).eval()
    assert net(mg.zeros(2, 9, 2)).shape == (2, 10) and net.critical(mg.zeros(2, 9, 2)).shape == (2, 64)
    assert abs(float(net.regulariser())) < 1e-6  # begins at the identity
    assert NIN(width=12)(mg.zeros(2, 3, 8, 8)).shape == (2, 10)
    for build in (NIN, PointNet):
        with pytest.raises(ValueError, match="width=0"):
            build(width=0)


def test_overlay_outlines_boxes():
    images, boxes = np.zeros((2, 8, 8)), [(1, 4, 2, 6), (0, 8, 0, 8)]
    figure = plots.overlay(images, np.ones((2, 4, 4)), boxes=boxes)
    frames = [p.get_bbox().bounds for axes in figure.axes for p in axes.patches if p.get_width() > 1]
    assert frames == [(1.5, 0.5, 4.0, 3.0), (-0.5, -0.5, 8.0, 8.0)]
    with pytest.raises(ValueError, match="expected boxes"):
        plots.overlay(images, np.ones((2, 4, 4)), boxes=boxes[:1])


def test_the_nearest_neighbours_of_mnist_are_measured_to_the_digit():
    path = Path(__file__).parents[1] / "benchmarks" / "results" / "recipes" / "knn_mnist.json"
    figures = json.loads(path.read_text())["figures"]
    found = [figures[f"test error for k = {k}, %"]["mean"] for k in (1, 3, 29)]
    assert found == [3.09, 2.83, 3.98]
