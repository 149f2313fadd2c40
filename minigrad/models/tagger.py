"""A tag for every word: dos Santos & Zadrozny 2014, "Learning Character-level Representations for

Part-of-Speech Tagging", whose characters meet the BiLSTM of Ma & Hovy 2016.

characters  (N, T, C) -> embedding -> convolution, ReLU -> convolution, ReLU -> max over C   (N, T, F)
words       (N, T)    -> embedding                                                           (N, T, E)
                         joined -> BiLSTM (N, T, 2H) -> dense, ReLU -> dense -> (N, T, tags)

The characters tell what a word never seen in training may be: "-ing", "-ly", a capital, a digit. Where it
differs from the papers: two convolutions, one after the other, in place of one; two dense layers in place
of transition scores between tags (dos Santos) or a CRF (Ma & Hovy).
"""

from __future__ import annotations

from .. import nn
from ..engine.tensor import Tensor
from ..nn.parameter import check_size
from ..ops.activation import relu
from ..ops.shape import concatenate, expand_dims, swapaxes
from .sentiment import read
from .tokens import PAD, check_tokens, lengths_of

__all__ = ["CharacterCNN", "Tagger"]


class CharacterCNN(nn.Module):
    """Characters (..., C), 0 = padding -> (..., filters), a vector of each word's spelling."""

    def __init__(self, characters: int, embedding_dim: int = 25, filters: int = 50, window: int = 3) -> None:
        super().__init__()
        if window % 2 == 0:
            raise ValueError(f"CharacterCNN: expected an odd number of characters (window={window})")
        self.embedding = nn.Embedding(characters, embedding_dim, padding_idx=PAD)
        self.conv1 = nn.Conv1d(embedding_dim, filters, window, padding=window // 2)
        self.conv2 = nn.Conv1d(filters, filters, window, padding=window // 2)

    def forward(self, characters: Tensor) -> Tensor:
        """The strongest answer of every filter; 0 where there is no character."""
        flat = characters.reshape(-1, characters.shape[-1])
        there = expand_dims(flat != PAD, 1)  # behind the end it stays 0, whatever the bias is
        x = swapaxes(self.embedding(flat), 1, 2)
        x = relu(self.conv1(x)) * there
        x = relu(self.conv2(x)) * there
        return x.max(axis=-1).reshape(*characters.shape[:-1], -1)


class Tagger(nn.Module):
    """Words (N, T) and their characters (N, T, C), 0 = padding -> (N, T, tags) scores.

    characters=0 makes the tagger that knows words only, to compare with: then forward takes words alone.
    """

    def __init__(
        self,
        words: int,
        characters: int,
        tags: int,
        word_dim: int = 100,
        character_dim: int = 25,
        filters: int = 50,
        hidden: int = 128,
        dense: int = 64,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        check_size("Tagger", words=words, tags=tags, dense=dense)
        self.words = nn.Embedding(words, word_dim, padding_idx=PAD)
        self.spelling = CharacterCNN(characters, character_dim, filters) if characters else None
        width = word_dim + (filters if characters else 0)
        self.lstm = nn.LSTM(width, hidden, batch_first=True, bidirectional=True)
        self.dropout = nn.Dropout(dropout)
        self.dense1, self.dense2 = nn.Linear(2 * hidden, dense), nn.Linear(dense, tags)

    def forward(self, words: Tensor, characters: Tensor | None = None) -> Tensor:
        """Scores of the tags at every word; behind a sentence's end they mean nothing."""
        check_tokens("Tagger", words)
        x = self.words(words)
        if self.spelling is not None:
            if characters is None or characters.shape[:2] != words.shape or characters.ndim != 3:
                got = None if characters is None else characters.shape
                raise ValueError(f"Tagger: expected characters {(*words.shape, 'C')}, got {got}")
            x = concatenate([x, self.spelling(characters)], -1)
        elif characters is not None:
            raise ValueError("Tagger: this one knows words only (characters=0); leave the characters out")
        h = read(self.lstm, self.dropout(x), lengths_of(words))
        return self.dense2(relu(self.dense1(self.dropout(h))))
