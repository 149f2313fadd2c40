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
from .data import DataLoader, TensorDataset, check_finite
from .early_stopping import EarlyStopping
from .engine import random
from .engine.recording import no_grad
from .engine.tensor import Tensor
from .io import load_checkpoint, save_checkpoint, sweep, write_atomically
from .nn import CrossEntropyLoss, Module

LAST, BEST, TABLE = "last.safetensors", "best.safetensors", "metrics.csv"


@dataclasses.dataclass
class Settings:
    """What a run depends on, besides its data."""

    epochs: int = 20
    batch_size: int = 64
    lr: float = 1e-3
    weight_decay: float = 0.0
    optimiser: str = "adamw"  # adamw, adam or sgd (momentum 0.9)
    patience: int = 0  # epochs without a better validation loss before stopping; 0: never
    augment: bool = True
    seed: int = 0
    workers: int = 1

    def check(self) -> None:
        """Refuse what cannot be meant, naming it."""
        for name in ("epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"settings: expected a whole number >= 1 ({name}={getattr(self, name)})")
        for name in ("lr", "weight_decay", "patience", "seed", "workers"):
            if not getattr(self, name) >= 0 or not math.isfinite(getattr(self, name)):
                raise ValueError(f"settings: expected a number >= 0 ({name}={getattr(self, name)})")
        if self.optimiser not in ("adamw", "adam", "sgd"):
            raise ValueError(f"settings: expected adamw, adam or sgd (optimiser={self.optimiser!r})")


class Watcher(Protocol):
    """What the loop tells as it goes: a progress bar, a log, or nothing."""

    def start(self, epoch: int, epochs: int, batches: int, done: int) -> None:
        """An epoch begins."""

    def step(self, loss: float, accuracy: float, samples: int) -> None:
        """A training step is done; loss and accuracy are the epoch's so far."""

    def end(self, row: dict[str, float], best: bool) -> None:
        """An epoch is over."""


class Silent:
    """A watcher that says nothing."""

    def start(self, epoch: int, epochs: int, batches: int, done: int) -> None:
        """Nothing."""

    def step(self, loss: float, accuracy: float, samples: int) -> None:
        """Nothing."""

    def end(self, row: dict[str, float], best: bool) -> None:
        """Nothing."""


class Trainer:
    """Trains a classifier on (images, labels), keeping `last` and `best` in `folder`.

    transform is applied to training batches only. save_seconds: how often to save within an epoch.
    """

    def __init__(
        self,
        model: Module,
        train: tuple[np.ndarray, np.ndarray],
        validation: tuple[np.ndarray, np.ndarray],
        settings: Settings,
        folder: str | Path,
        transform: Callable | None = None,
        device: str = "cpu",
        save_seconds: float = 10.0,
        notes: dict[str, Any] | None = None,
    ) -> None:
        settings.check()
        check_finite("training data", train[0])
        check_finite("validation data", validation[0])
        self.model, self.settings, self.folder, self.device = model.to(device), settings, Path(folder), device
        self.validation = validation
        self.criterion = CrossEntropyLoss()
        data = TensorDataset(*train, transform=transform if settings.augment else None)
        self.loader = DataLoader(
            data, settings.batch_size, shuffle=True, num_workers=settings.workers,
            generator=random.Generator(settings.seed),
        )  # fmt: skip
        self.optimiser = self._optimiser()
        steps = settings.epochs * len(self.loader)
        self.schedule = optim.lr_scheduler.CosineAnnealingLR(self.optimiser, steps)
        self.history: list[dict[str, float]] = []
        self.sums = [0.0, 0, 0]  # loss, right answers, samples of the epoch so far
        self.spent = 0.0
        self.save_seconds, self.notes = save_seconds, notes or {}
        self.stop = False  # set by a signal handler: finish the step, save, and leave

    def _optimiser(self) -> optim.Optimizer:
        s, params = self.settings, self.model.parameters()
        if s.optimiser == "sgd":
            return optim.SGD(params, s.lr, momentum=0.9, weight_decay=s.weight_decay, nesterov=True)
        return (optim.AdamW if s.optimiser == "adamw" else optim.Adam)(
            params, s.lr, weight_decay=s.weight_decay
        )

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
        for images, labels in self.loader:
            self._step(images, labels)
            watcher.step(self.sums[0] / self.sums[2], self.sums[1] / self.sums[2], len(labels))
            if self.loader.position == 0:  # that was the last batch: save after validation, not before
                break
            if self.stop:
                return False
            if time.monotonic() - self.saved > self.save_seconds:
                self.save(LAST)
        row = self._close_epoch()
        best = row["val_loss"] <= min(r["val_loss"] for r in self.history)
        if best:
            self.save(BEST)
        self.save(LAST)
        write_history(self.history, self.folder / TABLE)
        watcher.end(row, best)
        return not self.stop or len(self.history) >= self.settings.epochs

    def _step(self, images: Tensor, labels: Tensor) -> None:
        """Forward, backward, update; a loss that is not finite stops the run before the update."""
        self.model.train()
        images, labels = images.to(self.device), labels.to(self.device)
        self.optimiser.zero_grad()
        scores = self.model(images)
        loss = self.criterion(scores, labels)
        value = loss.item()
        if not math.isfinite(value):
            raise self._blew_up(f"the loss became {value}")
        loss.backward()
        self.optimiser.step()
        self.schedule.step()
        n = len(labels)
        self.sums[0] += value * n
        self.sums[1] += int((scores.detach().argmax(1) == labels).sum())
        self.sums[2] += n

    def _blew_up(self, what: str) -> FloatingPointError:
        """The error for numbers that are no longer finite; nothing of them has been saved."""
        return FloatingPointError(
            f"train: {what} in epoch {len(self.history) + 1}; "
            f"the last good checkpoint is {self.folder / LAST}; try a smaller lr (now {self.settings.lr})"
        )

    def _close_epoch(self) -> dict[str, float]:
        """Validate and write the epoch's row."""
        val_loss, val_accuracy = score(self.model, *self.validation, device=self.device)[:2]
        if not math.isfinite(val_loss):
            raise self._blew_up(f"the validation loss became {val_loss}")
        self.history.append(
            {
                "epoch": len(self.history) + 1,
                "train_loss": self.sums[0] / self.sums[2],
                "train_accuracy": self.sums[1] / self.sums[2],
                "val_loss": val_loss,
                "val_accuracy": val_accuracy,
                "lr": self.optimiser.param_groups[0]["lr"],
                "seconds": time.monotonic() - self.began,
            }
        )
        self.sums = [0.0, 0, 0]
        return self.history[-1]

    def _exhausted(self) -> bool:
        """True if the validation loss has not improved for `patience` epochs."""
        if not self.settings.patience:
            return False
        stopper = EarlyStopping(self.settings.patience)
        for row in self.history:  # which is in every checkpoint, and with it how long was waited
            stopper.step(row["val_loss"])
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


def score(
    model: Module, images: np.ndarray, labels: np.ndarray, batch: int = 500, device: str = "cpu"
) -> tuple[float, float, np.ndarray]:
    """(mean loss, accuracy, class probabilities (N, K)) of a classifier, in eval mode."""
    probabilities = predict(model, images, batch, device)
    chosen = probabilities[np.arange(len(labels)), labels]
    loss = float(-np.log(np.maximum(chosen, 1e-30)).mean())
    return loss, float((probabilities.argmax(1) == labels).mean()), probabilities


def predict(model: Module, images: np.ndarray, batch: int = 500, device: str = "cpu") -> np.ndarray:
    """Class probabilities (N, K) in float64, in eval mode."""
    model.eval()
    rows = []
    with no_grad():
        for a in range(0, len(images), batch):
            scores = model(Tensor(images[a : a + batch]).to(device)).astype("float64")
            rows.append(scores.softmax(-1).cpu().numpy())
    return np.concatenate(rows)
