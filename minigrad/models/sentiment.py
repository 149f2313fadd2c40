"""Sentiment with attention: an LSTM with one context, and the hierarchical network of

Yang, Yang, Dyer, He, Smola & Hovy 2016, "Hierarchical Attention Networks for Document Classification".

AttentionLSTM                          HierarchicalAttention
words        (N, T)                    words       (N, S, T)     S sentences of T words
embedding    (N, T, E)                 word level, a sentence at a time:
BiLSTM       (N, T, 2H)                    embedding -> BiGRU -> attention   (N S, 2H)
attention    (N, 2H), weights (N, T)   sentence level, a document at a time:
scores       (N, classes)                  BiGRU -> attention                (N, 2H)
                                       scores      (N, classes)

With the paper's widths (E = 200, GRU of 50 each way, context of 100) a level that reads E holds
2 (3 H (E + H) + 6 H) + 2H A + A + A parameters: 85,800 of words, 55,800 of sentences (here with two bias
vectors a GRU, as PyTorch has them); the embedding and the 2H classes + classes of the scores come on top.
"""

from __future__ import annotations

from typing import Any

from .. import nn
from ..engine.tensor import Tensor
from ..nn.parameter import check_size
from ..nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from .tokens import PAD, ContextAttention, check_tokens, lengths_of, real

__all__ = ["AttentionLSTM", "HierarchicalAttention"]


def read(rnn: nn.RNNBase, x: Tensor, lengths: Any) -> Tensor:
    """(N, T, E) -> (N, T, D H), each sequence to its own end; zeros beyond it."""
    packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    return pad_packed_sequence(rnn(packed)[0], batch_first=True, total_length=x.shape[1])[0]


class AttentionLSTM(nn.Module):
    """Words (N, T), 0 = padding -> (N, classes) scores; `attend` returns the weights of the words too."""

    def __init__(
        self,
        vocabulary: int,
        classes: int = 2,
        embedding_dim: int = 100,
        hidden: int = 64,
        attention: int = 64,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        check_size("AttentionLSTM", classes=classes, attention=attention)
        self.embedding = nn.Embedding(vocabulary, embedding_dim, padding_idx=PAD)
        self.lstm = nn.LSTM(embedding_dim, hidden, batch_first=True, bidirectional=True)
        self.attention = ContextAttention(2 * hidden, attention)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(2 * hidden, classes)

    def attend(self, words: Tensor) -> tuple[Tensor, Tensor]:
        """Scores (N, classes) and the weights (N, T), which sum to 1 over a sentence's words."""
        check_tokens("AttentionLSTM", words)
        lengths = lengths_of(words)
        h = read(self.lstm, self.dropout(self.embedding(words)), lengths)
        v, weights = self.attention(h, real(lengths, words.shape[1], words.device))
        return self.fc(self.dropout(v)), weights

    def forward(self, words: Tensor) -> Tensor:
        """Scores of the classes."""
        return self.attend(words)[0]


class HierarchicalAttention(nn.Module):
    """Words (N, S, T), 0 = padding -> (N, classes) scores; `attend` returns the weights of both levels.

    A sentence of padding alone ends the document. The paper trains the words' vectors beforehand with
    word2vec; here they begin at random (copy yours into `embedding.weight`). Dropout is ours, 0 by default.
    """

    def __init__(
        self,
        vocabulary: int,
        classes: int = 2,
        embedding_dim: int = 200,
        hidden: int = 50,
        attention: int = 100,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_size("HierarchicalAttention", classes=classes, attention=attention)
        self.embedding = nn.Embedding(vocabulary, embedding_dim, padding_idx=PAD)
        self.word_gru = nn.GRU(embedding_dim, hidden, batch_first=True, bidirectional=True)
        self.word_attention = ContextAttention(2 * hidden, attention)
        self.sentence_gru = nn.GRU(2 * hidden, hidden, batch_first=True, bidirectional=True)
        self.sentence_attention = ContextAttention(2 * hidden, attention)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(2 * hidden, classes)

    def attend(self, words: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Scores (N, classes), weights of sentences (N, S), weights of words (N, S, T)."""
        check_tokens("HierarchicalAttention", words, 3, "(N, S, T)")
        n, s, t = words.shape
        flat = words.reshape(n * s, t)
        lengths = lengths_of(flat)
        h = read(self.word_gru, self.dropout(self.embedding(flat)), lengths)  # (N S, T, 2H)
        sentences, of_words = self.word_attention(h, real(lengths, t, words.device))
        lengths = lengths_of((words != PAD).any(axis=2).astype("int64"))
        h = read(self.sentence_gru, sentences.reshape(n, s, -1), lengths)  # (N, S, 2H)
        document, of_sentences = self.sentence_attention(h, real(lengths, s, words.device))
        return self.fc(self.dropout(document)), of_sentences, of_words.reshape(n, s, t)

    def forward(self, words: Tensor) -> Tensor:
        """Scores of the classes."""
        return self.attend(words)[0]
