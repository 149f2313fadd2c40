"""draw(): the picture holds the graph's true values, gradients and local derivatives."""

import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

import minigrad as mg
from minigrad.inspect import draw

SVG = "{http://www.w3.org/2000/svg}"


def leaf(value):
    return mg.tensor(np.array(value, dtype=np.float64), requires_grad=True)


def texts(picture):
    return [element.text for element in ET.fromstring(picture).iter(f"{SVG}text")]


def boxes(picture):
    return len(list(ET.fromstring(picture).iter(f"{SVG}rect"))) - 1  # the first is the ground


def test_values_gradients_and_local_derivatives_are_shown():
    a, b = leaf(2.0), leaf(-3.0)
    product = a * b
    y = product * product
    shown = texts(draw(y, a=a, b=b, product=product))
    assert {"a", "b", "product = mul", "2", "-3", "-6", "36"} <= set(shown)
    assert {"gradient 36", "gradient -24", "gradient -12", "gradient 1"} <= set(shown)


def test_a_tensor_used_twice_has_two_edges_and_both_count():
    a = leaf(1.0)
    b = a + a
    c = b + b
    picture = draw(c, a=a, b=b, c=c)
    assert boxes(picture) == 3
    assert len(list(ET.fromstring(picture).iter(f"{SVG}path"))) == 4
    assert {"gradient 4", "gradient 2", "gradient 1"} <= set(texts(picture))


def test_an_edge_passes_beside_the_boxes_between_its_ends():
    x = leaf(0.5)
    h = mg.tanh(mg.tanh(x))
    picture = draw(h + x, x=x)
    assert boxes(picture) == 4
    paths = [element.get("d") for element in ET.fromstring(picture).iter(f"{SVG}path")]
    assert len([d for d in paths if "h" in d]) == 2  # two columns are passed


def test_constants_are_shown_with_their_value_where_it_was_saved():
    assert "0.5" in texts(draw(leaf(4.0) * 0.5))


def test_vectors_show_their_numbers_and_matrices_their_shape():
    w, m = leaf([1.0, 2.0]), leaf(np.ones((3, 5)))
    shown = texts(draw(w.sum() + m.sum(), w=w, m=m))
    assert "[1, 2]" in shown and "3x5" in shown and "gradient [1, 1]" in shown


def test_drawing_changes_no_gradient_and_frees_no_graph():
    a = leaf(3.0)
    y = a * a
    draw(y)
    assert a.grad is None
    y.backward()
    assert a.grad.item() == 6.0


def test_a_reader_sees_the_picture_and_can_save_it(tmp_path):
    picture = draw(leaf(3.0) * 2.0)
    assert picture._repr_svg_() == picture
    picture.save(tmp_path / "graph.svg")
    assert (tmp_path / "graph.svg").read_text() == picture


def test_the_picture_of_the_readme_is_what_it_says():
    w, x, b, y = (mg.tensor(v, requires_grad=True) for v in (2.0, 3.0, -1.0, 4.0))
    score = w * x + b
    loss = (score - y) ** 2
    picture = draw(loss, w=w, x=x, b=b, y=y, score=score, loss=loss)
    committed = Path(__file__).parent.parent / "notebooks" / "graph.svg"
    assert committed.read_text() == picture, "save it again with picture.save()"


def test_what_cannot_be_drawn_is_said():
    a = leaf(1.0)
    with pytest.raises(ValueError, match=r"^draw: expected a tensor computed"):
        draw(a)
    y = a
    for _ in range(201):
        y = y + 1.0
    with pytest.raises(ValueError, match=r"^draw: expected at most 200 nodes"):
        draw(y)
    y = a * a
    y.backward()
    with pytest.raises(ValueError, match="freed"):
        draw(y)
