"""A run is a folder: checkpoints, metrics and pictures. What the command line does, without its words."""

from __future__ import annotations

import dataclasses
import json
import platform
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .classifier import predict
from .io import load_checkpoint, write_atomically
from .metrics import mean_and_deviation
from .recipes import RECIPES, Recipe, Task, find
from .recipes.base import Figures, unknown
from .train import BEST, LAST, TABLE, Settings, Watcher, part

ABOUT, METRICS = "run.json", "metrics.json"


def apply(
    settings: Settings, options: dict[str, Any], changes: Sequence[str]
) -> tuple[Settings, dict[str, Any]]:
    """Both with `name=value` changes; ValueError for an unknown name (with the nearest) or a bad value."""
    known = {**dataclasses.asdict(settings), **options}
    given: dict[str, Any] = {}
    for change in changes:
        name, equals, text = change.partition("=")
        if not equals:
            raise ValueError(f"--set: expected name=value, got {change!r}")
        if name not in known:
            raise ValueError(f"--set: there is no setting {unknown(name, known)}")
        given[name] = _parsed(name, text, type(known[name]))
    changed = dataclasses.replace(settings, **{k: v for k, v in given.items() if k not in options})
    changed.check()
    return changed, {k: given.get(k, v) for k, v in options.items()}


def _parsed(name: str, text: str, kind: type) -> Any:
    """Text as the setting's type."""
    words = {"true": True, "false": False, "yes": True, "no": False, "1": True, "0": False}
    try:
        return words[text.lower()] if kind is bool else kind(text)
    except (ValueError, KeyError):
        raise ValueError(f"--set: expected a value of type {kind.__name__} ({name}={text!r})") from None


class Run:
    """One run of a recipe, in its folder: every seed, then the metrics.

    changes: `name=value` for its Settings and its own options. seeds: how many, from settings.seed on.
    short: the form that the test suite runs, in seconds.
    """

    def __init__(
        self,
        recipe: Recipe,
        folder: str | Path,
        changes: Sequence[str] = (),
        device: str = "cpu",
        data_dir: str | None = None,
        command: str = "",
        seeds: int | None = None,
        short: bool = False,
        watcher: Watcher | None = None,
    ) -> None:
        self.recipe, self.folder, self.device, self.data_dir = recipe, Path(folder), device, data_dir
        self.settings, self.options = shortened(recipe) if short else (recipe.settings, recipe.options)
        self.settings, self.options = apply(self.settings, self.options, changes)
        self.seeds = [self.settings.seed + i for i in range(seeds or (1 if short else recipe.seeds))]
        self.command, self.watcher = command, watcher
        self.save_seconds = 10.0
        self.task: Task | None = None
        self.stopped = False
        self.began = time.monotonic()

    @property
    def known_by(self) -> dict[str, Any]:
        """What makes a run this one: a folder with another one is not gone on with."""
        names = {"recipe": self.recipe.name, "data": self.recipe.data, "seeds": self.seeds}
        return {**names, "settings": dataclasses.asdict(self.settings), "options": self.options}

    def begun(self) -> bool:
        """True if the folder holds a run."""
        return (self.folder / ABOUT).exists()

    def check_same(self) -> None:
        """Raise ValueError if the folder's run is another one, naming what differs."""
        was, now = read_about(self.folder), self.known_by
        for name in ("recipe", "data"):
            if was[name] != now[name]:
                raise ValueError(f"resume: {self.folder} is a run of {name} {was[name]!r}, not {now[name]!r}")
        old, new = ({**r["settings"], **r["options"], "seeds": r["seeds"]} for r in (was, now))
        changed = [
            f"{k}={v!r} (was {old.get(k)!r})" for k, v in new.items() if old.get(k) != v and k != "workers"
        ]
        if changed:
            raise ValueError(f"resume: the run was begun with other settings: {', '.join(changed)}")

    def clear(self) -> None:
        """Remove what an earlier run left in the folder: its own files only."""
        for pattern in (ABOUT, METRICS, TABLE, LAST, BEST, "*.png", "*.txt", "*.svg"):
            for path in self.folder.rglob(pattern):
                path.unlink()

    def start(self) -> dict[str, Any]:
        """Run every seed, or what is left of it; returns the metrics. Raises Stopped if interrupted."""
        spent = 0.0
        if self.begun():
            self.check_same()
            spent = read_about(self.folder)["seconds"]
        self.began = time.monotonic() - spent
        try:
            found = self.figures()
        finally:
            if self.begun():
                self._tell()
        self._tell()
        metrics = self._metrics(found)
        write_json(self.folder / METRICS, metrics)
        return metrics

    def _tell(self) -> None:
        """Write what this run is and how long it has taken, at its beginning and its end."""
        about = {**self.known_by, "command": self.command, "seconds": time.monotonic() - self.began}
        write_json(self.folder / ABOUT, about)

    def _begin(self) -> None:
        """Called by the task before it writes."""
        if not self.begun():
            self._tell()

    def figures(self) -> list[Figures]:
        """What each seed found; models that are trained already are only tested."""
        return [self._one(seed) for seed in self.seeds]

    def _one(self, seed: int) -> Figures:
        """The figures of one seed."""
        settings = dataclasses.replace(self.settings, seed=seed)
        folder = self.folder if len(self.seeds) == 1 else self.folder / f"seed-{seed}"
        notes = {"recipe": self.recipe.name, "data": self.recipe.data}
        self.task = Task(settings, folder, self.device, self.data_dir, self.watcher, notes, self._begin)
        self.task.save_seconds, self.task.stop = self.save_seconds, self.stopped
        return self.recipe.run(self.task, **self.options)

    def interrupt(self) -> None:
        """Let the step that is under way end, save, and leave `start` by Stopped."""
        self.stopped = True
        if self.task:
            self.task.interrupt()

    def _metrics(self, found: list[Figures]) -> dict[str, Any]:
        """Means over the seeds, and all that a reader needs to get them again."""
        r = self.recipe
        if r.metric not in found[0]:
            raise KeyError(f"recipe {r.name}: its run gave no {r.metric!r}, only {', '.join(found[0])}")
        figures = {name: summary([f[name] for f in found]) for name in found[0]}
        return {
            "name": r.name, "metric": r.metric, "value": figures[r.metric]["mean"], "mark": r.mark,
            "higher_is_better": r.higher_is_better, "paper": r.paper, "data": r.data,
            "device": self.device, "minutes": round((time.monotonic() - self.began) / 60, 2),
            "seeds": self.seeds, "commit": commit(), "command": self.command,
            "figures": figures, "also": {k: list(v) for k, v in r.also.items()},
            "settings": dataclasses.asdict(self.settings), "options": self.options,
            "python": platform.python_version(), "numpy": np.__version__,
            "finished": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        }  # fmt: skip


