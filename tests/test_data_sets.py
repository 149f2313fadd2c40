"""The loaders of data sets: each on a tiny file of the original format, on damaged ones, and on the real data.

The real files are those of MINIGRAD_DATA; without it those tests are skipped.
"""

import itertools
import struct
from collections import Counter

import numpy as np
import pytest
from data_files import png, put, real

from minigrad import data
from minigrad.data import cifar, files, signals
from minigrad.engine.random import Generator

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
