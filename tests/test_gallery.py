"""The gallery: every wrong algorithm is wrong, the right one is the engine's, and the named edge is the first."""

import itertools
import sys
import xml.etree.ElementTree as ET

import numpy as np
import pytest

import minigrad as mg
from minigrad.engine.backprop import backprop
from minigrad.inspect.exhibits import wrong
from minigrad.inspect.exhibits.exhibit import run
from minigrad.inspect.exhibits.micro import Value, backward
from minigrad.inspect.gallery import gallery

SVG = "{http://www.w3.org/2000/svg}"
GALLERY = gallery()
# Where each parts from the right run, and what the wrong and the right gradient of one value come to: by hand.
PARTS = {
    "breadth_first": ("b", "a", 0, "a", 2.0, 6.0),
    "depth_first": ("b", "a", 0, "a", 2.0, 6.0),
    "runs_on_at_once": ("b", "a", 0, "a", 6.0, 4.0),
    "recursive_sort": ("h5000", "h4999", 0, "a", 0.0, 1.0),
    "no_zeroing": ("b", "a", 0, "a", 4.0, 2.0),
    "zeroes_only_leaves": ("c", "b", 0, "a", 8.0, 4.0),
    "no_seed": ("b", "a", 0, "a", 0.0, 2.0),
    "assignment": ("b", "a", 1, "a", 1.0, 2.0),
    "no_unbroadcast": ("h", "b", 1, "b", [1.0, 1.0, 1.0], 3.0),
    "power_rule_for_exp": ("y", "x", 0, "x", 2 * np.e, np.e**2),
    "no_chain_rule": ("e", "x", 0, "x", np.e**2, 3 * np.e**2),
    "both_win_at_a_tie": ("y", "a", 0, "b", 1.0, 0.5),
    "changed_before_backward": ("y", "x", 1, "x", 1.5, 2.0),
    "detached": ("e", "x", 0, "x", np.e**2, 3 * np.e**2),
}
BAD = ("wrong", "missing")
every = pytest.mark.parametrize("exhibit", GALLERY, ids=lambda exhibit: exhibit.name)


def test_the_list_is_complete():
    assert [exhibit.name for exhibit in GALLERY] == list(PARTS)


@every
def test_the_wrong_one_is_wrong_and_the_right_one_is_the_engines(exhibit):
    *_, name, wrong_number, right_number = PARTS[exhibit.name]
    np.testing.assert_allclose(exhibit.wrong[name], wrong_number, rtol=1e-14)
    np.testing.assert_allclose(exhibit.right[name], right_number, rtol=1e-14)
    assert exhibit.wrong[name].shape == np.shape(wrong_number)
    assert list(exhibit.right) == list(exhibit.engine)
    for key, g in exhibit.engine.items():
        assert g.shape == exhibit.right[key].shape
        np.testing.assert_allclose(exhibit.right[key], g, rtol=1e-14)


def truth(exhibit):
    """What every edge sends, by the engine: {(user, position): sent}."""
    values = exhibit.graph(lambda data: mg.tensor(np.asarray(data, np.float64), requires_grad=True))
    names = {t.node: name for name, t in values.items()}
    steps = list(backprop(list(values.values())[-1]))
    return {(names[step.node], i): sent for step in steps for i, sent in enumerate(step.input_grads)}


@every
def test_the_named_edge_is_the_first_after_which_a_gradient_is_not_what_it_ought_to_be(exhibit):
    edge = exhibit.first_wrong_edge
    assert edge[:3] == PARTS[exhibit.name][:3]
    sent, arrived, found = truth(exhibit), {}, None
    for user, source, position, _, after in exhibit.wrong_run.writes:
        if not user:
            if source == exhibit.root:
                arrived = {}  # a new pass
            continue
        arrived.setdefault(source, {})[user, position] = sent[user, position]
        ought = sum(arrived[source].values())
        if np.shape(after) != np.shape(ought) or not np.allclose(after, ought, rtol=1e-12):
            found = (user, source, position)
            np.testing.assert_allclose(edge.expected, ought, rtol=1e-12)
            np.testing.assert_array_equal(edge.got, after)
            break
    if found is None:  # all that ran was right: the edge never ran
        assert edge.got is None
        assert all((user, i) != (edge.user, edge.position) for user, _, i, _, _ in exhibit.wrong_run.writes)
        np.testing.assert_allclose(edge.expected, sent[edge.user, edge.position], rtol=1e-12)
    else:
        assert found == edge[:3]


# ---------------------------------------------------------------- smallest graphs


def sums(count):
    """Every graph of one leaf and `count` sums, each of two earlier values, the last of which uses all."""
    choices = [list(itertools.product(range(k + 1), repeat=2)) for k in range(count)]
    for picks in itertools.product(*choices):

        def graph(V, picks=picks):
            values = [V(1.0)]
            for i, j in picks:
                values.append(values[i] + values[j])
            return {f"v{k}": value for k, value in enumerate(values)}

        yield graph


