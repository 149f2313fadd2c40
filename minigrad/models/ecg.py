"""ECG: networks for single beats, and CNN, CRNN, ACRNN and MINA for atrial fibrillation: Hong, Xiao, Ma, Li &
Sun 2019, "MINA: Multilevel Knowledge-Guided Attention for Modeling Electrocardiography Signals".

    x (N, 1, L) -> cut into S segments of T samples -> in each: conv, P places of F maps
    CNN     mean over all places -> linear
    CRNN    mean over the places of a segment -> BiLSTM over segments (N, S, 2H) -> mean -> linear
    ACRNN   the same, the mean over segments an attention-weighted one
    MINA    x split by frequency, each band with weights of its own:
            beat      attention over the P places of a segment, told how fast the signal changes there
            rhythm    attention over the S outputs of a BiLSTM, told each segment's standard deviation
            frequency attention over the bands, told each band's power -> linear

Attention is told what a cardiologist would look at ("knowledge" k), joined to what was computed (h):
alpha = softmax(V (W [h; k] + b)), and the result is the alpha-weighted mean of h. All weights can be shown.
Differs from the paper: bands are cut by a Fourier transform, so that they sum to the signal, at edges that
suit 100 Hz; segments are 50 samples there, half a second. With the defaults CNN has 1,218 parameters, CRNN
26,306, ACRNN 26,834, MINA 109,658.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import nn
from ..engine.tensor import Tensor
from ..nn import functional as F
from ..ops.activation import relu
from ..ops.elementwise import abs as absolute
from ..ops.elementwise import log
from ..ops.reduce import std
from ..ops.shape import concatenate, stack
from ..ops.softmax import softmax


def bands(signals: Any, rate: float = 100.0, edges: Sequence[float] = (0.5, 5.0, 20.0)) -> np.ndarray:
    """Signals (N, L) as (N, len(edges) + 1, L): drift, slow, middle and fast parts, whose sum they are."""
    signals = np.asarray(signals)
    if signals.ndim != 2 or list(edges) != sorted(edges):
        raise ValueError(f"bands: expected signals (N, L) and rising edges, got {signals.shape}, {edges}")
    spectrum = np.fft.rfft(signals, axis=1)
    place = np.digitize(np.fft.rfftfreq(signals.shape[1], 1 / rate), edges)
    parts = [np.fft.irfft(spectrum * (place == b), signals.shape[1], axis=1) for b in range(len(edges) + 1)]
    return np.stack(parts, 1).astype(np.float32)


# ---------------------------------------------------------------- single beats


class BeatCNN(nn.Module):
    """(N, 1, L) -> (N, classes): two convolutions with pooling, mean over time, linear. 42,629 parameters."""

    def __init__(self, classes: int = 5, width: int = 64, dropout: float = 0.0) -> None:
        super().__init__()
        self.maps = nn.Sequential(
            *(nn.Conv1d(1, width, 7, padding=3), nn.BatchNorm1d(width), nn.ReLU(), nn.MaxPool1d(2)),
            *(nn.Conv1d(width, 2 * width, 5, padding=2), nn.BatchNorm1d(2 * width), nn.ReLU()),
        )
        self.dropout, self.fc = nn.Dropout(dropout), nn.Linear(2 * width, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Scores."""
        check_signals("BeatCNN", x, 1)
        return self.fc(self.dropout(self.maps(x).mean(2)))