def shortened(recipe: Recipe) -> tuple[Settings, dict[str, Any]]:
    """Settings and options of the recipe's short form."""
    fields = {f.name for f in dataclasses.fields(recipe.settings)}
    settings = {k: v for k, v in recipe.short.items() if k in fields}
    options = {k: v for k, v in recipe.short.items() if k not in fields}
    return dataclasses.replace(recipe.settings, **settings), {**recipe.options, **options}


def summary(values: Sequence[float]) -> dict[str, Any]:
    """Mean, deviation (of the sample; 0 for one value) and the values."""
    mean, deviation = mean_and_deviation(values) if len(values) > 1 else (float(values[0]), 0.0)
    return {"mean": mean, "deviation": deviation, "values": [float(v) for v in values]}


def commit() -> str:
    """The commit of the source this runs from, "+" where it was changed since; "unknown" if it is none."""
    here = Path(__file__).parent
    try:
        ask = {"cwd": here, "capture_output": True, "text": True, "check": True}
        head = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], **ask).stdout.strip()  # type: ignore[call-overload]
        changed = subprocess.run(["git", "status", "--porcelain", "-uno", "."], **ask).stdout.strip()  # type: ignore[call-overload]
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head + "+" * bool(changed)


def write_json(path: Path, content: Any) -> None:
    """A JSON file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, (json.dumps(content, indent=2) + "\n").encode())


def read_about(folder: Path) -> dict[str, Any]:
    """What run a folder holds. Raises FileNotFoundError if it holds none."""
    if not (folder / ABOUT).exists():
        raise FileNotFoundError(
            f"run: {folder} holds no run; train one with `minigrad train RECIPE --out {folder}`"
        )
    return json.loads((folder / ABOUT).read_text())


def again(folder: str | Path, data_dir: str | None = None, watcher: Watcher | None = None) -> Run:
    """The run that a folder holds, as it was begun: `start()` goes on with it, or tests it again."""
    about = read_about(Path(folder))
    recipe = find(RECIPES, about["recipe"], about["data"])
    changes = [f"{k}={v}" for k, v in {**about["settings"], **about["options"]}.items()]
    return Run(
        recipe, folder, changes, data_dir=data_dir, command=about["command"], seeds=len(about["seeds"]),
        watcher=watcher,
    )  # fmt: skip


def open_classifier(folder: str | Path) -> tuple[Recipe, Any]:
    """(recipe, model with its best weights) of a run that classifies digits."""
    about = read_about(folder := Path(folder))
    recipe = find(RECIPES, about["recipe"], about["data"])
    if recipe.build is None:
        able = ", ".join(dict.fromkeys(r.name for r in RECIPES if r.build))
        raise ValueError(f"predict: {recipe.name} does not classify pictures of digits; {able} do")
    place = folder if len(about["seeds"]) == 1 else folder / f"seed-{about['seeds'][0]}"
    tensors, _ = load_checkpoint(place / (BEST if (place / BEST).exists() else LAST))
    model = recipe.build()
    model.load_state_dict(part(tensors, "model."))
    return recipe, model


def classify(model: Any, image: np.ndarray) -> list[tuple[int, float]]:
    """Classes and probabilities, the likeliest first."""
    p = predict(model, image)[0]
    return [(int(i), float(p[i])) for i in np.argsort(-p, kind="stable")]
