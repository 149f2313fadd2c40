"""Datasets, loader, transforms and the data files, as a user meets them."""

import collections
import gzip
import hashlib
import os
import shutil
import struct
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad import data
from minigrad.data import (
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    Subset,
    TensorDataset,
    transforms,
)
from minigrad.engine.random import Generator

X = np.arange(46, dtype=np.float32).reshape(23, 2)
Y = np.arange(23)


def noisy(x, generator):
    return x + generator.random(x.shape, np.float32)


class Squares(Dataset):
    """Items one by one, some of them slow, so that workers would overtake one another if they could."""

    def __len__(self):
        return 23

    def __getitem__(self, i):
        time.sleep(0.001 * (i % 3))
        return {"x": np.float32(i), "y": (i * i, str(i))}


class Drawing(Squares):
    def item(self, i, generator):
        return i, generator.random(2)


def seen(loader):
    """Everything the loader gives, as plain nested lists."""

    def plain(batch):
        if isinstance(batch, dict):
            return {key: plain(value) for key, value in batch.items()}
        if isinstance(batch, tuple | list):
            return [plain(part) for part in batch]
        return (batch.dtype.str, batch.cpu().numpy().tolist()) if isinstance(batch, mg.Tensor) else batch

    return [plain(batch) for batch in loader]


def loaders():
    return [thread for thread in threading.enumerate() if thread.name.startswith("minigrad-loader")]


# ---------------------------------------------------------------- order and reproducibility


@pytest.mark.parametrize("dataset", [TensorDataset(X, Y, transform=noisy), Squares(), Drawing()])
@pytest.mark.parametrize("shuffle", [False, True])
def test_batches_do_not_depend_on_the_number_of_workers(dataset, shuffle):
    runs = []
    for workers in (0, 1, 3):
        loader = DataLoader(dataset, 4, shuffle, num_workers=workers, generator=Generator(5))
        runs.append([seen(loader), seen(loader)])
    assert runs[0] == runs[1] == runs[2]
    assert not loaders()
    assert (runs[0][0] != runs[0][1]) or (not shuffle and isinstance(dataset, Squares))


