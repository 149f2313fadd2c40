"""Recipes: model + data + settings + the number to expect, each runnable by `minigrad train NAME`."""

from .base import Recipe, Split, find
from .lenet5 import LENET5
from .mlp import MLP_RECIPE
from .resnet import RESNET

RECIPES: dict[str, Recipe] = {r.name: r for r in (LENET5, MLP_RECIPE, RESNET)}

__all__ = ["RECIPES", "Recipe", "Split", "find"]
