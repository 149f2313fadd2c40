"""Tables of vectors, looked up by whole numbers."""

from __future__ import annotations

from typing import Any

from ..engine.node import mutated
from ..engine.tensor import Tensor
from . import functional as F
from . import init
from .functional.embedding import check_options, padding_row
from .module import Module
from .parameter import Parameter, check_size, new_parameter

__all__ = [
    "Embedding",
    "EmbeddingBag",
]


class _Table(Module):
    """What the two share: a weight (num_embeddings, embedding_dim), normal at first, the padding row 0."""

    num_embeddings: int
    embedding_dim: int
    padding_idx: int | None
    max_norm: float | None
    norm_type: float
    scale_grad_by_freq: bool
    weight: Parameter

    def _begin(self, weight: Any, freeze: bool, sparse: bool, device: Any, dtype: Any) -> None:
        """Check the options and make the weight, or take the one given."""
        name = type(self).__name__
        shape = self.num_embeddings, self.embedding_dim
        check_size(name, num_embeddings=shape[0], embedding_dim=shape[1])
        check_options(name, sparse, self.max_norm)
        self.padding_idx = padding_row(name, self.padding_idx, shape[0])
        self.sparse = sparse
        if weight is None:
            self.weight = new_parameter(*shape, device=device, dtype=dtype)
            self.reset_parameters()
        else:
            if tuple(weight.shape) != shape:
                raise ValueError(f"{name}: expected weights {shape}, got shape {tuple(weight.shape)}")
            self.weight = Parameter(weight)
        self.weight.requires_grad_(not freeze)

    def reset_parameters(self) -> None:
        """Start again from N(0, 1), the padding row from 0."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            self.weight._data[self.padding_idx] = 0
            mutated(self.weight._data)

    def _told(self, *more: str) -> str:
        """The options that are not the defaults."""
        told = [str(self.num_embeddings), str(self.embedding_dim), *more]
        told += [] if self.max_norm is None else [f"max_norm={self.max_norm}"]
        told += [] if self.norm_type == 2 else [f"norm_type={self.norm_type}"]
        told += [f"scale_grad_by_freq={self.scale_grad_by_freq}"] if self.scale_grad_by_freq else []
        return ", ".join(told)


def _matrix(name: str, embeddings: Any) -> tuple[int, int]:
    """The sizes of a table that is given. Raises ValueError unless it has two axes."""
    if embeddings.ndim != 2:
        raise ValueError(f"{name}: expected (num_embeddings, embedding_dim), got shape {embeddings.shape}")
    return embeddings.shape


class Embedding(_Table):
    """y = weight[input]: indices (...) -> (..., embedding_dim). Options: see `functional.embedding`.

    >>> import minigrad as mg
    >>> from minigrad import nn
    >>> table = nn.Embedding.from_pretrained(mg.tensor([[1.0, 2.0], [3.0, 4.0]]))
    >>> table(mg.tensor([1, 1, 0]))
    tensor([[3., 4.],
            [3., 4.],
            [1., 2.]])
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        _weight: Tensor | None = None,
        _freeze: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.padding_idx, self.max_norm, self.norm_type = padding_idx, max_norm, norm_type
        self.scale_grad_by_freq = scale_grad_by_freq
        self._begin(_weight, _freeze, sparse, device, dtype)

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Tensor,
        freeze: bool = True,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
    ) -> Embedding:
        """A table of given rows (V, D), not trained unless freeze=False."""
        sizes = _matrix("Embedding.from_pretrained", embeddings)
        return cls(*sizes, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse, embeddings, freeze)

    def forward(self, input: Tensor) -> Tensor:
        """weight[input]."""
        return F.embedding(
            input, self.weight, self.padding_idx, self.max_norm, self.norm_type, self.scale_grad_by_freq
        )

    def extra_repr(self) -> str:
        """Sizes and options."""
        return self._told(*([] if self.padding_idx is None else [f"padding_idx={self.padding_idx}"]))


class EmbeddingBag(_Table):
    """The sum, mean or max of the rows in each bag: -> (B, embedding_dim). See `functional.embedding_bag`.

    >>> import minigrad as mg
    >>> from minigrad import nn
    >>> bag = nn.EmbeddingBag.from_pretrained(mg.tensor([[1.0, 2.0], [3.0, 4.0]]))
    >>> bag(mg.tensor([[1, 0], [1, 1]]))
    tensor([[2., 3.],
            [3., 4.]])
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        _weight: Tensor | None = None,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if mode not in ("sum", "mean", "max"):
            raise ValueError(f"EmbeddingBag: expected 'sum', 'mean' or 'max' (mode={mode!r})")
        if mode == "max" and scale_grad_by_freq:
            raise ValueError("EmbeddingBag: mode='max' excludes scale_grad_by_freq=True")
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.padding_idx, self.max_norm, self.norm_type = padding_idx, max_norm, norm_type
        self.scale_grad_by_freq = scale_grad_by_freq
        self.mode, self.include_last_offset = mode, include_last_offset
        self._begin(_weight, False, sparse, device, dtype)

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Tensor,
        freeze: bool = True,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
    ) -> EmbeddingBag:
        """Bags over a table of given rows (V, D), not trained unless freeze=False."""
        sizes = _matrix("EmbeddingBag.from_pretrained", embeddings)
        made = cls(
            *sizes, max_norm, norm_type, scale_grad_by_freq, mode, sparse, embeddings,
            include_last_offset, padding_idx,
        )  # fmt: skip
        made.weight.requires_grad_(not freeze)
        return made

    def forward(
        self, input: Tensor, offsets: Tensor | None = None, per_sample_weights: Tensor | None = None
    ) -> Tensor:
        """Each bag's sum, mean or max."""
        return F.embedding_bag(
            input, self.weight, offsets, self.max_norm, self.norm_type, self.scale_grad_by_freq, self.mode,
            False, per_sample_weights, self.include_last_offset, self.padding_idx,
        )  # fmt: skip

    def extra_repr(self) -> str:
        """Sizes and options."""
        told = f"{self._told()}, mode={self.mode!r}"
        return told if self.padding_idx is None else f"{told}, padding_idx={self.padding_idx}"
