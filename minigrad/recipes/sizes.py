"""The architectures as their papers size them: parameters counted in the nets themselves, one after another.

Nothing is trained. `known` holds the exact number for each net as built here, beside it what its paper says
of its size. An Inception module is counted too: multiplications of the naive form and of the one that
reduces by 1x1 convolutions first, as in GoogLeNet's 3a on 28x28 places (Szegedy et al. 2014).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from .. import models, nn
from ..inspect import plots
from .base import Figures, Recipe, Task


class Known(NamedTuple):
    """A net, its number of parameters, and what was published of it."""

    make: Callable[[], nn.Module]
    parameters: int
    published: str


NETS = {
    "LeNet-5": Known(models.LeNet5, 61_706, "60,000 (LeCun et al. 1998, whose C3 is sparse)"),
    "ResNet-20": Known(models.resnet20, 269_722, "0.27 million (He et al. 2015)"),
    "ResNet-32": Known(models.resnet32, 464_154, "0.46 million (He et al. 2015)"),
    "ResNet-44": Known(models.resnet44, 658_586, "0.66 million (He et al. 2015)"),
    "ResNet-56": Known(models.resnet56, 853_018, "0.85 million (He et al. 2015)"),
    "ResNet-110": Known(models.resnet110, 1_727_962, "1.7 million (He et al. 2015)"),
    "PointNet": Known(models.PointNet, 3_473_969, "3.5 million (Qi et al. 2017)"),
    "GoogLeNet": Known(models.GoogLeNet, 13_378_280, "6,998,552 without its two auxiliary heads"),
    "ResNet-18": Known(models.resnet18, 11_689_512, "1.8 billion multiply-adds (He et al. 2015)"),
    "ResNet-34": Known(models.resnet34, 21_797_672, "3.6 billion multiply-adds (He et al. 2015)"),
    "ResNet-50": Known(models.resnet50, 25_557_032, "3.8 billion multiply-adds (He et al. 2015)"),
    "AlexNet": Known(models.AlexNet, 60_965_224, "60 million (Krizhevsky et al. 2012)"),
    "VGG-16": Known(models.vgg16, 138_357_544, "138 million (Simonyan and Zisserman 2014)"),
}


def count(net: nn.Module) -> int:
    """How many numbers it learns."""
    return sum(p.size for p in net.parameters())


def run(task: Task, largest: float = 1e9) -> Figures:
    """Build each net of at most `largest` parameters and count; a table and a picture of them."""
    chosen = {name: net for name, net in NETS.items() if net.parameters <= largest}
    found = {name: count(net.make()) for name, net in chosen.items()}
    wrong = [name for name, net in chosen.items() if found[name] != net.parameters]
    rows = [f"{name:<12}{n:>14,}   {chosen[name].published}" for name, n in found.items()]
    task.picture("sizes.txt").write_text("\n".join(rows) + "\n", encoding="utf-8")
    millions = {name: n / 1e6 for name, n in found.items()}
    plots.bars(millions, task.picture("sizes.png"), "How many parameters", "millions")
    return {"nets of another size": len(wrong), "nets": len(found), **module_costs()}


def module_costs() -> Figures:
    """Millions of multiplications of Inception 3a on 28x28 places, in both forms."""
    naive: Any = models.NaiveInception(192, 64, 128, 32)
    reduced: Any = models.Inception(192, 64, 96, 128, 16, 32, 32)
    forms = {"naive": naive, "reduced": reduced}
    return {
        f"Inception 3a, {name}, 10^6 products": m.multiplications(28, 28) / 1e6 for name, m in forms.items()
    }


RECIPES = (
    Recipe(
        name="sizes", summary="every architecture counted: LeNet-5 to VGG-16, Inception naive and reduced",
        run=run, data="none", metric="nets of another size", mark=0, higher_is_better=False, minutes=1,
        paper="as listed in sizes.txt, net by net", short={"largest": 2e6}, baseline=1.0,
    ),
)  # fmt: skip
