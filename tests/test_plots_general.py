"""Plain pictures of results: that their values are drawn as they are, and how they refuse."""

import struct

import numpy as np
import pytest

import minigrad as mg
from minigrad.inspect import plots

pytest.importorskip("matplotlib")
RNG = np.random.default_rng(0)
IMAGES = RNG.random((5, 4, 6))
SHADES = np.array([[0.0, 0.5, 0.25], [1.0, 0.0, 0.75]])
POINTS = np.array([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0], [6.0, 7.0]])


def words(axes):
    return [t.get_text() for t in axes.get_legend().get_texts()]


def test_lines_hold_their_values_over_their_own_x():
    curves = {"a": ([1, 2, 4], [9.0, 3.0, 1.0]), "b": mg.tensor([2.0, 5.0])}
    (axes,) = plots.lines(curves, None, "Title", "steps", "loss", marks={"floor": 0.5}, points=True).axes
    a, b, floor = axes.lines
    assert a.get_xdata().tolist() == [1, 2, 4] and a.get_ydata().tolist() == [9, 3, 1]
    assert b.get_xdata().tolist() == [0, 1] and b.get_ydata().tolist() == [2, 5]
    assert a.get_linestyle() != b.get_linestyle() and a.get_color() != b.get_color()  # told apart without colours
    assert a.get_marker() == "o" and set(floor.get_ydata()) == {0.5} and axes.texts[0].get_text() == "floor"
    assert (axes.get_xlabel(), axes.get_ylabel(), words(axes)) == ("steps", "loss", ["a", "b"])
    assert axes.get_figure().get_suptitle() == "Title" and axes.get_yscale() == "linear"


def test_one_line_needs_no_legend_and_may_be_logarithmic():
    (axes,) = plots.lines({"a": [1.0, 10.0, 100.0]}, log=True).axes
    assert axes.get_legend() is None and axes.get_yscale() == "log" and axes.lines[0].get_marker() == "None"


def test_more_lines_than_styles_are_drawn():
    (axes,) = plots.lines({str(i): [i, i + 1] for i in range(20)}).axes
    assert len(axes.lines) == 20 == len(words(axes))


