"""Pictures of a training run: they show what they were given, and refuse what they cannot show."""

import builtins
import struct
import sys
import xml.etree.ElementTree as ET

import numpy as np
import pytest

import minigrad as mg
from minigrad import inspect, nn

pytest.importorskip("matplotlib")
RNG = np.random.default_rng(0)


def row(epoch, **more):
    return {"epoch": epoch, "train_loss": 2.0 / epoch, "val_loss": 1.0 + (epoch - 3) ** 2,
            "train_accuracy": 0.9, "val_accuracy": 0.05 * epoch, **more}  # fmt: skip


HISTORY = [row(epoch) for epoch in range(1, 7)]
LACKING = {key: value for key, value in row(2).items() if key != "val_loss"}
LABELS = np.array([0, 1, 2, 2, 1, 0, 2])
PROBS = np.eye(3)[[0, 1, 1, 2, 1, 2, 0]] * 0.7 + 0.1
PROBS[2] = [0.05, 0.93, 0.02]  # the worst: item 2 is a 2, and 1 seemed sure
IMAGES = RNG.random((7, 1, 8, 8), dtype=np.float32)
NET = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(108, 4), nn.Tanh())
FLOW = {"a.weight": np.array([[1e-6, -3e-6]]), "a.bias": np.array([2e-6]), "b": np.array([-1.0]), "c": None}
ATTENTION = np.array([[[0.75, 0.25], [0.0, 1.0]], [[0.5, 0.5], [1.0, 0.0]]])
PICTURES = {
    "curves": lambda path=None: inspect.learning_curves(HISTORY, path),
    "matrix": lambda path=None: inspect.confusion_matrix(LABELS, PROBS.argmax(1), path),
    "filters": lambda path=None: inspect.filters(RNG.standard_normal((6, 1, 5, 5)), path),
    "mistakes": lambda path=None: inspect.worst_mistakes(IMAGES, LABELS, PROBS, path),
    "any curves": lambda path=None: inspect.curves({"a": [1.0, 2.0], "b": [3.0, 1.0]}, path),
    "maps": lambda path=None: inspect.feature_maps(NET, IMAGES[0], "1", path),
    "images": lambda path=None: inspect.show_images(IMAGES[:2], ["a", "b"], path, title="Two"),
    "activations": lambda path=None: inspect.activations(NET, IMAGES, path),
    "gradients": lambda path=None: inspect.gradient_flow(FLOW, path),
    "attention": lambda path=None: inspect.attention_map(ATTENTION, ["I", "am"], path=path),
    "overlay": lambda path=None: inspect.overlay(IMAGES[0], np.eye(4), path),
    "field": lambda path=None: inspect.receptive_field_of(NET, "0", 0, (1, 8, 8)).draw(IMAGES[0], path),
}


def texts(figure):
    import matplotlib.text

    return [t.get_text() for t in figure.findobj(matplotlib.text.Text) if t.get_text()]


@pytest.mark.slow
@pytest.mark.parametrize("name", PICTURES)
def test_every_picture_is_a_titled_png_or_svg(name, tmp_path):
    figure = PICTURES[name](tmp_path / "deep" / "p.png")
    content = (tmp_path / "deep" / "p.png").read_bytes()
    width, height = struct.unpack(">II", content[16:24])
    assert content[:8] == b"\x89PNG\r\n\x1a\n" and width > 400 and height > 150
    assert figure.get_suptitle()
    PICTURES[name](str(tmp_path / "p.svg"))
    assert ET.parse(tmp_path / "p.svg").getroot().tag.endswith("svg")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["deep", "p.svg"]  # nothing half done is left
    assert "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()


