"""Recipes: model + data + settings + the number to reach, each runnable by `minigrad train NAME`.

A file a system (or a family of them), one function a recipe; `base.py` says what a recipe is.
"""

import json
from importlib import import_module, resources
from typing import Any

from .base import Recipe, Stopped, Task, find

# The files of each group, in the order of `minigrad recipes`.
GROUPS = {
    "images": ["mlp", "knn", "pattern", "cam", "lenet5", "resnet", "nin", "alexnet", "vgg", "googlenet",
               "resnet_cifar"],
    "sequences": [
        "rnn_forms", "adding", "dates", "sorting", "shakespeare", "reviews", "intra_attention", "tagger",
        "protein",
    ],
    "signals": ["beats", "anomaly", "fibrillation", "rhythm", "forecasting"],
    "graphs and sets": ["cora", "pointnet"],
    "studies": ["sizes", "dropout", "penalties", "stopping", "capacity", "augmentation", "transfer"],
}  # fmt: skip

BY_GROUP: dict[str, list[Recipe]] = {
    group: [recipe for name in names for recipe in import_module(f"{__name__}.{name}").RECIPES]
    for group, names in GROUPS.items()
}
RECIPES: tuple[Recipe, ...] = tuple(recipe for found in BY_GROUP.values() for recipe in found)


def measured() -> dict[str, dict[str, Any]]:
    """The last measured run of each recipe, by "name_data": written by `python -m benchmarks.report`."""
    return json.loads(resources.files(__package__).joinpath("measured.json").read_text())


__all__ = ["BY_GROUP", "RECIPES", "Recipe", "Stopped", "Task", "find", "measured"]