def test_a_matrix_holds_its_shades_and_names():
    figure = plots.matrix(mg.tensor(SHADES), None, ["in", "out"], ["a b", "$", "long name"], "T", "key", "query")
    axes, bar = figure.axes
    assert np.allclose(axes.images[0].get_array(), SHADES) and bar.get_ylim() == (0.0, 1.0)
    assert [t.get_text() for t in axes.get_yticklabels()] == ["in", "out"]
    assert [t.get_text() for t in axes.get_xticklabels()] == ["a\u2423b", r"\$", "long\u2423name"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("key", "query")
    letters = plots.matrix(SHADES, columns="abc").axes[0].get_xticklabels()
    assert {t.get_rotation() for t in letters} == {0.0}  # short ones stand upright


def test_points_are_coloured_by_label():
    (axes,) = plots.scatter(POINTS, [1, 0, 1, 1], None, ["cat", "dog"], "Map").axes
    cats, dogs = axes.collections
    assert cats.get_offsets().tolist() == [[2, 3]] and dogs.get_offsets().tolist() == [[0, 1], [4, 5], [6, 7]]
    assert words(axes) == ["cat", "dog"]
    assert cats.get_facecolor().tolist() != dogs.get_facecolor().tolist()
    (plain,) = plots.scatter(mg.tensor(POINTS)).axes
    assert len(plain.collections[0].get_offsets()) == 4 and plain.get_legend() is None


def test_bars_are_as_high_as_their_values_and_say_them():
    (axes,) = plots.bars({"a": 0.12345, "b": -2.0}, ylabel="gain").axes
    assert [bar.get_height() for bar in axes.patches] == [0.12345, -2.0]
    assert [t.get_text() for t in axes.texts] == ["0.123", "-2"] and axes.get_ylabel() == "gain"
    assert [t.get_text() for t in axes.get_xticklabels()] == ["a", "b"]


def test_pictures_share_one_scale():
    figure = plots.pictures(2 + 3 * IMAGES, None, list("abcde"), "Five", per_row=3)
    shown = [axes.images[0] for axes in figure.axes if axes.images]
    drawn = np.array([image.get_array() for image in shown])
    expected = (IMAGES - IMAGES.min()) / np.ptp(IMAGES)
    assert np.allclose(drawn, expected) and {image.get_clim() for image in shown} == {(0, 1)}
    assert [axes.get_title() for axes in figure.axes[:5]] == list("abcde")
    assert len(figure.axes) == 6 and not figure.axes[5].axison  # the place left over is empty


@pytest.mark.parametrize("shape", [(2, 1, 4, 6), (2, 3, 4, 6), (2, 4, 6)])
def test_pictures_grey_or_in_colour(shape):
    images = RNG.random(shape)
    shown = plots.pictures(images).axes[1].images[0].get_array()
    low, high = images.min(), images.max()
    expected = images[1].transpose(1, 2, 0) if shape[1] == 3 else images[1].reshape(4, 6)
    assert np.allclose(shown, (expected - low) / (high - low))


def test_pictures_of_one_grey_are_drawn():
    assert not plots.pictures(np.full((1, 2, 2), 7.0)).axes[0].images[0].get_array().any()


DRAWN = {
    "lines": lambda path=None: plots.lines({"a": [1.0, 2.0]}, path),
    "matrix": lambda path=None: plots.matrix(SHADES, path),
    "scatter": lambda path=None: plots.scatter(POINTS, path=path),
    "bars": lambda path=None: plots.bars({"a": 1.0}, path),
    "pictures": lambda path=None: plots.pictures(IMAGES[:1], path),
}


@pytest.mark.parametrize("name", DRAWN)
def test_the_file_is_a_picture_and_the_figure_is_given_back(name, tmp_path):
    figure = DRAWN[name](tmp_path / "deep" / "p.png")
    content = (tmp_path / "deep" / "p.png").read_bytes()
    width, height = struct.unpack(">II", content[16:24])
    assert content[:4] == b"\x89PNG" and width > 400 and height > 150
    assert figure.axes


MISTAKES = [
    ("at least one curve", lambda: plots.lines({})),
    (r"x and y of one length .a: .2,. and .3,.", lambda: plots.lines({"a": ([1, 2], [1, 2, 3])})),
    ("x and y of one length", lambda: plots.lines({"a": np.ones((2, 2))})),
    (r"expected a matrix .R, C., got shape .3,.", lambda: plots.matrix([1.0, 2.0, 3.0])),
    ("expected 2 names .rows has 1", lambda: plots.matrix(SHADES, rows=["a"])),
    ("expected 3 names .columns has 2", lambda: plots.matrix(SHADES, columns=["a", "b"])),
    (r"expected points .N, 2., got shape .2, 3.", lambda: plots.scatter(SHADES)),
    (r"expected 4 labels, got shape .2,.", lambda: plots.scatter(POINTS, [0, 1])),
    ("a name for label 2 .names has 2", lambda: plots.scatter(POINTS, [0, 1, 2, 0], names=["a", "b"])),
    ("at least one value", lambda: plots.bars({})),
    ("expected 5 titles, got 1", lambda: plots.pictures(IMAGES, titles=["a"])),
    ("expected images", lambda: plots.pictures(SHADES)),
    ("at least one image", lambda: plots.pictures(np.ones((0, 2, 2)))),
]  # fmt: skip


@pytest.mark.parametrize(("told", "call"), MISTAKES, ids=[told for told, _ in MISTAKES])
def test_mistakes_are_named_in_one_line(told, call):
    with pytest.raises(ValueError, match=told) as caught:
        call()
    assert "\n" not in str(caught.value)
