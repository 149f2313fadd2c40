"""Sentences with a part of speech for every word: the English Web Treebank, and CoNLL-U files."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from .files import choose, locate, read_text

UPOS = (
    "ADJ", "ADP", "ADV", "AUX", "CCONJ", "DET", "INTJ", "NOUN", "NUM", "PART", "PRON", "PROPN", "PUNCT",
    "SCONJ", "SYM", "VERB", "X",
)  # fmt: skip
ADDRESS = "https://github.com/UniversalDependencies/UD_English-EWT"


class Sentence(NamedTuple):
    """words and, for each, its universal tag, English tag, head (from 1; 0 is the root) and relation."""

    words: list[str]
    upos: list[str]
    xpos: list[str]
    heads: list[int]
    relations: list[str]


def read_conllu(path: str | Path, verify: bool = True) -> list[Sentence]:
    """The sentences of a CoNLL-U file, plain or gzip: ten columns between tabs, a blank line after each.

    Lines for contractions (ids such as 2-3) and for words left unsaid (2.1) are passed over: what counts
    are the syntactic words. Raises ValueError naming the line that is not of this form.
    """
    sentences, rows = [], []
    for number, line in enumerate(read_text(Path(path), "read_conllu", verify).split("\n"), 1):
        if line.startswith("#"):
            continue
        if not line.strip():
            if rows:
                sentences.append(_sentence(rows))
                rows = []
            continue
        columns = line.split("\t")
        if len(columns) != 10:
            raise ValueError(
                f"read_conllu: line {number} of {path} has {len(columns)} columns, expected 10 between tabs"
            )
        if columns[0].isdigit():
            if int(columns[0]) != len(rows) + 1:
                raise ValueError(
                    f"read_conllu: line {number} of {path} is word {columns[0]}, expected {len(rows) + 1}"
                )
            rows.append(columns)
    if rows:  # no blank line at the end
        sentences.append(_sentence(rows))
    if not sentences:
        raise ValueError(f"read_conllu: {path} has no sentences; is it a CoNLL-U file?")
    return sentences


def _sentence(rows: list[list[str]]) -> Sentence:
    _, words, _, upos, xpos, _, heads, relations, _, _ = map(list, zip(*rows))
    return Sentence(words, upos, xpos, [int(h) if h.isdigit() else 0 for h in heads], relations)


def ud_english(
    split: str = "train", data_dir: str | Path | None = None, download: bool = False, verify: bool = True
) -> list[Sentence]:
    """The English Web Treebank of Universal Dependencies: e-mails, blogs, reviews, answers, newsgroups.

    split: "train" (12,544 sentences, 204,577 words), "dev" (2,001; 25,147) or "test" (2,077; 25,094).
    Each word has one of the 17 tags of UPOS. Giving each its commonest tag is right for 86.93 % of test.
    Reads en_ewt-ud-{split}.conllu, plain or gzip; download=True fetches
    them as they were at the commit that figures are measured on; later releases correct some tags.

    Licence: annotations CC BY-SA 4.0 (Silveira et al. 2014); the texts are the LDC English Web Treebank's.
    """
    choose("ud_english", split, ("train", "dev", "test"))
    name, folders = f"en_ewt-ud-{split}.conllu", ["ud_english_ewt", "UD_English-EWT"]
    names = [f"{name}.gz", name]
    path = locate(f"ud_english({split!r})", names, folders, data_dir, ADDRESS, download)
    return read_conllu(path, verify)
