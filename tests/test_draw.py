"""draw(): the picture holds the graph's true values, gradients and local derivatives; of a trace, at any step."""

import os
import sys
import textwrap
import xml.etree.ElementTree as ET
import zlib
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.inspect import draw
from minigrad.inspect.drawing.layout import lay_out
from minigrad.inspect.drawing.scene import Arrow, Box, Scene

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


def test_what_is_accepted_is_used():
    a = leaf(1.0)
    with pytest.raises(TypeError, match=r"^draw: expected a tensor by this name \(b=\.\.\.\), got float"):
        draw(a * a, b=1.0)
    with pytest.raises(ValueError, match="no steps"):
        draw(a * a, 3)
    with pytest.raises(ValueError, match="expected 'layers' or 'dot'"):
        draw(a * a, layout="circle")
    with pytest.raises(TypeError, match="expected a tensor or a trace, got int"):
        draw(3)
    with pytest.raises(ValueError, match="a trace has its own names"):
        draw(mg.trace(lambda a: a * a, 1.0), a=a)
    with pytest.raises(ValueError, match=r"ends in \.svg, \.png or \.pdf"):
        draw(a * a).save("picture.jpg")


def test_a_tensor_may_be_called_step_or_width():
    step, width = leaf(2.0), leaf(3.0)
    assert {"step", "width"} <= set(texts(draw(step * width, step=step, width=width)))


def test_a_constant_that_is_named_has_its_name():
    w, x = leaf(2.0), mg.tensor(np.array(3.0))
    assert {"w", "x", "3"} <= set(texts(draw(w * x, w=w, x=x)))


# ---------------------------------------------------------------- layout


def overlap(a, b):
    return a.x < b.x + b.width and b.x < a.x + a.width and a.y < b.y + b.height and b.y < a.y + a.height


def deep(y, depth=60):
    z = y
    for _ in range(depth):
        z = mg.tanh(z) + y
    return z


@pytest.mark.parametrize("width", [None, 1600, 500])
def test_boxes_do_not_overlap_and_arrows_begin_and_end_at_their_boxes(width):
    y = leaf(0.5)
    scene = draw(deep(y), width=width, y=y).scene
    for i, a in enumerate(scene.boxes):
        assert not any(overlap(a, b) for b in scene.boxes[:i])
        assert a.x >= 0 and a.x + a.width <= scene.width
        for arrow in a.inputs:
            (x0, y0), (x1, y1) = arrow.pieces[0].points[0], arrow.tip
            assert x0 == pytest.approx(arrow.source.x + arrow.source.width) and x1 == pytest.approx(a.x)
            assert arrow.source.y <= y0 <= arrow.source.y + arrow.source.height and a.y <= y1 <= a.y + a.height
            for before, after in zip(arrow.pieces, arrow.pieces[1:]):  # in one line
                assert before.points[-1] == pytest.approx(after.points[0])


def along(piece):
    """Points on a piece of an arrow: on its Bezier curves, or on its lines."""
    p = np.array(piece.points)
    t = np.linspace(0, 1, 12)[:, None]
    if not piece.curved:
        return np.concatenate([(1 - t) * a + t * b for a, b in pairwise(p)])
    a, b, c, d = p[:-3:3], p[1:-2:3], p[2:-1:3], p[3::3]
    t = t[:, None]
    return ((1 - t) ** 3 * a + 3 * (1 - t) ** 2 * t * b + 3 * (1 - t) * t**2 * c + t**3 * d).reshape(-1, 2)


@pytest.mark.parametrize("width", [None, 300])
def test_no_arrow_runs_behind_a_box_not_even_of_a_narrow_box_beside_a_wide_one(width):
    boxes = [Box("leaf", [(name, "title"), ("1", "value")]) for name in ("x", "w" * 60, "b")]
    boxes.append(Box("op", [("linear", "title")], inputs=[Arrow(box) for box in boxes]))
    boxes.append(Box("op", [("tanh", "title")], inputs=[Arrow(boxes[3], "0.5"), Arrow(boxes[2], "1")]))
    scene = lay_out(Scene(boxes), width)
    assert [box.y for box in boxes[:3]] == sorted(box.y for box in boxes[:3])
    assert boxes[4].height >= 33  # room for two labels
    for arrow in scene.arrows():
        for px, py in np.concatenate([along(piece) for piece in arrow.pieces]):
            for box in scene.boxes:
                inside = 1 < px - box.x < box.width - 1 and 1 < py - box.y < box.height - 1
                assert not inside, (arrow.source.lines[0], box.lines[0])


def test_a_long_graph_goes_on_below_and_draws_a_far_leaf_again():
    y = leaf(0.5)
    one, wrapped = draw(deep(y), width=None, y=y), draw(deep(y), width=800, y=y)
    assert one.scene.width > 8000 and wrapped.scene.width < 1200
    again = [box for box in wrapped.scene.boxes if box.kind == "again"]
    assert len(again) > 50 and {box.lines[0][0] for box in again} == {"y"}


