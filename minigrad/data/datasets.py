"""Real data: the digits that ship with the package, and MNIST."""

from __future__ import annotations

import gzip
import hashlib
import math
import os
import struct
import zlib
from importlib import resources
from pathlib import Path

import numpy as np

from ..engine.random import Generator
from .dataset import TensorDataset

DIGITS_SHA256 = "87ff0c9e40dc7e2c0e34e7257799c2e3f3aec1a016363bb11cad869ec428a826"


def digits(split: str = "train") -> tuple[np.ndarray, np.ndarray]:
    """1,797 handwritten digits of UCI optdigits (CC BY 4.0): images (N, 8, 8) uint8 0..16, labels (N,).

    split: "train" (1,259), "validation" (179), "test" (359) or "all". The split is fixed: within each
    digit, an order drawn once from our own random stream gives the first fifth to testing and the
    next tenth to validation. Raises ValueError for another split or a damaged file.

    >>> from minigrad.data import digits
    >>> digits("test")[0].shape
    (359, 8, 8)
    """
    images, labels = _shipped_digits()
    part = _digit_parts(labels)
    names = {"train": part == 0, "validation": part == 1, "test": part == 2, "all": part >= 0}
    if split not in names:
        raise ValueError(f"digits: expected one of {', '.join(names)} (split={split!r})")
    return images[names[split]], labels[names[split]]


def _shipped_digits() -> tuple[np.ndarray, np.ndarray]:
    """digits.npz, checked: whatever is wrong with it is the same one-line error."""
    path = resources.files(__package__).joinpath("digits.npz")
    try:
        with path.open("rb") as file, np.load(file) as z:
            images, labels = z["images"], z["labels"]
        found = hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest()
    except Exception as error:  # a damaged zip file raises many kinds
        found = type(error).__name__
    if found != DIGITS_SHA256:
        raise ValueError(f"digits: the shipped file {path} is damaged or missing; reinstall minigrad")
    return images, labels.astype(np.int64)


def _digit_parts(labels: np.ndarray) -> np.ndarray:
    """0 for training, 1 for validation, 2 for testing."""
    part = np.zeros(len(labels), np.int64)
    for digit in range(10):
        mine = np.flatnonzero(labels == digit)
        mine = mine[Generator(1998).fork(digit).permutation(len(mine))]
        test, validation = round(len(mine) * 0.2), round(len(mine) * 0.1)
        part[mine[:test]], part[mine[test : test + validation]] = 2, 1
    return part


# ---------------------------------------------------------------- MNIST

# MD5 of the uncompressed files (LeCun, Cortes & Burges), and the names they go by.
MNIST_FILES = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
# Public copies of the original files, tried in turn, and the MD5 of each compressed one there.
MNIST_URLS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
MNIST_GZ_MD5 = {
    "train-images-idx3-ubyte": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "train-labels-idx1-ubyte": "d53e105ee54ea40749a09fcbcd1e9432",
    "t10k-images-idx3-ubyte": "9fb629c4189551a2d022fa330f9573f3",
    "t10k-labels-idx1-ubyte": "ec29112dd5afa0611ce80d1b7f02629c",
}


def read_idx(path: str | Path) -> np.ndarray:
    """An array from an IDX file, plain or gzip: magic, big-endian sizes, unsigned bytes.

    Raises ValueError naming the file and what was expected if it is not whole.
    """
    path = Path(path)
    try:
        raw = path.read_bytes()
        if raw[:2] == b"\x1f\x8b":
            raw = gzip.decompress(raw)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(
            f"read_idx: {path} ({path.stat().st_size} bytes) is a damaged gzip file ({error}); get it again"
        ) from None
    if len(raw) < 4 or raw[:2] != b"\0\0":
        raise ValueError(f"read_idx: {path} is no IDX file: it does not begin with two zero bytes")
    kind, dims = raw[2], raw[3]
    if kind != 8 or not 1 <= dims <= 4:
        raise ValueError(
            f"read_idx: {path} holds type {kind} in {dims} axes, expected type 8 (bytes), 1 to 4 axes"
        )
    start = 4 + 4 * dims
    if len(raw) < start:
        raise ValueError(
            f"read_idx: {path} has {len(raw)} bytes, expected {start} for its header alone; get it again"
        )
    shape = struct.unpack(f">{dims}I", raw[4:start])
    expected = start + math.prod(shape)
    if len(raw) != expected:
        raise ValueError(
            f"read_idx: {path} has {len(raw)} bytes, expected {expected} for shape {shape}; get it again"
        )
    return np.frombuffer(raw, np.uint8, offset=start).reshape(shape).copy()  # writable


