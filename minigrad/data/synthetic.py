"""Data made here, from a seed, with exact answers known: dates, tones, cells, hidden Markov chains, films."""

from __future__ import annotations

import datetime
from typing import NamedTuple

import numpy as np

from ..engine.random import Generator
from .datasets import digits as shipped_digits

# ---------------------------------------------------------------- dates


class Dates(NamedTuple):
    """human[i], such as "tuesday, march 4 1997", is iso[i], "1997-03-04"."""

    human: list[str]
    iso: list[str]


MONTHS = ("january", "february", "march", "april", "may", "june", "july", "august", "september",
          "october", "november", "december")  # fmt: skip
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
# None leaves day or month to be guessed: where both are numbers, the day stands first.
DATE_FORMS = (
    "{day} {month} {year}", "{day} {mon} {year}", "{month} {day}, {year}", "{mon} {day} {year}",
    "{day}/{number}/{year}", "{day:02d}.{number:02d}.{year}", "{weekday}, {day} {month} {year}",
    "{weekday} {month} {day}, {year}", "the {day}{th} of {month} {year}", "{month} {day}{th}, {year}",
    "{day} {mon} '{short:02d}",
)  # fmt: skip


def dates(n: int, seed: int = 0, first: int = 1950, last: int = 2049) -> Dates:
    """n days of the years `first` to `last`, at most a hundred, as people write them and as ISO 8601.

    >>> dates(2, seed=1).iso
    ['2029-06-28', '2013-10-16']
    """
    if n < 1 or not 1 <= first <= last < first + 100 or last > 9999:
        raise ValueError(f"dates: expected n >= 1 and at most 100 years ({n=}, {first=}, {last=})")
    generator = Generator(seed)
    start = datetime.date(first, 1, 1).toordinal()
    ordinals = generator.integers(start, datetime.date(last, 12, 31).toordinal() + 1, (n,))
    forms = generator.integers(0, len(DATE_FORMS), (n,))
    found = [datetime.date.fromordinal(int(o)) for o in ordinals]
    return Dates([say_date(d, DATE_FORMS[f]) for d, f in zip(found, forms)], [d.isoformat() for d in found])


def say_date(date: datetime.date, form: str) -> str:
    """The date in one of DATE_FORMS."""
    month = MONTHS[date.month - 1]
    th = "th" if 11 <= date.day <= 13 else {1: "st", 2: "nd", 3: "rd"}.get(date.day % 10, "th")
    return form.format(
        day=date.day, month=month, mon=month[:3], number=date.month, year=f"{date.year:04d}",
        short=date.year % 100, weekday=DAYS[date.weekday()], th=th,
    )  # fmt: skip


# ---------------------------------------------------------------- tones


class Tones(NamedTuple):
    """signals (N, T) float32 in [-1, 1]; pitch (N,) in hertz; clean (N, T): the signals without noise."""

    signals: np.ndarray
    pitch: np.ndarray
    clean: np.ndarray


def tones(
    n: int, length: int = 2048, rate: int = 8000, pitches: tuple[float, float] = (110.0, 440.0),
    overtones: int = 3, noise: float = 0.01, seed: int = 0,
) -> Tones:  # fmt: skip
    """n steady tones with overtones of falling loudness, random pitch and phases, and Gaussian noise.

    Pitches are spread evenly over octaves. Raises ValueError where the highest overtone is past rate / 2.
    """
    if n < 1 or length < 1 or not 0 < pitches[0] <= pitches[1] or (overtones + 1) * pitches[1] >= rate / 2:
        raise ValueError(
            "tones: expected n, length >= 1 and pitches whose overtones stay below half the rate "
            f"({n=}, {length=}, {pitches=}, {overtones=}, {rate=})"
        )
    generator = Generator(seed)
    pitch = np.exp(generator.uniform(np.log(pitches[0]), np.log(pitches[1]), (n,)))
    order = np.arange(1, overtones + 2)
    phase = generator.uniform(0.0, 2 * np.pi, (n, 1, len(order)))
    angle = 2 * np.pi * (pitch[:, None, None] * np.arange(length)[:, None] / rate) * order + phase
    loudness = 0.5**order
    clean = (np.sin(angle) * loudness).sum(-1) * (0.9 / loudness.sum())
    noisy = clean + noise * generator.standard_normal(clean.shape)
    return Tones(np.clip(noisy, -1, 1).astype(np.float32), pitch, clean.astype(np.float32))


