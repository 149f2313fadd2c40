"""Cora: from its text files, from Planetoid's pickles of which nothing is run, and the real one."""

import struct

import numpy as np
import pytest
from data_files import put, real

from minigrad import data
from minigrad.data import graphs
from minigrad.engine.random import Generator


def test_cora_from_content_and_cites(tmp_path):
    n = 7 * 22
    words = Generator(1).integers(0, 2, (n, 6))
    rows = [f"p{i} {' '.join(map(str, words[i]))} {data.CORA_CLASSES[i % 7]}" for i in range(n)]
    put(tmp_path / "cora" / "cora.content", "\n".join(rows) + "\n")
    put(tmp_path / "cora" / "cora.cites", "p3\tp1\np1\tp3\np5\tp5\np0\tp9\n")
    found = data.cora(tmp_path)
    assert (found.features == words).all() and (found.labels == np.arange(n) % 7).all()
    assert found.edges.tolist() == [[0, 9], [1, 3]]  # each once, none to itself
    assert np.bincount(found.labels[found.train]).tolist() == [20] * 7
    parts = np.concatenate([found.train, found.validation, found.test])
    assert len(np.unique(parts)) == n
    put(tmp_path / "cora" / "cora.cites", "p3 nobody\n")
    with pytest.raises(ValueError, match="'p3 nobody', expected two papers"):
        data.cora(tmp_path)
    put(tmp_path / "cora" / "cora.content", rows[0] + "\n" + rows[1] + " Poetry\n")
    with pytest.raises(ValueError, match="differ in length"):
        data.cora(tmp_path)
    put(tmp_path / "cora" / "cora.content", "p0 0 1 Poetry\n")
    with pytest.raises(ValueError, match="classes \\['Poetry'\\]"):
        data.cora(tmp_path)


class Ancient:
    """Pickles of Python 2, as Planetoid's were written: protocol 2, arrays as Latin-1 strings."""

    @staticmethod
    def array(values):
        values = np.ascontiguousarray(values)
        kind = values.dtype.str[1:]
        start = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tU\x01btR(K\x01("
        shape = b"".join(b"J" + struct.pack("<i", n) for n in values.shape)
        dtype = f"cnumpy\ndtype\n(U\x02{kind}K\x00K\x01tR(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb".encode("latin-1")
        raw = values.tobytes()
        return start + shape + b"t" + dtype + b"I00\nT" + struct.pack("<i", len(raw)) + raw + b"tb"

    @classmethod
    def rows(cls, values):
        ends = np.concatenate([[0], np.cumsum((values != 0).sum(1))]).astype(np.int32)
        parts = {"data": values[values != 0].astype(np.float32), "indices": np.nonzero(values)[1].astype(np.int32), "indptr": ends}
        kept = b"".join(b"U" + bytes([len(k)]) + k.encode() + cls.array(v) for k, v in parts.items())
        shape = b"U\x06_shape(" + b"".join(b"J" + struct.pack("<i", n) for n in values.shape) + b"t"
        return b"cscipy.sparse.csr\ncsr_matrix\n)\x81}(" + kept + shape + b"ub"

    @staticmethod
    def graph(near):
        number = lambda n: b"J" + struct.pack("<i", n)
        pairs = b"".join(number(a) + b"](" + b"".join(map(number, bs)) + b"e" for a, bs in near.items())
        return b"ccollections\ndefaultdict\n(c__builtin__\nlist\ntR(" + pairs + b"u"


def planetoid_files(folder, nodes=1650, tested=1000):
    """Eight files of a small graph, in the order that they are published in; and what they say."""
    r = Generator(3)
    features = r.integers(0, 2, (nodes, 5))
    labels = np.arange(nodes) % 7
    order = nodes - tested + r.permutation(tested)
    near = {i: [(i + 1) % nodes, i] for i in range(nodes)}
    hot = np.eye(7, dtype=np.int32)[labels]
    known = nodes - tested
    parts = {
        "x": Ancient.rows(features[:140]), "y": Ancient.array(hot[:140]),
        "allx": Ancient.rows(features[:known]), "ally": Ancient.array(hot[:known]),
        "tx": Ancient.rows(features[order]), "ty": Ancient.array(hot[order]), "graph": Ancient.graph(near),
    }  # fmt: skip
    for name, content in parts.items():
        put(folder / f"ind.cora.{name}", b"\x80\x02" + content + b".")
    put(folder / "ind.cora.test.index", "\n".join(map(str, order)) + "\n")
    return features, labels


def test_cora_from_planetoids_files(tmp_path):
    features, labels = planetoid_files(tmp_path / "cora")
    found = data.cora(tmp_path, verify=False)
    assert (found.features == features).all() and (found.labels == labels).all()
    assert found.edges.tolist() == [[0, 1], [0, 1649], *([i, i + 1] for i in range(1, 1649))]
    assert found.train.tolist() == list(range(140)) and found.validation.tolist() == list(range(140, 640))
    assert found.test.tolist() == list(range(650, 1650))
    (tmp_path / "cora" / "ind.cora.ty").unlink()
    with pytest.raises(data.MissingData, match=r"neither ind\.cora\.ty in"):
        data.cora(tmp_path, verify=False)


@pytest.mark.parametrize(
    "content", [b"cos\nsystem\n(S'false'\ntR.", b"cnumpy\nload\n(S'x'\ntR.", b"c__builtin__\neval\n(S'1'\ntR.", b"\x80\x02](K\x01", b""]
)  # fmt: skip
def test_nothing_that_a_pickle_names_is_run(content, tmp_path):
    planetoid_files(tmp_path)
    with pytest.raises(ValueError, match=r"ind.cora.x is damaged or another edition"):
        data.cora(tmp_path)
    put(tmp_path / "ind.cora.x", content)
    with pytest.raises(ValueError, match=r"ind.cora.x is no file of Planetoid \(.*get it again") as error:
        data.cora(tmp_path, verify=False)
    assert "not opened" in str(error.value) or not content.startswith(b"c")


@real
def test_cora_real():
    found = data.cora()
    assert found.features.shape == (2708, 1433) and found.features.sum() == 49216
    assert np.bincount(found.labels).tolist() == [351, 217, 418, 818, 426, 298, 180]
    assert found.edges.shape == (5278, 2) and (found.edges[:, 0] < found.edges[:, 1]).all()
    assert [len(p) for p in (found.train, found.validation, found.test)] == [140, 500, 1000]
    assert np.bincount(found.labels[found.train]).tolist() == [20] * 7
    random = graphs.planetoid_split(found.labels)
    assert [len(p) for p in random] == [140, 500, 1000] and len(np.unique(np.concatenate(random))) == 1640
