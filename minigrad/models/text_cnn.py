"""CNN for sentences: Kim 2014, "Convolutional Neural Networks for Sentence Classification".

words          (N, T)
embedding      (N, T, k)            a row per word; CNN-static keeps the rows as they were given
filters of h   (N, m, T + h - 1)    h words each, for h = 3, 4, 5; ReLU
max over time  (N, m)               a filter's strongest answer, wherever it stood
joined         (N, 3 m), dropout
scores         (N, classes)

Without the embedding that is sum_h (h k m + m) + 3 m classes + classes = 360,902 parameters for the paper's
k = 300, m = 100 and two classes; the embedding adds vocabulary * k.
"""

from __future__ import annotations

from collections.abc import Sequence

from .. import nn
from ..engine.recording import no_grad
from ..engine.tensor import Tensor
from ..nn import functional as F
from ..nn.parameter import check_size
from ..ops.activation import relu
from ..ops.create import arange, zeros_like
from ..ops.elementwise import where
from ..ops.random import uniform
from ..ops.shape import concatenate, expand_dims, swapaxes
from .tokens import PAD, check_tokens, lengths_of, real

__all__ = ["TextCNN"]

VARIANTS = ("rand", "static", "non-static", "multichannel")


class TextCNN(nn.Module):
    """Words (N, T), 0 = padding -> (N, classes) scores. The paper's variants:

    "rand": rows begin at random and are trained; "static": the `vectors` (vocabulary, k) as they are;
    "non-static": the vectors are where training begins; "multichannel": both, every filter's answers to the
    two added. `constrain_` after each step is the paper's bound of 3 on the norm of a class's weights.
    """

    def __init__(
        self,
        vocabulary: int,
        classes: int = 2,
        embedding_dim: int = 300,
        windows: Sequence[int] = (3, 4, 5),
        maps: int = 100,
        dropout: float = 0.5,
        variant: str = "rand",
        vectors: Tensor | None = None,
    ) -> None:
        super().__init__()
        if variant not in VARIANTS:
            raise ValueError(f"TextCNN: expected one of {', '.join(VARIANTS)} (variant={variant!r})")
        if (vectors is None) != (variant == "rand"):
            raise ValueError(f"TextCNN: vectors go with every variant but 'rand' (variant={variant!r})")
        if vectors is not None and vectors.shape != (vocabulary, embedding_dim):
            wanted = f"(vocabulary, embedding_dim) = ({vocabulary}, {embedding_dim})"
            raise ValueError(f"TextCNN: expected vectors {wanted}, got {vectors.shape}")
        check_size("TextCNN", maps=maps, windows=len(windows), **{f"window_{h}": h for h in windows})
        self.variant, self.windows = variant, tuple(windows)
        self.channels = nn.ModuleList(self._tables(vocabulary, embedding_dim, vectors))
        # h - 1 zeros at both ends: every word meets every place of a filter, and short sentences fit.
        self.convs = nn.ModuleList([nn.Conv1d(embedding_dim, maps, h, padding=h - 1) for h in windows])
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(maps * len(windows), classes)

    def _tables(self, vocabulary: int, width: int, vectors: Tensor | None) -> list[nn.Module]:
        """The paper's channels: one table, or a fixed and a trained one that begin alike."""
        rows = uniform(-0.25, 0.25, (vocabulary, width)) if vectors is None else vectors.detach()
        words = expand_dims(arange(vocabulary, device=rows.device) != PAD, 1)
        rows = where(words, rows, zeros_like(rows))  # padding is a row of zeros
        fixed = {"static": [True], "multichannel": [True, False]}.get(self.variant, [False])
        return [nn.Embedding.from_pretrained(rows.clone(), freeze=f, padding_idx=PAD) for f in fixed]

    def features(self, words: Tensor) -> Tensor:
        """(N, maps * windows): the strongest answer of every filter."""
        check_tokens("TextCNN", words)
        x: Tensor = sum(table(words) for table in self.channels)
        x, lengths, found = swapaxes(x, 1, 2), lengths_of(words), []
        for h, conv in zip(self.windows, self.convs, strict=True):
            answers = relu(conv(x))
            # Windows of padding alone answer relu(bias). At 0, the least that ReLU gives, they never win.
            touched = real(lengths + h - 1, answers.shape[-1], words.device)
            found.append((answers * expand_dims(touched, 1)).max(axis=-1))
        return concatenate(found, 1)

    def forward(self, words: Tensor) -> Tensor:
        """Scores of the classes."""
        return self.fc(self.dropout(self.features(words)))

    def constrain_(self, limit: float = 3.0) -> None:
        """Shorten each class's weights to the norm `limit`, where they are longer (section 2.1)."""
        with no_grad():
            weight = self.fc.weight
            norms = (weight * weight).sum(axis=1, keepdims=True).sqrt()
            weight.copy_(F.normalize(weight) * norms.clip(0, limit))