def test_curves_show_the_numbers_and_the_best_epoch():
    loss, accuracy = inspect.learning_curves(HISTORY).axes
    train, val, best = loss.lines
    assert train.get_ydata().tolist() == [r["train_loss"] for r in HISTORY]
    assert val.get_ydata().tolist() == [r["val_loss"] for r in HISTORY]
    assert (best.get_xdata()[0], best.get_ydata()[0]) == (3, 1.0)
    assert accuracy.lines[2].get_ydata()[0] == pytest.approx(15.0)  # in per cent, of the same epoch
    assert train.get_linestyle() != val.get_linestyle()  # told apart without colours
    assert all(axes.get_xlabel() and axes.get_ylabel() and axes.get_title() for axes in (loss, accuracy))


def test_curves_of_few_or_broken_epochs(tmp_path):
    nan = float("nan")
    inspect.learning_curves(HISTORY[:1], tmp_path / "one.png")
    inspect.learning_curves([row(1, val_loss=nan), row(2, train_loss=0.0)], tmp_path / "gap.png")
    inspect.learning_curves([row(1, val_loss=nan, train_loss=nan)], tmp_path / "none.png")
    (only,) = inspect.learning_curves([{"epoch": 1, "train_loss": 1.0, "val_loss": 1.0}]).axes
    assert only.get_title() == "Loss"


def test_the_matrix_counts():
    figure = inspect.confusion_matrix(mg.tensor(LABELS), PROBS.argmax(1), classes=["cat", "dog", "cow"])
    axes = figure.axes[0]
    cells = {tuple(map(int, t.get_position()))[::-1]: int(t.get_text()) for t in axes.texts}
    assert cells == {(0, 0): 1, (0, 2): 1, (1, 1): 2, (2, 0): 1, (2, 1): 1, (2, 2): 1}
    assert [t.get_text() for t in axes.get_xticklabels()] == ["cat", "dog", "cow"]
    assert "cow    33.3 %" in [t.get_text() for t in axes.get_yticklabels()]
    assert "57.14 % right: 3 mistakes among 7" in figure.get_suptitle()


@pytest.mark.parametrize("k", [1, 2, pytest.param(40, marks=pytest.mark.slow)])
def test_matrices_of_other_sizes(k, tmp_path):
    labels = np.arange(200) % k
    inspect.confusion_matrix(labels, labels, tmp_path / "right.png")
    inspect.confusion_matrix(labels, labels[::-1], tmp_path / "mixed.png")


@pytest.mark.parametrize(
    ("shape", "pictures"),
    [((6, 1, 5, 5), 6), ((16, 3, 3, 3), 16), pytest.param((512, 784), 64, marks=pytest.mark.slow), ((16, 6, 5, 5), 60), pytest.param((2, 100, 3, 3), 64, marks=pytest.mark.slow)],
)
def test_filters_share_one_scale(shape, pictures):
    weight = RNG.standard_normal(shape).astype(np.float32)
    figure = inspect.filters(mg.tensor(weight, requires_grad=True))
    images = [image for axes in figure.axes for image in axes.images]
    assert len(images) == pictures
    if shape[1] != 3:
        limits = {image.get_clim() for image in images}
        ((low, high),) = limits
        shown = np.stack([image.get_array() for image in images])
        assert low == -high and high == pytest.approx(np.abs(shown).max())
    assert ("shown" in figure.get_suptitle()) == (
        pictures < shape[0] * (1 if shape[1] in (3, 784) else shape[1])
    )


def test_worst_mistakes_come_first():
    figure = inspect.worst_mistakes(IMAGES, LABELS, PROBS)
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert titles[0] == "2 read as 1\n93 % sure, no. 2" and len(titles) == 3
    assert np.allclose(figure.axes[0].images[0].get_array(), _unit(IMAGES[2, 0]))
    assert "3 of 3 among 7" in figure.get_suptitle()
    assert len([a for a in inspect.worst_mistakes(IMAGES, LABELS, PROBS, count=2).axes if a.get_title()]) == 2
    colours = inspect.worst_mistakes(RNG.random((7, 3, 4, 4)), LABELS, PROBS)
    assert colours.axes[0].images[0].get_array().shape == (4, 4, 3)


