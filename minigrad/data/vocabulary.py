"""Words to numbers and back, and sequences of unequal length made into one array."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from typing import Any

import numpy as np

WORD = re.compile(r"\d+(?:[.,]\d+)*|\w+(?:'\w+)?|[^\w\s]")


def tokenise(text: str, lower: bool = True) -> list[str]:
    """Words, numbers and single punctuation marks.

    >>> tokenise("It's 3.5, not 4!")
    ["it's", '3.5', ',', 'not', '4', '!']
    """
    return WORD.findall(text.lower() if lower else text)


class Vocabulary:
    """A numbering of words (or characters, or anything hashable): the commonest first, ties in order.

    sequences: what to count, each a list of words or a string of characters. Words seen less than
    `min_count` times are left out, and all but the `max_size` commonest. `padding` gets number 0 and
    `unknown` the next one, for words that have no number; None leaves them out, and an unknown word
    is then an error. `extra` words come after these whether they occur or not.

    >>> v = Vocabulary([["a", "b", "a"], ["c"]])
    >>> v.words
    ['<pad>', '<unk>', 'a', 'b', 'c']
    >>> v.encode(["b", "z"]).tolist()
    [3, 1]
    >>> v.decode([3, 1, 0])
    ['b', '<unk>']
    """

    def __init__(
        self,
        sequences: Iterable[Sequence[Hashable]],
        min_count: int = 1,
        max_size: int | None = None,
        padding: str | None = "<pad>",
        unknown: str | None = "<unk>",
        extra: Sequence[str] = (),
    ) -> None:
        if isinstance(sequences, str):
            raise ValueError("Vocabulary: expected several sequences, got one string; wrap it: [text]")
        counts = Counter(word for sequence in sequences for word in sequence)
        first = [word for word in (padding, unknown, *extra) if word is not None]
        ordered = sorted((w for w in counts if w not in first), key=lambda w: (-counts[w], str(w)))
        kept = [w for w in ordered if counts[w] >= min_count][:max_size]
        self.words: list[Any] = [*first, *kept]
        self.counts = counts
        self.number = {word: i for i, word in enumerate(self.words)}
        self.padding = None if padding is None else self.number[padding]
        self.unknown = None if unknown is None else self.number[unknown]

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: Hashable) -> bool:
        return word in self.number

    def __getitem__(self, word: Hashable) -> int:
        """The word's number, or that of the unknown word."""
        number = self.number.get(word, self.unknown)
        if number is None:
            raise ValueError(f"Vocabulary: {word!r} has no number, and there is none for unknown words")
        return number

    def encode(self, sequence: Sequence[Hashable]) -> np.ndarray:
        """Its numbers, int64 (T,)."""
        return np.fromiter((self[word] for word in sequence), np.int64, len(sequence))

    def decode(self, numbers: Iterable[int], keep_padding: bool = False) -> list[Any]:
        """The words of these numbers; padding is dropped unless keep_padding."""
        return [self.words[n] for n in map(int, numbers) if keep_padding or n != self.padding]


def pad_batch(
    sequences: Sequence[Any], padding: int = 0, length: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Sequences of numbers as one array: (batch (B, T), lengths (B,)), filled up with `padding` behind.

    T is the longest of them, or `length`: longer ones are then cut off.

    >>> batch, lengths = pad_batch([[5, 6, 7], [8]])
    >>> batch.tolist(), lengths.tolist()
    ([[5, 6, 7], [8, 0, 0]], [3, 1])
    """
    if len(sequences) == 0:
        raise ValueError("pad_batch: expected at least one sequence, got none")
    rows = [np.asarray(s)[:length] for s in sequences]
    lengths = np.array([len(row) for row in rows])
    width = int(lengths.max()) if length is None else length
    filled = [row for row in rows if len(row)] or [np.zeros(0, np.int64)]
    batch = np.full((len(rows), width, *filled[0].shape[1:]), padding, np.result_type(*filled))
    for line, row in zip(batch, rows):
        if len(row):
            line[: len(row)] = row
    return batch, lengths
