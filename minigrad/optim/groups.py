"""Parameter groups by name: other settings for the head, no weight decay for biases."""

from __future__ import annotations

from typing import Any

from ..nn.finetune import names_like
from ..nn.module import Module

__all__ = ["param_groups"]


def param_groups(model: Module, settings: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """A model's parameters in groups, by patterns of their names: what an optimiser takes for `params`.

    settings: {pattern: settings of the parameters that it names}, the patterns as in nn.freeze. A
    parameter that several name gets the settings of all, the later ones first; one that none names, the
    optimiser's own. Raises ValueError for a pattern that names nothing.

    >>> from minigrad import nn, optim
    >>> net = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    >>> groups = optim.param_groups(net, {"2": {"lr": 0.1}, "*.bias": {"weight_decay": 0.0}})
    >>> opt = optim.AdamW(groups, lr=0.01)
    >>> for group in opt.param_groups:
    ...     print(group["param_names"], group["lr"], group["weight_decay"])
    ['0.weight'] 0.01 0.01
    ['0.bias'] 0.01 0.0
    ['2.weight'] 0.1 0.01
    ['2.bias'] 0.1 0.0
    """
    if not isinstance(model, Module):
        raise TypeError(f"param_groups: expected a Module (model), got {type(model).__name__}")
    params = list(model.named_parameters())
    chosen: dict[str, dict[str, Any]] = {name: {} for name, _ in params}
    for pattern, given in settings.items():
        if not isinstance(given, dict) or "params" in given:
            raise TypeError(f"param_groups: expected a dict of settings ({pattern!r}), got {given!r}")
        for name in names_like("param_groups", chosen, pattern):
            chosen[name].update(given)
    groups: list[dict[str, Any]] = []
    for name, p in params:
        same = next((g for g in groups if _settings(g) == chosen[name]), None)
        if same is None:
            groups.append(same := {"params": [], **chosen[name]})
        same["params"].append((name, p))
    return groups


def _settings(group: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in group.items() if key != "params"}
