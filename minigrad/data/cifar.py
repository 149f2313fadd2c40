"""CIFAR-10: 60,000 colour images of ten kinds of things (Krizhevsky 2009)."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from .files import fetch, find, home, missing, read, read_npz, sources, unpack

CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
ADDRESS = (
    "https://www.cs.toronto.edu/~kriz/cifar.html, the binary version (data_batch_1.bin ... test_batch.bin)"
)
FOLDERS = ("cifar10", "cifar-10-batches-bin", "cifar10/cifar-10-batches-bin", "cifar10_jpeg")
ARCHIVE = "cifar-10-binary.tar.gz"
RECORD = 1 + 3 * 32 * 32  # a label, then red, green and blue


class Cifar10(NamedTuple):
    """images (N, 3, 32, 32) uint8; labels (N,) int64, names in CIFAR10_CLASSES; lossy: they were JPEGs."""

    images: np.ndarray
    labels: np.ndarray
    lossy: bool


def cifar10(
    train: bool = True,
    data_dir: str | Path | None = None,
    count: int | None = None,
    verify: bool = True,
    download: bool = False,
) -> Cifar10:
    """CIFAR-10: 50,000 images for training, 10,000 for testing; the first `count` of them.

    Reads the binary version where it is found, else JPEG coefficients (cifar10_train_dct.npz): those are
    **lossy** (quality 75, colours at half the resolution), so that accuracies are some points below
    published ones; `lossy` says which, and whoever shows a figure must say so too. download=True fetches
    the binary version (170 MB) where it is not there. Raises MissingData naming the files, ValueError for
    damaged ones.

    Licence: none is stated; the authors ask to cite A. Krizhevsky, "Learning Multiple Layers of Features
    from Tiny Images", 2009.
    """
    names = [f"data_batch_{i}.bin" for i in range(1, 6)] if train else ["test_batch.bin"]
    coefficients = f"cifar10_{'train' if train else 'test'}_dct.npz"
    first = find(names[:1], FOLDERS, data_dir)
    if first is None and download:
        first = _fetched(home("cifar10", data_dir)) / names[0]
    if first is not None:
        return _binary([first.parent / name for name in names], count)
    path = find([coefficients], FOLDERS, data_dir)
    if path is None:
        raise missing("cifar10", [names[0], coefficients, ARCHIVE], FOLDERS, data_dir, ADDRESS)
    z = read_npz(path, "CIFAR-10", ["coef", "over_idx", "over_val", "qtable", "label"], verify)
    labels = z["label"][:count].astype(np.int64)
    coef = z["coef"][..., : len(labels)].astype(np.int16)
    frequency, block, image = np.unravel_index(z["over_idx"], z["coef"].shape)
    mine = image < len(labels)  # the few coefficients that do not fit into int8
    coef[frequency[mine], block[mine], image[mine]] = z["over_val"][mine]
    images = [_decode(coef[..., i : i + 1000], z["qtable"]) for i in range(0, len(labels), 1000)]
    return Cifar10(np.concatenate(images), labels, lossy=True)


def _fetched(folder: Path) -> Path:
    """Fetch and unpack the binary version; the folder of its six files."""
    archive = fetch("cifar10", sources([ARCHIVE])[0], folder)
    unpack(archive, folder, r"cifar-10-batches-bin/\w+\.bin")
    return folder / "cifar-10-batches-bin"


def _binary(paths: list[Path], count: int | None) -> Cifar10:
    """The binary version: records of a label and 3,072 bytes."""
    parts, wanted = [], count if count is not None else 10**9
    for path in paths:
        if wanted <= 0:
            break
        if not path.is_file():
            raise missing("CIFAR-10", [path.name], FOLDERS, path.parent, ADDRESS)
        raw = np.frombuffer(read(path, "CIFAR-10"), np.uint8)
        if len(raw) == 0 or len(raw) % RECORD or raw[::RECORD].max() > 9:
            raise ValueError(
                f"CIFAR-10: {path} has {len(raw)} bytes, expected records of {RECORD} bytes "
                "that begin with a label from 0 to 9; get it again"
            )
        parts.append(raw.reshape(-1, RECORD)[:wanted])
        wanted -= len(parts[-1])
    records = np.concatenate(parts)
    return Cifar10(records[:, 1:].reshape(-1, 3, 32, 32).copy(), records[:, 0].astype(np.int64), lossy=False)


# ---------------------------------------------------------------- what a JPEG decoder does


def cosines() -> np.ndarray:
    """The 8 x 8 matrix of the orthonormal discrete cosine transform: row u is the u-th frequency."""
    u, x = np.arange(8)[:, None], np.arange(8)
    basis = 0.5 * np.cos((2 * x + 1) * u * np.pi / 16)
    basis[0] = 8**-0.5
    return basis.astype(np.float32)


def _decode(coef: np.ndarray, tables: np.ndarray) -> np.ndarray:
    """Quantised coefficients (64, 24 blocks, N) to RGB (N, 3, 32, 32).

    Of the 24 blocks of 8 x 8, 16 are brightness (4 x 4 of them), 4 blueness, 4 redness (2 x 2 each).
    """
    scale = np.where(np.arange(24)[:, None] < 16, tables[0], tables[1]).astype(np.float32)  # (24, 64)
    blocks = (coef.transpose(2, 1, 0) * scale).reshape(-1, 24, 8, 8)
    pixels = np.clip(np.rint(cosines().T @ blocks @ cosines() + 128), 0, 255)
    y = _tile(pixels[:, :16], 4)
    cb, cr = (np.floor(_double(_tile(pixels[:, i : i + 4], 2)) + 0.5) - 128 for i in (16, 20))
    rgb = np.stack([y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb], axis=1)
    return np.clip(np.rint(rgb), 0, 255).astype(np.uint8)


def _tile(blocks: np.ndarray, side: int) -> np.ndarray:
    """(N, side^2, 8, 8) blocks laid side by side: (N, 8 side, 8 side)."""
    grid = blocks.reshape(-1, side, side, 8, 8)
    return grid.swapaxes(2, 3).reshape(-1, 8 * side, 8 * side)


def _double(plane: np.ndarray) -> np.ndarray:
    """(N, 16, 16) to (N, 32, 32): each new value is 3/4 of its nearer and 1/4 of its farther old one."""
    for axis in (1, 2):
        size = plane.shape[axis]
        before = plane.take(np.maximum(np.arange(size) - 1, 0), axis)
        after = plane.take(np.minimum(np.arange(size) + 1, size - 1), axis)
        pair = np.stack([0.75 * plane + 0.25 * before, 0.75 * plane + 0.25 * after], axis + 1)
        shape = list(plane.shape)
        shape[axis] = 2 * size
        plane = pair.reshape(shape)
    return plane
