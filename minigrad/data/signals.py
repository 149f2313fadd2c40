"""Signals: electrocardiograms of the 2017 challenge, heart beats and other series of the UCR archive."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from .files import choose, find, missing, read_npz, read_text, stratified
from .wfdb import read_wfdb, resample

RHYTHMS = ("N", "A", "O", "~")  # normal, atrial fibrillation, other, too noisy: labels 0 to 3
CINC_ADDRESS = "https://physionet.org/content/challenge-2017/ (training2017.zip, unpacked)"
UCR_ADDRESS = "https://www.cs.ucr.edu/~eamonn/time_series_data_2018/ (the archive, unpacked)"
# What the label files of each version are called in the original.
REFERENCES = {
    "v1": ["REFERENCE-v1.csv", "REFERENCE-original.csv"],
    "v2": ["REFERENCE-v2.csv"],
    "v3": ["REFERENCE-v3.csv", "REFERENCE.csv"],
}


class Ecgs(NamedTuple):
    """records: float32 arrays (T_i,) in millivolts, `rate` values a second; labels (N,) int64: RHYTHMS."""

    records: list[np.ndarray]
    labels: np.ndarray
    rate: int


def cinc2017(
    split: str = "all", version: str = "v3", data_dir: str | Path | None = None, verify: bool = True
) -> Ecgs:
    """8,528 single-lead electrocardiograms of 9 to 61 s at 100 Hz (PhysioNet/CinC Challenge 2017).

    split: "train" (75 % of each class), "validation" (10 %), "test" (15 %) or "all"; which record is in
    which part depends on the labels' version alone. version: "v1", "v2" or "v3" of the labels, the last
    being the organisers' final ones. Reads cinc2017_100hz.npz, or the original folder (A00001.hea,
    A00001.mat, ..., REFERENCE.csv), which is low-passed at 45 Hz and taken from 300 to 100 Hz.

    Licence: PhysioNet, open access. Cite Clifford et al. 2017 (doi 10.22489/CinC.2017.065-469) and
    Goldberger et al. 2000.
    """
    choose("cinc2017", split, ("train", "validation", "test", "all"))
    if version not in REFERENCES:
        raise ValueError(f"cinc2017: expected the labels' version to be v1, v2 or v3 (version={version!r})")
    folders = ["ecg_cinc2017", "training2017", "ecg_cinc2017/training2017"]
    names = ["cinc2017_100hz.npz"]
    if (path := find(names, folders, data_dir)) is not None:
        records, labels = _from_differences(path, f"labels_{version}", verify)
    elif (path := find(REFERENCES[version], folders, data_dir)) is not None:
        records, labels = _from_wfdb(path)
    else:
        raise missing("cinc2017", [*names, *REFERENCES[version]], folders, data_dir, CINC_ADDRESS)
    part = stratified(labels, [0.75, 0.1, 0.15], seed=2017)
    chosen = np.flatnonzero(part == ("train", "validation", "test").index(split)) if split != "all" else None
    if chosen is None:
        return Ecgs(records, labels, 100)
    return Ecgs([records[i] for i in chosen], labels[chosen], 100)


def _from_differences(path: Path, labels: str, verify: bool) -> tuple[list[np.ndarray], np.ndarray]:
    """All records in one row, as differences from value to value in units of 5 microvolts.

    A difference d is kept as 2 d, or -2 d - 1 if negative, so that small ones have small numbers.
    """
    z = read_npz(path, "cinc2017", ["lengths", "delta_lo", "delta_hi", labels], verify)
    if z["lengths"].sum() != len(z["delta_lo"]):
        raise ValueError(f"cinc2017: the lengths in {path} do not add up to its values; get it again")
    code = z["delta_lo"].astype(np.int32) | z["delta_hi"].astype(np.int32) << 8
    values = np.cumsum(code >> 1 ^ -(code & 1), dtype=np.int32).astype(np.float32) * np.float32(0.005)
    return np.split(values, np.cumsum(z["lengths"])[:-1]), z[labels].astype(np.int64)


def _from_wfdb(reference: Path) -> tuple[list[np.ndarray], np.ndarray]:
    """The records that the file of labels names ("A00001,N"), in its order."""
    rows = [line.split(",") for line in read_text(reference, "cinc2017").split("\n") if line.strip()]
    for row in rows:
        if len(row) != 2 or row[1].strip() not in RHYTHMS:
            raise ValueError(
                f"cinc2017: {reference} has the line {','.join(row)!r}, expected A00001,N (A, O, ~)"
            )
    records = []
    for name, _ in rows:
        header = find([f"{name}.hea"], ["training2017"], reference.parent)
        if header is None:
            raise missing("cinc2017", [f"{name}.hea"], ["training2017"], reference.parent, CINC_ADDRESS)
        record = read_wfdb(header)
        records.append(resample(record.signals[:, 0], record.rate, 100).astype(np.float32))
    return records, np.array([RHYTHMS.index(row[1].strip()) for row in rows])


# ---------------------------------------------------------------- the UCR archive


class Series(NamedTuple):
    """x (N, T) float32 and labels (N,) int64, from 0, of the training and the testing part."""

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray


def read_ucr(path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """x (N, T) float32 and the labels as they stand there, of a file of the UCR archive (.tsv or .txt).

    A series a line: its label, then its values, between tabs, blanks or commas.
    """
    lines = read_text(Path(path), "read_ucr").replace(",", " ").split("\n")
    try:
        rows = np.array([line.split() for line in lines if line.strip()], dtype=np.float64)
    except ValueError:
        rows = np.zeros(0)
    if rows.ndim != 2 or rows.shape[1] < 2:
        raise ValueError(f"read_ucr: {path} is not a label and as many numbers in every line; get it again")
    return rows[:, 1:].astype(np.float32), rows[:, 0].astype(np.int64)


def ucr(name: str, data_dir: str | Path | None = None, verify: bool = True) -> Series:
    """A set of the UCR archive with its own split, such as "ECG5000": NAME_TRAIN and NAME_TEST.

    Reads name.npz (lower-case), or the archive's .tsv or .txt files. Labels are numbered from 0 in the order
    of the archive's own.

    Licence: the archive states none of its own; cite Dau et al., "The UCR Time Series Archive", 2018.
    """
    folders = [name.lower(), name]
    if (path := find([f"{name.lower()}.npz"], folders, data_dir)) is not None:
        keys = ["x_train", "y_train", "x_test", "y_test"]
        parts = list(read_npz(path, name, keys, verify).values())
    else:
        parts = []
        for part in ("TRAIN", "TEST"):
            names = [f"{name}_{part}.tsv", f"{name}_{part}.txt", f"{name}_{part}"]
            if (path := find(names, folders, data_dir)) is None:
                raise missing(name, [f"{name.lower()}.npz", *names[:2]], folders, data_dir, UCR_ADDRESS)
            parts += read_ucr(path)
    x_train, y_train, x_test, y_test = parts
    classes = np.unique(y_train)
    if not np.isin(y_test, classes).all():
        raise ValueError(f"{name}: the testing part has labels that the training part lacks; get it again")
    return Series(x_train, np.searchsorted(classes, y_train), x_test, np.searchsorted(classes, y_test))


def ecg5000(data_dir: str | Path | None = None, verify: bool = True) -> Series:
    """Heart beats of one patient: 500 and 4,500 of 140 values; label 0 is the normal beat, 1 to 4 are not.

    Licence: from PhysioNet's BIDMC record chf07, as in the UCR archive; cite Dau et al. 2018 and
    Goldberger et al. 2000.
    """
    return ucr("ECG5000", data_dir, verify)


def ecg200(data_dir: str | Path | None = None, verify: bool = True) -> Series:
    """Heart beats: 100 and 100 of 96 values; label 1 is the normal beat, 0 is an infarction.

    Licence: as in the UCR archive; cite Olszewski 2001 and Dau et al. 2018.
    """
    return ucr("ECG200", data_dir, verify)
