"""Finding, checking and fetching the files of a data set: one place for every loader."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import re
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatch
from functools import cache
from importlib import resources
from pathlib import Path
from typing import NamedTuple

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
    """The error for files that are not there: what was looked for, where, and what to do.

    `what` is the loader's call; if one of the names is in the list of sources, download=True is told.
    """
    call = what if what.endswith(")") else f"{what}()"
    fetched = f"{call[:-1]}{'' if call.endswith('()') else ', '}download=True)"
    download = f"with a network, minigrad.data.{fetched} fetches it; or " if sources(names) else ""
    return MissingData(
        f"{what}: found neither {' nor '.join(names)} in {data_dir or 'MINIGRAD_DATA or the cache'} "
        f"or its folder {' or '.join(folders)}; {download}"
        f"set MINIGRAD_DATA (or data_dir) to a folder that has them. The original: {address}"
    )


def locate(
    what: str,
    names: Sequence[str],
    folders: Sequence[str],
    data_dir: str | Path | None,
    address: str,
    download: bool = False,
) -> Path:
    """find(), else fetch() what the list of sources has if download, else missing()."""
    path = find(names, folders, data_dir)
    if path is None and download and (known := sources(names)):
        return fetch(what, known[0], home(folders[0], data_dir))
    if path is None:
        raise missing(what, names, folders, data_dir, address)
    return path


def home(folder: str, data_dir: str | Path | None) -> Path:
    """Where a download is put: data_dir, else this folder of the cache."""
    return Path(data_dir).expanduser() if data_dir is not None else cache_dir() / folder


class Source(NamedTuple):
    """A file that can be fetched, and its checksum: "sha256:..." or "md5:..."."""

    name: str
    url: str
    checksum: str


@cache
def source_list() -> list[Source]:
    """The shipped list: an address, then the files there with their checksums."""
    found, base = [], ""
    for line in resources.files(__package__).joinpath("sources.txt").read_text().splitlines():
        if line.startswith(" "):
            name, checksum = line.split()
            found.append(Source(name, base + name, checksum))
        else:
            base = line
    return found


def sources(names: Iterable[str]) -> list[Source]:
    """Those of the list that have one of these names or patterns."""
    names = list(names)
    return [source for source in source_list() if any(fnmatch(source.name, name) for name in names)]


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


def fetch(what: str, source: Source, folder: Path) -> Path:
    """Download one file into `folder`; it gets its name only if its checksum is right."""
    try:
        import pooch
    except ImportError:
        raise MissingData(
            f"{what}: {source.name} is not here, and downloading needs: pip install 'minigrad[train]'"
        ) from None
    try:
        return Path(pooch.retrieve(source.url, source.checksum, fname=source.name, path=folder))
    except Exception as error:  # every kind of network trouble, and a wrong checksum
        raise MissingData(
            f"{what}: {source.name} could not be downloaded from {source.url} ({type(error).__name__}); "
            f"fetch it by hand into a folder and name that with data_dir or MINIGRAD_DATA"
        ) from None


def unpack(archive: Path, folder: Path, wanted: str) -> None:
    """The files of a .zip or .tar.gz whose whole name fits the pattern, below `folder`, once all are read.

    The pattern also keeps names such as ../../x out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        names = []
        for name, raw in _members(archive, wanted):
            path = Path(temporary, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(raw)
            names.append(name)
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            Path(temporary, name).replace(folder / name)


def _members(archive: Path, wanted: str) -> Iterator[tuple[str, bytes]]:
    """Name and content of the wanted files."""
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as z:
            for name in z.namelist():
                if re.fullmatch(wanted, name):
                    yield name, z.read(name)
        return
    with tarfile.open(archive) as t:
        for member in t:
            if member.isfile() and re.fullmatch(wanted, member.name):
                yield member.name, t.extractfile(member).read()  # type: ignore[union-attr]


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
