"""Averages of weights over training (EMA, SWA), and the learning rate that goes with them.

Names as in torch.optim.swa_utils.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any

from ..engine.backend import is_float, xp_of
from ..engine.node import mutated
from ..engine.recording import no_grad
from ..engine.tensor import Tensor
from ..nn.module import Module
from ..nn.norm import _BatchNorm
from .blocks import Scratch, blocks
from .lr_scheduler.base import LRScheduler, check_optimizer, per_group
from .lr_scheduler.cycles import anneal
from .optimizer import Optimizer

Many = Callable[[list[Tensor], list[Tensor], int], None]
One = Callable[[Tensor, Tensor, int], Tensor]


def _check_decay(decay: float) -> None:
    if not 0.0 <= decay <= 1.0:
        raise ValueError(f"decay: expected a number from 0 to 1 (decay={decay})")


def get_ema_multi_avg_fn(decay: float = 0.999) -> Many:
    """f(means, values, count): mean <- decay mean + (1 - decay) value for each, in place."""
    _check_decay(decay)
    scratch = Scratch()
    return lambda means, values, count: _approach(scratch, means, values, 1.0 - decay)


def get_swa_multi_avg_fn() -> Many:
    """f(means, values, count): mean <- mean + (value - mean) / (count + 1) for each, in place."""
    scratch = Scratch()
    return lambda means, values, count: _approach(scratch, means, values, 1.0 / (int(count) + 1))


def get_ema_avg_fn(decay: float = 0.999) -> One:
    """f(mean, value, count) = decay mean + (1 - decay) value."""
    _check_decay(decay)
    return lambda mean, value, count: decay * mean + (1.0 - decay) * value


def get_swa_avg_fn() -> One:
    """f(mean, value, count) = mean + (value - mean) / (count + 1)."""
    return lambda mean, value, count: mean + (value - mean) / (int(count) + 1)


def _approach(scratch: Scratch, means: list[Tensor], values: list[Tensor], weight: float) -> None:
    """mean <- mean + weight (value - mean), allocating nothing of a parameter's size."""
    for mean, value in zip(means, values, strict=True):
        if is_float(mean.dtype):
            xp = xp_of(mean._data)
            for a, b, s, _ in blocks(scratch, mean._data, value._data):
                xp.add(a, xp.multiply(xp.subtract(b, a, out=s), weight, out=s), out=a)
        else:  # a count, such as batch norm's of batches
            mean._data[...] = mean._data + (value._data - mean._data) * weight
        mutated(mean._data)


class AveragedModel(Module):
    """A copy of a model whose weights are means of the model's, over the calls of update_parameters.

    avg_fn(mean, value, count) returns the new mean; multi_avg_fn(means, values, count) changes a list of
    them in place; neither: the plain mean (SWA, Izmailov et al. 2018). get_ema_multi_avg_fn(0.999) gives the
    exponential one (Polyak & Juditsky 1992). use_buffers: average those too, where they are else copied.

    >>> import minigrad as mg
    >>> from minigrad.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
    >>> model = mg.nn.Linear(1, 1, bias=False)
    >>> mean = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.75))
    >>> for value in (0.0, 4.0):
    ...     _ = mg.nn.init.constant_(model.weight, value)
    ...     mean.update_parameters(model)
    >>> mean(mg.ones(1)).item()
    1.0
    """

    def __init__(
        self,
        model: Module,
        device: Any = None,
        avg_fn: One | None = None,
        multi_avg_fn: Many | None = None,
        use_buffers: bool = False,
    ) -> None:
        super().__init__()
        if not isinstance(model, Module):
            raise TypeError(f"AveragedModel: expected a Module (model), got {type(model).__name__}")
        if avg_fn is not None and multi_avg_fn is not None:
            raise ValueError("AveragedModel: expected one of avg_fn and multi_avg_fn, got both")
        self.module = copy.deepcopy(model)
        if device is not None:
            self.module = self.module.to(device=device)
        self.register_buffer("n_averaged", Tensor(0, device=device))
        self.avg_fn, self.multi_avg_fn, self.use_buffers = avg_fn, multi_avg_fn, use_buffers

    def forward(self, *args: Any, **kw: Any) -> Any:
        """What the averaged model computes."""
        return self.module(*args, **kw)

    def update_parameters(self, model: Module) -> None:
        """Let the model's weights, as they are now, count. The first call takes them as they are."""
        means, values = self._pairs(model, "parameters")
        buffers = self._pairs(model, "buffers")
        if self.use_buffers:
            means, values, buffers = means + buffers[0], values + buffers[1], ([], [])
        count = int(self.n_averaged.item())
        with no_grad():
            if count == 0:
                _copy(means, values)
            elif self.avg_fn is not None:
                _copy(means, [self.avg_fn(m, v, count) for m, v in zip(means, values, strict=True)])
            else:
                average = self.multi_avg_fn or get_swa_multi_avg_fn()
                for dtype in dict.fromkeys(m.dtype for m in means):
                    places = [i for i, m in enumerate(means) if m.dtype == dtype]
                    average([means[i] for i in places], [values[i] for i in places], count)
            _copy(*buffers)
        self.n_averaged._data += 1
        mutated(self.n_averaged._data)

    def _pairs(self, model: Module, what: str) -> tuple[list[Tensor], list[Tensor]]:
        """Our tensors and the model's, without their graphs, on our device."""
        ours = [t.detach() for t in getattr(self.module, what)()]
        theirs = [t.detach() for t in getattr(model, what)()]
        if [t.shape for t in ours] != [t.shape for t in theirs]:
            raise ValueError(f"AveragedModel: expected a model with the same {what} (model), got another")
        return ours, [t.to(o.device) for o, t in zip(ours, theirs, strict=True)]


