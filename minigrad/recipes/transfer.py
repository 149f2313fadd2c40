"""Transfer: what a net learned of one task is worth in another, by strategy, amount of data and similarity.

A net of two convolutions and a head of two dense layers is trained on a source. It gets a new head and learns
digits 5 to 9 from few labels, in the three ways of minigrad.nn:

train all    every weight goes on learning                              nn.train_all(net)
some frozen  the first convolution, which sees strokes, stays           nn.freeze(net, "conv1")
only top     the head learns; the convolutions only extract features    nn.freeze_base(net, "head")

Sources: digits 0 to 4 of MNIST, which are similar, and the letters of Omniglot, which are different (thin
lines, 136 classes). `from scratch` is the same net with random weights. Yosinski et al. 2014, "How
transferable are features in deep neural networks?", asked so on ImageNet. MNIST: CC BY-SA 3.0; Omniglot:
MIT (Lake et al. 2015).
"""

import copy
from typing import Any

import numpy as np

from .. import nn
from ..classifier import cross_entropy, score
from ..data import TensorDataset, omniglot
from ..engine.tensor import Tensor
from ..inspect import plots
from ..train import Settings
from .base import Figures, Recipe, Task
from .digits import augmentation, load, normalise

STRATEGIES = {
    "train all": nn.train_all,
    "some frozen": lambda net: nn.freeze(net, "conv1"),
    "only top": lambda net: nn.freeze_base(net, "head"),
}


class Net(nn.Module):
    """(N, 1, 32, 32) -> (N, classes): two convolutions with ReLU and max-pooling, and the head."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 8, 5), nn.Conv2d(8, 16, 5)
        self.pool, self.head = nn.MaxPool2d(2), head(classes)

    def forward(self, x: Tensor) -> Tensor:
        """Scores."""
        x = self.pool(self.conv1(x).relu())
        return self.head(self.pool(self.conv2(x).relu()))


def head(classes: int) -> nn.Sequential:
    """What is made anew for each task."""
    return nn.Sequential(nn.Flatten(), nn.Linear(400, 64), nn.ReLU(), nn.Linear(64, classes))


def letters(task: Task) -> tuple[np.ndarray, np.ndarray]:
    """Omniglot's small set, 105x105 made 35x35 by means of 3x3, cut to 32x32 as digits are framed."""
    found = omniglot("small1", task.data_dir)
    small = found.images.reshape(-1, 35, 3, 35, 3).mean((2, 4))[:, 1:33, 1:33]
    return normalise(np.minimum(2.5 * small, 1), 1.0)[:, None], found.character


def of_classes(part: tuple, low: int, high: int) -> tuple[np.ndarray, np.ndarray]:
    """The digits from low to high, numbered from 0."""
    chosen = (part[1] >= low) & (part[1] <= high)
    return part[0][chosen], part[1][chosen] - low