def _find(name: str, data_dir: str | Path | None) -> Path | None:
    """The file in data_dir, MINIGRAD_DATA or the cache, plain or compressed, with or without mnist/."""
    given = [data_dir] if data_dir is not None else [os.environ.get("MINIGRAD_DATA"), cache_dir()]
    for folder in (Path(d).expanduser() for d in given if d):
        for place in (folder, folder / "mnist", folder / "MNIST" / "raw"):
            for file in (place / f"{name}.gz", place / name):
                if file.is_file():
                    return file
    return None


def cache_dir() -> Path:
    """Where downloads are kept: MINIGRAD_CACHE, else ~/.cache/minigrad."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.environ.get("MINIGRAD_CACHE") or Path(base) / "minigrad").expanduser()


def _download(name: str, folder: Path) -> Path:
    """Fetch one file into `folder`, from the first copy that answers; checked before it gets its name."""
    try:
        import pooch
    except ImportError:
        raise FileNotFoundError(
            f"MNIST: {name}.gz is not here, and downloading needs: pip install 'minigrad[train]'"
        ) from None
    failures = []
    for url in MNIST_URLS:
        try:
            return Path(pooch.retrieve(
                f"{url}{name}.gz", f"md5:{MNIST_GZ_MD5[name]}", fname=f"{name}.gz", path=folder
            ))  # fmt: skip
        except Exception as error:  # every kind of network trouble
            failures.append(type(error).__name__)
    raise FileNotFoundError(
        f"MNIST: {name}.gz could not be downloaded ({', '.join(failures)}); put the four files into a folder "
        "and name it with --data-dir or MINIGRAD_DATA"
    )


def mnist(
    train: bool = True, data_dir: str | Path | None = None, download: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """MNIST: images (N, 28, 28) uint8, labels (N,) int64; 60,000 for training, 10,000 for testing.

    Looked for in `data_dir`, else in MINIGRAD_DATA and the cache; fetched, into `data_dir` or the cache,
    only if download=True. The MD5 of each file's content is checked. Raises FileNotFoundError saying where
    to put the files, ValueError for a damaged one.

    Licence: none is stated in the files; commonly given as CC BY-SA 3.0. Cite LeCun, Bottou, Bengio &
    Haffner, "Gradient-Based Learning Applied to Document Recognition", 1998.
    """
    arrays = []
    for part in ("images-idx3", "labels-idx1"):
        name = f"{'train' if train else 't10k'}-{part}-ubyte"
        path = _find(name, data_dir)
        if path is None and download:
            path = _download(
                name, Path(data_dir).expanduser() if data_dir is not None else cache_dir() / "mnist"
            )
        if path is None:
            raise FileNotFoundError(
                f"MNIST: {name}.gz was not found in {data_dir or 'MINIGRAD_DATA or the cache'} "
                "or its folder mnist; give the folder with --data-dir or MINIGRAD_DATA, or fetch them with "
                f"minigrad.data.mnist(download=True), from {MNIST_URLS[0]}"
            )
        array = read_idx(path)
        header = struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
        found = hashlib.md5(header + array.tobytes(), usedforsecurity=False).hexdigest()
        if found != MNIST_FILES[name]:
            raise ValueError(f"MNIST: {path} is not the original file (MD5 {found}); get it again")
        arrays.append(array)
    return arrays[0], arrays[1].astype(np.int64)


class MNIST(TensorDataset):
    """mnist() as a dataset of (image (1, 28, 28) float32 in [0, 1], label)."""

    def __init__(self, root: str | Path | None = None, train: bool = True, download: bool = False) -> None:
        images, labels = mnist(train, root, download)
        super().__init__(images[:, None].astype(np.float32) / 255.0, labels)


class Digits(TensorDataset):
    """digits() as a dataset of (image (1, 8, 8) float32 in [0, 1], label)."""

    def __init__(self, split: str = "train") -> None:
        images, labels = digits(split)
        super().__init__(images[:, None].astype(np.float32) / 16.0, labels)
