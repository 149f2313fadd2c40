"""The page's JSON says exactly what the trace says, and the file it is written to is whole or not there."""

import base64
import json

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.inspect.page import encode
from minigrad.models.lenet5 import LeNet5

TYPES = {"f8": "<f8", "f4": "<f4", "i8": "<i8", "i4": "<i4", "u1": "u1", "b1": "u1"}


def decoded(entry):
    return np.frombuffer(base64.b64decode(entry["b"]), TYPES[entry["t"]]).reshape(entry["s"])


def lenet():
    mg.manual_seed(0)
    model, label = LeNet5(), mg.tensor([3])
    return mg.trace(lambda image: nn.functional.cross_entropy(model(image), label), mg.randn(1, 1, 32, 32))


def lstm(unrolled=False, steps=20):
    mg.manual_seed(0)
    layer = nn.LSTM(16, 32)
    layer.unrolled = unrolled
    return mg.trace(lambda x: (layer(x)[0] ** 2).mean(), mg.randn(steps, 1, 16))


def block():
    mg.manual_seed(0)
    layer = nn.TransformerEncoderLayer(64, 4, 256, dropout=0.1, batch_first=True)
    return mg.trace(lambda x: (layer(x) ** 2).mean(), mg.randn(1, 16, 64))


MADE = {"LeNet-5": lenet, "LSTM, 20 steps": lstm, "LSTM, node by node": lambda: lstm(True), "transformer block": block}


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) if "node" in n else n for n in MADE])
def test_every_number_is_the_traces_own_bit_for_bit_and_the_page_is_small(name):
    t = MADE[name]()
    page = encode(t, name)
    assert len(json.dumps(page, allow_nan=False)) < 4_500_000  # with the scripts below 5 MB
    arrays, graph = page["arrays"], page["graph"]
    for v, told in zip(t.values, graph["values"], strict=True):
        assert (decoded(arrays[told["data"]]) == v.data).all() and told["name"] == v.name
        assert told["grad"] is None if v.grad is None else (decoded(arrays[told["grad"]]) == v.grad).all()
    for b, told in zip(t.backward, graph["backward"], strict=True):
        assert (decoded(arrays[told["g"]]) == b.g).all() and told["live"] == b.live
        for e, edge in zip(b.edges, told["edges"], strict=True):
            assert (decoded(arrays[edge["sent"]]) == e.sent).all() and edge["order"] == e.order
            assert edge["total"] is None or (decoded(arrays[edge["total"]]) == e.total).all()
    assert set(page["sources"]) >= {f.op for f in t.forward}


def test_a_shared_array_is_written_once():
    t = mg.trace(lambda x: (x + x + x).sum(), np.ones(50))
    sent = {e["sent"] for b in encode(t, "")["graph"]["backward"] for e in b["edges"]}
    assert len(sent) < sum(len(b.edges) for b in t.backward)


def test_what_is_too_large_is_summarised_results_before_weights():
    x = np.random.default_rng(0).normal(size=(600, 600))
    t = mg.trace(lambda w, x: mg.tanh(x * w).sum(), x, x)
    page = encode(t, "")
    told = {v["name"]: page["arrays"][v["data"]] for v in page["graph"]["values"]}
    assert "summary" in told["mul"]
    summary = told["mul"]["summary"]
    np.testing.assert_allclose(
        [summary[k] for k in ("min", "max", "mean", "norm")],
        [t["mul"].data.min(), t["mul"].data.max(), t["mul"].data.mean(), np.linalg.norm(t["mul"].data)],
    )
    assert decoded(page["arrays"][told["mul"]["picture"]]).size <= 64 * 64
    kept = [name for name, entry in told.items() if "b" in entry]
    assert {"w", "x"} & set(kept) and "loss" in kept


def test_fused_ops_are_there_with_their_inside():
    page = encode(lstm(steps=3), "")
    (inside,) = [f["inside"] for f in page["graph"]["forward"] if f["inside"]]
    names = [v["name"] for v in inside["values"]]
    assert "i@3" in names and len(inside["inputs"]) == 8 and inside["inputs"][-1] is None
    assert encode(lstm(True, 3), "")["times"][1]["name"] == "layer.h"


def test_the_files_folder_and_what_is_no_number_stay_out():
    t = mg.trace(lambda x: mg.clip(x, -np.inf, 1.0), 0.5)
    page = encode(t, "")
    text = json.dumps(page, allow_nan=False)
    assert "/" not in "".join(f["file"] for f in page["graph"]["forward"]) and "Infinity" not in text


def test_save_writes_a_whole_page_or_nothing(tmp_path, monkeypatch):
    t = mg.trace(lambda x: x * x, 3.0)
    path = t.save(tmp_path / "step.html", "my </script> <title>")
    text = path.read_text()
    assert text.startswith("<!doctype html>") and "my &lt;/script&gt; &lt;title&gt;" in text
    with pytest.raises(ValueError, match=r"expected a path that ends in \.html"):
        t.save(tmp_path / "step.svg")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError):
        t.save(tmp_path / "step.html")
    assert path.read_text() == text and list(tmp_path.iterdir()) == [path]


def test_show_is_a_frame_for_notebooks():
    t = mg.trace(lambda x: x * x, 3.0)
    frame = t.show(height=300)
    assert "<iframe" in frame._repr_html_() and "300px" in frame._repr_html_() and "stepper" in repr(frame)
    with pytest.raises(ValueError, match="at least 100"):
        t.show(height=5)


def test_a_trace_prints_as_html_too():
    assert "&lt;" not in mg.trace(lambda x: x * x, 3.0)._repr_html_() and "∂L/∂x" in mg.trace(lambda x: x * x, 3.0)._repr_html_()
