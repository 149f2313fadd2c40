"""Forecasting two series of which the best forecast is known: an LSTM, a linear model, and "as now".

AR(2), x_t = 1.5 x_{t-1} - 0.8 x_{t-2} + noise: what is past tells much, and no forecast has a mean squared
error below the noise's variance (the Bayes error). An LSTM that has to find the rule in windows of 20 values
must come down to it. A random walk, which prices of shares come close to: "as now" is the best forecast that
there is, and a model that seems to beat it on new series has seen the future. Series are drawn anew for
training, validation and test, and divided by their deviation (of changes, for the walk).
"""

from functools import partial
from typing import Any

import numpy as np

from .. import nn
from ..data import TensorDataset
from ..engine.recording import no_grad
from ..engine.tensor import Tensor, tensor
from ..inspect import plots
from ..inspect.layers import still
from ..models import LinearForecaster, LSTMForecaster
from ..models.forecaster import ar2, bayes_mse, persistence, random_walk, windows
from ..train import Settings
from .base import Figures, Recipe, Task

LENGTH = 120
SERIES = {"AR(2)": ar2, "random walk": random_walk}
BEST = {"AR(2)": bayes_mse(1.5, -0.8), "random walk": bayes_mse(1.0)}  # the noise has variance 1


def scaled(kind: str, n: int, width: int, scale: float, rng: np.random.Generator) -> tuple[Any, Any]:
    """Windows (M, width) of n series and what follows each; a walk counts from its window's last value."""
    x, y = windows(SERIES[kind](n, LENGTH, rng), width)
    if kind == "random walk":  # it drifts off without limit, and only changes can be known
        x, y = x - x[:, -1:], y - x[:, -1]
    return (x / scale).astype(np.float32), (y / scale).astype(np.float32)


def outputs(net: Any, x: np.ndarray, device: str) -> np.ndarray:
    """Forecasts (M,) of a model or a function."""
    if not isinstance(net, nn.Module):
        return net(tensor(x)).numpy()
    with no_grad(), still(net):
        return np.concatenate(
            [net(tensor(x[i : i + 1000]).to(device)).cpu().numpy() for i in range(0, len(x), 1000)]
        )


def run(task: Task, series: int = 200, width: int = 20, hidden: int = 32) -> Figures:
    """Train both models on both kinds of series; errors on 500 new series, over the least possible."""
    figures: Figures = {}
    for kind, name in (("AR(2)", "ar2"), ("random walk", "walk")):
        rng = np.random.default_rng([task.seed, len(name)])
        # The deviation of a long AR(2) of these coefficients; the walk's changes have deviation 1.
        scale = float(ar2(50, 500, rng).std()) if kind == "AR(2)" else 1.0
        parts = [scaled(kind, n, width, scale, rng) for n in (series, 100, 500)]
        forecasters: dict[str, Any] = {"LSTM": LSTMForecaster(hidden), "linear": LinearForecaster(2)}
        found = {"as now": outputs(persistence, parts[2][0], task.device)}
        judge = partial(mean_squared_error, data=parts[1], device=task.device)
        for model, net in forecasters.items():
            lr = task.settings.lr * (5 if model == "linear" else 1)
            task.fit(
                net, TensorDataset(*parts[0]), squared_error, judge, name=f"{name}-{model.lower()}", lr=lr
            )
            found[model] = outputs(net, parts[2][0], task.device)
        errors = {m: float(((f - parts[2][1]) ** 2).mean()) * scale**2 / BEST[kind] for m, f in found.items()}
        draw(task, kind, name, found, parts[2][1], errors)
        figures |= {f"{kind}, {model}, of the least MSE": error for model, error in errors.items()}
    walk = "random walk, {}, of the least MSE"
    return {
        **figures,
        "walk, LSTM over as now": figures[walk.format("LSTM")] / figures[walk.format("as now")],
    }


def mean_squared_error(net: nn.Module, data: tuple, device: str) -> dict[str, float]:
    """What an epoch is judged by."""
    return {"mse": float(((outputs(net, data[0], device) - data[1]) ** 2).mean())}


def squared_error(net: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    """The loss."""
    return ((net(batch[0]) - batch[1]) ** 2).mean()


def draw(task: Task, kind: str, name: str, found: dict, truth: np.ndarray, errors: dict) -> None:
    """The first test series with its forecasts, and the errors of all."""
    n = 60
    shown = {"series": truth[:n], **{model: f[:n] for model, f in found.items() if model != "linear"}}
    what = "value" if kind == "AR(2)" else "change from now"
    plots.lines(shown, task.picture(f"{name}_forecasts.png"), f"{kind}: one step ahead", "step", what)
    plots.bars(errors, task.picture(f"{name}_errors.png"), f"{kind}, 500 new series", "MSE over the least")


RECIPES = (
    Recipe(
        name="forecasting", summary="LSTM, linear model and persistence on AR(2) and on a random walk",
        run=run, data="synthetic", metric="AR(2), LSTM, of the least MSE", mark=1.05, higher_is_better=False,
        also={"walk, LSTM over as now": (">=", 0.995), "AR(2), linear, of the least MSE": ("<=", 1.02)},
        paper="none: the least MSE is the noise's variance (Box and Jenkins 1970)", minutes=2,
        settings=Settings(epochs=8, batch_size=200, lr=1e-2, optimiser="adam"),
        short={"epochs": 2, "series": 60}, baseline="AR(2), as now, of the least MSE",
    ),
)  # fmt: skip
