"""The training loop: epochs over a loader, validation, early stopping, checkpoints that survive anything.

Everything that the next step depends on is in `last.safetensors`: weights, optimiser, schedule, random
stream, place in the epoch, history. A run taken up from it is the run that was never interrupted, bit
for bit.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from . import optim
from .data import DataLoader
from .early_stopping import EarlyStopping
from .engine import random
from .engine.tensor import Tensor
from .io import load_checkpoint, save_checkpoint, sweep, write_atomically
from .nn import Module
from .nn.utils import clip_grad_norm_

LAST, BEST, TABLE = "last.safetensors", "best.safetensors", "metrics.csv"

# What a step minimises: the loss of a batch, alone or with figures to be told as it goes.
Loss = Callable[[Module, Any], Tensor | tuple[Tensor, dict[str, float]]]
# What an epoch is judged by: figures of the model, of which the first is the better the lower it is.
Validate = Callable[[Module], dict[str, float]]


@dataclasses.dataclass
class Settings:
    """What a run depends on, besides its data."""

    epochs: int = 20
    batch_size: int = 64
    lr: float = 1e-3
    weight_decay: float = 0.0
    optimiser: str = "adamw"  # adamw, adam or sgd (momentum 0.9)
    schedule: str = "cosine"  # of the rate over all steps: cosine (down to 0) or constant
    warmup: int = 0  # steps in which the rate rises from 0 first
    clip: float = 0.0  # largest norm of the gradient; 0: any
    patience: int = 0  # epochs without a better validation figure before stopping; 0: never
    augment: bool = True
    seed: int = 0
    workers: int = 1

    def check(self) -> None:
        """Refuse what cannot be meant, naming it."""
        for name in ("epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"settings: expected a whole number >= 1 ({name}={getattr(self, name)})")
        for name in ("lr", "weight_decay", "warmup", "clip", "patience", "seed", "workers"):
            if not getattr(self, name) >= 0 or not math.isfinite(getattr(self, name)):
                raise ValueError(f"settings: expected a number >= 0 ({name}={getattr(self, name)})")
        if self.optimiser not in ("adamw", "adam", "sgd"):
            raise ValueError(f"settings: expected adamw, adam or sgd (optimiser={self.optimiser!r})")
        if self.schedule not in ("cosine", "constant"):
            raise ValueError(f"settings: expected cosine or constant (schedule={self.schedule!r})")


class Watcher(Protocol):
    """What the loop tells as it goes: a progress bar, a log, or nothing."""

    def start(self, epoch: int, epochs: int, batches: int, done: int) -> None:
        """An epoch begins."""

    def step(self, loss: float, figures: dict[str, float], samples: int) -> None:
        """A training step is done; loss and the other figures are the epoch's so far."""

    def end(self, row: dict[str, float], best: bool) -> None:
        """An epoch is over."""


class Silent:
    """A watcher that says nothing."""

    def start(self, epoch: int, epochs: int, batches: int, done: int) -> None:
        """Nothing."""

    def step(self, loss: float, figures: dict[str, float], samples: int) -> None:
        """Nothing."""

    def end(self, row: dict[str, float], best: bool) -> None:
        """Nothing."""