def _unit(x):
    return (x - x.min()) / (x.max() - x.min())


def test_a_perfect_network_shows_its_least_certain_answers():
    probs = np.eye(3)[LABELS] * 0.7 + 0.1
    probs[4] = [0.3, 0.4, 0.3]
    figure = inspect.worst_mistakes(np.zeros((7, 5, 5)), LABELS, probs)
    assert "No mistakes" in figure.get_suptitle() and "no. 4" in figure.axes[0].get_title()


# ---------------------------------------------------------------- inside a network


def test_curves_of_anything():
    (axes,) = inspect.curves({"a": mg.tensor([1.0, 0.1, 0.01]), "b": [3, 2, 1]}, x=[5, 6, 7], log=True).axes
    first, second = axes.lines
    assert first.get_xdata().tolist() == [5, 6, 7] and second.get_ydata().tolist() == [3, 2, 1]
    assert first.get_linestyle() != second.get_linestyle() and axes.get_yscale() == "log"
    assert [t.get_text() for t in axes.get_legend().get_texts()] == ["a", "b"]


def test_feature_maps_are_the_layers_outputs():
    wanted = np.asarray(inspect.layer_outputs(NET, IMAGES[:1])["1"])[0]
    chosen = inspect.feature_maps(NET, IMAGES[0], NET[1])
    shown = [image.get_array() for axes in chosen.axes for image in axes.images]
    assert np.array_equal(shown, wanted) and "3 maps of 6x6" in chosen.get_suptitle()
    every = inspect.feature_maps(NET, IMAGES[:1])  # a row each of what the layers with places gave
    images = [image for axes in every.axes for image in axes.images]
    assert np.array_equal([image.get_array() for image in images[3:]], wanted) and len(images) == 6
    assert images[0].get_clim()[0] < 0 == images[3].get_clim()[0]
    assert images[0].get_cmap().name != images[3].get_cmap().name
    labels = [axes.get_ylabel() for axes in every.axes if axes.get_ylabel()]
    assert [label.split("\n")[:2] for label in labels] == [["0", "Conv2d"], ["1", "ReLU"]]


def test_dead_and_saturated_units_are_counted():
    model = nn.Sequential(nn.Linear(2, 4, bias=False), nn.ReLU(), nn.Linear(4, 2, bias=False), nn.Tanh())
    model[0].weight.data = [[1.0, 0.0], [-1.0, 0.0], [-2.0, -1.0], [0.0, -3.0]]  # of x >= 0, three see nothing
    model[2].weight.data = [[-100.0, 0, 0, 0], [0.001, 0, 0, 0]]
    figure = inspect.activations(model, np.array([[1.0, 0.0], [2.0, 0.0], [1.0, 5.0]], np.float32))
    said = texts(figure)
    assert "3 of 4" in said and "75 %" in said  # dead units, zeros
    assert "50 %" in said and "saturated" in said  # one of the two tanh units
    assert [axes.get_ylabel() for axes in figure.axes[::2]] == ["0  Linear", "1  ReLU", "2  Linear", "3  Tanh"]
    images = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU())
    images[0].weight.data, images[0].bias.data = np.ones((2, 1, 3, 3)), [-1e3, 0.0]
    dark_corner = IMAGES.copy()
    dark_corner[:, :, :3, :3] = 0.0
    said = texts(inspect.activations(images, dark_corner))
    assert "1 of 2" in said and "2 of 2" not in said  # a unit is a channel: one place of zeros is no death
    nested = inspect.activations(nn.Sequential(nn.Sequential(images)), IMAGES)
    assert [axes.get_ylabel() for axes in nested.axes[::2]] == ["0.0.0  Conv2d", "0.0.1  ReLU"]


