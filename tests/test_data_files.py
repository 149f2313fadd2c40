"""Files of data sets: found, checked, fetched and unpacked, and what is said where they are missing."""

import gzip
import hashlib
import os
import re
import sys
import tarfile
import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from data_files import png, put, real

from minigrad import data
from minigrad.data import files

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


FETCHED = [
    lambda d: data.cifar10(data_dir=d, download=True),
    lambda d: data.tinyshakespeare(data_dir=d, download=True),
    lambda d: data.rt_polarity(data_dir=d, download=True),
    lambda d: data.ud_english(data_dir=d, download=True),
    lambda d: data.cora(data_dir=d, download=True),
    lambda d: data.omniglot("small2", data_dir=d, download=True),
    lambda d: data.omniglot_runs(data_dir=d, download=True),
    lambda d: data.babi(4, data_dir=d, download=True),
    lambda d: data.protein_structure("test", data_dir=d, download=True),
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
    assert data.ud_english("dev", tmp_path, download=True)[0].words == ["A"] and len(asked) == 1, "fetched again"


@pytest.mark.parametrize("load", FETCHED)
def test_a_failed_download_says_where_the_file_is(load, tmp_path, monkeypatch):
    pooch = pytest.importorskip("pooch")

    def fail(url, known_hash, fname, path):
        assert url.startswith("https://") and url.endswith("/" + fname) and str(path).startswith(str(tmp_path))
        assert re.fullmatch(r"sha256:[0-9a-f]{64}|md5:[0-9a-f]{32}", known_hash)
        raise OSError("no network")

    monkeypatch.setattr(pooch, "retrieve", fail)
    with pytest.raises(data.MissingData, match=r"could not be downloaded from https://.*by hand") as error:
        load(tmp_path)
    assert "\n" not in str(error.value)
    monkeypatch.delenv("MINIGRAD_DATA", raising=False)
    monkeypatch.setenv("MINIGRAD_CACHE", str(tmp_path / "cache"))
    with pytest.raises(data.MissingData, match="could not be downloaded"):
        load(None)
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(data.MissingData, match=r"minigrad\[train\]"):
        load(tmp_path)


def test_what_can_be_fetched_is_told_with_its_call(tmp_path):
    for call, load in {
        "ud_english('train', download=True)": data.ud_english,
        "rt_polarity(download=True)": data.rt_polarity,
        "cora(download=True)": data.cora,
        "cifar10(download=True)": data.cifar10,
        "omniglot('small1', download=True)": data.omniglot,
        "babi(7, 'train', download=True)": lambda **d: data.babi(7, **d),
    }.items():
        with pytest.raises(data.MissingData, match=re.escape(f"with a network, minigrad.data.{call} fetches it")):
            load(data_dir=tmp_path)
    for load in (data.cinc2017, data.ecg200, lambda **d: data.babi(3, **d), lambda **d: data.omniglot("evaluation", **d)):
        with pytest.raises(data.MissingData, match="The original: https://") as error:  # no checksum is known
            load(data_dir=tmp_path)
        assert "download=True" not in str(error.value)


def test_an_archive_is_fetched_and_unpacked(tmp_path, monkeypatch):
    """Of a .tar.gz and a .zip only what is wanted, and nothing outside the folder."""
    pooch = pytest.importorskip("pooch")
    record = bytes([7]) + bytes(range(256)) * 12

    def retrieve(url, known_hash, fname, path):
        archive = put(Path(path) / fname, b"")
        if fname.endswith(".zip"):
            with zipfile.ZipFile(archive, "w") as z:
                if fname.startswith("strokes"):
                    z.writestr("strokes_background_small1/Greek/character01/0001_01.txt", "START\n1,-2,3\nBREAK\n")
                else:
                    z.writestr("images_background_small1/Greek/character01/0001_01.png", png(np.zeros((105, 105), np.uint8), 1, [0]))
                z.writestr("__MACOSX/._x.txt", "no")
                z.writestr("../outside/x.txt", "no")
            return str(archive)
        with tarfile.open(archive, "w:gz") as t:
            for name in [*(f"cifar-10-batches-bin/data_batch_{i}.bin" for i in range(1, 6)), "../outside/x.bin"]:
                member = tarfile.TarInfo(name)
                member.size = len(record)
                t.addfile(member, BytesIO(record))
        return str(archive)

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    found = data.cifar10(data_dir=tmp_path / "d", download=True)
    assert found.labels.tolist() == [7] * 5 and not found.lossy and found.images[0, 0, 0, :3].tolist() == [0, 1, 2]
    drawn = data.omniglot("small1", tmp_path / "d", download=True)
    assert drawn.images.shape == (1, 105, 105) and drawn.images.all() and drawn.strokes[0][0].tolist() == [[1, -2, 3]]
    names = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()}
    assert not [name for name in names if "outside" in name or "MACOSX" in name]
    assert len(names) == 5 + 2 + 3  # records, drawing and strokes, three archives


@real
def test_downloads_are_what_is_measured():
    """The checksum of a download is that of the content here, so both give the same figures."""
    here = {path.name.removesuffix(".gz"): path for path in Path(os.environ["MINIGRAD_DATA"]).rglob("*.gz")}
    compared = 0
    for source in files.source_list():
        if (path := here.get(source.name)) is not None:
            assert source.checksum == "sha256:" + hashlib.sha256(gzip.decompress(path.read_bytes())).hexdigest()
            compared += 1
    assert compared == 1 + 3 + 2 + 2 + 2 * 19


@pytest.mark.parametrize("load", [data.tinyshakespeare, data.ud_english, data.rt_polarity, data.cinc2017, data.protein_structure, lambda s: data.babi(1, s)])  # fmt: skip
def test_unknown_splits_are_named(load):
    with pytest.raises(ValueError, match=r"expected split to be one of .*'half'"):
        load("half")


def test_stratified_deals_every_class():
    labels = np.array([0] * 100 + [1] * 20)
    part = files.stratified(labels, [0.75, 0.1, 0.15], seed=0)
    assert np.bincount(part[:100]).tolist() == [75, 10, 15] and np.bincount(part[100:]).tolist() == [15, 2, 3]
    assert (part == files.stratified(labels, [0.75, 0.1, 0.15], seed=0)).all()
