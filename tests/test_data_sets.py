"""The loaders of data sets: each on a tiny file of the original format, on damaged ones, and on the real data.

The real files are those of MINIGRAD_DATA; without it those tests are skipped.
"""

import datetime
import gzip
import hashlib
import itertools
import os
import re
import struct
import sys
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from minigrad import data
from minigrad.data import cifar, files, graphs, pictures, signals, synthetic
from minigrad.engine.random import Generator

real = pytest.mark.skipif(
    "MINIGRAD_DATA" not in os.environ or not Path(os.environ["MINIGRAD_DATA"], "cora").is_dir(),
    reason="needs the data sets in MINIGRAD_DATA",
)


def put(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


# ---------------------------------------------------------------- files

LOADERS = [
    lambda d: data.cifar10(data_dir=d),
    lambda d: data.tinyshakespeare(data_dir=d),
    lambda d: data.rt_polarity(data_dir=d),
    lambda d: data.ud_english(data_dir=d),
    lambda d: data.cora(data_dir=d),
    lambda d: data.cinc2017(data_dir=d),
    lambda d: data.ecg5000(data_dir=d),
    lambda d: data.ecg200(data_dir=d),
    lambda d: data.omniglot(data_dir=d),
    lambda d: data.omniglot_runs(data_dir=d),
    lambda d: data.babi(3, data_dir=d),
    lambda d: data.protein_structure(data_dir=d),
]


@pytest.mark.parametrize("load", LOADERS)
def test_missing_files_say_what_to_do(load, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=re.escape(str(tmp_path))) as error:
        load(tmp_path)
    assert "MINIGRAD_DATA" in str(error.value) and "https://" in str(error.value)
    assert isinstance(error.value, FileNotFoundError)
    monkeypatch.delenv("MINIGRAD_DATA", raising=False)
    monkeypatch.setenv("MINIGRAD_CACHE", str(tmp_path))
    with pytest.raises(data.MissingData, match="MINIGRAD_DATA or the cache"):
        load(None)


def test_folders_of_the_environment_and_the_cache_are_searched(tmp_path, monkeypatch):
    put(tmp_path / "a" / "ecg200" / "ECG200_TRAIN.tsv", "1\t2\t3\n-1\t4\t5\n")
    put(tmp_path / "a" / "ecg200" / "ECG200_TEST.tsv", "1\t2\t3\n")
    for name, folder in ("MINIGRAD_DATA", "a"), ("MINIGRAD_CACHE", "a"):
        monkeypatch.delenv("MINIGRAD_DATA", raising=False)
        monkeypatch.setenv("MINIGRAD_CACHE", str(tmp_path / "empty"))
        monkeypatch.setenv(name, str(tmp_path / folder))
        assert data.ecg200().y_train.tolist() == [1, 0]


def test_a_listed_file_with_other_content_is_refused_unless_told(tmp_path):
    put(tmp_path / "input.txt.gz", gzip.compress(b"To be, or not"))
    with pytest.raises(ValueError, match=r"SHA-256.*verify=False"):
        data.tinyshakespeare("all", tmp_path)
    assert data.tinyshakespeare("all", tmp_path, verify=False) == "To be, or not"
    put(tmp_path / "input.txt.gz", gzip.compress(b"To be, or not")[:-9])
    with pytest.raises(ValueError, match="damaged gzip file"):
        data.tinyshakespeare("all", tmp_path, verify=False)
    put(tmp_path / "cora.npz", b"PK\3\4 no zip file")
    with pytest.raises(ValueError, match="does not hold the arrays feat_indptr"):
        data.cora(tmp_path, verify=False)
    np.savez(tmp_path / "ecg200.npz", x_train=np.array([{}], object))
    with pytest.raises(ValueError, match="does not hold the arrays"):  # a pickle is not opened
        data.ecg200(tmp_path, verify=False)


def test_download_is_asked_for_checked_and_explained(tmp_path, monkeypatch):
    pooch = pytest.importorskip("pooch")
    asked = []

    def retrieve(url, known_hash, fname, path):
        asked.append((url, known_hash))
        return str(put(Path(path) / fname, "1\tA\t_\tDET\tDT\t_\t0\troot\t_\t_\n"))

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    assert data.ud_english("dev", tmp_path, download=True)[0].words == ["A"]
    assert asked[0][0].endswith("/en_ewt-ud-dev.conllu") and asked[0][1].startswith("sha256:531a54ff")

    def fail(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr(pooch, "retrieve", fail)
    with pytest.raises(data.MissingData, match=r"could not be downloaded.*by hand"):
        data.tinyshakespeare(data_dir=tmp_path, download=True)
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(data.MissingData, match=r"minigrad\[train\]"):
        data.tinyshakespeare(data_dir=tmp_path, download=True)


@real
def test_downloads_are_what_is_measured():
    """The checksum of a download is that of the content here, so both give the same figures."""
    from minigrad.data.text import SHAKESPEARE_SHA256
    from minigrad.data.treebank import EWT_SHA256

    root = Path(os.environ["MINIGRAD_DATA"])
    names = {"tinyshakespeare/input.txt.gz": SHAKESPEARE_SHA256}
    names |= {f"ud_english_ewt/en_ewt-ud-{s}.conllu.gz": h for s, h in EWT_SHA256.items()}
    for name, expected in names.items():
        assert hashlib.sha256(gzip.decompress((root / name).read_bytes())).hexdigest() == expected


@pytest.mark.parametrize("load", [data.tinyshakespeare, data.ud_english, data.rt_polarity, data.cinc2017, data.protein_structure, lambda s: data.babi(1, s)])  # fmt: skip
def test_unknown_splits_are_named(load):
    with pytest.raises(ValueError, match=r"expected split to be one of .*'half'"):
        load("half")


def test_stratified_deals_every_class():
    labels = np.array([0] * 100 + [1] * 20)
    part = files.stratified(labels, [0.75, 0.1, 0.15], seed=0)
    assert np.bincount(part[:100]).tolist() == [75, 10, 15] and np.bincount(part[100:]).tolist() == [15, 2, 3]
    assert (part == files.stratified(labels, [0.75, 0.1, 0.15], seed=0)).all()


# ---------------------------------------------------------------- CIFAR-10


def test_cifar10_binary_round_trip(tmp_path):
    images = Generator(0).integers(0, 256, (15, 3, 32, 32)).astype(np.uint8)
    labels = np.arange(15) % 10
    records = np.column_stack([labels, images.reshape(15, -1)]).astype(np.uint8)
    for i in range(5):
        put(tmp_path / "cifar-10-batches-bin" / f"data_batch_{i + 1}.bin", records[3 * i : 3 * i + 3].tobytes())
    found = data.cifar10(data_dir=tmp_path)
    assert (found.images == images).all() and (found.labels == labels).all() and not found.lossy
    assert (data.cifar10(data_dir=tmp_path, count=4).images == images[:4]).all()
    put(tmp_path / "test_batch.bin", records[:2].tobytes()[:-1])
    with pytest.raises(ValueError, match="6145 bytes, expected records of 3073"):
        data.cifar10(False, tmp_path)
    put(tmp_path / "test_batch.bin", bytes([200]) * 3073)
    with pytest.raises(ValueError, match="label from 0 to 9"):
        data.cifar10(False, tmp_path)


def test_cifar10_coefficients_decode(tmp_path):
    """Even blocks are one coefficient each; a value past int8 is put in its place; colours are JPEG's."""
    coef = np.zeros((64, 24, 2), np.int8)
    coef[0, 0, 1] = 10  # the first block of image 1: 10 * 8 / 8 brighter than 128
    coef[0, 20:, 0], coef[0, 16:20, 1] = 5, -5  # redder by 5 * 16 / 8, less blue by as much
    np.savez(
        tmp_path / "cifar10_test_dct.npz", coef=coef, over_idx=[0 * 48 + 5 * 2 + 0], over_val=np.array([-200], np.int16),
        qtable=np.repeat([[8], [16]], 64, axis=1).astype(np.uint8), label=np.array([3, 4], np.uint8),
    )  # fmt: skip
    found = data.cifar10(False, tmp_path, verify=False)
    assert found.lossy and found.labels.tolist() == [3, 4]
    expected = np.full((2, 32, 32), 128)
    expected[1, :8, :8], expected[0, 8:16, 8:16] = 138, 0
    colour = np.array([[14.02, -7.14, 0], [0, 3.44, -17.72]])[:, :, None, None]
    assert (found.images == np.clip(np.rint(expected[:, None] + colour), 0, 255)).all()
    assert np.allclose(cifar.cosines() @ cifar.cosines().T, np.eye(8), atol=1e-6)


@real
def test_cifar10_real():
    found = data.cifar10(False, count=1000)
    assert found.images.shape == (1000, 3, 32, 32) and np.bincount(found.labels).tolist() == [100] * 10
    assert np.allclose(found.images.mean((0, 2, 3)) / 255, [0.49, 0.48, 0.45], atol=0.02)


# ---------------------------------------------------------------- text


def test_tinyshakespeare_round_trip(tmp_path):
    put(tmp_path / "tinyshakespeare" / "input.txt", "0123456789" * 2)
    assert data.tinyshakespeare("train", tmp_path) == "0123456789" + "01234567"
    assert data.tinyshakespeare("validation", tmp_path) == "89"
    put(tmp_path / "tinyshakespeare" / "input.txt", "")
    with pytest.raises(ValueError, match="is empty"):
        data.tinyshakespeare("train", tmp_path)


def test_rt_polarity_round_trip_and_folds(tmp_path):
    good = [f"good film {i} café" for i in range(20)]
    put(tmp_path / "rt-polarity.pos", "\n".join(good).encode("latin-1"))
    put(tmp_path / "rt-polarity.neg", "\n".join(f"bad film {i}" for i in range(30)) + "\n\n")
    whole = data.rt_polarity("all", data_dir=tmp_path)
    assert whole.sentences[30] == ["good", "film", "0", "café"] and whole.labels.tolist() == [0] * 30 + [1] * 20
    tested = []
    for fold in range(10):
        train, test = (data.rt_polarity(s, fold, tmp_path) for s in ("train", "test"))
        assert len(train.labels) == 45 and test.labels.tolist() == [0, 0, 0, 1, 1]
        tested += map(tuple, test.sentences)
    assert sorted(tested) == sorted(map(tuple, whole.sentences))
    with pytest.raises(ValueError, match="fold from 0 to 9"):
        data.rt_polarity(fold=10, data_dir=tmp_path)


@real
def test_text_real():
    text = data.tinyshakespeare("all")
    assert len(text) == 1_115_394 and len(data.Vocabulary([text], padding=None, unknown=None)) == 65
    whole = data.rt_polarity("all")
    assert np.bincount(whole.labels).tolist() == [5331, 5331]
    assert sum(map(len, whole.sentences)) == 224_067 and max(map(len, whole.sentences)) == 59
    assert len({w for s in whole.sentences for w in s}) == 21_425


# ---------------------------------------------------------------- treebank

CONLLU = """# text = I can't go
1\tI\tI\tPRON\tPRP\t_\t4\tnsubj\t_\t_
2-3\tcan't\t_\t_\t_\t_\t_\t_\t_\t_
2\tca\tcan\tAUX\tMD\t_\t4\taux\t_\t_
3\tn't\tnot\tPART\tRB\t_\t4\tadvmod\t_\t_
4\tgo\tgo\tVERB\tVB\t_\t0\troot\t_\t_
4.1\tgone\tgo\tVERB\tVB\t_\t_\t_\t_\t_

1\tYes\tyes\tINTJ\tUH\t_\t0\troot\t_\t_
"""


def test_conllu_round_trip_and_faults(tmp_path):
    put(tmp_path / "en_ewt-ud-dev.conllu", CONLLU)
    first, second = data.ud_english("dev", tmp_path)
    assert first.words == ["I", "ca", "n't", "go"] and first.upos == ["PRON", "AUX", "PART", "VERB"]
    assert first.xpos[1] == "MD" and first.heads == [4, 4, 4, 0] and first.relations[3] == "root"
    assert second.words == ["Yes"]
    for fault, message in [("1\tI\tI\n", "line 1 .* 3 columns"), (CONLLU.replace("\n3\t", "\n9\t"), "line 5 .* word 9, expected 3"), ("# nothing\n", "no sentences")]:
        with pytest.raises(ValueError, match=message):
            data.read_conllu(put(tmp_path / "bad.conllu", fault))


@real
def test_treebank_real():
    dev, test = data.ud_english("dev"), data.ud_english("test")
    assert (len(dev), sum(len(s.words) for s in dev)) == (2001, 25147)
    assert (len(test), sum(len(s.words) for s in test)) == (2077, 25094)
    assert {tag for s in dev + test for tag in s.upos} == set(data.UPOS) and len(data.UPOS) == 17


@real
def test_treebank_real_training_part_and_its_baseline():
    train, test = data.ud_english("train"), data.ud_english("test")
    assert (len(train), sum(len(s.words) for s in train)) == (12544, 204_577)
    seen: dict[str, Counter] = {}
    for s in train:
        for word, tag in zip(s.words, s.upos):
            seen.setdefault(word, Counter())[tag] += 1
    best = {word: tags.most_common(1)[0][0] for word, tags in seen.items()}
    right = [best.get(w, "PROPN") == t for s in test for w, t in zip(s.words, s.upos)]
    assert np.mean(right) == pytest.approx(0.8693, abs=1e-3)


# ---------------------------------------------------------------- Cora


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


def test_cora_does_not_open_pickles(tmp_path):
    put(tmp_path / "ind.cora.x", b"cos\nsystem\n(S'false'\ntR.")
    with pytest.raises(data.MissingData, match=r"ind.cora.x is a pickle.*not read"):
        data.cora(tmp_path)


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


# ---------------------------------------------------------------- signals


def header(name, n, samples, form="16", file=None, gain="1000/mV", check=None):
    check = int(samples.sum()) % 65536 if check is None else check
    return f"{name} 1 300 {n} 05:05:15 1/05/2000\n{file or name + '.dat'} {form} {gain} 16 0 {samples[0]} {check} 0 ECG\n"


def test_wfdb_round_trip_and_faults(tmp_path):
    samples = Generator(2).integers(-3000, 3000, (900,)).astype("<i2")
    put(tmp_path / "a.dat", samples.tobytes())
    record = data.read_wfdb(put(tmp_path / "a.hea", header("a", 900, samples)))
    assert np.allclose(record.signals[:, 0], samples / 1000) and record.rate == 300 and record.units == ["mV"]
    shifted = data.read_wfdb(put(tmp_path / "a.hea", header("a", 900, samples, gain="500(20)/uV")))
    assert np.allclose(shifted.signals[:, 0], (samples - 20) / 500.0) and shifted.units == ["uV"]
    two = "a 2 300/1 450\na.dat 16 200/mV\na.dat 16 100/mV\n# a comment\n"
    both = data.read_wfdb(put(tmp_path / "a.hea", two)).signals
    assert np.allclose(both, samples.reshape(450, 2) / [200, 100])
    for text, message in [
        (header("a", 900, samples, check=5), "checksum differs"),
        (header("a", 901, samples), "1800 bytes of samples, expected 1802"),
        (header("a", 900, samples, form="212"), "format 16"),
        (header("a", 900, samples, file="b.dat"), "b.dat is missing"),
        ("nonsense\n", "not a header"),
        ("", "not a header"),
    ]:
        with pytest.raises(ValueError, match=message):
            data.read_wfdb(put(tmp_path / "a.hea", text))


def test_resample_keeps_what_is_slow_and_drops_what_is_fast():
    t = np.arange(3000) / 300
    slow, fast = np.sin(2 * np.pi * 5 * t), np.sin(2 * np.pi * 80 * t)
    found = data.resample(slow + fast, 300, 100)
    assert len(found) == 1000
    assert np.abs(found - slow[::3])[30:-30].max() < 0.01
    assert np.allclose(data.resample(np.full(50, 2.5), 300, 100), 2.5)
    with pytest.raises(ValueError, match="whole multiple"):
        data.resample(slow, 300, 90)


def test_cinc2017_from_wfdb(tmp_path):
    """The original's form: 16-bit numbers after the 24 bytes of a MATLAB header."""
    t = np.arange(2700)
    for i in range(4):
        samples = np.rint(1000 * np.sin(2 * np.pi * t / 300 * (i + 1))).astype("<i2")
        mat = struct.pack("<5i4s", 30, 1, 2700, 0, 4, b"val\0") + samples.tobytes()
        put(tmp_path / "training2017" / f"A0000{i + 1}.mat", mat)
        text = header(f"A0000{i + 1}", 2700, samples, "16+24", f"A0000{i + 1}.mat", check=0)
        put(tmp_path / "training2017" / f"A0000{i + 1}.hea", text)
    reference = put(tmp_path / "training2017" / "REFERENCE.csv", "A00001,N\nA00002,~\nA00003,A\nA00004,O\n")
    found = data.cinc2017(data_dir=tmp_path)
    assert found.rate == 100 and found.labels.tolist() == [0, 3, 1, 2] and len(found.records) == 4
    assert len(found.records[1]) == 900 and found.records[1].dtype == np.float32
    assert np.allclose(found.records[1][30:-30], np.sin(4 * np.pi * np.arange(900) / 100)[30:-30], atol=0.01)
    reference.write_text("A00001,N\nA00009,N\n")
    with pytest.raises(data.MissingData, match=r"A00009.hea"):
        data.cinc2017(data_dir=tmp_path)
    reference.write_text("A00001,X\n")
    with pytest.raises(ValueError, match="'A00001,X'"):
        data.cinc2017(data_dir=tmp_path)
    with pytest.raises(ValueError, match="v1, v2 or v3"):
        data.cinc2017(version="v4")


def test_cinc2017_from_differences(tmp_path):
    values = np.array([3, -2, 400, 7, 7, -1])
    d = np.diff(values, prepend=0)
    z = np.where(d >= 0, 2 * d, -2 * d - 1)
    labels = np.array([0, 2], np.uint8)
    path = tmp_path / "cinc2017_100hz.npz"
    np.savez(path, lengths=[4, 2], delta_lo=(z & 255).astype(np.uint8), delta_hi=(z >> 8).astype(np.uint8), labels_v3=labels)
    found = data.cinc2017(data_dir=tmp_path, verify=False)
    assert np.allclose(np.concatenate(found.records), values * 0.005) and [len(r) for r in found.records] == [4, 2]
    with pytest.raises(ValueError, match="labels_v1"):
        data.cinc2017(version="v1", data_dir=tmp_path, verify=False)


@real
def test_cinc2017_real():
    found = data.cinc2017()
    lengths = np.array([len(r) for r in found.records])
    assert len(lengths) == 8528 and lengths.sum() == 27_714_391
    assert np.bincount(found.labels).tolist() == [5076, 758, 2415, 279]
    assert (lengths >= 3000).sum() == 7561 and (lengths >= 1000).sum() == 8512
    part = files.stratified(found.labels, [0.75, 0.1, 0.15], seed=2017)
    assert np.bincount(part[found.labels == 1]).tolist() == [568, 76, 114]


def test_ucr_forms_and_faults(tmp_path):
    put(tmp_path / "Toy" / "Toy_TRAIN.txt", "  1.0e+00  0.5  -1.5\n  3.0e+00  2  2.5\n")
    put(tmp_path / "Toy" / "Toy_TEST.txt", "3,1,2\n")
    found = signals.ucr("Toy", tmp_path)
    assert found.x_train.tolist() == [[0.5, -1.5], [2.0, 2.5]] and found.y_train.tolist() == [0, 1]
    assert found.x_test.tolist() == [[1.0, 2.0]] and found.y_test.tolist() == [1]
    put(tmp_path / "Toy" / "Toy_TEST.txt", "2 1 2\n")
    with pytest.raises(ValueError, match="labels that the training part lacks"):
        signals.ucr("Toy", tmp_path)
    for fault in ("1 2 3\n1 2\n", "1 2 x\n", ""):
        with pytest.raises(ValueError, match="get it again"):
            data.read_ucr(put(tmp_path / "bad.txt", fault))


@real
def test_heart_beats_real():
    five, two = data.ecg5000(), data.ecg200()
    assert five.x_train.shape == (500, 140) and five.x_test.shape == (4500, 140)
    assert np.bincount(five.y_train).tolist() == [292, 177, 10, 19, 2]
    assert np.bincount(five.y_test).tolist() == [2627, 1590, 86, 175, 22]
    assert np.bincount(two.y_train).tolist() == [31, 69] and np.bincount(two.y_test).tolist() == [36, 64]
    near = ((two.x_test[:, None] - two.x_train) ** 2).sum(-1).argmin(1)
    assert (two.y_train[near] != two.y_test).mean() == pytest.approx(0.12)  # the archive's published figure


# ---------------------------------------------------------------- PNG, Omniglot


def png(image: np.ndarray, bits: int, kinds: list[int]) -> bytes:
    """A grey PNG file, each line filtered in the way that `kinds` gives it in turn."""
    rows = (np.packbits(image, axis=1) if bits == 1 else image).astype(int)
    lines = b""
    for y, row in enumerate(rows):
        up = rows[y - 1] if y else np.zeros_like(row)
        left, corner = np.append(0, row[:-1]), np.append(0, up[:-1])
        p = left + up - corner
        near = np.array([abs(p - left), abs(p - up), abs(p - corner)]).argmin(0)
        kind = kinds[y % len(kinds)]
        guess = [0 * row, left, up, (left + up) // 2, np.choose(near, [left, up, corner])][kind]
        lines += bytes([kind]) + ((row - guess) % 256).astype(np.uint8).tobytes()
    pieces = [(b"IHDR", struct.pack(">IIBBBBB", *image.shape[::-1], bits, 0, 0, 0, 0)), (b"IDAT", zlib.compress(lines)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(struct.pack(">I", len(c)) + k + c + struct.pack(">I", zlib.crc32(k + c)) for k, c in pieces)


@pytest.mark.parametrize("bits", [1, 8])
def test_png_round_trip(bits, tmp_path):
    image = Generator(3).integers(0, 1 << bits, (13, 21)).astype(np.uint8)
    raw = png(image, bits, [0, 1, 2, 3, 4])
    assert (data.read_png(put(tmp_path / "a.png", raw)) == image).all()
    for fault in (raw[:-20], raw.replace(b"IDAT", b"IDAX"), b"GIF89a", raw[:40] + b"?" + raw[41:]):
        with pytest.raises(ValueError, match="read_png"):
            data.read_png(put(tmp_path / "b.png", fault))


def test_png_of_another_writer(tmp_path):
    image_module = pytest.importorskip("PIL.Image")
    picture = (np.arange(105 * 105).reshape(105, 105) % 7 == 0).astype(np.uint8)
    image_module.fromarray(picture * 255).convert("1").save(tmp_path / "a.png")
    assert (data.read_png(tmp_path / "a.png") == picture).all()


STROKES = "START\n1.5,-2.0,0\n3,-4,10\nBREAK\n5,-6,700\nBREAK\n"


def test_omniglot_folders_round_trip(tmp_path):
    ink = Generator(4).integers(0, 2, (4, 105, 105)).astype(np.uint8)
    places = itertools.product([("Greek", "character01"), ("Latin", "character02")], [1, 20])
    for picture, ((alphabet, character), drawer) in zip(ink, places):
        put(tmp_path / "images_background_small1" / alphabet / character / f"0709_{drawer:02d}.png", png(1 - picture, 1, [0]))
    put(tmp_path / "strokes_background_small1" / "Greek" / "character01" / "0709_20.txt", STROKES)
    found = data.omniglot("small1", tmp_path)
    assert (found.images == ink).all() and found.alphabet_names == ["Greek", "Latin"]
    assert found.alphabet.tolist() == [0, 0, 1, 1] == found.character.tolist() and found.drawer.tolist() == [1, 20, 1, 20]
    assert [len(s) for s in found.strokes] == [0, 2, 0, 0]
    assert found.strokes[1][0].tolist() == [[1.5, -2, 0], [3, -4, 10]]
    with pytest.raises(ValueError, match=r"line 2 .* '1,2', expected x,y,ms"):
        data.read_strokes(put(tmp_path / "bad.txt", "START\n1,2\n"))
    put(tmp_path / "images_background_small1" / "Greek" / "character01" / "0709_03.png", png(ink[0, :9], 1, [0]))
    with pytest.raises(ValueError, match="105 x 105"):
        data.omniglot("small1", tmp_path)


def test_omniglot_runs_round_trip(tmp_path):
    ink = Generator(5).integers(0, 2, (6, 105, 105)).astype(np.uint8)
    run = tmp_path / "all_runs" / "run01"
    for i in range(3):
        put(run / "training" / f"class0{i + 1}.png", png(1 - ink[i], 1, [2]))
        put(run / "test" / f"item0{i + 1}.png", png(1 - ink[3 + i], 1, [1]))
    lines = [f"run01/test/item0{i + 1}.png run01/training/class0{j + 1}.png" for i, j in enumerate([2, 0, 1])]
    put(run / "class_labels.txt", "\n".join(lines) + "\n")
    found = data.omniglot_runs(tmp_path)
    assert (found.train[0] == ink[:3]).all() and (found.test[0] == ink[3:]).all() and found.answer.tolist() == [[2, 0, 1]]
    put(run / "class_labels.txt", "run01/test/item01.png run01/training/class09.png\n")
    with pytest.raises(ValueError, match="class09"):
        data.omniglot_runs(tmp_path)


@real
def test_omniglot_real():
    found, runs = data.omniglot("small1"), data.omniglot_runs()
    assert found.images.shape == (2720, 105, 105) and len(np.unique(found.character)) == 136
    assert np.bincount(found.drawer)[1:].tolist() == [136] * 20 and len(found.alphabet_names) == 5
    assert sum(map(len, found.strokes)) == 6170 and sum(len(s) for d in found.strokes for s in d) == 375_709
    train, test = (a.reshape(20, 20, -1).astype(np.float32) for a in (runs.train, runs.test))
    distance = (train**2).sum(-1)[:, None] - 2 * test @ train.swapaxes(1, 2)  # + |test|^2
    assert (distance.argmin(-1) != runs.answer).mean() == pytest.approx(0.81)


# ---------------------------------------------------------------- bAbI, proteins

STORY = "1 Mary went to the hall.\n2 Is Mary in the hall? \tyes\t1\n3 John took the milk.\n4 What has John?\tmilk,hall\t3 1\n1 It rained.\n2 Did it?\tyes\t1\n"


def test_babi_round_trip_and_faults(tmp_path):
    put(tmp_path / "en-10k" / "qa8_lists-sets_test.txt", STORY)
    one, two, three = data.babi(8, "test", tmp_path)
    assert one.facts == [["mary", "went", "to", "the", "hall"]] and one.question == ["is", "mary", "in", "the", "hall"]
    assert one.answer == "yes" and one.supports == [0]
    assert two.answer == "milk,hall" and two.supports == [1, 0] and len(two.facts) == 2
    assert three.facts == [["it", "rained"]]  # a new story begins
    for fault, message in [("x Mary went.\n", "line 1"), ("1 Who?\tme\n", "line 1"), ("1 Who?\tme\t7\n", "follows from '7'"), ("1 Hm.\n", "no questions")]:
        with pytest.raises(ValueError, match=message):
            data.read_babi(put(tmp_path / "bad.txt", fault))
    for task in (0, 21):
        with pytest.raises(ValueError, match="task from 1 to 20"):
            data.babi(task)


@real
def test_babi_real():
    for task in (1, 4, 19):
        assert len(data.babi(task, "test")) == 1000
    asked = data.babi(1)
    assert len(asked) == 10_000 and len({q.answer for q in asked}) == 6
    assert all(q.facts[q.supports[0]][-1] == q.answer for q in asked)  # each follows from its fact


def test_proteins_round_trip_and_faults(tmp_path):
    put(tmp_path / "protein-secondary-structure.test", "# note\n<>\nG _\nV h\nend\n<>\nX e\n<end>\n")
    first, second = data.protein_structure("test", tmp_path)
    assert first == ("GV", "_h") and second == ("X", "e")
    residues, structure = first.numbers()
    assert residues.tolist() == [data.AMINO_ACIDS.index("G"), data.AMINO_ACIDS.index("V")] and structure.tolist() == [0, 1]
    assert second.numbers()[0].tolist() == [20]
    for fault, message in [("<>\nG q\nend\n", "line 2"), ("<>\nG _\n", "does not end"), ("<>\n", "no chains")]:
        with pytest.raises(ValueError, match=message):
            data.read_chains(put(tmp_path / "bad", fault))


@real
@pytest.mark.parametrize("split,expected", [("train", (111, 18105, 9868, 4601, 3636)), ("test", (17, 3520, 1923, 849, 748))])
def test_proteins_real(split, expected):
    chains = data.protein_structure(split)
    whole = "".join(c.structure for c in chains)
    assert (len(chains), len(whole), *(whole.count(s) for s in data.STRUCTURES)) == expected


# ---------------------------------------------------------------- words and numbers


def test_vocabulary():
    assert data.Vocabulary(["cab", "cb", "c"]).words[2:] == ["c", "b", "a"]  # the commonest first
    v = data.Vocabulary(["abca", "b"], padding=None, unknown=None)
    assert v.words == ["a", "b", "c"] and v.encode("cab").tolist() == [2, 0, 1] and v.decode([0, 1]) == ["a", "b"]
    with pytest.raises(ValueError, match="'z' has no number"):
        v.encode("z")
    v = data.Vocabulary([["x", "y", "x"], ["z", "y", "x"]], min_count=2, max_size=1, extra=["<s>"])
    assert v.words == ["<pad>", "<unk>", "<s>", "x"] and v.padding == 0 and v["y"] == 1 and "y" not in v and len(v) == 4
    assert v.decode([0, 3, 1]) == ["x", "<unk>"] and v.decode([0, 3], keep_padding=True) == ["<pad>", "x"]
    with pytest.raises(ValueError, match="wrap it"):
        data.Vocabulary("text")


def test_padded_batches():
    batch, lengths = data.pad_batch([[1, 2, 3], [], [4]], padding=9, length=2)
    assert batch.tolist() == [[1, 2], [9, 9], [4, 9]] and lengths.tolist() == [2, 0, 1]
    batch, lengths = data.pad_batch([np.ones((2, 3), np.float32), np.ones((1, 3), np.float32)])
    assert batch.shape == (2, 2, 3) and batch.dtype == np.float32 and batch.sum() == 9
    with pytest.raises(ValueError, match="at least one"):
        data.pad_batch([])


# ---------------------------------------------------------------- made here


def test_dates_are_right_and_unambiguous():
    made = data.dates(600, seed=3)
    assert made == data.dates(600, seed=3) and made != data.dates(600, seed=4)
    assert len({re.sub(r"\d+", "0", h) for h in made.human}) > len(synthetic.DATE_FORMS)
    for human, iso in zip(made.human, made.iso):
        day = datetime.date.fromisoformat(iso)
        assert 1950 <= day.year <= 2049 and human in [synthetic.say_date(day, f) for f in synthetic.DATE_FORMS]
        assert {human.split()[0].rstrip(",")} & set(synthetic.DAYS) <= {synthetic.DAYS[day.weekday()]}
    assert synthetic.say_date(datetime.date(1997, 3, 12), "the {day}{th} of {month} {year}") == "the 12th of march 1997"
    assert synthetic.say_date(datetime.date(1997, 3, 22), "{mon} {day}{th}") == "mar 22nd"
    with pytest.raises(ValueError, match="100 years"):
        data.dates(1, first=1900, last=2020)


def test_tones_have_their_pitch():
    made = data.tones(4, length=8000, seed=1)
    spectrum = np.abs(np.fft.rfft(made.signals, axis=1))
    assert np.abs(spectrum.argmax(1) - made.pitch).max() <= 0.5  # bins of 1 Hz
    assert np.abs(made.signals).max() <= 1 and (made.signals - made.clean).std() == pytest.approx(0.01, rel=0.1)
    with pytest.raises(ValueError, match="half the rate"):
        data.tones(1, rate=1000)


def test_tone_words_can_be_heard():
    made = data.tone_words(5, seed=2, noise=0.0)
    for signal, length, word in zip(made.signals, made.lengths, made.words):
        assert (signal[length:] == 0).all() and 1 <= len(word) <= 5
        loud = np.convolve(np.abs(signal), np.ones(40) / 40, "same") > 0.2
        starts, ends = (np.flatnonzero(np.diff(loud.astype(int)) == s) for s in (1, -1))
        heard = [np.fft.rfft(signal[a + 40 : b - 40], 4000) for a, b in zip(starts, ends)]
        assert [round((int(np.abs(h).argmax()) - 300) / 100) for h in heard] == word


def test_cells_and_their_best_predictor():
    made = data.cytometry(40_000, seed=1)
    assert np.allclose(np.bincount(made.kind) / 40_000, synthetic.CELL_SHARES, atol=0.01)
    seen, wanted = made.markers[:, :2], made.markers[:, 2:]
    best = data.best_cd4_cd45(seen)
    residual = wanted - best
    assert np.abs(residual.mean(0)).max() < 0.02  # unbiased, and unrelated to what was seen
    assert np.abs(residual.T @ seen / 40_000).max() < 0.05
    linear = np.column_stack([seen, np.ones(len(seen))])
    line = linear @ np.linalg.lstsq(linear, wanted, rcond=None)[0]
    assert ((wanted - best) ** 2).mean() < ((wanted - line) ** 2).mean() - 0.05
    probable = data.cell_posterior(seen)
    assert np.allclose(probable.sum(1), 1) and (probable.argmax(1) == made.kind).mean() > 0.85


def test_forward_algorithm_equals_all_paths():
    model, symbols = synthetic.THREE_STATES, np.array([[0, 2, 5, 3], [4, 4, 1, 0]])
    for line, found in zip(symbols, data.markov_nll(symbols)):
        total = 0.0
        for path in itertools.product(range(3), repeat=4):
            p = model.start[path[0]] * np.prod([model.change[a, b] for a, b in itertools.pairwise(path)])
            total += p * np.prod([model.emit[s, k] for s, k in zip(path, line)])
        assert found == pytest.approx(-np.log(total), rel=1e-12)


def test_markov_samples_follow_the_model():
    made = data.markov_samples(2000, 20, seed=1)
    model = synthetic.THREE_STATES
    for row in range(3):
        after = np.bincount(made.states[:, 1:][made.states[:, :-1] == row], minlength=3)
        assert np.allclose(after / after.sum(), model.change[row], atol=0.02)
        shown = np.bincount(made.symbols[made.states == row], minlength=6)
        assert np.allclose(shown / shown.sum(), model.emit[row], atol=0.02)
    assert np.allclose(np.bincount(made.states[:, 0]) / 2000, model.start, atol=0.03)
    other = model._replace(change=np.full((3, 3), 1 / 3))
    assert data.markov_nll(made.symbols).mean() < data.markov_nll(made.symbols, other).mean()


def test_films_move_as_said_and_single_frames_say_nothing():
    made = data.moving_digits(400, frames=5, seed=2)
    assert made.frames.shape == (400, 5, 1, 32, 32) and np.bincount(made.direction).min() > 25
    for film, direction in zip(made.frames[:50, :, 0], made.direction):
        for t in range(4):
            assert (np.roll(film[t], 2 * synthetic.STEPS[direction], (0, 1)) == film[t + 1]).all()
    where = np.array([f[-1, 0].mean(1) @ np.exp(2j * np.pi * np.arange(32) / 32) for f in made.frames])
    up = made.direction == 2  # the last frame's place is anywhere, whatever the direction
    assert abs((where[up] / abs(where[up])).mean()) < 0.4
    own = data.moving_digits(3, size=9, images=np.full((1, 2, 3), 7, np.uint8), labels=np.array([5]))
    assert own.digit.tolist() == [5, 5, 5] and (own.frames.sum((2, 3, 4)) == 42).all()
    with pytest.raises(ValueError, match="together"):
        data.moving_digits(1, images=np.zeros((1, 2, 2)))
    with pytest.raises(ValueError, match="within size=8"):
        data.moving_digits(1, size=8)


def test_scenes_show_what_their_captions_say():
    made = data.scenes(200, seed=1)
    assert (made.images[:3] == data.scenes(3, seed=1).images).all()  # the first are the same however many follow
    for image, (a, b), caption in zip(made.images, made.things, made.captions):
        relation = next(r for r in pictures.RELATIONS if r in caption)
        assert caption == f"a {a.colour} {a.shape} {relation} a {b.colour} {b.shape}"
        assert [r for r in pictures.RELATIONS if pictures.relation_holds(a, r, b)] == [relation]
        assert a.colour != b.colour and a.shape != b.shape
        left = image.copy()
        for thing in (a, b):
            box = left[:, thing.top : thing.bottom, thing.left : thing.right]
            painted = (box == np.array(pictures.COLOURS[thing.colour], np.uint8)[:, None, None]).all(0)
            assert 0.2 < painted.mean() < 0.9
            box[:, painted] = 0
        assert (left == 0).all()  # nothing else is in the picture
    with pytest.raises(ValueError, match="at least 16"):
        data.scenes(1, size=8)


def test_questions_need_the_picture():
    made = data.scenes(300, seed=2)
    asked = data.questions(made, seed=3)
    assert len(asked.questions) == 1200 == len(asked.answers) and asked.scene[-1] == 299
    for scene, question, answer in zip(asked.scene, asked.questions, asked.answers):
        pair, words = made.things[scene], question.split()
        if words[0] == "what":
            thing = next(t for t in pair if t.shape in words or t.colour in words)
            assert answer == (thing.colour if words[1] == "colour" else thing.shape)
        elif words[1] == "there":
            assert answer == ("yes" if any((t.colour, t.shape) == (words[3], words[4]) for t in pair) else "no")
        else:
            a, b = (next(t for t in pair if t.shape == w) for w in (words[2], words[-1]))
            assert answer == ("yes" if pictures.relation_holds(a, " ".join(words[3:-2]), b) else "no")
    by_words: dict[str, Counter] = {}
    for question, answer in zip(asked.questions, asked.answers):
        by_words.setdefault(question, Counter())[answer] += 1
    guessed = sum(c.most_common(1)[0][1] for c in by_words.values()) / len(asked.answers)
    assert guessed < 0.6  # the best that the words alone allow, with all answers known