@pytest.mark.parametrize(
    ("name", "size"),
    [("breadth_first", 3), ("depth_first", 3), ("runs_on_at_once", 2), ("zeroes_only_leaves", 2), ("assignment", 1)],
)
def test_no_smaller_graph_fails(name, size):
    exhibit = GALLERY[name]
    assert len([op for op in exhibit.right_run.ops.values() if op]) == size
    for count in range(1, size):
        for graph in sums(count):
            found, right = run(graph, exhibit.kind, exhibit.walk).grads, run(graph, Value, backward).grads
            assert found["v0"] == right["v0"], graph.__defaults__


def test_what_the_texts_say_of_other_graphs_is_so():
    def gradient(graph, walk):
        first, *_, last = graph(Value).values()
        walk(last)
        return first.grad

    test = wrong.the_test_of_micrograd
    assert gradient(test, backward) == 46.0
    assert gradient(test, wrong.breadth_first) == 46.0
    assert gradient(test, wrong.depth_first) == -30.0
    assert "-30 instead of 46" in GALLERY["depth_first"].why

    def swapped(V):
        a = V(1.0)
        b = a + a
        c = b + b
        return {"a": a, "b": b, "c": c, "d": c + b}

    assert gradient(swapped, wrong.depth_first) == 6.0


def test_the_engine_refuses_what_changed_before_backward():
    w, x = mg.tensor(2.0, requires_grad=True), mg.tensor(3.0, requires_grad=True)
    y = w * x
    with mg.no_grad():
        w -= 0.5
    with pytest.raises(ValueError) as refused:
        y.backward()
    assert "'mul' saved a" in str(refused.value) and "'mul' saved a" in GALLERY["changed_before_backward"].why


# ---------------------------------------------------------------- recursion


def test_recursion_ends_at_a_thousand_and_the_limit_is_put_back():
    limit = sys.getrecursionlimit()
    exhibit = gallery()["recursive_sort"]
    sys.setrecursionlimit(limit + 4000)  # wherever it stands, as in a notebook
    try:
        assert run(exhibit.graph, Value, exhibit.runs).error.startswith("RecursionError: maximum recursion depth")
        assert sys.getrecursionlimit() == limit + 4000
    finally:
        sys.setrecursionlimit(limit)
    assert len(exhibit.engine) == 5002 and exhibit.engine["step"] == 5000.0

    def shallow(V):
        return wrong.chain(V, 900)

    assert run(shallow, Value, exhibit.runs).error == ""
    assert run(shallow, Value, exhibit.runs).grads["step"] == 900.0


# ---------------------------------------------------------------- what a reader sees


def texts(picture):
    return [element.text for element in ET.fromstring(picture).iter(f"{SVG}text")]


@every
def test_the_pictures_show_both_runs_and_mark_the_edge(exhibit):
    of_wrong, of_right = exhibit.pictures
    marked = [(box, arrow) for box in of_wrong.scene.boxes for arrow in box.inputs if arrow.mark in BAD]
    edge = exhibit.first_wrong_edge
    ((box, arrow),) = marked
    assert box.lines[0][0].split(" = ")[0] == edge.user and arrow is box.inputs[edge.position]
    assert arrow.source.lines[0][0].split(" = ")[0] == edge.source and arrow.source.mark == "wrong"
    assert (arrow.mark == "missing") == (edge.got is None)
    assert any(text.startswith("✗ ") for text in texts(of_wrong))
    assert not [a for a in of_right.scene.arrows() if a.mark in BAD]
    assert [b.lines[0] for b in of_wrong.scene.boxes] == [b.lines[0] for b in of_right.scene.boxes]
    assert len(of_wrong.scene.boxes) < 12


@every
def test_the_code_is_what_runs_and_marks_where_it_goes_wrong(exhibit):
    assert "# !" in exhibit.code and len(exhibit.code.splitlines()) < 40
    text = str(exhibit)
    assert exhibit.claim in text and f"first wrong edge: {exhibit.first_wrong_edge}" in text


def test_text_and_errors():
    text = str(GALLERY["assignment"])
    assert "a  1      2       2      1" in text
    assert "first wrong edge: b → a, after which a has 1 and ought to have 2" in text
    assert "where 1 is never sent: RecursionError" in str(GALLERY["recursive_sort"])
    assert "where 14.78 is never sent" in str(GALLERY["detached"])
    assert repr(GALLERY).count("\n") == 15 and "Exhibit 'assignment'" in repr(GALLERY[7])
    with pytest.raises(KeyError, match="no exhibit 'nothing'; there are breadth_first, "):
        GALLERY["nothing"]
    with pytest.raises(ValueError, match=r"ends in \.html"):
        GALLERY.save("gallery.txt")


def test_the_page_holds_all_of_it_and_asks_for_nothing(tmp_path):
    path = GALLERY.save(tmp_path / "gallery.html")
    page = path.read_text()
    assert page.count("<section") == len(GALLERY) and page.count("<svg") == 2 * len(GALLERY)
    for asks in ("<script", "<link", "@import", 'src="http', "url("):
        assert asks not in page
    assert all(exhibit._repr_html_().count("<svg") == 2 for exhibit in GALLERY[:2])
    assert "class Value:" in page and "<mark>" in page
