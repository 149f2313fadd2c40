"""Plain text: Shakespeare for language models, film reviews for sentiment."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from .files import choose, locate, read_text, stratified

SHAKESPEARE_ADDRESS = "https://github.com/karpathy/char-rnn, data/tinyshakespeare/input.txt"
REVIEWS_ADDRESS = "https://www.cs.cornell.edu/people/pabo/movie-review-data/, rt-polaritydata.tar.gz"


def tinyshakespeare(
    split: str = "train", data_dir: str | Path | None = None, download: bool = False, verify: bool = True
) -> str:
    """1,115,394 characters of Shakespeare's plays, 65 different ones, as a string.

    split: "train" (the first 90 %), "validation" (the last 10 %) or "all". Reads input.txt, plain or gzip;
    download=True fetches it. Number its characters with Vocabulary([text], padding=None, unknown=None).

    Licence: the text is in the public domain; the collection is A. Karpathy's char-rnn (MIT).
    """
    choose("tinyshakespeare", split, ("train", "validation", "all"))
    names, folders = ["input.txt.gz", "input.txt", "tinyshakespeare.txt"], ["tinyshakespeare"]
    path = locate("tinyshakespeare", names, folders, data_dir, SHAKESPEARE_ADDRESS, download)
    text = read_text(path, "tinyshakespeare", verify)
    if not text:
        raise ValueError(f"tinyshakespeare: {path} is empty; get it again")
    cut = int(0.9 * len(text))
    return {"train": text[:cut], "validation": text[cut:], "all": text}[split]


class Reviews(NamedTuple):
    """sentences: lists of words; labels (N,) int64, 1 for a positive review."""

    sentences: list[list[str]]
    labels: np.ndarray


def rt_polarity(
    split: str = "train",
    fold: int = 0,
    data_dir: str | Path | None = None,
    verify: bool = True,
    download: bool = False,
) -> Reviews:
    """10,662 sentences of film reviews, half of them positive (Pang & Lee 2005).

    There is no official split: results are means over ten folds. `fold` (0..9) is the tenth that is
    tested; split is "train" (the other nine), "test" or "all". Which sentence is in which fold is fixed.
    Reads rt-polarity.pos and rt-polarity.neg, plain or gzip, UTF-8 or Latin-1; words stand between blanks.
    download=True fetches them.

    Licence: none stated; released for research. Cite B. Pang and L. Lee, "Seeing Stars", ACL 2005.
    """
    choose("rt_polarity", split, ("train", "test", "all"))
    if fold not in range(10):
        raise ValueError(f"rt_polarity: expected a fold from 0 to 9 (fold={fold!r})")
    sentences, labels, folders = [], [], ["rt_polarity", "rt-polaritydata"]
    for label, ending in enumerate(("neg", "pos")):
        names = [f"rt-polarity.{ending}.gz", f"rt-polarity.{ending}"]
        path = locate("rt_polarity", names, folders, data_dir, REVIEWS_ADDRESS, download)
        lines = [line.split() for line in read_text(path, "rt_polarity", verify).split("\n")]
        mine = [words for words in lines if words]
        if not mine:
            raise ValueError(f"rt_polarity: {path} has no sentences; get it again")
        sentences += mine
        labels += [label] * len(mine)
    y = np.array(labels)
    tested = stratified(y, [0.1] * 10, seed=2005) == fold
    chosen = np.flatnonzero({"train": ~tested, "test": tested, "all": y >= 0}[split])
    return Reviews([sentences[i] for i in chosen], y[chosen])
