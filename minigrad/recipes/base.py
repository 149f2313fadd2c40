"""What a recipe is: one function that trains a system, and what is known of its result."""

from __future__ import annotations

import dataclasses
import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from ..classifier import classifier
from ..engine import random
from ..io import load_checkpoint
from ..nn import Module
from ..train import BEST, LAST, Loss, Settings, Silent, Trainer, Validate, Watcher, part

__all__ = ["Figures", "Recipe", "Stopped", "Task", "find", "unknown"]

Figures = dict[str, float]  # what a run found, by name with its unit: {"test accuracy, %": 81.5}


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A system, its data, and the number it has to reach.

    run(task, option=default, ...) trains, tests and draws; its keyword arguments are the recipe's own
    options, set like the Settings: `--set hidden=32`. It is called once a seed, with everything seeded.
    """

    name: str
    summary: str
    run: Callable[..., Figures]
    data: str
    metric: str  # the figure that is held to the mark; its mean over the seeds
    mark: float
    paper: str  # what was published, where, on what data
    minutes: float  # all seeds, on the device
    settings: Settings = dataclasses.field(default_factory=Settings)
    higher_is_better: bool = True
    device: str = "cpu"  # what the mark is meant for: "cpu" (two cores) or "gpu"
    seeds: int = 1
    also: Mapping[str, tuple[str, float]] = dataclasses.field(default_factory=dict)  # {figure: (">=", 10)}
    short: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # what differs in the short form
    baseline: float | str = 0.0  # what the short form has to beat: a number, or one of its figures
    build: Callable[[], Module] | None = None  # classifiers of digits: what `minigrad predict` loads

    @property
    def options(self) -> dict[str, Any]:
        """The recipe's own options and their defaults; what `partial` has set is settled.

        Except what the short form changes: that is an option with partial's value for its default.
        """
        arguments = list(inspect.signature(self.run).parameters.values())[1:]
        settled = set(getattr(self.run, "keywords", {})) - set(self.short)
        return {a.name: a.default for a in arguments if a.name not in settled}

    @property
    def expected(self) -> str:
        """The mark in words: ">= 97.5"."""
        return f"{'>=' if self.higher_is_better else '<='} {self.mark:g}"

    def better(self, value: float, other: float) -> bool:
        """True if a value is strictly better than another."""
        return value > other if self.higher_is_better else value < other


class Stopped(Exception):
    """The run was told to stop; its folder holds all that going on needs."""


class Task:
    """One run of a recipe with one seed: what its function is given."""

    def __init__(
        self,
        settings: Settings,
        folder: str | Path,
        device: str = "cpu",
        data_dir: str | Path | None = None,
        watcher: Watcher | None = None,
        notes: dict[str, Any] | None = None,
        begin: Callable[[], None] = lambda: None,
    ) -> None:
        self.begin = begin  # called before anything is written: bad data or options leave no folder behind
        self.settings, self.folder, self.device = settings, Path(folder), device
        self.data_dir, self.watcher, self.notes = data_dir, watcher or Silent(), notes or {}
        self.trainers: list[Trainer] = []
        self.save_seconds = 10.0
        self.stop = False
        random.manual_seed(settings.seed)

    @property
    def seed(self) -> int:
        """The seed, for data that are drawn and for splits."""
        return self.settings.seed

    def picture(self, name: str) -> Path:
        """Where a picture of that name goes."""
        self.begin()
        self.folder.mkdir(parents=True, exist_ok=True)
        return self.folder / name

    def fit(
        self,
        model: Module,
        data: Any,
        loss: Loss | None = None,
        validate: Validate | tuple[Any, Any] | None = None,
        name: str = "",
        transform: Callable | None = None,
        parameters: Any = None,
        collate_fn: Callable[[list], Any] | None = None,
        **changes: Any,
    ) -> list[dict[str, float]]:
        """Train, or take up what the folder holds; the model gets its best weights. Returns the history.

        With (inputs, labels) for data and validate and no loss it trains a classifier. name: a folder in
        the run's folder, for recipes that train more than one model. changes: of the settings.
        """
        settings = dataclasses.replace(self.settings, **changes)
        folder = self.folder / name
        common: dict[str, Any] = {
            "device": self.device, "save_seconds": self.save_seconds, "notes": self.notes,
            "parameters": parameters,
        }  # fmt: skip
        if loss is None:
            trainer = classifier(model, data, validate, settings, folder, transform, **common)  # type: ignore[arg-type]
        else:
            trainer = Trainer(model, data, loss, validate, settings, folder, collate_fn=collate_fn, **common)  # type: ignore[arg-type]
        self.trainers.append(trainer)
        self.begin()
        if (folder / LAST).exists():
            trainer.resume()
        trainer.stop = self.stop
        if not trainer.fit(self.watcher):
            raise Stopped
        tensors, _ = load_checkpoint(folder / BEST)
        model.load_state_dict(part(tensors, "model."))
        return trainer.history

    def interrupt(self) -> None:
        """Stop after the step that is under way, with everything saved."""
        self.stop = True
        for trainer in self.trainers:
            trainer.stop = True


def unknown(name: str, known: Iterable[str]) -> str:
    """The end of an error: the name, what there is, and what was perhaps meant."""
    near = difflib.get_close_matches(name, known := list(known), 1)
    return f"{name!r}, only {', '.join(known)}" + (f"; did you mean {near[0]!r}?" if near else "")


def find(recipes: Iterable[Recipe], name: str, data: str | None = None) -> Recipe:
    """The recipe by its name, for that data (by default its first); ValueError with the nearest name."""
    recipes = list(recipes)
    named = [r for r in recipes if r.name == name]
    if not named:
        raise ValueError(f"recipe: there is no {unknown(name, dict.fromkeys(r.name for r in recipes))}")
    fitting = [r for r in named if data in (None, r.data)]
    if not fitting:
        raise ValueError(f"recipe: {name} trains on {', '.join(r.data for r in named)}, not on {data!r}")
    return fitting[0]
