"""GCN: Kipf & Welling 2017, "Semi-Supervised Classification with Graph Convolutional Networks".

    H^(l+1) = sigma(A_hat H^(l) W^(l)),   A_hat = D^-1/2 (A + I) D^-1/2,   D_ii = 1 + degree of i

    X (N, C) -> dropout -> A_hat X W0 -> relu (N, 16) -> dropout -> A_hat H W1 -> (N, F) scores

A node becomes a weighted mean of itself and its neighbours, then a linear map: two layers see two steps far.
Nodes have no order: renumbering them renumbers the output, and nothing else (permutation equivariance).
A graph comes dense, an (N, N) array, or sparse, an `Edges` list, which costs what its edges cost.

Cora: 1,433 words, 16 hidden, 7 classes; 1,433 * 16 + 16 + 16 * 7 + 7 = 23,063 parameters.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .. import nn
from ..engine.tensor import Tensor, tensor
from ..nn import functional as F
from ..nn import init
from ..ops.activation import relu
from ..ops.create import zeros
from ..ops.index import plain_index, put_add


class Edges(NamedTuple):
    """A sparse adjacency: `source[e]` sends to `target[e]`, with `weight[e]`, among `nodes` nodes."""

    source: Tensor
    target: Tensor
    weight: Tensor
    nodes: int


def normalised(adjacency: Any) -> Tensor:
    """A_hat = D^-1/2 (A + I) D^-1/2 of a dense, symmetric (N, N) adjacency.

    >>> normalised([[0, 1], [1, 0]])
    tensor([[0.5, 0.5],
            [0.5, 0.5]])
    """
    a = np.asarray(adjacency, dtype=np.float64)
    if a.ndim != 2 or a.shape[0] != a.shape[1] or (a != a.T).any() or (a < 0).any():
        raise ValueError(
            f"normalised: expected a symmetric (N, N) adjacency without negative weights, got {a.shape}"
        )
    a = a + np.eye(len(a))
    scale = 1 / np.sqrt(a.sum(1))
    return tensor((scale[:, None] * a * scale).astype(np.float32))


def normalised_edges(edges: Any, nodes: int) -> Edges:
    """A_hat from a list of undirected edges (E, 2), each pair once or both ways; loops on nodes are dropped.

    >>> normalised_edges([(0, 1)], 2).weight
    tensor([0.5, 0.5, 0.5, 0.5])
    """
    source, target = directed(edges, nodes)
    scale = 1 / np.sqrt(np.bincount(target, minlength=nodes))
    weight = (scale[source] * scale[target]).astype(np.float32)
    return Edges(tensor(source), tensor(target), tensor(weight), nodes)


def directed(edges: Any, nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """(source, target) of A + I: each edge both ways and once, then each node to itself; sorted by target."""
    pairs = np.asarray(edges).reshape(-1, 2)
    if pairs.size and (pairs.dtype.kind not in "iu" or pairs.min() < 0 or pairs.max() >= nodes):
        raise ValueError(f"directed: expected edges (E, 2) of whole numbers below nodes (nodes={nodes})")
    pairs = pairs.astype(np.int64)
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    loops = np.arange(nodes)
    target = np.concatenate([pairs[:, 1], pairs[:, 0], loops])
    source = np.concatenate([pairs[:, 0], pairs[:, 1], loops])
    target, source = np.divmod(np.unique(target * nodes + source), nodes)
    return source, target


def propagate(a_hat: Tensor | Edges, h: Tensor) -> Tensor:
    """A_hat H: (N, F) -> (N, F). Sparse: rows are taken at the sources and added up at the targets."""
    nodes = a_hat.nodes if isinstance(a_hat, Edges) else a_hat.shape[-1]
    if h.ndim != 2 or len(h) != nodes:
        raise ValueError(f"propagate: expected a row for each of {nodes} nodes, got {h.shape}")
    if not isinstance(a_hat, Edges):
        return a_hat @ h
    messages = h[a_hat.source] * a_hat.weight.reshape(-1, 1)
    return add_up(messages, a_hat)


def add_up(messages: Tensor, edges: Edges) -> Tensor:
    """(E, ...) -> (N, ...): what the edges carry, added up at their targets."""
    return put_add(messages, shape=(edges.nodes, *messages.shape[1:]), index=plain_index(edges.target))


class GraphConvolution(nn.Module):
    """(N, in_features) -> (N, out_features): A_hat X W + b."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(zeros(in_features, out_features))
        self.bias = nn.Parameter(zeros(out_features))
        init.xavier_uniform_(self.weight)

    def forward(self, x: Tensor, a_hat: Tensor | Edges) -> Tensor:
        """X W first: the product with A_hat is then as narrow as the output."""
        return propagate(a_hat, x @ self.weight) + self.bias


class GCN(nn.Module):
    """Node features (N, in_features) and A_hat -> (N, classes) scores.

    The paper's settings: hidden 16, dropout 0.5, Adam at 0.01, weight decay 5e-4 on the first layer only,
    rows of X divided by their sums.
    """

    def __init__(self, in_features: int, classes: int, hidden: int = 16, dropout: float = 0.5) -> None:
        super().__init__()
        self.gc1 = GraphConvolution(in_features, hidden)
        self.gc2 = GraphConvolution(hidden, classes)
        self.dropout = dropout

    def forward(self, x: Tensor, a_hat: Tensor | Edges) -> Tensor:
        """Scores of the nodes."""
        h = relu(self.gc1(F.dropout(x, self.dropout, self.training), a_hat))
        return self.gc2(F.dropout(h, self.dropout, self.training), a_hat)
