"""PhysioNet's records: a text header (.hea) and 16-bit samples (.dat or .mat); and fewer samples a second."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .files import read, read_text

GAIN = re.compile(r"([-+.\deE]+)(?:\((-?\d+)\))?(?:/(\S+))?")


class Record(NamedTuple):
    """signals (T, channels) float64 in their physical units, `rate` values a second, units a channel."""

    signals: np.ndarray
    rate: float
    units: list[str]


def read_wfdb(path: str | Path) -> Record:
    """A record of the WFDB format, from its header: signals kept as 16-bit numbers in one file.

    First line: name, channels, rate, samples. Then a line a channel: file, format ("16", or "16+24" where
    24 bytes come first, as in MATLAB's files), gain "1000(0)/mV", bits, zero, first value, checksum.
    The checksum, where it is not 0, must be right. Raises ValueError for other formats, damaged files.
    """
    path = Path(path)
    lines = [x.split() for x in read_text(path, "read_wfdb").split("\n") if x.strip() and x[0] != "#"]
    try:
        channels, rate = int(lines[0][1]), float(lines[0][2].split("/")[0]) if len(lines[0]) > 2 else 250.0
        length = int(lines[0][3]) if len(lines[0]) > 3 else None
        rows = [line + ["0"] * (7 - len(line)) for line in lines[1 : channels + 1]]
        file, form = rows[0][:2]
        fits = len(rows) == channels and {(row[0], row[1]) for row in rows} == {(file, form)}
        scales = [GAIN.fullmatch(row[2]).groups() for row in rows]  # fmt: skip
        zeros, checks = [int(row[4]) for row in rows], [int(row[6]) for row in rows]
    except (IndexError, ValueError, AttributeError):
        raise ValueError(f"read_wfdb: {path} is not a header of the WFDB format") from None
    if not fits or not re.fullmatch(r"16(\+\d+)?", form):
        raise ValueError(
            f"read_wfdb: {path} has signals in {form!r}, expected all of them in one file of format 16"
        )
    values = _samples(path.with_name(file), int(form[3:] or 0), channels, length)
    for i, check in enumerate(checks):
        if check and (int(values[:, i].astype(np.int64).sum()) - check) % 65536:
            raise ValueError(f"read_wfdb: {file} is damaged: its checksum differs from {path}; get it again")
    gain = np.array([float(g) or 200.0 for g, _, _ in scales])  # 0 means "not known": 200
    base = np.array([int(b) if b is not None else z for (_, b, _), z in zip(scales, zeros)])
    return Record((values - base) / gain, rate, [unit or "mV" for _, _, unit in scales])


def _samples(path: Path, offset: int, channels: int, length: int | None) -> np.ndarray:
    """(T, channels): little-endian 16-bit numbers after `offset` bytes, channels side by side."""
    if not path.is_file():
        raise ValueError(f"read_wfdb: {path} is missing; put it beside its header")
    raw = read(path, "read_wfdb")[offset:]
    expected = len(raw) if length is None else 2 * channels * length
    if len(raw) < expected or expected % (2 * channels):
        raise ValueError(
            f"read_wfdb: {path} has {len(raw)} bytes of samples, expected {expected}; get it again"
        )
    return np.frombuffer(raw[:expected], "<i2").reshape(-1, channels)


def resample(signal: np.ndarray, rate: float, to: float, taps: int = 73) -> np.ndarray:
    """A signal (T,) at `rate` values a second, at `to` a second: low-passed at 0.45 `to`, then every k-th.

    The filter is a sinc under a Hamming window of `taps` values: what is faster than half the new rate would
    otherwise come back as something slow. Ends are continued with their first and last value.
    """
    step = round(rate / to)
    if step < 1 or abs(rate - step * to) > 1e-6 * rate:
        raise ValueError(
            f"resample: expected the rate to be a whole multiple of the new one ({rate=}, {to=})"
        )
    if step == 1:
        return np.array(signal, dtype=np.float64)
    if taps % 2 == 0 or taps < 3:
        raise ValueError(f"resample: expected an odd number of taps, at least 3 (taps={taps})")
    t = np.arange(taps) - taps // 2
    kernel = np.sinc(2 * 0.45 * to / rate * t) * np.hamming(taps)
    padded = np.pad(np.asarray(signal, np.float64), taps // 2, mode="edge")
    return np.convolve(padded, kernel / kernel.sum(), mode="valid")[::step]
