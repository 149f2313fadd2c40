"""Augmentation: LeNet-5 on 1,000 images of MNIST as they are, with small distortions, and with policies.

affine       small turns, shifts, stretches and slants (Simard et al. 2003)
policy       AutoAugment's form (Cubuk et al. 2019): sub-policies of two changes, each with a probability and
             a strength; every image gets one sub-policy. Here they are drawn at random and not searched for
RandAugment  two changes, any of 14, all of one strength (Cubuk et al. 2020); some of them, such as the
             inverse above a threshold, were meant for photographs

All nets take the same number of steps and count after the last one: there are no labels to spare for a
validation set. Flips are left out; a mirrored 2 is no 2. MNIST: LeCun, Cortes and Burges, CC BY-SA 3.0.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from ..classifier import cross_entropy, score
from ..data import TensorDataset
from ..data.transforms import ColorJitter, Compose, RandAugment, RandomAffine, RandomApply, RandomChoice
from ..engine.random import Generator
from ..inspect import plots
from ..models import LeNet5
from ..train import Settings
from .base import Figures, Recipe, Task
from .digits import HIGH, LOW, load

# A change by its strength, 0 to 1. Images are 0 to 1 here, and outside is black.
CHANGES: dict[str, Callable[[float], Any]] = {
    "turn": lambda s: RandomAffine(degrees=20 * s),
    "slant": lambda s: RandomAffine(shear=20 * s),
    "move": lambda s: RandomAffine(translate=(0.12 * s, 0.12 * s)),
    "stretch": lambda s: RandomAffine(scale=(1 - 0.25 * s, 1 + 0.25 * s)),
    "contrast": lambda s: ColorJitter(contrast=0.6 * s),
    "brightness": lambda s: ColorJitter(brightness=0.6 * s),
}


def random_policy(seed: int, subpolicies: int = 10) -> RandomChoice:
    """Sub-policies of two different changes, of probabilities 0.4 to 1 and strengths 0.3 to 1."""
    rng = np.random.default_rng(seed)

    def one() -> Compose:
        names = rng.choice(list(CHANGES), 2, replace=False)
        return Compose(
            [RandomApply([CHANGES[name](rng.uniform(0.3, 1))], rng.uniform(0.4, 1)) for name in names]
        )

    return RandomChoice([one() for _ in range(subpolicies)])


def on_digits(transform: Any) -> Callable[[np.ndarray, Generator], np.ndarray]:
    """A transform of images from 0 to 1, for images between LOW and HIGH."""

    def changed(images: np.ndarray, generator: Generator) -> np.ndarray:
        plain = np.clip((images - np.float32(LOW)) / np.float32(HIGH - LOW), 0, 1)
        return np.asarray(transform(plain, generator) * np.float32(HIGH - LOW) + np.float32(LOW), np.float32)

    return changed


def run(task: Task, images: int = 1000) -> Figures:
    """Train LeNet-5 with each augmentation on the same images; test on all 10,000."""
    splits = load("mnist", task.data_dir)
    chosen = np.random.default_rng(task.seed).permutation(len(splits.train[0]))[:images]
    x, labels = (part[chosen] for part in splits.train)
    transforms: dict[str, Any] = {
        "none": None,
        "affine": on_digits(RandomAffine(degrees=12, translate=(0.07, 0.07), scale=(0.85, 1.15), shear=10)),
        "policy": on_digits(random_policy(task.seed)),
        "RandAugment": on_digits(RandAugment(2, 9)),
    }
    errors, shown, losses = {}, [], {}
    for name, transform in transforms.items():
        net = LeNet5()
        history = task.fit(net, TensorDataset(x, labels, transform=transform), cross_entropy, name=name)
        errors[name] = 100 * (1 - score(net, *splits.test)[1])
        losses[name] = [row["train_loss"] for row in history]
        shown.append(transform(x[:8], Generator(task.seed)) if transform else x[:8])
    titles = [name for name in transforms for _ in range(len(shown[0]))]
    plots.pictures(np.concatenate(shown), task.picture("augmented.png"), titles, "What the nets see")
    plots.bars(errors, task.picture("test_errors.png"), f"{images:,} images of MNIST", "wrong of 10,000, %")
    plots.lines(losses, task.picture("training_loss.png"), "Training", "epoch", "cross-entropy", log=True)
    return {
        "test error, %": errors["affine"],
        "gain, points": errors["none"] - errors["affine"],
        "gain by a random policy, points": errors["none"] - errors["policy"],
        "gain by RandAugment, points": errors["none"] - errors["RandAugment"],
        "without augmentation, %": errors["none"],
    }


RECIPES = (
    Recipe(
        name="augmentation", summary="LeNet-5 on 1,000 images with small distortions, policies, and without",
        run=run, data="mnist", metric="test error, %", mark=4.0, higher_is_better=False, baseline=88.65,
        also={"gain, points": (">=", 1), "gain by a random policy, points": (">=", 0.5)}, minutes=3, seeds=2,
        paper="none on 1,000 images; AutoAugment: 1.5 % on CIFAR-10 (Cubuk et al. 2019)",
        settings=Settings(epochs=60, batch_size=50, lr=2e-3, weight_decay=0.05),
        short={"epochs": 6, "images": 300, "batch_size": 30},
    ),
)  # fmt: skip