class ToneWords(NamedTuple):
    """signals (N, T) float32, silence behind; lengths (N,); words: for each, the numbers 0..9 it spells."""

    signals: np.ndarray
    lengths: np.ndarray
    words: list[list[int]]


def tone_words(
    n: int, digits: tuple[int, int] = (1, 5), beat: int = 400, rate: int = 4000, noise: float = 0.05,
    seed: int = 0,
) -> ToneWords:  # fmt: skip
    """Numbers "spoken" digit by digit: d is a tone of 300 + 100 d hertz, after a pause.

    Tones last 3/4 to 5/4 of a beat, pauses 1/4 to 3/4: where a digit begins must be found, as in speech.
    """
    low, high = digits
    if n < 1 or not 1 <= low <= high or beat < 8 or rate < 2500:
        raise ValueError(
            "tone_words: expected n >= 1, 1 <= fewest <= most digits, beat >= 8, rate >= 2500 "
            f"({n=}, {digits=}, {beat=}, {rate=})"
        )
    signals, words = [], []
    for i in range(n):
        generator = Generator(seed).fork(i)
        word = generator.integers(0, 10, (int(generator.integers(low, high + 1)),))
        parts = []
        for digit in word:
            long, pause = generator.integers(0, beat // 2, (2,)) + np.array([3 * beat // 4, beat // 4])
            parts += [np.zeros(pause), np.sin(2 * np.pi * (300 + 100 * digit) / rate * np.arange(long))]
        signal = np.concatenate([*parts, np.zeros(beat // 4)])
        signals.append(0.8 * signal + noise * generator.standard_normal(signal.shape))
        words.append(word.tolist())
    lengths = np.array([len(s) for s in signals])
    padded = np.zeros((n, lengths.max()), np.float32)
    for row, signal in zip(padded, signals):
        row[: len(signal)] = signal
    return ToneWords(padded, lengths, words)


# ---------------------------------------------------------------- cells


MARKERS = ("CD3", "CD8", "CD4", "CD45")
CELL_TYPES = ("helper T", "cytotoxic T", "other white", "red or debris")
CELL_SHARES = np.array([0.4, 0.25, 0.25, 0.1])
CELL_MEANS = np.array(
    [[4.0, 0.5, 4.0, 5.0], [4.0, 4.0, 0.5, 5.0], [0.5, 0.7, 1.0, 4.5], [0.3, 0.3, 0.3, 0.5]]
)
CELL_SPREAD = 0.5  # of every marker in every type, independently


class Cells(NamedTuple):
    """markers (N, 4) float32, columns in MARKERS; kind (N,) int64, names in CELL_TYPES."""

    markers: np.ndarray
    kind: np.ndarray


def cytometry(n: int, seed: int = 0) -> Cells:
    """n cells of four types, each with four markers: a mixture of four Gaussians, known exactly."""
    if n < 1:
        raise ValueError(f"cytometry: expected n >= 1 (n={n})")
    generator = Generator(seed)
    kind = np.searchsorted(np.cumsum(CELL_SHARES)[:-1], generator.random((n,)), side="right")
    markers = CELL_MEANS[kind] + CELL_SPREAD * generator.standard_normal((n, 4))
    return Cells(markers.astype(np.float32), kind)


def cell_posterior(cd3_cd8: np.ndarray) -> np.ndarray:
    """(N, 4): how probable each type is, given the first two markers (N, 2). Bayes' rule."""
    distance = ((cd3_cd8[:, None, :].astype(np.float64) - CELL_MEANS[:, :2]) ** 2).sum(-1)
    score = np.log(CELL_SHARES) - distance / (2 * CELL_SPREAD**2)
    odds = np.exp(score - score.max(1, keepdims=True))
    return odds / odds.sum(1, keepdims=True)


def best_cd4_cd45(cd3_cd8: np.ndarray) -> np.ndarray:
    """The mean of CD4 and CD45 given CD3 and CD8, (N, 2): no prediction has a smaller squared error."""
    return cell_posterior(cd3_cd8) @ CELL_MEANS[:, 2:]


# ---------------------------------------------------------------- hidden Markov chains


class MarkovModel(NamedTuple):
    """start (S,), change (S, S): from row to column, emit (S, K): symbol k seen in state s; rows sum to 1."""

    start: np.ndarray
    change: np.ndarray
    emit: np.ndarray


class MarkovSamples(NamedTuple):
    """symbols (N, T) and the states (N, T) that were behind them, int64."""

    symbols: np.ndarray
    states: np.ndarray


# Three states that stay, each with a favourite pair of six symbols.
THREE_STATES = MarkovModel(
    np.array([0.6, 0.3, 0.1]),
    np.array([[0.9, 0.08, 0.02], [0.05, 0.85, 0.1], [0.15, 0.05, 0.8]]),
    np.array([[0.45, 0.4, 0.05, 0.05, 0.03, 0.02], [0.05, 0.05, 0.5, 0.3, 0.05, 0.05],
              [0.02, 0.03, 0.05, 0.1, 0.3, 0.5]]),
)  # fmt: skip


def markov_samples(n: int, length: int, model: MarkovModel = THREE_STATES, seed: int = 0) -> MarkovSamples:
    """n sequences of `length` symbols of a hidden Markov model."""
    if n < 1 or length < 1:
        raise ValueError(f"markov_samples: expected n and length >= 1 (n={n}, length={length})")
    u = Generator(seed).random((2, length, n))
    states = np.zeros((length, n), np.int64)
    for t in range(length):
        rows = np.broadcast_to(model.start, (n, len(model.start))) if t == 0 else model.change[states[t - 1]]
        states[t] = _draw(rows, u[0, t])
    symbols = _draw(model.emit[states], u[1])
    return MarkovSamples(symbols.T.copy(), states.T.copy())


def _draw(rows: np.ndarray, u: np.ndarray) -> np.ndarray:
    """A column by each row's probabilities: the first whose cumulated probability is past u."""
    return (u[..., None] >= np.cumsum(rows, -1)[..., :-1]).sum(-1)


def markov_nll(symbols: np.ndarray, model: MarkovModel = THREE_STATES) -> np.ndarray:
    """-log p of each sequence (N, T) in nats, (N,): the forward algorithm. On average no model is better."""
    total = np.zeros(len(symbols))
    belief = np.broadcast_to(model.start, (len(symbols), len(model.start)))
    for seen in symbols.T:
        joint = belief * model.emit[:, seen].T  # of the state and the symbol, given all before
        chance = joint.sum(1, keepdims=True)
        total -= np.log(chance[:, 0])
        belief = joint / chance @ model.change
    return total


# ---------------------------------------------------------------- films


class Films(NamedTuple):
    """frames (N, T, 1, S, S) uint8; direction (N,), 0..7 from the right counter-clockwise; digit (N,)."""

    frames: np.ndarray
    direction: np.ndarray
    digit: np.ndarray


STEPS = np.array([(0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1), (1, 0), (1, 1)])  # rows, columns


def moving_digits(
    n: int, frames: int = 8, size: int = 32, step: int = 2, seed: int = 0,
    images: np.ndarray | None = None, labels: np.ndarray | None = None,
) -> Films:  # fmt: skip
    """Digits that move in one of eight directions, `step` pixels a frame; what leaves comes in opposite.

    Because of that, and as they begin anywhere, a single frame says nothing about the direction: 12.5 % is
    the best from one. images (M, H, W) and labels (M,), such as mnist()'s; else the digits that ship with the
    package, doubled to 16 x 16.
    """
    if (images is None) != (labels is None):
        raise ValueError("moving_digits: expected images and labels together, got one of them")
    if images is None:
        small, labels = shipped_digits("train")
        images = np.minimum(small.repeat(2, 1).repeat(2, 2) * 16.0, 255).astype(np.uint8)
    if n < 1 or frames < 1 or max(images.shape[1:]) > size:
        raise ValueError(
            f"moving_digits: expected n, frames >= 1 and digits {images.shape[1:]} within {size=} "
            f"({n=}, {frames=})"
        )
    generator = Generator(seed)
    which = generator.integers(0, len(images), (n,))
    direction = generator.integers(0, 8, (n,))
    place = (
        generator.integers(0, size, (n, 1, 2)) + step * np.arange(frames)[:, None] * STEPS[direction][:, None]
    )
    height, width = images.shape[1:]
    row = (place[..., 0, None] + np.arange(height)) % size  # (N, T, H)
    column = (place[..., 1, None] + np.arange(width)) % size
    film = np.zeros((n, frames, 1, size, size), np.uint8)
    i, t = np.arange(n)[:, None, None, None], np.arange(frames)[:, None, None]
    film[i, t, 0, row[..., :, None], column[..., None, :]] = images[which][:, None]
    return Films(film, direction, np.asarray(labels)[which].astype(np.int64))
