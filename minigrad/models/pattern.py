"""The common pattern of a convolutional network, from four numbers: Karpathy's CS231n notes, "ConvNets".

    INPUT -> [[CONV -> RELU]*N -> POOL?]*M -> [FC -> RELU]*K -> FC

CONV: 3x3, stride 1, pad 1: keeps height and width, and changes the channels.  POOL: 2x2 maxima, stride 2.
FC: a linear layer, the first of them on the flattened maps.

The four designs of the notes, PATTERNS; parameters for a 3@32x32 picture, 16 maps, 64 units and 10 classes:

linear   INPUT -> FC                                                                   30,730
shallow  INPUT -> CONV -> RELU -> FC                                                  164,298
paired   INPUT -> [CONV -> RELU -> POOL]*2 -> FC -> RELU -> FC                         69,018
deep     INPUT -> [CONV -> RELU -> CONV -> RELU -> POOL]*3 -> [FC -> RELU]*2 -> FC     33,306
"""

from __future__ import annotations

from typing import Any

from .. import nn
from .images import he_start

__all__ = ["PATTERNS", "pattern", "pattern_text"]

PATTERNS: dict[str, dict[str, Any]] = {
    "linear": {"N": 0, "M": 0, "K": 0, "pool": False},
    "shallow": {"N": 1, "M": 1, "K": 0, "pool": False},
    "paired": {"N": 1, "M": 2, "K": 1, "pool": True},
    "deep": {"N": 2, "M": 3, "K": 2, "pool": True},
}


def pattern(
    input_shape: tuple[int, int, int],
    classes: int,
    N: int,
    M: int,
    K: int,
    pool: bool = True,
    filters: Any = 16,
    hidden: int = 64,
) -> nn.Sequential:
    """(B, *input_shape) -> (B, classes), input_shape = (channels, H, W).

    filters: the maps of every CONV, or M numbers, one for each group of N. hidden: the units of every FC but
    the last. Weights begin as He et al. 2015. Raises ValueError for numbers below 0, and where halving M
    times leaves no pixel.

    >>> from minigrad.models import PATTERNS, pattern
    >>> net = pattern((3, 32, 32), 10, **PATTERNS["shallow"], filters=6)
    >>> print(net)
    Sequential(
      (0): Conv2d(3, 6, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))
      (1): ReLU()
      (2): Flatten(start_dim=1, end_dim=-1)
      (3): Linear(in_features=6144, out_features=10, bias=True)
    )
    """
    channels, height, width = input_shape
    widths = _widths(filters, N, M, K)
    halvings = M if pool else 0
    if min(height, width) >> halvings < 1:
        raise ValueError(
            f"pattern: expected at least {2**halvings} pixels both ways to halve {M} times "
            f"(input_shape={input_shape}); give fewer groups (M) or pool=False"
        )
    layers: list[nn.Module] = []
    for maps in widths:
        for _ in range(N):
            layers += [nn.Conv2d(channels, maps, 3, padding=1), nn.ReLU()]
            channels = maps
        if pool:
            layers.append(nn.MaxPool2d(2))
    layers.append(nn.Flatten())
    features = channels * (height >> halvings) * (width >> halvings)
    for _ in range(K):
        layers += [nn.Linear(features, hidden), nn.ReLU()]
        features = hidden
    net = nn.Sequential(*layers, nn.Linear(features, classes))
    he_start(net)
    return net


def _widths(filters: Any, N: int, M: int, K: int) -> list[int]:
    """The maps of each of the M groups."""
    if any(not isinstance(n, int) or n < 0 for n in (N, M, K)):
        raise ValueError(f"pattern: expected whole numbers >= 0 (N={N}, M={M}, K={K})")
    widths = [filters] * M if isinstance(filters, int) else list(filters)
    if len(widths) != M:
        raise ValueError(f"pattern: expected a number, or one for each of {M} groups (filters={filters})")
    return widths


def pattern_text(N: int, M: int, K: int, pool: bool = True) -> str:
    """The pattern written out, repetitions of one left away.

    >>> from minigrad.models import pattern_text
    >>> pattern_text(N=2, M=3, K=2)
    'INPUT -> [CONV -> RELU -> CONV -> RELU -> POOL]*3 -> [FC -> RELU]*2 -> FC'
    """
    group = " -> ".join(["CONV -> RELU"] * N + ["POOL"] * bool(pool))
    parts = ["INPUT", _times(group, M) if group else "", _times("FC -> RELU", K), "FC"]
    return " -> ".join(part for part in parts if part)


def _times(text: str, n: int) -> str:
    return "" if n == 0 else text if n == 1 else f"[{text}]*{n}"