def _copy(targets: list[Tensor], sources: list[Tensor]) -> None:
    for target, source in zip(targets, sources, strict=True):
        target._data[...] = source._data
        mutated(target._data)


def update_bn(loader: Iterable[Any], model: Module, device: Any = None) -> None:
    """Batch norm's running statistics anew, as plain means over a pass through `loader`.

    For averaged weights, under which the old statistics are no longer true. Of a batch that is a list or
    tuple the first entry is the input.
    """
    layers = [m for m in model.modules() if isinstance(m, _BatchNorm)]
    if not layers:
        return
    momenta, was_training = [layer.momentum for layer in layers], model.training
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None
    model.train()
    try:
        with no_grad():
            for batch in loader:
                x = batch[0] if isinstance(batch, list | tuple) else batch
                model(x if device is None else x.to(device))
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
        model.train(was_training)


class SWALR(LRScheduler):
    """From the rate in force to swa_lr within anneal_epochs, a half cosine ("cos") or a line ("linear")."""

    def __init__(
        self,
        optimizer: Optimizer,
        swa_lr: float | list[float],
        anneal_epochs: int = 10,
        anneal_strategy: str = "cos",
        last_epoch: int = -1,
    ) -> None:
        check_optimizer(self, optimizer)
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"SWALR: expected 'cos' or 'linear' (anneal_strategy={anneal_strategy!r})")
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueError(f"SWALR: expected a whole number >= 0 (anneal_epochs={anneal_epochs!r})")
        rates = per_group(self, "swa_lr", swa_lr, optimizer)
        for rate, group in zip(rates, optimizer.param_groups, strict=True):
            group["swa_lr"] = rate
        self.anneal_epochs, self._anneal_strategy = anneal_epochs, anneal_strategy
        super().__init__(optimizer, last_epoch)

    def _part(self, step: int) -> float:
        """How much of the way to swa_lr is behind after so many steps."""
        part = max(0.0, min(1.0, step / max(1, self.anneal_epochs)))
        return anneal(0.0, 1.0, part, self._anneal_strategy)

    def get_lr(self) -> list[float]:
        """Each group's rate: lr' = a swa_lr + (1 - a) lr0, with lr0 from the rate in force by the last a."""
        step = self._step_count if self.anneal_epochs else max(1, self._step_count)
        before, now = self._part(step - 1), self._part(step)
        rates = []
        for group in self.optimizer.param_groups:
            goal, lr = group["swa_lr"], group["lr"]
            start = goal if before == 1.0 else (lr - before * goal) / (1.0 - before)
            rates.append(goal * now + start * (1.0 - now))
        return rates