class BeatLSTM(nn.Module):
    """(N, 1, L) -> (N, classes): an LSTM over chunks of samples, its last output, linear.

    chunk: how many samples are one step; ECG5000's 140 in chunks of 4 make 35 steps.
    """

    def __init__(self, classes: int = 5, hidden: int = 64, chunk: int = 4) -> None:
        super().__init__()
        self.chunk = chunk
        self.lstm = nn.LSTM(chunk, hidden, batch_first=True)
        self.fc = nn.Linear(hidden, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Scores."""
        check_signals("BeatLSTM", x, 1, self.chunk)
        h, _ = self.lstm(x.reshape(len(x), -1, self.chunk))
        return self.fc(h[:, -1])


def check_signals(name: str, x: Tensor, channels: int, segment: int = 1) -> None:
    """ValueError unless x is (N, channels, L), L a multiple of the segment."""
    if x.ndim != 3 or x.shape[1] != channels or x.shape[2] % segment or not x.shape[2]:
        raise ValueError(
            f"{name}: expected signals (N, {channels}, L), L a multiple of {segment}, got {x.shape}; "
            "cut them so, or add an axis"
        )


# ---------------------------------------------------------------- atrial fibrillation


class Attention(nn.Module):
    """h (..., M, D), k (..., M, 1) or None -> the weighted mean (..., D) and alpha (..., M)."""

    def __init__(self, features: int, size: int, knowledge: bool) -> None:
        super().__init__()
        self.W = nn.Linear(features + knowledge, size)
        self.V = nn.Linear(size, 1, bias=False)

    def forward(self, h: Tensor, k: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """sum_m alpha_m h_m, alpha = softmax(V (W [h; k] + b))."""
        told = h if k is None else concatenate([h, k], -1)
        alpha = softmax(self.V(self.W(told)).squeeze(-1))
        return (h * alpha[..., None]).sum(-2), alpha


class Segments(nn.Module):
    """One convolution in every segment: (N, L) -> (N, S, P, F), P = (T - kernel) // stride + 1."""

    def __init__(self, filters: int, segment: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.segment, self.kernel, self.stride = segment, kernel, stride
        self.conv = nn.Conv1d(1, filters, kernel, stride)

    def cut(self, x: Tensor) -> Tensor:
        """(N, L) -> (N S, 1, T)."""
        return x.reshape(-1, 1, self.segment)

    def forward(self, x: Tensor) -> Tensor:
        """relu(conv) of the segments."""
        y = relu(self.conv(self.cut(x)))  # (N S, F, P)
        return y.swapaxes(1, 2).reshape(len(x), -1, y.shape[2], y.shape[1])

    def change(self, x: Tensor) -> Tensor:
        """(N, S, P, 1): the mean step between samples under each place of the convolution."""
        cut = self.cut(x)
        steps = absolute(cut[:, :, 1:] - cut[:, :, :-1])
        steps = F.avg_pool1d(steps, self.kernel - 1, self.stride)[:, :, : self.places]
        return steps.reshape(len(x), -1, self.places, 1)

    @property
    def places(self) -> int:
        """P."""
        return (self.segment - self.kernel) // self.stride + 1


class ECGNet(nn.Module):
    """(N, 1, L) -> (N, classes): CNN, CRNN or ACRNN, by `kind`; `explain` gives ACRNN's weights."""

    def __init__(
        self,
        kind: str = "CRNN",
        classes: int = 2,
        filters: int = 64,
        hidden: int = 32,
        segment: int = 50,
        kernel: int = 16,
        stride: int = 2,
    ) -> None:
        super().__init__()
        if kind not in ("CNN", "CRNN", "ACRNN"):
            raise ValueError(f"ECGNet: expected CNN, CRNN or ACRNN (kind={kind!r})")
        self.kind = kind
        self.segments = Segments(filters, segment, kernel, stride)
        recurrent = kind != "CNN"
        self.lstm = nn.LSTM(filters, hidden, batch_first=True, bidirectional=True) if recurrent else None
        self.attention = Attention(2 * hidden, 8, knowledge=False) if kind == "ACRNN" else None
        self.fc = nn.Linear(2 * hidden if recurrent else filters, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Scores."""
        return self.explain(x)[0]

    def explain(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Scores, and the weights of segments (N, S), None where all count alike."""
        check_signals(self.kind, x, 1, self.segments.segment)
        h = self.segments(x[:, 0]).mean(2)  # (N, S, F)
        if self.lstm is not None:
            h, _ = self.lstm(h)
        h, rhythm = (h.mean(1), None) if self.attention is None else self.attention(h)
        return self.fc(h), rhythm


class Band(nn.Module):
    """One band of MINA: (N, L) -> (N, 2H), with its attention over places and over segments."""

    def __init__(
        self, filters: int, hidden: int, segment: int, kernel: int, stride: int, attention: int
    ) -> None:
        super().__init__()
        self.segments = Segments(filters, segment, kernel, stride)
        self.beat = Attention(filters, attention, knowledge=True)
        self.lstm = nn.LSTM(filters, hidden, batch_first=True, bidirectional=True)
        self.rhythm = Attention(2 * hidden, attention, knowledge=True)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The band's vector, beat weights (N, S, P) and rhythm weights (N, S)."""
        h, beat = self.beat(self.segments(x), self.segments.change(x))
        h, _ = self.lstm(h)
        spread = std(x.reshape(len(x), -1, self.segments.segment), 2, keepdims=True)
        h, rhythm = self.rhythm(h, spread)
        return h, beat, rhythm


class MINA(nn.Module):
    """Bands (N, B, L), see `bands`, -> (N, classes) scores; `explain` gives all three levels' weights."""

    def __init__(
        self,
        classes: int = 2,
        channels: int = 4,
        filters: int = 64,
        hidden: int = 32,
        segment: int = 50,
        kernel: int = 16,
        stride: int = 2,
        attention: int = 8,
    ) -> None:
        super().__init__()
        sizes = filters, hidden, segment, kernel, stride, attention
        self.bands = nn.ModuleList(Band(*sizes) for _ in range(channels))
        self.frequency = Attention(2 * hidden, attention, knowledge=True)
        self.fc = nn.Linear(2 * hidden, classes)
        self.segment = segment

    def forward(self, x: Tensor) -> Tensor:
        """Scores."""
        return self.explain(x)[0]

    def explain(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Scores, and the weights of places (N, B, S, P), of segments (N, B, S) and of bands (N, B)."""
        check_signals("MINA", x, len(self.bands), self.segment)
        parts = [band(x[:, i]) for i, band in enumerate(self.bands)]
        h, beat, rhythm = (stack(list(level), 1) for level in zip(*parts))
        power = log((x * x).mean(2, keepdims=True) + 1e-6)
        mixed, frequency = self.frequency(h, power)
        return self.fc(mixed), beat, rhythm, frequency
