"""ResNet-20, and deep networks with and without shortcuts, on CIFAR-10 that was JPEG (lossy).

He, Zhang, Ren & Sun 2015, section 4.2: with shortcuts a deeper network trains to a lower loss; without them,
a plain one of 56 layers to a higher loss than one of 20, although it could copy the 20 and do nothing else.
The study's twins have the same number of weights, begin from the same ones and see the same batches.
"""

from ..classifier import cross_entropy, score
from ..data import TensorDataset
from ..engine import random
from ..models import ResNet
from ..train import Settings
from .base import Figures, Recipe, Task
from .cifar import ALL, augmentation, classify, load, loss_curves


def run(task: Task, images: int = ALL, size: int = 32, classes: int = 10, n: int = 3) -> Figures:
    """images: how many to train on; size: pixels across; classes: the first of the ten; 6 n + 2 layers."""
    return classify(task, ResNet(n, classes=classes), load(task.data_dir, images, classes, size))


def small(task: Task, images: int = 6000, size: int = 16, classes: int = 5, n: int = 3) -> Figures:
    """The same network on a part of the images, at half the size."""
    return run(task, images, size, classes, n)


def study(
    task: Task, images: int = ALL, size: int = 32, classes: int = 10, shallow: int = 3, deep: int = 9
) -> Figures:
    """shallow, deep: n of the networks' 6 n + 2 layers; the losses are the last epoch's mean, as trained."""
    data = load(task.data_dir, images, classes, size)
    train = TensorDataset(*data.train, transform=augmentation(size) if task.settings.augment else None)
    histories, tested = {}, {}
    for kind in ("plain", "residual"):
        for depth, n in (("shallow", shallow), ("deep", deep)):
            random.manual_seed(task.seed)
            net = ResNet(n, classes=classes, residual=kind == "residual")
            name = f"{kind}-{6 * n + 2}"
            histories[name] = task.fit(net, train, cross_entropy, name=name)
            tested[f"{depth} {kind}"] = (histories[name][-1]["train_loss"], score(net, *data.test)[1])
    loss_curves(histories, task.picture("training_loss.png"))
    losses = {name: loss for name, (loss, _) in tested.items()}
    return {
        "training loss, deep plain / shallow plain": losses["deep plain"] / losses["shallow plain"],
        "training loss, deep residual / shallow residual": losses["deep residual"]
        / losses["shallow residual"],
        "training loss, deep plain / deep residual": losses["deep plain"] / losses["deep residual"],
        **{f"training loss, {name}": loss for name, loss in losses.items()},
        **{f"test accuracy, {name}, %": 100 * accuracy for name, (_, accuracy) in tested.items()},
    }


def small_study(
    task: Task, images: int = 3000, size: int = 8, classes: int = 5, shallow: int = 3, deep: int = 9
) -> Figures:
    """The same networks on a part of the images, at a quarter of the size."""
    return study(task, images, size, classes, shallow, deep)


SGD = {"batch_size": 128, "lr": 0.1, "weight_decay": 5e-4, "optimiser": "sgd", "warmup": 400, "workers": 4}
ADAMW = {"batch_size": 64, "lr": 5e-3, "weight_decay": 0.05, "warmup": 20}
SHORT = {**ADAMW, "classes": 2, "images": 720, "size": 8, "batch_size": 32}
ACCURACY = {
    "data": "cifar10_jpeg", "metric": "test accuracy, %", "baseline": "chance, %",
    "paper": "91.25 % (He et al. 2015, lossless CIFAR-10, 64,000 steps)",
    "short": {**SHORT, "epochs": 3, "n": 1},
}  # fmt: skip
PAIR = {
    "data": "cifar10_jpeg", "baseline": 1.0,
    "paper": "plain-56 above plain-20, ResNet-56 below ResNet-20 (He et al. 2015, lossless CIFAR-10)",
    "short": {**SHORT, "epochs": 2, "images": 480, "shallow": 1, "deep": 5},
}  # fmt: skip
RECIPES = (
    Recipe(
        name="resnet20", run=run, mark=85.0, minutes=7, device="gpu", settings=Settings(epochs=40, **SGD),
        summary="ResNet-20 (He et al. 2015) on lossy CIFAR-10, SGD, cosine schedule, crops and flips",
        **ACCURACY,
    ),
    Recipe(
        name="resnet20-small", run=small, mark=65.0, minutes=4, settings=Settings(epochs=12, **ADAMW),
        summary="ResNet-20 on 6,000 images of five classes of lossy CIFAR-10 at 16x16",
        **ACCURACY,
    ),
    Recipe(
        name="plain-against-residual", run=study, minutes=9, device="gpu",
        settings=Settings(epochs=12, **SGD),
        metric="training loss, deep plain / shallow plain", mark=1.0,
        also={"training loss, deep residual / shallow residual": ("<=", 1.0)},
        summary="56 layers against 20, with and without shortcuts (He et al. 2015), on lossy CIFAR-10",
        **PAIR,
    ),
    Recipe(
        name="plain-against-residual-small", run=small_study, minutes=3,
        settings=Settings(epochs=8, **ADAMW),
        metric="training loss, deep plain / deep residual", mark=1.3,
        also={"training loss, deep plain / shallow plain": (">=", 1.0)},
        summary="the same on 3,000 images of five classes at 8x8: 56 layers need their shortcuts",
        **PAIR,
    ),
)  # fmt: skip