def few(part: tuple, amount: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """`amount` images of each class."""
    order = rng.permutation(len(part[1]))
    chosen = np.concatenate([order[part[1][order] == k][:amount] for k in range(5)])
    return part[0][chosen], part[1][chosen]


def frozen_that_moved(net: nn.Module, before: dict[str, np.ndarray]) -> int:
    """How many numbers of the frozen parameters are not what they were, bit for bit."""
    frozen = [(name, p) for name, p in net.named_parameters() if not p.requires_grad]
    return sum(
        int((p.detach().cpu().numpy().view("u4") != before[name].view("u4")).sum()) for name, p in frozen
    )


def run(
    task: Task, source_images: int = 20000, source_epochs: int = 6, letter_epochs: int = 25, steps: int = 300,
    amounts: str = "5,20,100", tested: int = 5000,
) -> Figures:  # fmt: skip
    """Train on both sources, then each strategy on so many labels a class; the last step's weights count."""
    splits = load("mnist", task.data_dir)
    x, labels = of_classes(splits.train, 0, 4)
    drawn = letters(task)
    sources = {
        "similar": ((x[:source_images], labels[:source_images]), 5, source_epochs),
        "different": (drawn, int(drawn[1].max()) + 1, letter_epochs),
    }
    bases: dict[str, nn.Module] = {"from scratch": Net(5)}
    for name, (part, classes, epochs) in sources.items():
        bases[name] = Net(classes)
        data = TensorDataset(*part, transform=augmentation())
        task.fit(bases[name], data, cross_entropy, name=f"source-{name}", epochs=epochs)
    pool, test = of_classes(splits.train, 5, 9), of_classes(splits.test, 5, 9)
    test = test[0][:tested], test[1][:tested]
    found: dict[tuple, float] = {}
    moved = 0
    for amount in map(int, amounts.split(",")):
        part = few(pool, amount, np.random.default_rng([task.seed, amount]))
        # One epoch of `steps` batches: the few images many times over.
        often = TensorDataset(*(np.resize(a, (25 * steps, *a.shape[1:])) for a in part))
        for source, base in bases.items():
            for strategy in STRATEGIES if source != "from scratch" else ["train all"]:
                net: Any = copy.deepcopy(base)
                net.head = head(5)
                STRATEGIES[strategy](net)
                before = {name: p.detach().cpu().numpy().copy() for name, p in net.named_parameters()}
                where = f"{source}-{strategy}-{amount}".replace(" ", "-")
                task.fit(net, often, cross_entropy, name=where, batch_size=25)
                moved += frozen_that_moved(net, before)
                found[source, strategy, amount] = 100 * score(net, *test)[1]
    table(task, found)
    return {**gains(found), "frozen numbers that changed": moved}


def gains(found: dict[tuple, float]) -> Figures:
    """The best strategy's accuracy less that from scratch, by amount and source; and the accuracies at 20."""
    figures: Figures = {}
    for amount in dict.fromkeys(amount for _, _, amount in found):
        scratch = found["from scratch", "train all", amount]
        figures[f"{amount} a class from scratch, %"] = scratch
        for source in ("similar", "different"):
            best = max(found[source, strategy, amount] for strategy in STRATEGIES)
            figures[f"gain at {amount} a class, {source}, points"] = best - scratch
    return figures


def table(task: Task, found: dict[tuple, float]) -> None:
    """Amount by similarity and strategy, as shades and as text; and as curves."""
    amounts = list(dict.fromkeys(amount for _, _, amount in found))
    columns = list(dict.fromkeys((source, strategy) for source, strategy, _ in found))
    names = [source if source == "from scratch" else f"{source}, {strategy}" for source, strategy in columns]
    values = np.array([[found[*column, amount] for column in columns] for amount in amounts])
    rows = [f"{amount} a class" for amount in amounts]
    # A plot of letters shows blanks; these are words.
    beside, below = ([word.replace(" ", "\u00a0") for word in words] for words in (rows, names))
    plots.matrix(values, task.picture("table.png"), beside, below, "Digits 5 to 9, right, %")
    curves = {name: (np.log10(amounts), values[:, j]) for j, name in enumerate(names)}
    plots.lines(curves, task.picture("amounts.png"), "Digits 5 to 9", "log10 of labels a class", "right, %")
    lines = [" " * 14 + "  ".join(f"{name:>22}" for name in names)]
    lines += [f"{row:14}" + "  ".join(f"{v:22.2f}" for v in line) for row, line in zip(rows, values)]
    task.picture("table.txt").write_text("\n".join(lines) + "\n")


RECIPES = (
    Recipe(
        name="transfer", summary="a small net from digits 0-4 or letters to digits 5-9, in three strategies",
        run=run, data="mnist", metric="gain at 20 a class, similar, points", mark=2.0, baseline=0.0,
        also={"frozen numbers that changed": ("<=", 0), "gain at 5 a class, similar, points": (">=", 1)},
        paper="none on digits; on ImageNet Yosinski et al. 2014", minutes=2,
        settings=Settings(epochs=1, batch_size=50, lr=2e-3, weight_decay=0.01),
        short={
            "source_images": 6000, "source_epochs": 3, "letter_epochs": 1, "steps": 12, "amounts": "20",
            "tested": 1000,
        },
    ),
)  # fmt: skip