def test_gradient_flow_shows_mean_and_largest_per_layer():
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1), nn.Linear(2, 2))
    with pytest.raises(ValueError, match="call backward"):
        inspect.gradient_flow(model)
    model[:3](mg.ones(5, 3)).sum().backward()
    axes = inspect.gradient_flow(model).axes[0]
    mean, largest = (line.get_xdata() for line in axes.lines)
    first = np.concatenate([np.abs(np.asarray(p.grad)).ravel() for p in model[0].parameters()])
    assert mean[0] == pytest.approx(first.mean()) and largest[0] == pytest.approx(first.max())
    assert len(mean) == 2 and "no gradient" in texts(axes.figure)
    assert [t.get_text() for t in axes.get_yticklabels()] == ["0  Linear", "2  Linear", "3  Linear"]
    step = mg.trace(lambda x: model[:3](x).sum(), np.ones((5, 3)))
    traced = inspect.gradient_flow(step).axes[0].lines[0].get_xdata()
    assert np.allclose(sorted(traced), sorted(mean))
    zero = inspect.gradient_flow({"w": np.zeros(3)})
    assert "gradient 0" in texts(zero)


def test_attention_maps_name_queries_and_keys():
    figure = inspect.attention_map(mg.tensor(ATTENTION), ["I", "am"])
    left, right = figure.axes[:2]
    assert np.array_equal(right.images[0].get_array(), ATTENTION[1])
    assert [t.get_text() for t in left.get_yticklabels()] == ["I", "am"]
    assert [t.get_text() for t in right.get_xticklabels()] == ["I", "am"]
    assert left.images[0].get_clim() == right.images[0].get_clim() == (0, 1)
    one = inspect.attention_map(ATTENTION[0], keys=["x", "y"])
    assert {t.get_text() for t in one.axes[0].texts} == {".75", ".25", "1.00"}


def test_an_overlay_colours_by_sign_and_strength():
    heat = np.zeros((8, 8))
    heat[1, 2], heat[5, 6] = 2.0, -1.0
    figure = inspect.overlay(np.zeros((1, 8, 8)), heat)
    (picture,) = [i.get_array() for axes in figure.axes for i in axes.images if i.get_array().ndim == 3]
    assert np.allclose(picture[0, 0], 1.0)  # nothing said: paper
    red, _, blue = picture[1, 2]
    assert red > 0.8 and blue < 0.2 and picture[5, 6][2] > picture[5, 6][0]
    assert np.abs(picture[1, 2] - 1).max() > np.abs(picture[5, 6] - 1).max()  # stronger is more opaque
    assert "blue against" in figure.get_suptitle()
    large = inspect.overlay(np.zeros((8, 8)), [[1.0, 0.0], [0.0, 0.0]]).axes[1].images[0].get_array()
    assert large[0, 0, 2] < large[3, 3, 2] < large[7, 7, 2] == 1.0  # enlarged without steps
    many = inspect.overlay(RNG.random((9, 3, 8, 8)), RNG.random((9, 3, 8, 8)), titles=list("abcdefghi"))
    assert [axes.get_title() for axes in many.axes[:9]] == list("abcdefghi")


def test_a_field_is_framed():
    found = inspect.receptive_field_of(NET, "0", (0, 2, 3), (1, 8, 8))
    measured, formula = found.draw().axes[0].patches
    for frame in (measured, formula):
        assert (frame.get_x(), frame.get_y(), frame.get_width(), frame.get_height()) == (2.5, 1.5, 3, 3)
    assert measured.get_linestyle() != formula.get_linestyle()


