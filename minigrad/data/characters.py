"""Omniglot: characters of many alphabets, each drawn by twenty people (Lake et al. 2015)."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .files import choose, fetch, find, home, missing, places, read_npz, read_text, sources, unpack
from .png import read_png

SIDE = 105
RUNS = "all_runs.zip"
FILES = r"[\w()-]+(/[\w()-]+)+\.(png|txt)"  # what is wanted of an archive; no name of it begins with a dot
PARTS = ("small1", "small2", "background", "evaluation")
FOLDERS = ["omniglot_small", "omniglot", "omniglot/python"]
ADDRESS = (
    "https://github.com/brendenlake/omniglot, python/: images_background.zip, strokes_background.zip and "
    "all_runs.zip (in one-shot-classification), unpacked"
)


class Omniglot(NamedTuple):
    """N drawings. images (N, 105, 105) uint8, 1 is ink; alphabet and character (N,) int64, characters
    numbered from 0 over all alphabets; drawer (N,) int64, 1 to 20; strokes: for each drawing, a list of
    arrays (P, 3) float32 of x (rightwards), y (negative, downwards) and milliseconds."""

    images: np.ndarray
    alphabet: np.ndarray
    character: np.ndarray
    drawer: np.ndarray
    alphabet_names: list[str]
    strokes: list[list[np.ndarray]]


class OneShotRuns(NamedTuple):
    """train and test (runs, 20, 105, 105) uint8, 1 is ink; answer (runs, 20): which training image it is."""

    train: np.ndarray
    test: np.ndarray
    answer: np.ndarray


def omniglot(
    part: str = "small1", data_dir: str | Path | None = None, verify: bool = True, download: bool = False
) -> Omniglot:
    """Omniglot's drawings, as images and as movements of the pen.

    part: "small1" (5 alphabets, 136 characters, 2,720 drawings) or "small2" (5; 156; 3,120): the sets of
    Lake et al.; files omniglot_small1.npz, omniglot_small2.npz, or the original folders
    images_background_small1 and strokes_background_small1; "background" and "evaluation" are read from
    theirs. Strokes are empty where the folder of strokes is not there. download=True fetches the originals
    of small1 and small2.

    Licence: MIT (B. Lake). Cite "Human-level concept learning through probabilistic program induction", 2015.
    """
    choose("omniglot", part, PARTS)
    name = f"omniglot_{part}.npz"
    if (path := find([name], FOLDERS, data_dir)) is not None:
        return _from_npz(path, verify)
    ending = f"background_{part}" if part.startswith("small") else part
    for place in places(FOLDERS, data_dir):
        if (place / f"images_{ending}").is_dir():
            return _from_folders(place / f"images_{ending}", place / f"strokes_{ending}")
    archives = [f"images_{ending}.zip", f"strokes_{ending}.zip"]
    if download and sources(archives):
        folder = _fetched(f"omniglot({part!r})", archives, home("omniglot", data_dir), FILES)
        return _from_folders(folder / f"images_{ending}", folder / f"strokes_{ending}")
    names = [name, f"images_{ending}", *archives]
    raise missing(f"omniglot({part!r})", names, FOLDERS, data_dir, ADDRESS)


def _fetched(what: str, archives: list[str], folder: Path, wanted: str, below: str = "") -> Path:
    """Fetch the archives into a folder and unpack them there, the strokes before the images."""
    for source in reversed(sources(archives)):
        unpack(fetch(what, source, folder), folder / below, wanted)
    return folder


def pixels(bits: np.ndarray) -> np.ndarray:
    """(..., 1379) bytes of 8 pixels each to (..., 105, 105)."""
    ink = np.unpackbits(bits, axis=-1)[..., : SIDE * SIDE]
    return ink.reshape(*bits.shape[:-1], SIDE, SIDE)


def _from_npz(path: Path, verify: bool) -> Omniglot:
    """Drawing d is the strokes from drawing_ptr[d] on, stroke s the points from stroke_ptr[s] on."""
    whole = ["alphabet", "character", "drawer"]
    keys = ["images", *whole, "alphabet_names", "stroke_xy", "stroke_ms", "stroke_ptr", "drawing_ptr"]
    z = read_npz(path, "omniglot", keys, verify)
    points = np.column_stack([z["stroke_xy"], z["stroke_ms"]]).astype(np.float32)
    strokes = np.split(points, z["stroke_ptr"][1:-1])
    ends = z["drawing_ptr"]
    drawings = [strokes[a:b] for a, b in pairwise(ends)]
    numbers = (z[key].astype(np.int64) for key in whole)
    return Omniglot(pixels(z["images"]), *numbers, [str(a) for a in z["alphabet_names"]], drawings)


def _from_folders(images: Path, pens: Path) -> Omniglot:
    """The original: alphabet/character01/0709_01.png (drawer 1), and .txt of the same name for the pen."""
    names = sorted(folder.name for folder in images.iterdir() if folder.is_dir())
    characters = [folder for name in names for folder in sorted((images / name).glob("character*"))]
    rows, pictures, strokes = [], [], []
    for number, folder in enumerate(characters):
        for path in sorted(folder.glob("*.png")):
            form = re.fullmatch(r"\d+_(\d+)", path.stem)
            picture = read_png(path)
            if form is None or picture.shape != (SIDE, SIDE):
                raise ValueError(
                    f"omniglot: {path} is not NNNN_DD.png of {SIDE} x {SIDE} pixels; get it again"
                )
            rows.append((names.index(folder.parent.name), number, int(form[1])))
            pictures.append(picture == 0)  # ink is black
            pen = pens / folder.parent.name / folder.name / f"{path.stem}.txt"
            strokes.append(read_strokes(pen) if pen.is_file() else [])
    if not rows:
        raise ValueError(f"omniglot: {images} has no alphabet/character01/*.png; unpack it again")
    alphabet, character, drawer = np.array(rows).T
    return Omniglot(np.array(pictures, np.uint8), alphabet, character, drawer, names, strokes)


def read_strokes(path: str | Path) -> list[np.ndarray]:
    """The strokes (P, 3) of one drawing: START, then lines "x,y,milliseconds", BREAK after each stroke."""
    strokes: list[np.ndarray] = []
    points: list[list[float]] = []
    for number, line in enumerate(read_text(Path(path), "read_strokes").split("\n"), 1):
        line = line.strip()
        if line in ("START", ""):
            continue
        if line == "BREAK":
            strokes.append(np.array(points, np.float32).reshape(-1, 3))
            points = []
            continue
        try:
            x, y, ms = map(float, line.split(","))
        except ValueError:
            raise ValueError(
                f"read_strokes: line {number} of {path} is {line!r}, expected x,y,ms or BREAK"
            ) from None
        points.append([x, y, ms])
    return [*strokes, np.array(points, np.float32)] if points else strokes


def omniglot_runs(
    data_dir: str | Path | None = None, verify: bool = True, download: bool = False
) -> OneShotRuns:
    """The 20 published one-shot runs: one image of each of 20 characters, then 20 new ones to be told apart.

    The nearest training image, pixel by pixel, is wrong for 81 % of them. Reads omniglot_oneshot_runs.npz or
    the original folder all_runs (run01/training/class01.png, run01/test/item01.png, run01/class_labels.txt),
    which download=True fetches. Licence and citation as for omniglot().
    """
    name = "omniglot_oneshot_runs.npz"
    if (path := find([name], FOLDERS, data_dir)) is not None:
        z = read_npz(path, "omniglot_runs", ["train", "test", "answer"], verify)
        return OneShotRuns(pixels(z["train"]), pixels(z["test"]), z["answer"].astype(np.int64))
    searched = places([*FOLDERS, "omniglot/python/one-shot-classification"], data_dir)
    folder = next((p for p in searched if any((p / "all_runs").glob("run*/class_labels.txt"))), None)
    if folder is None and download:
        folder = _fetched("omniglot_runs", [RUNS], home("omniglot", data_dir), FILES, "all_runs")
    if folder is None:
        raise missing("omniglot_runs", [name, "all_runs", RUNS], FOLDERS, data_dir, ADDRESS)
    runs = sorted((folder / "all_runs").glob("run*/class_labels.txt"))
    return OneShotRuns(*map(np.array, zip(*map(_run, runs))))


def _run(labels: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One run: its training images in order, then each test image and the number of its answer."""
    folder = labels.parent
    training = sorted((folder / "training").glob("*.png"))
    pairs = [line.split() for line in read_text(labels, "omniglot_runs").split("\n") if line.strip()]
    names = [path.name for path in training]
    for pair in pairs:
        if len(pair) != 2 or Path(pair[1]).name not in names:
            raise ValueError(
                f"omniglot_runs: {labels} has {' '.join(pair)!r}, expected a test and a training image"
            )
    tests = [folder / "test" / Path(test).name for test, _ in pairs]
    lost = [str(path) for path in tests if not path.is_file()]
    if lost:
        raise missing("omniglot_runs", lost, ["all_runs"], folder, ADDRESS)
    pictures = [np.array([read_png(p) == 0 for p in paths], np.uint8) for paths in (training, tests)]
    return *pictures, np.array([names.index(Path(right).name) for _, right in pairs])
