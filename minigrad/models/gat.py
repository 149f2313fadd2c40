"""GAT: Velickovic, Cucurull, Casanova, Romero, Lio & Bengio 2018, "Graph Attention Networks".

    e_ij = LeakyReLU(a^T [W h_i || W h_j]),   alpha_ij = softmax over the neighbours j of i and i itself
    h'_i = sigma(sum_j alpha_ij W h_j),       K heads side by side; in the last layer their mean

    X (N, C) -> dropout -> 8 heads of 8 -> elu (N, 64) -> dropout -> 1 head of F -> (N, F) scores

Where GCN weighs neighbours by their degrees, GAT learns the weights from what the nodes hold. a splits into
a part for the target i and one for the source j, so e_ij is a sum of two numbers: no pair is ever joined.
The graph: dense, an (N, N) array whose nonzeros are edges, or `Edges`, with the loops (gcn.normalised_edges).

Cora: 8 * (1,433 * 8 + 2 * 8) + 64 + 64 * 7 + 2 * 7 + 7 = 92,373 parameters.
"""

from __future__ import annotations

import math

from .. import nn
from ..engine.tensor import Tensor
from ..nn import functional as F
from ..nn import init
from ..ops.create import eye, zeros
from ..ops.elementwise import exp, maximum, where
from ..ops.reduce import max as max_of
from ..ops.softmax import softmax
from .gcn import Edges, add_up


class GraphAttention(nn.Module):
    """(N, in_features) -> (N, heads * out_features), or (N, out_features), the heads' mean, if not concat."""

    def __init__(
        self, in_features: int, out_features: int, heads: int = 1, concat: bool = True, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.heads, self.out_features, self.concat, self.dropout = heads, out_features, concat, dropout
        self.weight = nn.Parameter(zeros(in_features, heads * out_features))
        self.a_source = nn.Parameter(zeros(heads, out_features))
        self.a_target = nn.Parameter(zeros(heads, out_features))
        self.bias = nn.Parameter(zeros(heads * out_features if concat else out_features))
        bound = math.sqrt(6 / (in_features + out_features))  # Glorot's, of one head
        init.uniform_(self.weight, -bound, bound)
        for a in (self.a_source, self.a_target):
            init.xavier_uniform_(a)

    def forward(self, x: Tensor, graph: Tensor | Edges) -> Tensor:
        """What every node gathers from its neighbours."""
        nodes = graph.nodes if isinstance(graph, Edges) else graph.shape[-1]
        if x.ndim != 2 or len(x) != nodes:
            raise ValueError(f"GraphAttention: expected a row for each of {nodes} nodes, got {x.shape}")
        h = (x @ self.weight).reshape(nodes, self.heads, self.out_features)
        h = F.dropout(h, self.dropout, self.training)
        source, target = (h * self.a_source).sum(-1), (h * self.a_target).sum(-1)  # (N, heads)
        gather = self.over_edges if isinstance(graph, Edges) else self.over_matrix
        y = gather(graph, h, source, target)  # (N, heads, out)
        y = y.reshape(nodes, -1) if self.concat else y.mean(1)
        return y + self.bias

    def over_matrix(self, graph: Tensor, h: Tensor, source: Tensor, target: Tensor) -> Tensor:
        """alpha (heads, N, N) in full; pairs without an edge get weight 0."""
        e = F.leaky_relu(target.T[:, :, None] + source.T[:, None, :], 0.2)
        seen = graph + eye(len(graph), device=graph.device) != 0  # nodes see themselves
        alpha = softmax(where(seen, e, -math.inf))
        alpha = F.dropout(alpha, self.dropout, self.training)
        return (alpha @ h.transpose(1, 0, 2)).transpose(1, 0, 2)

    def over_edges(self, graph: Edges, h: Tensor, source: Tensor, target: Tensor) -> Tensor:
        """alpha (E, heads), a softmax over the edges that arrive at one node."""
        e = F.leaky_relu(target[graph.target] + source[graph.source], 0.2)
        # A constant cancels from a softmax. This one bounds e for every edge into the target; where even the
        # best of a node's edges is far below it, e^-80 keeps the sum of its weights from 0.
        top = F.leaky_relu(target + max_of(source, 0, keepdims=True), 0.2).detach()
        weight = exp(maximum(e - top[graph.target], -80.0))
        total = add_up(weight, graph)
        alpha = F.dropout(weight / total[graph.target], self.dropout, self.training)
        return add_up(h[graph.source] * alpha[:, :, None], graph)


class GAT(nn.Module):
    """Node features (N, in_features) and a graph -> (N, classes) scores.

    The paper's settings for Cora: 8 heads of 8, one output head, dropout 0.6 on features and on alpha,
    Adam at 0.005, weight decay 5e-4.
    """

    def __init__(
        self,
        in_features: int,
        classes: int,
        hidden: int = 8,
        heads: int = 8,
        out_heads: int = 1,
        dropout: float = 0.6,
    ) -> None:
        super().__init__()
        self.gat1 = GraphAttention(in_features, hidden, heads, dropout=dropout)
        self.gat2 = GraphAttention(heads * hidden, classes, out_heads, concat=False, dropout=dropout)
        self.dropout = dropout

    def forward(self, x: Tensor, graph: Tensor | Edges) -> Tensor:
        """Scores of the nodes."""
        h = F.elu(self.gat1(F.dropout(x, self.dropout, self.training), graph))
        return self.gat2(F.dropout(h, self.dropout, self.training), graph)
