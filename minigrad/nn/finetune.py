"""Freezing and fine-tuning a trained model: train all of it, freeze some, or freeze the base, one call each.

A frozen parameter gets no gradient, and what lies before the first free one is not even walked backwards.
A normalisation layer's running statistics are no parameters and would go on changing; so one that is
frozen is put in eval mode and stays there, whatever model.train() says.

An optimiser skips parameters without a gradient, so it may be made before or after.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Any

from .module import Module

__all__ = ["freeze", "freeze_base", "train_all", "unfreeze"]


def train_all(model: Module) -> Module:
    """Strategy 1: train every parameter, from where it stands. Returns the model.

    For a data set that is large, or far from what the model was trained on; with a small learning rate.
    """
    return _set(model, _everything(model), True)


def freeze(model: Module, *patterns: str) -> Module:
    """Strategy 2: freeze what the patterns name, and leave the rest as it is. Returns the model.

    A pattern is a dotted name of a parameter or of a module, which stands for all inside; * stands for any
    characters: "layer1", "conv*", "*.bias". Raises ValueError for one that names nothing.

    >>> from minigrad import nn
    >>> net = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 2))
    >>> _ = nn.freeze(net, "0", "1")
    >>> [name for name, p in net.named_parameters() if p.requires_grad]
    ['2.weight', '2.bias']
    >>> net.train()[1].training
    False
    """
    return _set(model, _named("freeze", model, patterns), False)


def unfreeze(model: Module, *patterns: str) -> Module:
    """Free what the patterns name again: freeze()'s opposite, to thaw a model from the top. Returns it."""
    return _set(model, _named("unfreeze", model, patterns), True)


def freeze_base(model: Module, *head: str) -> Module:
    """Strategy 3: train the head alone; all else only extracts features. Returns the model.

    head: patterns as in freeze(), such as "fc" or "classifier". For a small data set that is near to what
    the model was trained on.

    >>> from minigrad import nn
    >>> net = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 2))
    >>> _ = nn.freeze_base(net, "2")
    >>> [name for name, p in net.named_parameters() if p.requires_grad]
    ['2.weight', '2.bias']
    """
    free = _named("freeze_base", model, head)
    train_all(model)
    return _set(model, _everything(model) - free, False)


# ---------------------------------------------------------------- what the four are made of


def names_like(what: str, names: Iterable[str], pattern: str) -> set[str]:
    """The names that a pattern means, itself or as a module around them. ValueError if there are none."""
    if not isinstance(pattern, str):
        raise TypeError(f"{what}: expected a name or pattern, got {type(pattern).__name__}")
    names = list(names)
    found = {n for n in names if fnmatchcase(n, pattern) or fnmatchcase(n, pattern + ".*")}
    if not found:
        near = difflib.get_close_matches(pattern, names, 3, 0.3) or names[:3]
        raise ValueError(f"{what}: nothing is named {pattern!r}; there are {', '.join(near)} and others")
    return found


def _named(what: str, model: Module, patterns: tuple[str, ...]) -> set[str]:
    """Names of the parameters and modules that are meant."""
    if not isinstance(model, Module):
        raise TypeError(f"{what}: expected a Module (model), got {type(model).__name__}")
    if not patterns:
        raise ValueError(f"{what}: expected names or patterns, got none")
    names = [name for name, _ in model.named_parameters(remove_duplicate=False)]
    names += [name for name, _ in model.named_modules() if name]
    return set().union(*(names_like(what, names, pattern) for pattern in patterns))


def _everything(model: Module) -> set[str]:
    return {name for name, _ in [*model.named_parameters(remove_duplicate=False), *model.named_modules()]}


def _tracking(model: Module) -> list[tuple[str, Module]]:
    """Normalisation layers with running statistics."""
    return [(name, m) for name, m in model.named_modules() if getattr(m, "running_mean", None) is not None]


def _set(model: Module, names: set[str], free: bool) -> Module:
    """Free or freeze by full names, and the statistics of layers that now have nothing left to learn."""
    for name, p in model.named_parameters(remove_duplicate=False):
        if name in names:
            p.requires_grad_(free)
    for name, layer in _tracking(model):
        own = list(layer.parameters(recurse=False))
        if own:
            _track(layer, any(p.requires_grad for p in own), model.training)
        elif name in names:
            _track(layer, free, model.training)
    return model


def _track(layer: Module, free: bool, training: bool) -> None:
    if free and isinstance(vars(layer).get("train"), _StaysInEval):
        del vars(layer)["train"]
        layer.train(training)
    elif not free:
        vars(layer)["train"] = _StaysInEval(layer)
        layer.train()


class _StaysInEval:
    """In the place of a frozen layer's train()."""

    def __init__(self, layer: Module) -> None:
        self.layer = layer

    def __call__(self, mode: bool = True) -> Any:
        if not isinstance(mode, bool):
            raise ValueError(f"train: expected a bool (mode={mode!r})")
        self.layer.training = False
        return self.layer