def test_neighbours_are_ordered_so_that_no_edges_cross():
    a, b, c, d = (leaf(v) for v in (1.0, 2.0, 3.0, 4.0))
    left, right = mg.tanh(a) * mg.tanh(b), mg.tanh(c) * mg.tanh(d)
    scene = draw(right + left).scene
    ends = [(arrow.pieces[0].points[0], arrow.tip) for arrow in scene.arrows()]
    for i, ((x0, y0), (x1, y1)) in enumerate(ends):
        for (u0, v0), (u1, v1) in ends[:i]:
            if (x0, x1) == (u0, u1):
                assert (y0 - v0) * (y1 - v1) > 0


FAKE_DOT = """
    import sys
    text = sys.stdin.read()
    assert sys.argv[1:] == ["-Tplain"] and "rankdir=LR" in text
    names = [line.split()[0] for line in text.splitlines() if line.startswith("n") and "->" not in line]
    edges = [line.split("[")[0].strip(" ;").split(" -> ") for line in text.splitlines() if "->" in line]
    print("graph 1 20 5")
    for i, name in enumerate(names):
        print("node", name, 2 * i + 1, 2.5, 1, 0.7, '""', "solid box black lightgrey")
    for a, b in edges:
        x0, x1 = 2 * names.index(a) + 1.4, 2 * names.index(b) + 0.5
        print("edge", a, b, 4, x0, 2.5, x0 + 0.2, 2.5, x1 - 0.3, 2.5, x1, 2.5, "solid black")
    print("stop")
"""


def test_graphviz_is_asked_only_if_the_caller_asks(tmp_path, monkeypatch):
    y = leaf(2.0) * 3.0
    program = tmp_path / "dot"
    program.write_text(f"#!{sys.executable}\n" + textwrap.dedent(FAKE_DOT))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    first, second, product = draw(y, layout="dot").scene.boxes
    assert [first.x + first.width / 2, second.x + second.width / 2] == [84.0, 228.0]  # inches times 72, and the margin
    assert first.middle == pytest.approx(180.0) and product.inputs[0].tip[0] == pytest.approx(product.x)
    program.write_text(f"#!{sys.executable}\nimport sys\nsys.exit('no such layout')")
    with pytest.raises(ValueError, match=r"dot failed .*no such layout"):
        draw(y, layout="dot")
    assert boxes(draw(y)) == 3
    os.remove(program)
    with pytest.raises(ValueError, match="no program 'dot' on this machine"):
        draw(y, layout="dot")


def test_gradient_flows_back_its_arrow_points_at_the_source():
    from minigrad.inspect.drawing.svg import head

    t = mg.trace(net, 0.5, 2.0)
    forward, backward = draw(t, 0).scene, draw(t, t["h"].contributions[0]).scene
    (arrow, *_) = [a for a in forward.arrows() if a.mark == "forward"]
    assert head(arrow)[0] == arrow.tip and head(arrow)[1][0] < arrow.tip[0]
    (arrow,) = [a for a in backward.arrows() if a.mark == "now"]
    start = arrow.pieces[0].points[0]
    assert head(arrow)[0] == start and head(arrow)[1][0] > start[0]


def test_a_picture_is_also_said_in_words():
    t = mg.trace(net, 0.5, 2.0)
    assert ET.fromstring(draw(t, 0)).get("aria-label").startswith("step 1 of 14, forward: mul = w · x")
    assert ET.fromstring(draw(leaf(3.0) * 2.0)).get("aria-label") == "Graph of 3 boxes; the last is mul"


# ---------------------------------------------------------------- formats


def test_png_and_pdf_are_pictures_of_the_same_scene(tmp_path):
    picture = draw(leaf(3.0) * 2.0)
    for suffix, begins in ((".png", b"\x89PNG"), (".pdf", b"%PDF")):
        picture.save(tmp_path / f"graph{suffix}")
        data = (tmp_path / f"graph{suffix}").read_bytes()
        assert data.startswith(begins)
    from PIL import Image

    with Image.open(tmp_path / "graph.png") as image:
        width, height = picture.scene.size
        assert image.size == (int(width * 2), int(height * 2))
        ink = np.asarray(image.convert("L"))
        assert (ink < 100).mean() > 0.005  # texts are there


def test_a_heat_map_is_blue_where_negative_white_at_zero_vermillion_where_positive():
    from minigrad.inspect.drawing.style import heat_colours
    from minigrad.inspect.drawing.svg import png_bytes

    colours = heat_colours(np.array([[-2.0, 0.0], [1.0, 2.0]]))
    assert colours.tolist() == [[[0, 114, 178], [255, 255, 255]], [[234, 174, 128], [213, 94, 0]]]
    assert heat_colours(np.array([np.inf, 0.0, -1.0]))[0, 2].tolist() == [0, 114, 178]
    assert heat_colours(np.zeros((2, 3, 40, 50))).shape[:2] == (32, 32)
    data = png_bytes(colours)
    length = int.from_bytes(data[33:37], "big")
    assert data[37:41] == b"IDAT"
    rows = np.frombuffer(zlib.decompress(data[41 : 41 + length]), np.uint8).reshape(2, 7)
    assert np.array_equal(rows[:, 1:].reshape(2, 2, 3), colours) and not rows[:, 0].any()