def test_every_epoch_is_another_order_of_the_same_items():
    loader = DataLoader(TensorDataset(Y), 5, shuffle=True, generator=Generator(1))
    epochs = [np.concatenate([y.cpu().numpy() for (y,) in loader]).tolist() for _ in range(3)]
    assert all(sorted(epoch) == Y.tolist() for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3


def test_manual_seed_decides_the_order():
    def order(seed):
        mg.manual_seed(seed)
        return seen(DataLoader(TensorDataset(Y), 5, shuffle=True))

    assert order(3) == order(3) != order(4)


def test_an_epoch_left_early_is_over():
    loader = DataLoader(TensorDataset(Y), 5)
    firsts = [next(iter(loader))[0].tolist() for _ in range(3)]
    assert firsts == [[0, 1, 2, 3, 4]] * 3
    assert len(list(loader)) == 5
    places = [(loader.epoch, loader.position) for _ in loader]
    assert places == [(4, 1), (4, 2), (4, 3), (4, 4), (5, 0)]  # the last batch closes its epoch
    shuffled = DataLoader(TensorDataset(Y), 5, shuffle=True, generator=Generator(0))
    assert next(iter(shuffled))[0].tolist() != next(iter(shuffled))[0].tolist()


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("dataset", [TensorDataset(X, Y, transform=noisy), Drawing()])
def test_a_run_goes_on_in_the_middle_bit_for_bit(dataset, workers):
    make = lambda seed=5: DataLoader(dataset, 4, True, num_workers=workers, generator=Generator(seed))
    loader = make()
    whole = seen(loader) + seen(loader) + seen(loader)
    per_epoch = len(loader)
    for stop in (0, 1, per_epoch - 1, per_epoch, per_epoch + 2):
        first, got, state = make(), [], None
        while len(got) < stop:
            for batch in first:
                got.append(batch)
                if len(got) == stop:
                    break
        state = first.state_dict()
        second = make(seed=99)  # the seed comes with the state
        second.load_state_dict(state)
        rest = seen(second) + seen(second)
        assert rest == whole[stop : stop + len(rest)], stop
        assert len(rest) >= per_epoch


def test_a_state_of_another_loader_is_refused():
    loader = DataLoader(TensorDataset(Y), 5)
    state = loader.state_dict()
    for wrong in ({}, {**state, "more": 1}, {**state, "epoch": -1}, {**state, "position": 6}, None):
        with pytest.raises(ValueError, match="DataLoader: "):
            loader.load_state_dict(wrong)
    assert loader.state_dict() == state


@given(
    n=st.integers(1, 40), size=st.integers(1, 12), drop=st.booleans(), workers=st.sampled_from([0, 2]),
    shuffle=st.booleans(),
)  # fmt: skip
def test_each_item_comes_once(n, size, drop, workers, shuffle):
    loader = DataLoader(TensorDataset(np.arange(n)), size, shuffle, num_workers=workers, drop_last=drop)
    batches = [y.cpu().numpy() for (y,) in loader]
    assert len(batches) == len(loader) == (n // size if drop else -(-n // size))
    items = np.concatenate([*batches, np.zeros(0, int)])
    assert len(set(items.tolist())) == len(items) == (n - n % size if drop else n)


# ---------------------------------------------------------------- datasets


def test_transforms_reach_through_subsets_and_other_collate_functions():
    dataset = TensorDataset(X, Y, transform=lambda x, generator: x + 1000)
    for wrapped in (Subset(dataset, range(3, 9)), Subset(Subset(dataset, range(1, 20)), range(2, 8))):
        for collate in (None, data.default_collate):
            batches = [(x.cpu().numpy(), y.cpu().numpy()) for x, y in DataLoader(wrapped, 2, collate_fn=collate)]
            assert np.concatenate([y for _, y in batches]).tolist() == list(range(3, 9))
            assert all((x == X[y] + 1000).all() for x, y in batches)
    both = dataset + TensorDataset(X, Y)
    assert isinstance(both, ConcatDataset)
    values = np.concatenate([x.cpu().numpy() for x, _ in DataLoader(both, 7)])
    assert (values == np.concatenate([X + 1000, X])).all()
    (batch,) = DataLoader(dataset, 23, collate_fn=list)
    assert all((x == X[y] + 1000).all() for x, y in batch)
    assert (dataset[4][0] == X[4]).all()


def test_whole_batches_are_taken_by_one_indexing():
    class Counting(TensorDataset):
        sizes = []

        def batch(self, indices, generator):
            Counting.sizes.append(len(indices))
            return super().batch(indices, generator)

    list(DataLoader(Counting(X, Y), 9, shuffle=True))
    list(DataLoader(Subset(Counting(X, Y), range(6)), 4))
    assert Counting.sizes == [9, 9, 5, 4, 2]


def test_samplers():
    assert [y.tolist() for (y,) in DataLoader(TensorDataset(Y), 2, sampler=[5, 3, -1])] == [[5, 3], [22]]
    loader = DataLoader(TensorDataset(Y), batch_sampler=[[1], [2, 3]])
    assert [y.tolist() for (y,) in loader] == [[1], [2, 3]] and len(loader) == 2


def test_random_split_is_a_partition():
    for lengths in ([10, 13], [0.5, 0.25, 0.25]):
        parts = data.random_split(TensorDataset(Y), lengths, Generator(0))
        assert sorted(int(part[i][0]) for part in parts for i in range(len(part))) == Y.tolist()
    assert [len(p) for p in parts] == [12, 6, 5]
    again = data.random_split(TensorDataset(Y), [10, 13], Generator(0))
    assert (again[0].indices == data.random_split(TensorDataset(Y), [10, 13], Generator(0))[0].indices).all()


def test_a_mask_is_not_taken_for_indices():
    mask = Y % 2 == 1
    assert [int(Subset(TensorDataset(Y), mask)[i][0]) for i in range(3)] == [1, 3, 5]


class Stream(IterableDataset):
    def __iter__(self):
        yield from range(7)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_stream_of_data(workers):
    loader = DataLoader(Stream(), 3, num_workers=workers)
    assert [b.tolist() for b in loader] == [[0, 1, 2], [3, 4, 5], [6]]
    assert [b.tolist() for b in DataLoader(Stream(), 3, drop_last=True)] == [[0, 1, 2], [3, 4, 5]]
    batches = iter(loader)
    next(batches)
    second = DataLoader(Stream(), 3)
    second.load_state_dict(loader.state_dict())
    assert [b.tolist() for b in second] == [[3, 4, 5], [6]]
    with pytest.raises(TypeError):
        len(loader)
    with pytest.raises(ValueError, match="own order"):
        DataLoader(Stream(), 3, shuffle=True)


def test_collate_like_pytorch():
    Pair = collections.namedtuple("Pair", "a b")
    items = [Pair(1.5, [True, np.zeros(2, np.float32)]), Pair(2.5, [False, np.ones(2, np.float32)])]
    batch = data.default_collate(items)
    assert isinstance(batch, Pair) and batch.a.dtype == np.float64 and batch.a.tolist() == [1.5, 2.5]
    assert batch.b[0].dtype == bool and batch.b[1].dtype == np.float32 and batch.b[1].shape == (2, 2)
    assert data.default_collate([1, 2]).dtype == np.int64
    assert data.default_collate([np.str_("a"), "b"]) == ["a", "b"]
    t = mg.tensor([1.0, 2.0], requires_grad=True)
    data.default_collate([t * 2, t]).sum().backward()
    assert t.grad.tolist() == [3.0, 3.0]


@pytest.mark.torch
def test_collate_agrees_with_pytorch():
    torch = pytest.importorskip("torch")
    items = [{"x": i, "y": (float(i), np.full(3, i, np.float32), np.int16(i), i > 1, "s")} for i in range(3)]
    theirs = torch.utils.data.default_collate(items)
    ours = data.default_collate(items)
    pairs = [(ours["x"], theirs["x"]), *zip(ours["y"][:4], theirs["y"][:4])]
    for mine, torches in pairs:
        assert str(torches.dtype) == f"torch.{mine.dtype.name}" and mine.tolist() == torches.tolist()
    assert list(ours["y"][4]) == list(theirs["y"][4])


# ---------------------------------------------------------------- threads


class Failing(Squares):
    def __getitem__(self, i):
        if i == 13:
            raise KeyError("no such\tpicture")
        return i


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_a_failing_item_is_named_and_leaves_no_thread(workers):
    got = []
    with pytest.raises(RuntimeError, match=r"dataset\[13\] failed: KeyError") as caught:
        for batch in DataLoader(Failing(), 4, num_workers=workers):
            got.append(batch.tolist())
    assert isinstance(caught.value.__cause__, KeyError)
    assert got == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    assert not loaders()


def test_leaving_early_leaves_no_threads():
    loader = DataLoader(Squares(), 2, num_workers=3)
    for _ in loader:
        assert loaders()
        break
    assert not loaders()
    batches = iter(loader)
    next(batches)
    del batches
    assert not loaders()
    with pytest.raises(ZeroDivisionError):
        for _ in loader:
            1 / 0
    assert not loaders()


def test_batches_are_made_ahead_but_not_far():
    class Counting(Squares):
        taken = 0

        def __getitem__(self, i):
            Counting.taken += 1
            return i

    batches = iter(DataLoader(Counting(), 1, num_workers=2, prefetch_factor=3))
    next(batches)
    deadline = time.monotonic() + 10
    while Counting.taken < 6 and time.monotonic() < deadline:
        time.sleep(0.001)
    assert Counting.taken == 6  # 2 workers, 3 batches each
    batches.close()


def test_leaving_early_drops_what_was_not_begun():
    class Gate(Squares):
        taken, opened = 0, threading.Event()

        def __getitem__(self, i):
            Gate.taken += 1
            assert i == 0 or Gate.opened.wait(10)
            return i

    batches = iter(DataLoader(Gate(), 1, num_workers=1, prefetch_factor=20))
    next(batches)
    threading.Timer(0.05, Gate.opened.set).start()  # leaving waits for the one item that is being read
    batches.close()
    assert Gate.taken <= 2 and not loaders()


# ---------------------------------------------------------------- bad input

WRONG = [
    (ValueError, "batch_size=0", {"batch_size": 0}),
    (ValueError, "batch_size=None", {"batch_size": None}),
    (ValueError, "batch_size=True", {"batch_size": True}),
    (ValueError, "batch_size=2.5", {"batch_size": 2.5}),
    (ValueError, "num_workers=-1", {"num_workers": -1}),
    (ValueError, "prefetch_factor=0", {"prefetch_factor": 0}),
    (ValueError, "timeout", {"timeout": 5}),
    (ValueError, "worker_init_fn", {"worker_init_fn": print}),
    (ValueError, "multiprocessing_context", {"multiprocessing_context": "spawn"}),
    (ValueError, "persistent_workers", {"persistent_workers": True}),
    (ValueError, "leave shuffle out", {"shuffle": True, "sampler": [1]}),
    (ValueError, "excludes", {"batch_sampler": [[1]], "drop_last": True}),
    (ValueError, "excludes", {"batch_sampler": [[1]], "batch_size": 3}),
    (TypeError, "every epoch", {"sampler": iter([1, 2])}),
    (TypeError, "minigrad Generator", {"generator": np.random.default_rng(0)}),
]


@pytest.mark.parametrize(("error", "words", "arguments"), WRONG, ids=[words for _, words, _ in WRONG])
def test_arguments_that_cannot_be_meant(error, words, arguments):
    with pytest.raises(error, match=f"DataLoader: .*{words}") as caught:
        DataLoader(TensorDataset(Y), **arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("error", "words", "call"),
    [
        (ValueError, "empty one", lambda: DataLoader([])),
        (ValueError, "empty one", lambda: DataLoader(TensorDataset(np.zeros((0, 3))))),
        (TypeError, "IterableDataset", lambda: DataLoader(x for x in range(3))),
        (TypeError, "__getitem__", lambda: Dataset()[0]),
        (TypeError, "__len__", lambda: len(Dataset())),
        (IndexError, "index 23 is out of range", lambda: list(DataLoader(TensorDataset(Y), sampler=[23]))),
        (TypeError, "whole numbers", lambda: list(DataLoader(TensorDataset(Y), sampler=[1.5]))),
        (ValueError, "equal length", lambda: TensorDataset(X, Y[:5])),
        (ValueError, "equal length", lambda: TensorDataset(3.0)),
        (ValueError, "at least one", lambda: TensorDataset()),
        (ValueError, "at least one", lambda: ConcatDataset([])),
        (IndexError, "out of range", lambda: ConcatDataset([Y])[23]),
        (ValueError, r"indices in \[0, 23\)", lambda: Subset(TensorDataset(Y), [1, 23])),
        (ValueError, "whole numbers", lambda: Subset(TensorDataset(Y), [0.5])),
        (ValueError, "add up to 23", lambda: data.random_split(TensorDataset(Y), [20, 2])),
        (ValueError, "add up to 23", lambda: data.random_split(TensorDataset(Y), [0.5, 0.4])),
        (ValueError, "one shape", lambda: data.default_collate([np.zeros(2), np.zeros(3)])),
        (ValueError, "equal length", lambda: data.default_collate([(1, 2), (1,)])),
        (ValueError, "keys", lambda: data.default_collate([{"a": 1}, {"b": 1}])),
        (TypeError, "cannot batch items of NoneType", lambda: data.default_collate([None])),
        (ValueError, r"nan at index \(1, 0\)", lambda: data.check_finite("x", [[1.0], [np.nan], [np.inf]])),
        (ValueError, "train, validation, test, all", lambda: data.digits("dev")),
    ],
)
def test_mistakes_are_named_in_one_line(error, words, call):
    with pytest.raises(error, match=words) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_finite_data_pass():
    for fine in (X, Y, [True], np.zeros((0, 2)), mg.zeros(2), np.array(["a"])):
        data.check_finite("x", fine)


# ---------------------------------------------------------------- the digits


def test_the_digits_and_their_split_never_change():
    parts = {split: data.digits(split) for split in ("train", "validation", "test", "all")}
    assert [len(parts[split][1]) for split in parts] == [1259, 179, 359, 1797]
    images, labels = parts["all"]
    assert images.shape == (1797, 8, 8) and images.dtype == np.uint8 and images.max() == 16
    assert np.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    for split in ("train", "validation", "test"):
        share = np.bincount(parts[split][1]) / np.bincount(labels)
        assert share.max() - share.min() < 0.02, "not stratified"
    together = [im.tobytes() for split in ("train", "validation", "test") for im in parts[split][0]]
    assert sorted(together) == sorted(im.tobytes() for im in images)
    fingerprint = hashlib.sha256(parts["test"][0].tobytes() + parts["validation"][0].tobytes()).hexdigest()
    assert fingerprint == "a90e62c7ea70fd1a962c4eca98830eef64d504c1573c166e439fdcb61f3c41e8"


def test_the_digits_are_those_of_scikit_learn():
    theirs = pytest.importorskip("sklearn.datasets").load_digits()
    images, labels = data.digits("all")
    assert (images == theirs.images).all() and (labels == theirs.target).all()


def test_digits_as_a_dataset():
    image, label = data.Digits("test")[0]
    assert image.shape == (1, 8, 8) and image.dtype == np.float32 and 0 <= image.min() <= image.max() <= 1
    assert 0 <= int(label) <= 9


def test_a_damaged_digits_file_is_found_wherever_it_is_hurt(tmp_path, monkeypatch):
    from minigrad.data import datasets

    whole = Path(datasets.__file__).with_name("digits.npz").read_bytes()
    monkeypatch.setattr(datasets.resources, "files", lambda package: tmp_path)
    file = tmp_path / "digits.npz"
    rng = np.random.default_rng(0)
    file.write_bytes(whole)
    assert len(data.digits("all")[1]) == 1797
    for at in rng.integers(0, len(whole), 40):
        hurt = bytearray(whole)
        hurt[at] ^= 1 + int(rng.integers(255))
        for content in (whole[:at], bytes(hurt)):
            file.write_bytes(content)
            try:
                labels = data.digits("all")[1]
            except ValueError as error:
                assert "reinstall" in str(error) and "\n" not in str(error)
            else:  # a byte of the container that says nothing about the content, such as a date
                assert content != whole[:at] and len(labels) == 1797
    file.unlink()
    with pytest.raises(ValueError, match="missing"):
        data.digits()


# ---------------------------------------------------------------- IDX files and MNIST


def idx(array):
    array = np.asarray(array, np.uint8)
    return struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


@pytest.mark.parametrize("shape", [(5,), (0,), (4, 3), (2, 3, 5)])
@pytest.mark.parametrize("pack", [lambda b: b, gzip.compress])
def test_idx_files_are_read(tmp_path, shape, pack):
    array = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    (tmp_path / "file").write_bytes(pack(idx(array)))
    got = data.read_idx(tmp_path / "file")
    assert got.dtype == np.uint8 and got.shape == shape and (got == array).all()


def test_truncated_or_lengthened_idx_files_are_refused(tmp_path):
    whole, file = idx(np.arange(60).reshape(5, 3, 4)), tmp_path / "file"
    packed = gzip.compress(whole)
    cases = [*(whole[:n] for n in range(len(whole))), *(packed[:n] for n in range(len(packed))), whole + b"x"]
    for content in cases:
        file.write_bytes(content)
        with pytest.raises(ValueError, match=str(file)) as caught:
            data.read_idx(file)
        assert "\n" not in str(caught.value)
    file.write_bytes(whole[:-7])
    with pytest.raises(ValueError, match=r"has 69 bytes, expected 76 for shape \(5, 3, 4\)"):
        data.read_idx(file)
    for head, words in (
        (b"\0\0\x0d\x01", "type 13"),
        (b"\0\0\x08\x09", "9 axes"),
        (b"\1\0\x08\x01", "no IDX"),
    ):
        file.write_bytes(head + b"\0" * 20)
        with pytest.raises(ValueError, match=words):
            data.read_idx(file)
    file.write_bytes(b"\0\0\x08\x04" + b"\xff" * 16)  # 2^128 bytes, it says
    with pytest.raises(ValueError, match="has 20 bytes, expected"):
        data.read_idx(file)


def test_a_hurt_gzip_file_gives_the_content_or_an_error(tmp_path):
    array = np.random.default_rng(1).integers(0, 9, (20, 7, 7), np.uint8)
    whole, file = gzip.compress(idx(array)), tmp_path / "file.gz"
    rng = np.random.default_rng(0)
    for at in [*range(12), *rng.integers(0, len(whole), 100)]:
        hurt = bytearray(whole)
        hurt[at] ^= 1 + int(rng.integers(255))
        file.write_bytes(bytes(hurt))
        try:
            got = data.read_idx(file)
        except ValueError as error:
            assert str(file) in str(error) and "\n" not in str(error)
        else:
            assert (got == array).all(), at


@pytest.fixture
def small_mnist(tmp_path, monkeypatch):
    """Four small files in place of MNIST's, whose checksums the library is made to expect."""
    from minigrad.data import datasets

    folder = tmp_path / "mnist"
    folder.mkdir()
    rng, sums = np.random.default_rng(0), {}
    for name in datasets.MNIST_FILES:
        n = 12 if name.startswith("train") else 5
        content = idx(rng.integers(0, 10, (n, 28, 28) if "images" in name else n))
        sums[name] = hashlib.md5(content).hexdigest()
        (folder / f"{name}.gz").write_bytes(gzip.compress(content))
    monkeypatch.setattr(datasets, "MNIST_FILES", sums)
    monkeypatch.delenv("MINIGRAD_DATA", raising=False)
    monkeypatch.setenv("MINIGRAD_CACHE", str(tmp_path / "cache"))
    return folder


def test_where_mnist_is_looked_for(small_mnist, tmp_path, monkeypatch):
    for folder in (small_mnist, small_mnist.parent):
        images, labels = data.mnist(False, folder)
        assert images.shape == (5, 28, 28) and labels.dtype == np.int64
        monkeypatch.setenv("MINIGRAD_DATA", str(folder))
        assert (data.mnist(False)[0] == images).all()
    monkeypatch.delenv("MINIGRAD_DATA")
    with pytest.raises(FileNotFoundError, match="--data-dir or MINIGRAD_DATA"):
        data.mnist()
    shutil.copytree(small_mnist, tmp_path / "cache" / "mnist")
    assert data.mnist(True)[0].shape == (12, 28, 28)
    with pytest.raises(FileNotFoundError, match="nowhere"):  # a folder that was named is not passed over
        data.mnist(True, tmp_path / "nowhere")
    packed = small_mnist / "t10k-labels-idx1-ubyte.gz"
    packed.with_suffix("").write_bytes(gzip.decompress(packed.read_bytes()))
    packed.unlink()  # plain files are as good
    assert len(data.mnist(False, small_mnist)[1]) == 5
    image, label = data.MNIST(small_mnist, train=False)[3]
    assert image.shape == (1, 28, 28) and image.dtype == np.float32 and int(label) == labels[3]


def test_other_content_than_mnist_is_refused(small_mnist):
    file = small_mnist / "train-labels-idx1-ubyte.gz"
    file.write_bytes(gzip.compress(idx(np.arange(12) % 3)))
    with pytest.raises(ValueError, match=r"train-labels.* is not the original file \(MD5"):
        data.mnist(True, small_mnist)


def test_downloads(small_mnist, tmp_path, monkeypatch):
    pooch = pytest.importorskip("pooch")
    asked = []

    def retrieve(url, known_hash, fname, path):
        asked.append(url)
        if "amazonaws" in url:
            raise OSError("no route\nto host")
        Path(path).mkdir(parents=True, exist_ok=True)
        return shutil.copy(small_mnist / fname, Path(path) / fname)

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    assert len(data.mnist(False, tmp_path / "new", download=True)[1]) == 5
    assert len(asked) == 4 and (tmp_path / "new" / "t10k-labels-idx1-ubyte.gz").exists()
    assert len(data.mnist(False, tmp_path / "new", download=True)[1]) == 5
    assert len(asked) == 4, "downloaded again"
    monkeypatch.setattr(pooch, "retrieve", lambda *args, **kwargs: 1 / 0)
    with pytest.raises(FileNotFoundError, match=r"could not be downloaded.*put the four files") as caught:
        data.mnist(True, download=True)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif("MINIGRAD_DATA" not in os.environ, reason="needs MNIST in MINIGRAD_DATA")
def test_the_real_mnist():
    for train, counts in (
        (True, [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]),
        (False, [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]),
    ):
        images, labels = data.mnist(train)
        assert images.shape == (sum(counts), 28, 28) and np.bincount(labels).tolist() == counts
    assert abs(images.mean() / 255 - 0.1325) < 1e-3


# ---------------------------------------------------------------- transforms

IMAGES = np.random.default_rng(0).random((6, 2, 9, 12), dtype=np.float32)


def reference_affine(image, matrix, shift):
    """Bilinear sampling as the formula says it, pixel by pixel."""
    h, w = image.shape
    out = np.zeros((h, w))
    centre = np.array([(w - 1) / 2, (h - 1) / 2])
    for y in range(h):
        for x in range(w):
            px, py = matrix @ (np.array([x, y]) - centre - shift) + centre
            for iy in (int(np.floor(py)), int(np.floor(py)) + 1):
                for ix in (int(np.floor(px)), int(np.floor(px)) + 1):
                    if 0 <= iy < h and 0 <= ix < w:
                        out[y, x] += image[iy, ix] * (1 - abs(py - iy)) * (1 - abs(px - ix))
    return out


def test_affine_sampling_agrees_with_the_formula():
    rng = np.random.default_rng(3)
    for spread in (0.2, 2.0):
        m = np.eye(2) + spread * rng.standard_normal((6, 2, 2))
        shift = 3 * spread * rng.standard_normal((6, 2))
        got = transforms.sample(IMAGES, m[:, 0, 0], m[:, 0, 1], m[:, 1, 0], m[:, 1, 1], *shift.T)
        for n in range(6):
            for c in range(2):
                assert np.abs(got[n, c] - reference_affine(IMAGES[n, c], m[n], shift[n])).max() < 2e-5


def test_affine_moves_by_what_it_says():
    images = np.zeros((200, 1, 21, 21), np.float32)
    images[:, :, 10, 10] = 1
    moved = transforms.RandomAffine(translate=(0.2, 0.1))(images, Generator(0))
    mass = moved.sum((1, 2, 3))
    x = (moved.sum((1, 2)) * (np.arange(21) - 10)).sum(-1) / mass
    y = (moved.sum((1, 3)) * (np.arange(21) - 10)).sum(-1) / mass
    assert 3.5 < np.abs(x).max() <= 4.2 + 1e-5 and 1.7 < np.abs(y).max() <= 2.1 + 1e-5
    assert np.allclose(mass, 1, atol=1e-5) and abs(x.mean()) < 0.5
    assert abs(np.corrcoef(x, y)[0, 1]) < 0.3
    quarter = transforms.sample(
        IMAGES[:, :, :9, :9], *np.repeat([[0.0], [1.0], [-1.0], [0.0], [0.0], [0.0]], 6, 1)
    )
    assert np.allclose(quarter, np.rot90(IMAGES[:, :, :9, :9], -1, (2, 3)), atol=1e-5)


def test_affine_of_bytes_does_not_wrap():
    images = np.full((4, 1, 8, 8), 255, np.uint8)
    affine = transforms.RandomAffine(degrees=30, scale=(0.5, 0.9))
    got = affine(images, Generator(1))
    assert got.dtype == np.float32 and got.max() <= 255.001
    assert (got == affine(images.astype(np.float32), Generator(1))).all()


def test_transforms_draw_from_the_given_stream_only():
    affine = transforms.Compose([transforms.RandomAffine(20), transforms.RandomAffine(translate=(0.3, 0.3))])
    first = affine(IMAGES, Generator(4))
    assert (first == affine(IMAGES, Generator(4))).all()
    assert (first != affine(IMAGES, Generator(5))).any()


def test_simple_transforms():
    chain = transforms.Compose(
        [transforms.ToFloat(255.0), transforms.Normalize((0.5, 0.25), 0.5), transforms.Pad(2)]
    )
    got = chain(np.full((1, 2, 3, 3), 255, np.uint8))
    assert got.shape == (1, 2, 7, 7) and got.dtype == np.float32
    assert got[0, :, 3, 3].tolist() == [1.0, 1.5] and got[0, 0, 0, 0] == 0
    fresh = np.random.default_rng(0).random(IMAGES.shape, dtype=np.float32)
    assert (fresh == IMAGES).all(), "changed in place"


@pytest.mark.parametrize(
    ("words", "call"),
    [
        ("0 < lowest <= highest", lambda: transforms.RandomAffine(scale=(2, 1))),
        ("shear", lambda: transforms.RandomAffine(shear=90)),
        ("degrees", lambda: transforms.RandomAffine(degrees=-1)),
        (r"\(N, C, H, W\)", lambda: transforms.RandomAffine(3)(IMAGES[0], Generator(0))),
        ("Generator", lambda: transforms.RandomAffine(3)(IMAGES, None)),
        ("positive", lambda: transforms.Normalize(0, 0)),
        ("one per channel", lambda: transforms.Normalize((1, 2, 3), 1)(IMAGES)),
        ("padding", lambda: transforms.Pad(-1)),
        ("positive", lambda: transforms.ToFloat(0)),
    ],
)
def test_transforms_that_cannot_be_meant(words, call):
    with pytest.raises(ValueError, match=words):
        call()