@pytest.mark.parametrize(
    ("error", "words", "call"),
    [
        (ValueError, "at least one epoch", lambda: inspect.learning_curves([])),
        (ValueError, "row 1 .* lacks val_loss", lambda: inspect.learning_curves([row(1), LACKING])),
        (ValueError, "got 2 labels and 1", lambda: inspect.confusion_matrix([0, 1], [0])),
        (ValueError, "got 0 labels", lambda: inspect.confusion_matrix([], [])),
        (ValueError, ">= 0", lambda: inspect.confusion_matrix([-1], [0])),
        (TypeError, "integer class numbers", lambda: inspect.confusion_matrix([0.5], [0])),
        (ValueError, "expected 3 names", lambda: inspect.confusion_matrix([0, 2], [0, 1], classes=["a"])),
        (ValueError, r"shape \(4, 5\)", lambda: inspect.filters(np.zeros((4, 5)))),
        (ValueError, "diverged", lambda: inspect.filters(np.full((1, 1, 2, 2), np.nan))),
        (ValueError, "expected images", lambda: inspect.worst_mistakes(np.zeros((7, 9)), LABELS, PROBS)),
        (ValueError, "got 6 images", lambda: inspect.worst_mistakes(IMAGES[:6], LABELS, PROBS)),
        (ValueError, "at least one curve", lambda: inspect.curves({})),
        (ValueError, "'a' .T,", lambda: inspect.curves({"a": [1.0, 2.0]}, x=[1.0])),
        (ValueError, "log=True", lambda: inspect.curves({"a": [-1.0, 0.0]}, log=True)),
        (ValueError, "one image", lambda: inspect.feature_maps(NET, IMAGES)),
        (ValueError, "0, 1, 2, 3, 4 .layer='9'", lambda: inspect.feature_maps(NET, IMAGES[0], "9")),
        (ValueError, "'3' gives shape", lambda: inspect.feature_maps(NET, IMAGES[0], "3")),
        (ValueError, "no layer of Sequential", lambda: inspect.feature_maps(NET[2:4], IMAGES[0, :, :6, :6].repeat(3, 0))),
        (ValueError, "expected 7 titles", lambda: inspect.show_images(IMAGES, ["a"])),
        (ValueError, "finite", lambda: inspect.show_images(np.full((1, 2, 2), np.inf))),
        (ValueError, "'0' gives NaN", lambda: inspect.activations(NET, IMAGES * np.nan)),
        (TypeError, "expected a Module", lambda: inspect.activations(len, IMAGES)),
        (ValueError, "gradient of 'w' holds NaN", lambda: inspect.gradient_flow({"w": [np.nan]})),
        (TypeError, "Module, Trace", lambda: inspect.gradient_flow(3)),
        (ValueError, r"weights .*got shape \(2,\)", lambda: inspect.attention_map([0.5, 0.5])),
        (ValueError, r"in 0\.\.1, got", lambda: inspect.attention_map([[2.0, -1.0]])),
        (ValueError, "expected 2 queries, got 1", lambda: inspect.attention_map(ATTENTION, ["a"])),
        (ValueError, "got 2 and 1", lambda: inspect.overlay(IMAGES[0], np.ones((2, 8, 8)))),
        (ValueError, "expected finite", lambda: inspect.overlay(IMAGES[0], np.full((8, 8), np.nan))),
        (ValueError, "expected heat", lambda: inspect.overlay(IMAGES[0], np.ones(8))),
        (ValueError, r"labels in 0\.\.1", lambda: inspect.worst_mistakes(IMAGES, LABELS, PROBS[:, :2])),
    ],
)  # fmt: skip
def test_mistakes_are_named_in_one_line(error, words, call):
    with pytest.raises(error, match=words) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_a_missing_matplotlib_names_the_extra(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    for draw in PICTURES.values():
        with pytest.raises(ImportError, match=r"pip install 'minigrad\[train\]'"):
            draw()


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="cannot write") as caught:
        PICTURES["filters"](tmp_path / "file" / "p.png")
    assert "\n" not in str(caught.value)


def test_a_notebook_shows_a_picture_without_pyplot():
    picture = inspect.curves({"a": [1.0, 2.0]})
    assert picture._repr_png_().startswith(b"\x89PNG")