# ---------------------------------------------------------------- of a trace


def net(w, x):
    h = mg.tanh(w * x)
    return h * h + w


def test_a_trace_shows_what_its_tensors_show():
    t = mg.trace(net, 0.5, 2.0)
    shown = texts(draw(t))
    for name in ("w", "x", "h"):
        assert f"{t[name].data.item():.4g}" in shown and f"gradient {t[name].grad.item():.4g}" in shown
    assert {"h = tanh", "loss = add"} <= set(shown)


def test_a_step_shows_what_is_known_by_then():
    t = mg.trace(net, 0.5, 2.0)
    first = draw(t, 0)
    assert first.scene.caption[0].endswith(f"forward: {t.forward[0].formula}")
    shown = texts(first)
    assert "1" in shown and f"{t.forward[1].output.data:.4g}" not in shown
    assert not [text for text in shown if text.startswith("gradient")]
    second_to_w = t["w"].contributions[1]
    before, after = t["w"].contributions[0].sent.item(), second_to_w.total.item()
    picture = draw(t, second_to_w)
    assert f"{before:.4g} + {second_to_w.sent.item():.4g} = {after:.4g}" in texts(picture)
    assert [a.label for a in picture.scene.arrows() if a.mark == "now"] == ["2"]  # times x
    assert [box.lines[0][0] for box in picture.scene.boxes if box.mark == "now"] == ["w"]
    assert second_to_w.formula in picture.scene.caption


def test_every_step_has_one_thing_that_happens_and_one_layout():
    t = mg.trace(net, 0.5, 2.0)
    count = int(draw(t, 0).scene.caption[0].split()[3].strip(","))
    places, happened = set(), []
    for i in range(count):
        scene = draw(t, i).scene
        places.add(tuple((box.x, box.y, box.width) for box in scene.boxes))
        happened.append([box.lines[0][0] for box in scene.boxes if box.mark in ("forward", "now")])
    assert len(places) == 1 and all(len(names) == 1 for names in happened)
    assert draw(t, -1) == draw(t, count - 1) == draw(t, t.backward[-1])
    with pytest.raises(IndexError, match=rf"expected a step from -{count} to {count - 1} \(step={count}\)"):
        draw(t, count)
    with pytest.raises(TypeError, match="expected a number, or a step or edge of the trace"):
        draw(t, 1.5)
    with pytest.raises(IndexError, match="another trace"):
        draw(t, mg.trace(net, 0.5, 2.0).forward[0])


def test_a_large_trace_folds_its_modules():
    mg.manual_seed(0)
    model = nn.Sequential(*[nn.Sequential(nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 2)) for _ in range(20)])
    t = mg.trace(lambda x: model(x).sum(), np.ones((1, 2)).astype("f"))
    scene = draw(t).scene
    folded = [box.lines for box in scene.boxes if box.kind == "module"]
    assert len(folded) == 20 and folded[3][:2] == [("3: Sequential", "title"), ("3 ops", "note")]
    assert sum(len(box.inputs) for box in scene.boxes) == len(scene.boxes) - 1  # a chain
    inside = t["7.2.weight"].contributions[0]
    assert [box.lines[0][0] for box in draw(t, inside).scene.boxes if box.mark == "now"] == ["7: Sequential"]


def test_a_cell_that_is_called_again_and_again_is_a_box_each_time():
    mg.manual_seed(0)
    cell = nn.LSTMCell(2, 3)

    def sequence(xs):
        h = c = None
        for i in range(10):
            h, c = cell(xs[i], None if h is None else (h, c))
        return h.sum()

    titles = [box.lines[0][0] for box in draw(mg.trace(sequence, mg.ones(10, 1, 2))).scene.boxes]
    assert titles == [f"cell@{i + 1}: LSTMCell" for i in range(10)] + ["loss = sum"]


def test_a_large_trace_without_modules_folds_stretches():
    t = mg.trace(lambda y: deep(y, 300), 0.5)
    scene = draw(t).scene
    drawn = [box for box in scene.boxes if box.kind != "again"]
    assert 20 < len(drawn) <= 120
    ops = sum(int(text.split()[0]) for box in drawn for text, role in box.lines if role == "note")
    assert ops == len(t.forward)


def test_what_is_replayed_behind_a_checkpoint_stands_before_it():
    mg.manual_seed(0)
    layer = nn.Linear(3, 3)
    t = mg.trace(lambda x: (mg.checkpoint(lambda x: mg.tanh(layer(x)), x) ** 2).sum(), np.ones((2, 3)))
    scene = draw(t).scene
    seen = set()
    for box in scene.boxes:
        assert all(arrow.source in seen or arrow.source.kind == "again" for arrow in box.inputs)
        seen.add(box)
    sources = {box.lines[0][0]: [a.source.lines[0][0] for a in box.inputs] for box in scene.boxes}
    checkpoint = next(name for name in sources if "checkpoint" in name)
    assert len(sources[checkpoint]) == 2 and any("tanh" in source for source in sources[checkpoint])
    replayed = next(f for f in t.forward if f.replay)
    assert "behind a checkpoint" in draw(t, replayed).scene.caption[0]
