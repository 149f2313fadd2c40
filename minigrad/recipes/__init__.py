"""Recipes: model + data + settings + the number to reach, each runnable by `minigrad train NAME`.

A file a system (or a family of them), one function a recipe; `base.py` says what a recipe is.
"""

import json
from importlib import import_module, resources
from typing import Any

from .base import Recipe, Stopped, Task, find

# In the order of `minigrad recipes`: images, sequences, signals, graphs and sets, studies.
FILES = [
    "mlp", "knn", "lenet5", "resnet",
    "rnn_forms", "shakespeare",
    "beats",
    "cora",
    "dropout",
]  # fmt: skip

RECIPES: tuple[Recipe, ...] = tuple(
    recipe for name in FILES for recipe in import_module(f"{__name__}.{name}").RECIPES
)


def measured() -> dict[str, dict[str, Any]]:
    """The last measured run of each recipe, by "name_data": written by `python -m benchmarks.report`."""
    return json.loads(resources.files(__package__).joinpath("measured.json").read_text())


__all__ = ["RECIPES", "Recipe", "Stopped", "Task", "find", "measured"]
