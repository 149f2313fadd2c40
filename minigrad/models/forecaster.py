"""Forecasting: two kinds of series whose best forecast is known, and two models to compare with it.

AR(2)        x_t = a x_{t-1} + b x_{t-2} + e_t        Box & Jenkins 1970, chapter 3
random walk  x_t = x_{t-1} + e_t                      a = 1, b = 0: what share prices are close to

e_t is normal of deviation sigma. No forecast h steps ahead has a lower mean squared error than
sigma^2 (psi_0^2 + ... + psi_{h-1}^2) with psi_0 = 1, psi_1 = a, psi_k = a psi_{k-1} + b psi_{k-2}: a model
of AR(2) must come down to it, and on a random walk (h sigma^2) none can beat "as now".

LinearForecaster  window (N, T) -> last p values -> linear                   p + 1 parameters a step ahead
LSTMForecaster    window (N, T) -> LSTM -> linear, added to the last value
"""

from __future__ import annotations

import numpy as np

from .. import nn
from ..engine.tensor import Tensor
from ..nn.parameter import check_size
from ..ops.shape import expand_dims

__all__ = ["LSTMForecaster", "LinearForecaster", "ar2", "bayes_mse", "persistence", "random_walk", "windows"]


def ar2(
    n: int, length: int, rng: np.random.Generator, a: float = 1.5, b: float = -0.8, sigma: float = 1.0
) -> np.ndarray:
    """n series (n, length) of AR(2), float64, drawn after the start is forgotten. ValueError if they grow."""
    check_size("ar2", n=n, length=length)
    size = abs(np.roots([1.0, -a, -b])).max(initial=0.0)
    if size >= 1:
        raise ValueError(
            f"ar2: expected roots inside the unit circle, got |root| = {size:.3g} (a={a}, b={b})"
        )
    # After k steps the start counts size^k: here e^-37, the last digit of a float64, or 10,000 steps.
    forget = 2 if size == 0 else min(10_000, int(np.ceil(-37 / np.log(size))) + 2)
    noise = rng.normal(0.0, sigma, (n, length + forget))
    x = np.zeros_like(noise)
    for t in range(2, x.shape[1]):
        x[:, t] = a * x[:, t - 1] + b * x[:, t - 2] + noise[:, t]
    return x[:, forget:]


def random_walk(n: int, length: int, rng: np.random.Generator, sigma: float = 1.0) -> np.ndarray:
    """n random walks (n, length) from 0, float64."""
    check_size("random_walk", n=n, length=length)
    return rng.normal(0.0, sigma, (n, length)).cumsum(axis=1)


def bayes_mse(a: float, b: float = 0.0, sigma: float = 1.0, horizon: int = 1) -> float:
    """The least mean squared error of a forecast `horizon` steps ahead; a random walk is a = 1, b = 0.

    >>> bayes_mse(1.5, -0.8), bayes_mse(1.5, -0.8, horizon=2), bayes_mse(1.0, horizon=5)
    (1.0, 3.25, 5.0)
    """
    check_size("bayes_mse", horizon=horizon)
    psi = [0.0, 1.0]
    for _ in range(horizon - 1):
        psi.append(a * psi[-1] + b * psi[-2])
    return sigma**2 * sum(p * p for p in psi)


def windows(series: np.ndarray, width: int, horizon: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Every window (M, width) of the series (n, length), and the value `horizon` steps behind it (M,)."""
    check_size("windows", width=width, horizon=horizon)
    if series.shape[-1] < width + horizon:
        told = f"width={width}, horizon={horizon}"
        raise ValueError(f"windows: expected series of width + horizon at least, got {series.shape} ({told})")
    x = np.lib.stride_tricks.sliding_window_view(series[..., :-horizon], width, axis=-1)
    return x.reshape(-1, width), series[..., width + horizon - 1 :].reshape(-1)


def persistence(x: Tensor) -> Tensor:
    """The forecast "as now": (N, T) -> (N,). The best there is for a random walk."""
    return x[:, -1]


class LinearForecaster(nn.Module):
    """Windows (N, T) -> (N,), linear in the last `order` values; for AR(2), order 2 is enough."""

    def __init__(self, order: int = 2) -> None:
        super().__init__()
        check_size("LinearForecaster", order=order)
        self.order, self.fc = order, nn.Linear(order, 1)

    def forward(self, x: Tensor) -> Tensor:
        """The forecast."""
        if x.ndim != 2 or x.shape[1] < self.order:
            raise ValueError(f"LinearForecaster: expected windows (N, T >= {self.order}), got {x.shape}")
        return self.fc(x[:, -self.order :])[:, 0]


class LSTMForecaster(nn.Module):
    """Windows (N, T) -> (N,): the last value and what the LSTM thinks that it will change by.

    So it begins near persistence. Values should be of size 1 or so: divide them by their deviation before.
    """

    def __init__(self, hidden: int = 32, layers: int = 1) -> None:
        super().__init__()
        self.lstm = nn.LSTM(1, hidden, layers, batch_first=True)
        self.fc = nn.Linear(hidden, 1)

    def forward(self, x: Tensor) -> Tensor:
        """The forecast."""
        if x.ndim != 2 or not x.size:
            raise ValueError(f"LSTMForecaster: expected windows (N, T), got {x.shape}")
        return persistence(x) + self.fc(self.lstm(expand_dims(x, -1))[0][:, -1])[:, 0]