class Trainer:
    """Trains a model on a data set's batches, keeping `last` and `best` in `folder`.

    data: a Dataset (collate_fn as DataLoader's). loss(model, batch): the loss, or (loss, figures).
    validate(model), once an epoch: figures, the first of which, low, makes an epoch the best; without it
    the last epoch is. parameters: groups for the optimiser. save_seconds: how often to save in an epoch.
    """

    def __init__(
        self,
        model: Module,
        data: Any,
        loss: Loss,
        validate: Validate | None,
        settings: Settings,
        folder: str | Path,
        device: str = "cpu",
        save_seconds: float = 10.0,
        notes: dict[str, Any] | None = None,
        parameters: Any = None,
        collate_fn: Callable[[list], Any] | None = None,
    ) -> None:
        settings.check()
        self.model, self.settings, self.folder, self.device = model.to(device), settings, Path(folder), device
        self.loss, self.validate = loss, validate
        self.loader = DataLoader(
            data, settings.batch_size, shuffle=True, num_workers=settings.workers, collate_fn=collate_fn,
            generator=random.Generator(settings.seed),
        )  # fmt: skip
        self.optimiser = self._optimiser(parameters if parameters is not None else model.parameters())
        self.schedule = self._schedule()
        self.history: list[dict[str, float]] = []
        self.sums: dict[str, float] = {}  # of the epoch so far, by name: figure times samples; and samples
        self.spent = 0.0
        self.save_seconds, self.notes = save_seconds, notes or {}
        self.stop = False  # set by a signal handler: finish the step, save, and leave

    def _optimiser(self, params: Any) -> optim.Optimizer:
        s = self.settings
        if s.optimiser == "sgd":
            return optim.SGD(params, s.lr, momentum=0.9, weight_decay=s.weight_decay, nesterov=True)
        return (optim.AdamW if s.optimiser == "adamw" else optim.Adam)(
            params, s.lr, weight_decay=s.weight_decay
        )

    def _schedule(self) -> optim.lr_scheduler.LRScheduler:
        """The rate of every step: risen over `warmup` steps, then as the setting says."""
        s, steps = self.settings, self.settings.epochs * len(self.loader)
        if s.schedule == "cosine" and not s.warmup:
            return optim.lr_scheduler.CosineAnnealingLR(self.optimiser, steps)

        def factor(step: int) -> float:
            if step < s.warmup:
                return (step + 1) / (s.warmup + 1)
            done = (step - s.warmup) / max(steps - s.warmup, 1)
            return 0.5 * (1 + math.cos(math.pi * done)) if s.schedule == "cosine" else 1.0

        return optim.lr_scheduler.LambdaLR(self.optimiser, factor)

    # -- the loop

    @np.errstate(over="ignore", invalid="ignore", divide="ignore")  # a run that blows up says so itself
    def fit(self, watcher: Watcher | None = None) -> bool:
        """Train to the end, to early stopping, or until `stop` is set; True if it ran to an end."""
        watcher = watcher or Silent()
        self.began = time.monotonic() - self.spent
        self.saved = time.monotonic()
        sweep(self.folder)
        if not (self.folder / LAST).exists():
            self.save(LAST)
        while len(self.history) < self.settings.epochs and not self._exhausted():
            if not self._epoch(watcher):
                self.save(LAST)
                return False
        return True

    def _epoch(self, watcher: Watcher) -> bool:
        """One epoch (or what is left of it); False if it was told to stop."""
        batches = len(self.loader)
        watcher.start(len(self.history) + 1, self.settings.epochs, batches, self.loader.position)
        self.loader.load_state_dict(self.loader.state_dict())  # an epoch begun goes on where it was left
        for batch in self.loader:
            samples = self._step(batch)
            means = self._means()
            watcher.step(means.pop("loss"), means, samples)
            if self.loader.position == 0:  # that was the last batch: save after validation, not before
                break
            if self.stop:
                return False
            if time.monotonic() - self.saved > self.save_seconds:
                self.save(LAST)
        row = self._close_epoch()
        best = self.judged is None or row[self.judged] <= min(r[self.judged] for r in self.history)
        if best:
            self.save(BEST)
        self.save(LAST)
        write_history(self.history, self.folder / TABLE)
        watcher.end(row, best)
        return not self.stop or len(self.history) >= self.settings.epochs

    def _step(self, batch: Any) -> int:
        """Forward, backward, update: the batch's size. A loss that is not finite stops before the update."""
        self.model.train()
        batch = on(batch, self.device)
        self.optimiser.zero_grad()
        result = self.loss(self.model, batch)
        loss, figures = result if isinstance(result, tuple) else (result, {})
        value = loss.item()
        if not math.isfinite(value):
            raise self._blew_up(f"the loss became {value}")
        loss.backward()
        if self.settings.clip:
            clip_grad_norm_(self.model.parameters(), self.settings.clip)
        self.optimiser.step()
        self.schedule.step()
        n = samples_in(batch)
        for name, figure in {"loss": value, **figures, "samples": 1}.items():
            self.sums[name] = self.sums.get(name, 0) + n * float(figure)
        return n

    def _means(self) -> dict[str, float]:
        """The epoch's figures so far, for one sample."""
        return {k: v / self.sums["samples"] for k, v in self.sums.items() if k != "samples"}

    def _blew_up(self, what: str) -> FloatingPointError:
        """The error for numbers that are no longer finite; nothing of them has been saved."""
        return FloatingPointError(
            f"train: {what} in epoch {len(self.history) + 1}; "
            f"the last good checkpoint is {self.folder / LAST}; try a smaller lr (now {self.settings.lr})"
        )

    def _close_epoch(self) -> dict[str, float]:
        """Validate and write the epoch's row."""
        found = self.validate(self.model) if self.validate else {}
        for name, value in found.items():
            if not math.isfinite(value):
                raise self._blew_up(f"the validation {name} became {value}")
        self.history.append(
            {
                "epoch": len(self.history) + 1,
                **{f"train_{name}": value for name, value in self._means().items()},
                **{f"val_{name}": float(value) for name, value in found.items()},
                "lr": self.optimiser.param_groups[0]["lr"],
                "seconds": time.monotonic() - self.began,
            }
        )
        self.sums = {}
        return self.history[-1]

    @property
    def judged(self) -> str | None:
        """The column that says which epoch is the best: the first validation figure."""
        return next((name for name in self.history[-1] if name.startswith("val_")), None)

    @property
    def best_row(self) -> dict[str, float]:
        """The row of the epoch whose weights are kept in `best`."""
        name = self.judged
        return min(reversed(self.history), key=lambda row: row[name]) if name else self.history[-1]

    def _exhausted(self) -> bool:
        """True if the validation figure has not improved for `patience` epochs."""
        if not self.settings.patience or not self.history or self.judged is None:
            return False
        stopper = EarlyStopping(self.settings.patience)
        for row in self.history:  # which is in every checkpoint, and with it how long was waited
            stopper.step(row[self.judged])
        return stopper.stop

    # -- checkpoints

    def save(self, name: str) -> None:
        """Write a checkpoint of everything."""
        self.spent = time.monotonic() - self.began
        state = self.optimiser.state_dict()
        tensors: dict[str, Any] = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        for key, value in tensors.items():  # a finite loss may still have a gradient that overflows
            if not np.isfinite(value.cpu().numpy()).all():
                raise self._blew_up(f"{key[6:]} is no longer finite")
        numbers: dict[str, Any] = {}
        for i, entries in state["state"].items():
            for key, value in entries.items():
                if hasattr(value, "shape"):
                    tensors[f"optimiser.{i}.{key}"] = value
                else:
                    numbers[f"{i}.{key}"] = value
        save_checkpoint(
            self.folder / name,
            tensors,
            {
                "settings": dataclasses.asdict(self.settings),
                "notes": self.notes,
                "optimiser": {"numbers": numbers, "groups": state["param_groups"]},
                "schedule": self.schedule.state_dict(),
                "random": random.get_state(),
                "loader": self.loader.state_dict(),
                "history": self.history,
                "sums": self.sums,
                "spent": self.spent,
            },
        )
        self.saved = time.monotonic()

    def resume(self) -> None:
        """Go on from `last`. Raises ValueError if it is of other settings or another model."""
        tensors, data = load_checkpoint(self.folder / LAST)
        for name in ("recipe", "data"):
            was, now = data["notes"].get(name), self.notes.get(name)
            if was != now:
                raise ValueError(f"resume: {self.folder} is a run of {name} {was!r}, not {now!r}")
        changed = [
            f"{k}={v!r} (was {data['settings'].get(k)!r})"
            for k, v in dataclasses.asdict(self.settings).items()
            if data["settings"].get(k) != v and k != "workers"
        ]
        if changed:
            raise ValueError(f"resume: the run was begun with other settings: {', '.join(changed)}")
        self.model.load_state_dict(part(tensors, "model."))
        state: dict[int, dict[str, Any]] = {}
        for name, value in [*part(tensors, "optimiser.").items(), *data["optimiser"]["numbers"].items()]:
            i, key = name.split(".", 1)
            state.setdefault(int(i), {})[key] = value
        self.optimiser.load_state_dict({"state": state, "param_groups": data["optimiser"]["groups"]})
        self.schedule.load_state_dict(data["schedule"])
        random.set_state(data["random"])
        self.loader.load_state_dict(data["loader"])
        self.history, self.sums, self.spent = data["history"], data["sums"], data["spent"]


def on(batch: Any, device: str) -> Any:
    """A batch with its tensors on a device, whatever it is built of."""
    if isinstance(batch, Tensor):
        return batch.to(device)
    if isinstance(batch, dict):
        return {name: on(value, device) for name, value in batch.items()}
    if isinstance(batch, tuple | list):
        parts = [on(value, device) for value in batch]
        return type(batch)(*parts) if hasattr(batch, "_fields") else type(batch)(parts)
    return batch


def samples_in(batch: Any) -> int:
    """The length of a batch's first tensor."""
    while isinstance(batch, tuple | list | dict) and batch:
        batch = next(iter(batch.values())) if isinstance(batch, dict) else batch[0]
    return len(batch) if getattr(batch, "ndim", 0) else 1


def write_history(history: list[dict[str, float]], path: Path) -> None:
    """The history as CSV, a row per epoch."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(history[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    write_atomically(path, text.getvalue().encode())


def part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Those whose names begin with `prefix`, without it."""
    return {name[len(prefix) :]: t for name, t in tensors.items() if name.startswith(prefix)}
