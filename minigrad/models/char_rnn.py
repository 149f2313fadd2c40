"""A language model of characters: Graves 2013, "Generating Sequences With Recurrent Neural Networks".

characters  (N, T)
embedding   (N, T, E)
LSTM        (N, T, H)   layer upon layer, each reading the one below
scores      (N, T, V)   of the next character, at every place

V E + sum over layers 4 H (input + H + 2) + H V + V parameters. Where it differs from the paper: characters
are looked up in a table (its one-hot inputs are that table, joined with the first layer's weights), layers
read the one below only (the paper's read the input as well, and all are read by the output), and cells have
no peepholes.
"""

from __future__ import annotations

from typing import Any

from .. import nn
from ..engine.recording import no_grad
from ..engine.tensor import Tensor
from ..inspect.layers import still
from ..nn.parameter import check_size
from ..ops.shape import concatenate
from .sampling import draw
from .tokens import check_tokens

__all__ = ["CharRNN"]

State = tuple[Tensor, Tensor]


class CharRNN(nn.Module):
    """Characters (N, T) -> scores of the next ones (N, T, vocabulary).

    `step` takes and returns the state as well: carry it, detached, from one piece of a long text to the
    next (truncated backpropagation through time), or from one sampled character to the next.

    >>> import minigrad as mg
    >>> net = CharRNN(5, hidden=8)
    >>> net.sample(mg.tensor([[1, 2]]), 6).shape
    (1, 8)
    """

    def __init__(
        self,
        vocabulary: int,
        embedding_dim: int = 64,
        hidden: int = 256,
        layers: int = 1,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_size("CharRNN", vocabulary=vocabulary)
        self.embedding = nn.Embedding(vocabulary, embedding_dim)
        between = dropout if layers > 1 else 0.0
        self.lstm = nn.LSTM(embedding_dim, hidden, layers, batch_first=True, dropout=between)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(hidden, vocabulary)

    def step(self, characters: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """(scores (N, T, vocabulary), the state after the last character)."""
        check_tokens("CharRNN", characters)
        h, state = self.lstm(self.embedding(characters), state)
        return self.fc(self.dropout(h)), state

    def forward(self, characters: Tensor) -> Tensor:
        """Scores, from a state of zeros."""
        return self.step(characters)[0]

    def sample(
        self,
        prompt: Tensor,
        length: int,
        temperature: float = 1.0,
        top_k: int | None = None,
        generator: Any = None,
    ) -> Tensor:
        """The prompt (N, T) and `length` characters drawn after it: (N, T + length).

        Temperature 0 takes the likeliest. In the mode of evaluation, whatever the mode was.
        """
        check_size("CharRNN.sample", length=length)
        text = [prompt]
        with still(self), no_grad():
            scores, state = self.step(prompt)
            for _ in range(length):
                text.append(draw(scores[:, -1], temperature, top_k, generator))
                scores, state = self.step(text[-1], state)
        return concatenate(text, 1)
