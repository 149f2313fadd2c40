"""An LSTM that keeps every step it has made: Cheng, Dong & Lapata 2016, "Long Short-Term Memory-Networks

for Machine Reading" (LSTMN), whose gates read a weighted mean of all earlier steps in place of the last one.

word x_t          (N, E)
attention         a_i = softmax over i < t of  v . tanh(W_h h_i + W_x x_t + W_s h~_{t-1})       (N, t)
summary           h~ = sum a_i h_i,  c~ = sum a_i c_i                                          (N, H)
gates             i, f, g, o = W [h~, x_t] + b
new step          c_t = sigma(f) c~ + sigma(i) tanh(g),   h_t = sigma(o) tanh(c_t)
mean over steps   (N, H) -> scores (N, classes)

Without the embedding that is 4 H (E + H + 1) + A (2 H + E + 1) + A + (H + 1) classes parameters.
"""

from __future__ import annotations

from .. import nn
from ..engine.tensor import Tensor
from ..nn.parameter import check_size
from ..ops.activation import sigmoid
from ..ops.create import zeros
from ..ops.pad import pad
from ..ops.shape import expand_dims, split, squeeze, stack
from ..ops.softmax import softmax
from ..ops.trig import tanh
from .tokens import PAD, check_tokens, lengths_of, real

__all__ = ["IntraAttentionLSTM", "mean_of_steps"]


class IntraAttentionLSTM(nn.Module):
    """Words (N, T), 0 = padding -> (N, classes) scores; `attend` returns who looked at whom too."""

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
        check_size("IntraAttentionLSTM", classes=classes, hidden=hidden, attention=attention)
        self.embedding = nn.Embedding(vocabulary, embedding_dim, padding_idx=PAD)
        self.gates_word = nn.Linear(embedding_dim, 4 * hidden)
        self.gates_summary = nn.Linear(hidden, 4 * hidden, bias=False)
        self.look_word = nn.Linear(embedding_dim, attention)
        self.look_step = nn.Linear(hidden, attention, bias=False)
        self.look_summary = nn.Linear(hidden, attention, bias=False)
        self.context = nn.Linear(attention, 1, bias=False)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(hidden, classes)

    def attend(self, words: Tensor) -> tuple[Tensor, Tensor]:
        """Scores (N, classes) and weights (N, T, T): row t is how step t looked at the steps before it."""
        check_tokens("IntraAttentionLSTM", words)
        x = self.dropout(self.embedding(words))
        of_gates, of_look = self.gates_word(x), self.look_word(x)  # what words add, for all steps at once
        n, steps = words.shape
        summary = cell = zeros(n, self.fc.in_features, device=x.device, dtype=x.dtype)
        hs: list[Tensor] = []
        cs: list[Tensor] = []
        keys: list[Tensor] = []
        rows = [zeros(n, steps, device=x.device, dtype=x.dtype)]  # the first step has nothing to look at
        for t in range(steps):
            if t:
                query = expand_dims(of_look[:, t] + self.look_summary(summary), 1)
                a = softmax(squeeze(self.context(tanh(stack(keys, 1) + query)), -1), -1)
                summary = (expand_dims(a, -1) * stack(hs, 1)).sum(axis=1)
                cell = (expand_dims(a, -1) * stack(cs, 1)).sum(axis=1)
                rows.append(pad(a, ((0, 0), (0, steps - t))))
            i, f, g, o = split(of_gates[:, t] + self.gates_summary(summary), 4, -1)
            cs.append(sigmoid(f) * cell + sigmoid(i) * tanh(g))
            hs.append(sigmoid(o) * tanh(cs[-1]))
            keys.append(self.look_step(hs[-1]))
        return self.fc(self.dropout(mean_of_steps(stack(hs, 1), words))), stack(rows, 1)

    def forward(self, words: Tensor) -> Tensor:
        """Scores of the classes."""
        return self.attend(words)[0]


def mean_of_steps(h: Tensor, words: Tensor) -> Tensor:
    """(N, T, H) -> (N, H), the mean over the steps that read a word; padding does not count."""
    lengths = lengths_of(words)
    there = expand_dims(real(lengths, words.shape[1], words.device).astype(h.dtype), -1)
    return (h * there).sum(axis=1) / there.sum(axis=1)
