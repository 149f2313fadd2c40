"""Finding, checking and fetching the files of a data set: one place for every loader."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from functools import cache
from importlib import resources
from pathlib import Path

import numpy as np

from ..engine.random import Generator
from .datasets import cache_dir


class MissingData(FileNotFoundError, ValueError):
    """A data set's files are not where they were looked for; the message says what to do."""


def places(folders: Sequence[str], data_dir: str | Path | None) -> list[Path]:
    """Where a set may lie: data_dir, else MINIGRAD_DATA and the cache; and these folders inside."""
    given = [data_dir] if data_dir is not None else [os.environ.get("MINIGRAD_DATA"), cache_dir()]
    bases = [Path(d).expanduser() for d in given if d]
    return [place for base in bases for place in (base, *(base / f for f in folders))]


def find(names: Iterable[str], folders: Sequence[str], data_dir: str | Path | None) -> Path | None:
    """The first of these files (or patterns such as "qa1_*_train.txt") in the first place that has one."""
    names = list(names)
    for place in places(folders, data_dir):
        for name in names:
            if "*" in name:
                matches = sorted(place.glob(name))
            else:
                matches = [place / name] if (place / name).is_file() else []
            if matches:
                return matches[0]
    return None


def missing(
    what: str, names: Sequence[str], folders: Sequence[str], data_dir: str | Path | None, address: str
) -> MissingData:
    """The error for files that are not there: what was looked for, where, and where the original is."""
    return MissingData(
        f"{what}: found neither {' nor '.join(names)} in {data_dir or 'MINIGRAD_DATA or the cache'} "
        f"or its folder {' or '.join(folders)}; set MINIGRAD_DATA (or data_dir) to the folder that has them. "
        f"The original: {address}"
    )


@cache
def checksums() -> dict[str, str]:
    """SHA-256 of the files that the measured figures were made with, by file name: the shipped list."""
    text = resources.files(__package__).joinpath("SHA256SUMS").read_text()
    return {name.rsplit("/", 1)[-1]: digest for digest, name in map(str.split, text.splitlines())}


def read(path: Path, what: str, verify: bool = True) -> bytes:
    """The file's bytes, unpacked if it is a gzip file; its SHA-256 is checked if the list has its name."""
    raw = path.read_bytes()
    expected, found = checksums().get(path.name), hashlib.sha256(raw).hexdigest()
    if verify and expected is not None and found != expected:
        raise ValueError(
            f"{what}: {path} is damaged or another edition (SHA-256 {found[:12]}..., "
            f"expected {expected[:12]}...); get it again, or pass verify=False to read it all the same"
        )
    if raw[:2] != b"\x1f\x8b":
        return raw
    try:
        return gzip.decompress(raw)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{what}: {path} is a damaged gzip file ({error}); get it again") from None


def read_text(path: Path, what: str, verify: bool = True) -> str:
    """The file's text: UTF-8, else Latin-1, which old English files use; line ends become \\n."""
    raw = read(path, what, verify)
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    return text.replace("\r\n", "\n")


def read_npz(path: Path, what: str, keys: Sequence[str], verify: bool = True) -> dict[str, np.ndarray]:
    """The named arrays of an .npz file; never a pickle."""
    raw = read(path, what, verify)
    try:
        with np.load(io.BytesIO(raw), allow_pickle=False) as z:
            return {key: z[key] for key in keys}
    except (ValueError, KeyError, EOFError, OSError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(
            f"{what}: {path} does not hold the arrays {', '.join(keys)} ({error}); get it again"
        ) from None


def fetch(what: str, name: str, url: str, sha256: str, folder: Path) -> Path:
    """Download one file into `folder`; it gets its name only if its SHA-256 is right."""
    try:
        import pooch
    except ImportError:
        raise MissingData(
            f"{what}: {name} is not here, and downloading needs: pip install 'minigrad[train]'"
        ) from None
    try:
        return Path(pooch.retrieve(url, f"sha256:{sha256}", fname=name, path=folder))
    except Exception as error:  # every kind of network trouble, and a wrong checksum
        raise MissingData(
            f"{what}: {name} could not be downloaded from {url} ({type(error).__name__}); "
            f"fetch it by hand into a folder and name that with data_dir or MINIGRAD_DATA"
        ) from None


def choose(what: str, split: str, splits: Sequence[str]) -> str:
    """`split`, if it is one of those that there are."""
    if split not in splits:
        raise ValueError(f"{what}: expected split to be one of {', '.join(splits)} (split={split!r})")
    return split


def stratified(labels: np.ndarray, shares: Sequence[float], seed: int) -> np.ndarray:
    """The part of each item, 0, 1, ...: every class is dealt by these shares, the last part takes the rest.

    The order within a class is drawn from our own random stream: the same on every machine, for ever.

    >>> stratified(np.array([0] * 8 + [1] * 4), [0.5, 0.25, 0.25], seed=0).tolist().count(0)
    6
    """
    part = np.full(len(labels), len(shares) - 1)
    for label in np.unique(labels):
        mine = np.flatnonzero(labels == label)
        mine = mine[Generator(seed).fork(int(label)).permutation(len(mine))]
        ends = np.rint(np.cumsum(shares) * len(mine)).astype(int)
        for i, (start, end) in enumerate(zip([0, *ends[:-1]], ends)):
            part[mine[start:end]] = i
    return part
