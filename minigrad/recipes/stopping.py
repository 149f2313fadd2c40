"""Early stopping on a problem that invites over-fitting: a wide net on sixty noisy points.

The points lie on y = sin(3x) with noise of deviation 0.4. The net can go through all of them: its training
error falls for as long as it is trained, and the error on other points falls first and then rises (Prechelt
1998, "Early Stopping - But When?"). Training stops `patience` epochs after the best one on the validation
points and gives the best weights back; the same net is also trained to the end.
"""

import numpy as np

from .. import nn
from ..engine.recording import no_grad
from ..engine.tensor import Tensor, tensor
from ..inspect import plots
from ..io import load_checkpoint
from ..models import MLP
from ..train import LAST, Settings, part
from .base import Figures, Recipe, Task

Points = tuple[Tensor, Tensor]  # waves of x (n, 12), and y (n, 1)


def waves(x: np.ndarray) -> Tensor:
    """(n,) -> (n, 12): sin kx and cos kx, with which a net can wind through every point."""
    k = np.arange(1, 7)
    return tensor(np.hstack([np.sin(x[:, None] * k), np.cos(x[:, None] * k)]).astype(np.float32))


def points(n: int, rng: np.random.Generator, noise: float = 0.4) -> Points:
    """n noisy points of y = sin(3x) for x in -1 to 1."""
    x = rng.uniform(-1, 1, n)
    y = np.sin(3 * x) + rng.normal(0, noise, n)
    return waves(x), tensor(y[:, None].astype(np.float32))


def mse(net: nn.Module, data: Points) -> float:
    """Mean squared error."""
    with no_grad():
        return float(((net(data[0]) - data[1]) ** 2).mean())


def run(task: Task, hidden: int = 100, n: int = 60, steps: int = 5) -> Figures:
    """Train with early stopping and to the end, from the same weights; an epoch is `steps` of all points."""
    rng = np.random.default_rng(task.seed)
    train, held, test = points(n, rng), points(n, rng), points(2000, rng)

    def loss(net: nn.Module, _: object) -> Tensor:
        return ((net(train[0]) - train[1]) ** 2).mean()

    def judge(net: nn.Module) -> dict[str, float]:
        return {"mse": mse(net, held), "test": mse(net, test)}

    stopped, through = (MLP((12, hidden, hidden, 1)) for _ in range(2))
    through.load_state_dict(stopped.state_dict())
    short = task.fit(stopped, [0] * steps, loss, judge, name="stopped")
    long = task.fit(through, [0] * steps, loss, judge, name="to-the-end", patience=0)
    errors = [row["val_mse"] for row in short]
    best = int(np.argmin(errors))
    curves = {"training": "train_loss", "validation": "val_mse", "test": "val_test"}
    plots.lines(
        {name: (np.arange(1, len(long) + 1), [row[key] for row in long]) for name, key in curves.items()},
        task.picture("curves.png"), f"Stopped after epoch {len(short)}, weights of epoch {best + 1}",
        "epoch", "mean squared error", {"noise": 0.16, "test, stopped": mse(stopped, test)}, log=True,
    )  # fmt: skip
    draw(task, {"stopped": stopped, "to the end": long_net(task, through)})
    final = long[-1]["val_test"]
    return {
        "test MSE, of the last epoch's": mse(stopped, test) / final,
        "test MSE, stopped": mse(stopped, test),
        "test MSE, last epoch": final,
        "epochs": len(short),
        "epochs after the best, less patience": abs(len(short) - 1 - best - task.settings.patience),
        "restored less best": abs(mse(stopped, held) - errors[best]),
    }


def long_net(task: Task, net: nn.Module) -> nn.Module:
    """The net with the weights of its last epoch; `fit` has given it those of its best."""
    tensors, _ = load_checkpoint(task.folder / "to-the-end" / LAST)
    net.load_state_dict(part(tensors, "model."))
    return net


def draw(task: Task, nets: dict[str, nn.Module]) -> None:
    """Both functions beside the true one."""
    x = np.linspace(-1, 1, 400)
    with no_grad():
        found = {name: (x, net(waves(x)).numpy()[:, 0]) for name, net in nets.items()}
    plots.lines(
        {"sin(3x)": (x, np.sin(3 * x)), **found}, task.picture("fits.png"), "What was learned", "x", "y"
    )


RECIPES = (
    Recipe(
        name="early-stopping", summary="early stopping of an MLP that can learn sixty noisy points by heart",
        run=run, data="synthetic", metric="test MSE, of the last epoch's", mark=0.9, higher_is_better=False,
        also={"epochs after the best, less patience": ("<=", 0), "restored less best": ("<=", 1e-6)},
        paper="none: a demonstration (on when to stop: Prechelt 1998)", minutes=1, seeds=5,
        settings=Settings(
            epochs=200, batch_size=1, lr=1e-3, optimiser="adam", schedule="constant", patience=20, workers=0,
        ),
        short={"epochs": 60, "lr": 3e-3, "patience": 8}, baseline=1.0,
    ),
)  # fmt: skip
