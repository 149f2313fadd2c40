"""bAbI: small stories with a question each (Weston et al. 2015)."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from .files import choose, locate, read_text
from .vocabulary import tokenise

BABI_TASKS = (
    "single supporting fact", "two supporting facts", "three supporting facts", "two-argument relations",
    "three-argument relations", "yes/no questions", "counting", "lists and sets", "simple negation",
    "indefinite knowledge", "basic coreference", "conjunction", "compound coreference", "time reasoning",
    "basic deduction", "basic induction", "positional reasoning", "size reasoning", "path finding",
    "agents' motivations",
)  # fmt: skip
ADDRESS = "https://research.facebook.com/downloads/babi/, tasks_1-20_v1-2.tar.gz, its folder en-10k"


class Question(NamedTuple):
    """facts: what the story told before, each a list of words; question: a list of words; answer: as given,
    several parts between commas; supports: which of the facts (0..) it follows from."""

    facts: list[list[str]]
    question: list[str]
    answer: str
    supports: list[int]


def babi(
    task: int,
    split: str = "train",
    data_dir: str | Path | None = None,
    verify: bool = True,
    download: bool = False,
) -> list[Question]:
    """The questions of one bAbI task (1..20, names in BABI_TASKS): 10,000 for "train", 1,000 for "test".

    Reads qa{task}_*_{split}.txt of the English sets, plain or gzip. Words are lower-case. A task counts as
    solved at 5 % errors. download=True fetches them, but for task 3, of which no copy file by file is known.

    Licence: CC BY 3.0, Facebook. Cite Weston, Bordes, Chopra & Mikolov, "Towards AI-Complete Question
    Answering", 2015.
    """
    choose("babi", split, ("train", "test"))
    if task not in range(1, 21):
        raise ValueError(f"babi: expected a task from 1 to 20 (task={task!r})")
    names, folders = (
        [f"qa{task}_*_{split}.txt.gz", f"qa{task}_*_{split}.txt"],
        ["babi_en10k", "en-10k", "babi"],
    )
    path = locate(f"babi({task}, {split!r})", names, folders, data_dir, ADDRESS, download)
    return read_babi(path, verify)


def read_babi(path: str | Path, verify: bool = True) -> list[Question]:
    """The questions of a file in bAbI's form: numbered lines, from 1 anew for each story.

    A question's line has tabs: question, answer, numbers of the lines that it follows from.
    """
    questions: list[Question] = []
    facts: list[list[str]] = []
    place: dict[int, int] = {}  # of a fact's line number, among the facts
    for at, line in enumerate(read_text(Path(path), "read_babi", verify).split("\n"), 1):
        if not line.strip():
            continue
        number, _, rest = line.strip().partition(" ")
        parts = [part.strip() for part in rest.split("\t")]
        if not number.isdigit() or len(parts) not in (1, 3):
            raise ValueError(
                f"read_babi: line {at} of {path} is {line!r}, expected a number and a sentence, "
                "or a number, question, tab, answer, tab, numbers"
            )
        if int(number) == 1:
            facts, place = [], {}
        if len(parts) == 1:
            place[int(number)] = len(facts)
            facts.append(tokenise(parts[0].rstrip(".")))
        else:
            try:
                supports = [place[int(n)] for n in parts[2].split()]
            except (KeyError, ValueError):
                raise ValueError(
                    f"read_babi: line {at} of {path} follows from {parts[2]!r}, expected lines of its story"
                ) from None
            questions.append(Question(list(facts), tokenise(parts[0].rstrip("?")), parts[1], supports))
    if not questions:
        raise ValueError(f"read_babi: {path} has no questions; is it a bAbI file?")
    return questions
