"""Frames of a trace: one layout, every step in order, whole files or none."""

import errno
import os
import sys
import xml.etree.ElementTree as ET

import numpy as np
import pytest

import minigrad as mg
from minigrad.inspect.frames import animate, export, frames

SVG = "{http://www.w3.org/2000/svg}"


def net(w, x):
    h = mg.tanh(w * x)
    return h * h + w


@pytest.fixture(scope="module")
def trace():
    return mg.trace(net, 0.5, 2.0)


def texts(svg):
    return [element.text for element in ET.fromstring(svg).iter(f"{SVG}text")]


def count(trace):
    leaves = sum(not b.edges for b in trace.backward)
    return len(trace.forward) + 1 + sum(len(b.edges) for b in trace.backward) + leaves


def test_a_frame_for_every_op_the_seed_every_edge_and_every_leaf(trace):
    pictures = frames(trace)
    assert len(pictures) == count(trace) == 4 + 1 + 7 + 2
    for i, f in enumerate(trace.forward):
        assert f"step {i + 1} of 14, forward: {f.formula}" in texts(pictures[i])
    assert "step 5 of 14, backward begins: ∂L/∂loss = 1" in texts(pictures[4])
    edges = [edge for b in trace.backward for edge in b.edges]
    formulas = [lines[1] for lines in (p.scene.caption for p in pictures) if "backward: from" in lines[0]]
    assert formulas == [edge.formula for edge in edges]


def test_all_frames_have_one_layout_and_one_size(trace):
    pictures = frames(trace)
    assert len({p.scene.size for p in pictures}) == 1
    assert len({tuple((b.x, b.y, b.width, b.height) for b in p.scene.boxes) for p in pictures}) == 1


def test_gradients_arrive_and_add_up(trace):
    pictures = frames(trace)
    h = trace["h"]
    first, second = h.contributions
    at = [p for p in pictures if p.scene.caption[0].endswith("to h")]
    assert len(at) == 2
    assert f"gradient {first.sent:.4g} so far" in texts(at[0])
    total = f"{first.sent:.4g} + {second.sent:.4g} = {h.grad:.4g}"
    assert total in texts(at[1]) and f"adds up to {total}" in texts(at[1])
    assert not any(f"gradient {h.grad:.4g}" in texts(p) for p in pictures[: pictures.index(at[1]) + 1])


def test_a_range_is_a_slice(trace, tmp_path):
    assert frames(trace, 3, 6) == frames(trace)[3:6] and frames(trace, -2) == frames(trace)[-2:]
    names = export(trace, tmp_path / "step-{:03}.svg", -2)
    assert [name.name for name in names] == ["step-012.svg", "step-013.svg"]
    with pytest.raises(ValueError, match="no steps between 20 and None; the trace has 14"):
        frames(trace, 20)


def test_a_folder_of_svg(trace, tmp_path):
    names = trace.export(tmp_path / "slides", 2, 5)
    assert names == [tmp_path / "slides" / f"step-00{i}.svg" for i in (2, 3, 4)]
    assert [name.read_text() for name in names] == [str(p) for p in frames(trace, 2, 5)]
    assert sorted(os.listdir(tmp_path / "slides")) == [name.name for name in names]


def test_one_step_is_one_file(trace, tmp_path):
    assert export(trace, tmp_path / "one.svg", 3, 4) == [tmp_path / "one.svg"]
    with pytest.raises(ValueError, match=r"expected a name with a number, as in 'step-\{:03\}\.svg', for 14 steps"):
        export(trace, tmp_path / "all.svg")
    with pytest.raises(ValueError, match="expected a name as in"):
        export(trace, tmp_path / "step-{name}.svg")
    assert os.listdir(tmp_path) == ["one.svg"]


def test_a_page_for_every_step(trace, tmp_path):
    assert export(trace, tmp_path / "steps.pdf", 4, 7) == [tmp_path / "steps.pdf"]
    data = (tmp_path / "steps.pdf").read_bytes()
    assert data.startswith(b"%PDF") and b"/Count 3" in data


def test_an_animation_shows_every_step_for_its_time(trace, tmp_path):
    from PIL import Image

    film = animate(trace, 4, 7, seconds=0.5)
    film.save(tmp_path / "film.gif")
    with Image.open(tmp_path / "film.gif") as image:
        assert image.n_frames == film.count == 3 and image.info["loop"] == 0
        durations, pixels = [], []
        for i in range(3):
            image.seek(i)
            durations.append(image.info["duration"])
            pixels.append(np.asarray(image.convert("RGB"), dtype=int))
    assert durations == [500, 500, 1000]
    assert (pixels[0] != pixels[1]).any() and (pixels[1] != pixels[2]).any()
    now = np.abs(pixels[1] - [213, 94, 0]).sum(-1) < 30  # the edge shown is vermillion
    assert now.sum() > 50
    assert film._repr_html_().startswith("<img") and repr(film).startswith("<Animation: 3 steps")


def test_what_cannot_be_exported_is_said(trace, tmp_path):
    with pytest.raises(ValueError, match=r"expected a name in \.gif, \.pdf, \.svg or \.png, or a folder"):
        export(trace, tmp_path / "steps.mp4")
    with pytest.raises(ValueError, match=r"animate: expected seconds > 0 \(seconds=0\)"):
        animate(trace, seconds=0)
    with pytest.raises(ValueError, match=r"ends in \.gif"):
        animate(trace, 0, 1).save(tmp_path / "film.png")
    assert os.listdir(tmp_path) == []


def test_a_full_disk_leaves_the_old_frames_or_none(trace, tmp_path, monkeypatch):
    export(trace, tmp_path / "old", 0, 3)
    before = {name: (tmp_path / "old" / name).read_text() for name in os.listdir(tmp_path / "old")}
    module = sys.modules["minigrad.inspect.frames"]
    write, written = module.write_atomically, []

    def full(path, data):
        written.append(path)
        if len(written) == 2:
            raise OSError(errno.ENOSPC, "the disk is full")
        write(path, data)

    monkeypatch.setattr(module, "write_atomically", full)
    with pytest.raises(OSError, match="disk is full"):
        export(trace, tmp_path / "old", 3, 6)
    assert {name: (tmp_path / "old" / name).read_text() for name in os.listdir(tmp_path / "old")} == before
    written.clear()
    with pytest.raises(OSError, match="disk is full"):
        export(trace, tmp_path / "new" / "folder", 0, 3)
    assert os.listdir(tmp_path) == ["old"]
