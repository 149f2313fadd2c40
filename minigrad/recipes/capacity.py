"""Capacity, over-fitting and the amount of data: polynomials on points of a smooth curve, and k-NN.

Goodfellow, Bengio and Courville 2016, section 5.2, whose three pictures are drawn here on data of their own:

degree    n points: the training error falls to 0 at degree n - 1, the error on new points rises far above
          the noise, and a penalty lambda on the weights takes it back
amount    a polynomial of fixed degree: with more points the training error rises and the test error falls,
          until both are the noise, which is the Bayes error: no model has less
k-NN      two classes that overlap: k = 1 knows the training points by heart; the best k is a larger one

Polynomials are in Legendre's basis, in which fits are well conditioned, and found in closed form: nothing is
left to an optimiser, so what is seen is capacity alone.
"""

import numpy as np
from numpy.polynomial import legendre

from ..inspect import plots
from ..models import KNN
from .base import Figures, Recipe, Task

NOISE = 0.3


def truth(x: np.ndarray) -> np.ndarray:
    """The curve."""
    return np.sin(3 * x) + 0.5 * x


def points(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """n noisy points of it, one in each n-th of -1 to 1."""
    x = (np.arange(n) + rng.uniform(0, 1, n)) / n * 2 - 1
    return x, truth(x) + rng.normal(0, NOISE, n)


def fit(x: np.ndarray, y: np.ndarray, degree: int, strength: float = 0.0) -> np.ndarray:
    """Coefficients of least |y - Vw|^2 + n strength |w|^2."""
    v = legendre.legvander(x, degree)
    rows = np.vstack([v, np.sqrt(len(x) * strength) * np.eye(degree + 1)])
    return np.linalg.lstsq(rows, np.concatenate([y, np.zeros(degree + 1)]), rcond=None)[0]


def mse(w: np.ndarray, x: np.ndarray, y: np.ndarray) -> float:
    """Mean squared error of a polynomial."""
    return float(((legendre.legval(x, w) - y) ** 2).mean())


def run(task: Task, n: int = 12, repeats: int = 200, largest: int = 2000) -> Figures:
    """The three experiments; errors are medians (by degree) and means (by amount) over `repeats` sets."""
    rng = np.random.default_rng(task.seed)
    new = points(5000, rng)
    degrees = by_degree(task, n, repeats, new, rng)
    amounts = by_amount(task, largest, repeats, new, rng)
    return {**degrees, **amounts, **neighbours(task, rng)}


def by_degree(task: Task, n: int, repeats: int, new: tuple, rng: np.random.Generator) -> Figures:
    """Errors against the degree, and against lambda at degree n - 1."""
    sets = [points(n, rng) for _ in range(repeats)]
    degrees, lambdas = np.arange(n), 10.0 ** np.arange(-12, 2.1, 0.5)
    fits = {int(d): [fit(*s, d) for s in sets] for d in degrees}
    train = [float(np.median([mse(w, *s) for w, s in zip(fits[d], sets)])) for d in range(n)]
    test = [float(np.median([mse(w, *new) for w in fits[d]])) for d in range(n)]
    tamed = [float(np.median([mse(fit(*s, n - 1, g), *new) for s in sets])) for g in lambdas]
    noise = {"noise": NOISE**2}
    plots.lines(
        {"training": (degrees, np.maximum(train, 1e-6)), "new points": (degrees, test)},
        task.picture("degree.png"), f"Polynomials on {n} points", "degree", "MSE, at least 1e-6", noise, True,
    )  # fmt: skip
    plots.lines(
        {"new points": (np.log10(lambdas), tamed)},
        task.picture("penalty.png"), f"Degree {n - 1} with a penalty", "log10 lambda", "MSE", noise, True,
    )  # fmt: skip
    x, (px, py) = np.linspace(-1, 1, 400), sets[0]
    shown = {f"degree {d}": (x, np.clip(legendre.legval(x, fits[d][0]), -3, 3)) for d in (1, 4, n - 1)}
    order = np.argsort(px)
    plots.lines({"points": (px[order], py[order]), **shown}, task.picture("fits.png"), "Fits", "x", "y")
    return {
        "training MSE at degree n - 1": train[-1],
        "MSE on new points at degree n - 1, of the best degree's": test[-1] / min(test),
        "best degree": int(np.argmin(test)),
        "MSE at degree n - 1, best lambda, of none's": min(tamed) / test[-1],
    }


def by_amount(
    task: Task, largest: int, repeats: int, new: tuple, rng: np.random.Generator, degree: int = 7
) -> Figures:
    """Errors against the number of points, at a fixed degree."""
    amounts = np.unique(np.geomspace(degree + 2, largest, 12).astype(int))
    train, test = [], []
    for amount in amounts:
        sets = [points(int(amount), rng) for _ in range(repeats)]
        fits = [fit(*s, degree) for s in sets]
        train.append(float(np.mean([mse(w, *s) for w, s in zip(fits, sets)])))
        test.append(float(np.median([mse(w, *new) for w in fits])))
    plots.lines(
        {"training": (np.log10(amounts), train), "new points": (np.log10(amounts), test)},
        task.picture("amount.png"), f"Degree {degree}, more and more points", "log10 of the number of points",
        "MSE", {"noise (Bayes error)": NOISE**2}, True,
    )  # fmt: skip
    return {
        "training error rises, points of the noise": (train[-1] - train[0]) / NOISE**2,
        "test MSE with most points, of the noise": test[-1] / NOISE**2,
        "test MSE with fewest points, of the noise": test[0] / NOISE**2,
    }


def neighbours(task: Task, rng: np.random.Generator) -> Figures:
    """k-NN on two overlapping clouds: errors against k, and what the best rule gets."""

    def clouds(n: int) -> tuple[np.ndarray, np.ndarray]:
        classes = rng.integers(0, 2, n)
        return rng.normal(size=(n, 2)) + np.where(classes == 1, 1.0, -1.0)[:, None] * [1.0, 0.0], classes

    (x, labels), (new_x, new_labels) = clouds(400), clouds(5000)
    ks = [1, 3, 5, 9, 15, 29, 51, 101]
    models = {k: KNN(k).fit(x, labels) for k in ks}
    train = [100 * float((models[k].predict(x) != labels).mean()) for k in ks]
    test = [100 * float((models[k].predict(new_x) != new_labels).mean()) for k in ks]
    best = 100 * float(((new_x[:, 0] > 0) != new_labels).mean())  # halfway: the rule of least error
    plots.lines(
        {"training": (np.array(ks), train), "new points": (np.array(ks), test)},
        task.picture("knn.png"), "k nearest neighbours", "k", "wrong, %", {"Bayes error": best},
    )  # fmt: skip
    side = np.linspace(-4, 4, 80)
    grid = np.stack(np.meshgrid(side, side[::-1]), -1).reshape(-1, 2)
    maps = np.stack([models[k].predict(grid).reshape(80, 80) for k in (1, 3, 29)]).astype(float)
    plots.pictures(maps, task.picture("knn_maps.png"), ["k = 1", "k = 3", "k = 29"], "What k-NN decides")
    return {"k-NN error, k = 1, %": test[0], "k-NN error, best k, %": min(test), "Bayes error, %": best}


RECIPES = (
    Recipe(
        name="capacity", summary="over-fitting polynomials, a penalty, more data; k-NN",
        run=run, data="synthetic", metric="test MSE with most points, of the noise", mark=1.05,
        higher_is_better=False, paper="the pictures of Goodfellow et al. 2016, section 5.2", minutes=1,
        also={
            "training MSE at degree n - 1": ("<=", 1e-12),
            "MSE on new points at degree n - 1, of the best degree's": (">=", 10),
            "MSE at degree n - 1, best lambda, of none's": ("<=", 0.1),
            "training error rises, points of the noise": (">=", 0.5),
        },
        short={"repeats": 20, "largest": 500}, baseline="test MSE with fewest points, of the noise",
    ),
)  # fmt: skip
