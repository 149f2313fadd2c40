"""Encoder and decoder with attention: Bahdanau, Cho & Bengio 2015, "Neural Machine Translation by Jointly

Learning to Align and Translate".

source     (N, S)     -> embedding -> bidirectional GRU -> annotations h (N, S, 2H)
s_0        (N, H)     = tanh(W_s <-h_1): the backward GRU, when it has read everything
for each word of the target:
  a_ij     (N, S)     = softmax_j v . tanh(W s_{i-1} + U h_j)      the alignment
  c_i      (N, 2H)    = sum_j a_ij h_j                             what is looked at
  s_i      (N, H)     = GRU([y_{i-1}, c_i], s_{i-1})
  scores   (N, V)     of y_i, from [s_i, c_i, y_{i-1}]

Where it differs from the paper: the output is one linear layer in place of a maxout layer, greedy search
stands in for beam search, and a GRU's reset gate acts as in PyTorch, behind the matrix.
"""

from __future__ import annotations

from .. import nn
from ..engine.recording import no_grad
from ..engine.tensor import Tensor
from ..inspect.layers import still
from ..nn.parameter import check_size
from ..ops.create import full
from ..ops.reduce import argmax
from ..ops.shape import concatenate, expand_dims, squeeze, stack
from ..ops.trig import tanh
from .sentiment import read
from .tokens import PAD, check_tokens, lengths_of, real

__all__ = ["END", "START", "Seq2Seq", "shifted"]

START, END = 1, 2  # with PAD = 0 the numbers that are no words


class Seq2Seq(nn.Module):
    """Source (N, S) and target (N, T), 0 = padding -> scores (N, T, target_words), alignment (N, T, S).

    In training the target goes in behind START, and the scores are of the target with END:

        scores, alignment = net(source, shifted(target))
    """

    def __init__(
        self,
        source_words: int,
        target_words: int,
        embedding_dim: int = 64,
        hidden: int = 128,
        attention: int = 128,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_size("Seq2Seq", source_words=source_words, target_words=target_words)
        self.source = nn.Embedding(source_words, embedding_dim, padding_idx=PAD)
        self.target = nn.Embedding(target_words, embedding_dim, padding_idx=PAD)
        self.encoder = nn.GRU(embedding_dim, hidden, batch_first=True, bidirectional=True)
        self.first = nn.Linear(hidden, hidden)  # W_s
        self.attention = nn.AdditiveAttention(hidden, 2 * hidden, attention)
        self.decoder = nn.GRUCell(embedding_dim + 2 * hidden, hidden)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(3 * hidden + embedding_dim, target_words)
        self.hidden = hidden

    def encode(self, source: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Annotations (N, S, 2H), where they are (N, S), and the decoder's first state (N, H)."""
        check_tokens("Seq2Seq", source, 2, "(N, S)")
        lengths = lengths_of(source)
        h = read(self.encoder, self.dropout(self.source(source)), lengths)
        backward = h[:, 0, self.hidden :]
        return h, real(lengths, source.shape[1], source.device), tanh(self.first(backward))

    def step(self, word: Tensor, s: Tensor, h: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """One word (N,) further: scores (N, V), the state (N, H), the alignment (N, S)."""
        c, a = self.attention(expand_dims(s, 1), h, mask=mask)  # (N, 1, 2H), (N, 1, S)
        y, c = self.dropout(self.target(word)), squeeze(c, 1)
        s = self.decoder(concatenate([y, c], -1), s)
        return self.fc(concatenate([s, c, y], -1)), s, squeeze(a, 1)

    def forward(self, source: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """(scores, alignment): each word is told the true one before it (teacher forcing)."""
        check_tokens("Seq2Seq", target)
        if len(target) != len(source):
            raise ValueError(
                f"Seq2Seq: expected as many targets as sources, got {len(target)}, {len(source)}"
            )
        h, mask, s = self.encode(source)
        scores, alignment = [], []
        for i in range(target.shape[1]):
            y, s, a = self.step(target[:, i], s, h, mask)
            scores.append(y)
            alignment.append(a)
        return stack(scores, 1), stack(alignment, 1)

    def greedy(self, source: Tensor, most: int = 50) -> tuple[Tensor, Tensor]:
        """The likeliest word at every step: words (N, T), END and then 0 at the end; alignment (N, T, S).

        Stops when every sentence has ended, at the latest after `most` words. Without dropout.
        """
        check_size("Seq2Seq.greedy", most=most)
        words, alignment = [], []
        with still(self), no_grad():
            h, mask, s = self.encode(source)
            word = full((len(source),), START, dtype="int64", device=source.device)
            ended = word == END
            for _ in range(most):
                scores, s, a = self.step(word, s, h, mask)
                word = argmax(scores, axis=-1) * ~ended  # PAD behind the end
                words.append(word)
                alignment.append(a)
                ended = ended | (word == END)
                if bool(ended.all()):
                    break
        return stack(words, 1), stack(alignment, 1)


def shifted(target: Tensor) -> Tensor:
    """The decoder's input for a target (N, T): START and the target without its last word."""
    first = full((len(target), 1), START, dtype=target.dtype, device=target.device)
    return concatenate([first, target[:, :-1]], 1)
