"""A run is a folder: checkpoints, metrics and pictures. What the command line does, without its words."""

from __future__ import annotations

import dataclasses
import json
import platform
import time
from pathlib import Path
from typing import Any

import numpy as np

from .engine import random
from .inspect import plots
from .io import load_checkpoint, write_atomically
from .recipes import RECIPES, Recipe, Split, find
from .recipes.base import as_input, augmentation, load, unknown
from .train import BEST, LAST, TABLE, Settings, Trainer, part, predict, score, write_history


def apply_settings(settings: Settings, changes: list[str]) -> Settings:
    """Settings with `name=value` changes; ValueError for an unknown name (with the nearest) or bad value."""
    types = {f.name: type(getattr(settings, f.name)) for f in dataclasses.fields(settings)}
    given: dict[str, Any] = {}
    for change in changes:
        name, equals, text = change.partition("=")
        if not equals:
            raise ValueError(f"--set: expected name=value, got {change!r}")
        if name not in types:
            raise ValueError(f"--set: there is no setting {unknown(name, types)}")
        given[name] = _parsed(name, text, types[name])
    changed = dataclasses.replace(settings, **given)
    changed.check()
    return changed


def _parsed(name: str, text: str, kind: type) -> Any:
    """Text as the setting's type."""
    words = {"true": True, "false": False, "yes": True, "no": False, "1": True, "0": False}
    try:
        return words[text.lower()] if kind is bool else kind(text)
    except (ValueError, KeyError):
        raise ValueError(f"--set: expected a value of type {kind.__name__} ({name}={text!r})") from None


class Run:
    """One training run of a recipe, in its folder."""

    def __init__(
        self,
        recipe: str,
        data: str,
        folder: str | Path,
        changes: list[str] | None = None,
        device: str = "cpu",
        data_dir: str | None = None,
        command: str = "",
    ) -> None:
        self.recipe: Recipe = find(RECIPES, recipe, data)
        self.settings = apply_settings(self.recipe.settings[data], changes or [])
        self.data, self.folder, self.device, self.command = data, Path(folder), device, command
        self.splits: Split = load(data, data_dir)
        random.manual_seed(self.settings.seed)
        notes = {"recipe": recipe, "data": data, "command": command}
        self.trainer = Trainer(
            self.recipe.build(), self.splits.train, self.splits.validation, self.settings, self.folder,
            augmentation(), device, notes=notes,
        )  # fmt: skip

    def finish(self) -> dict[str, Any]:
        """Test the best checkpoint; write metrics and pictures; return the metrics."""
        trainer = self.trainer
        tensors, _ = load_checkpoint(self.folder / BEST)
        trainer.model.load_state_dict(part(tensors, "model."))
        images, labels = self.splits.test
        loss, accuracy, probabilities = score(trainer.model, images, labels, device=self.device)
        best = min(trainer.history, key=lambda row: row["val_loss"])
        metrics = {
            "recipe": self.recipe.name, "data": self.data, "device": self.device,
            "test_accuracy": accuracy, "test_loss": loss, "test_samples": len(labels),
            "best_epoch": best["epoch"], "epochs": len(trainer.history), "val_accuracy": best["val_accuracy"],
            "train_samples": len(self.splits.train[1]), "validation_samples": len(self.splits.validation[1]),
            "parameters": sum(p.size for p in trainer.model.parameters()),
            "seconds": round(trainer.spent, 1), "expected": self.recipe.expected[self.data],
            "settings": dataclasses.asdict(self.settings), "seeds": [self.settings.seed],
            "command": self.command,
            "python": platform.python_version(), "numpy": np.__version__,
            "finished": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        }  # fmt: skip
        write_atomically(self.folder / "metrics.json", (json.dumps(metrics, indent=2) + "\n").encode())
        write_history(trainer.history, self.folder / TABLE)
        plots.learning_curves(trainer.history, self.folder / "learning_curves.png")
        plots.confusion_matrix(labels, probabilities.argmax(1), self.folder / "confusion_matrix.png")
        weights = dict(trainer.model.named_parameters())[self.recipe.first_layer]
        plots.filters(weights.detach().cpu().numpy(), self.folder / "first_layer_filters.png")
        plots.worst_mistakes(images, labels, probabilities, self.folder / "worst_mistakes.png")
        return metrics


def open_run(folder: str | Path) -> tuple[Recipe, Any, dict[str, Any]]:
    """(recipe, model with its best weights, notes) of a run's folder."""
    folder = Path(folder)
    name = BEST if (folder / BEST).exists() else LAST
    if not (folder / name).exists():
        raise FileNotFoundError(
            f"run: {folder} holds no checkpoint; train one with `minigrad train RECIPE --out {folder}`"
        )
    tensors, data = load_checkpoint(folder / name)
    notes = data.get("notes", {})
    if notes.get("recipe") not in RECIPES:
        raise ValueError(f"run: {folder / name} was not made by a recipe of this version")
    recipe = RECIPES[notes["recipe"]]
    model = recipe.build()
    model.load_state_dict(part(tensors, "model."))
    return recipe, model, notes


# How a data set's pictures were made: their side, the longest side of the ink in them, their largest value.
PICTURES = {"digits": (8, 8, 16.0), "mnist": (28, 20, 255.0)}


def read_image(path: str | Path, data: str = "digits") -> np.ndarray:
    """A picture of one digit as the recipes' (1, 1, 32, 32): dark on light or light on dark, any size.

    One that has the size of the data's own is taken as it is; others are cut to their ink and scaled to
    what the network has seen.
    """
    pixels = _grey(Path(path))
    low, high = float(pixels.min()), float(pixels.max())
    if high == low:
        raise ValueError(f"predict: {path} is blank (every value is {low:g})")
    pixels = (pixels - low) / (high - low)
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    if border.mean() > 0.5:  # dark ink on light paper; the recipes know ink as the large values
        pixels = 1.0 - pixels
    side, ink, top = PICTURES[data]
    if pixels.shape != (side, side):
        pixels = _cut(pixels, side, ink)
    return as_input(top * pixels[None], data)


def _grey(path: Path) -> np.ndarray:
    """The file's pixels (H, W) as float64."""
    if not path.is_file():
        raise FileNotFoundError(f"predict: there is no file {path}")
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError:
        raise ImportError("predict: needs Pillow; pip install 'minigrad[train]'") from None
    try:
        if path.suffix == ".npy":
            pixels = np.load(path)
        else:  # what shows through a transparent picture is white paper
            picture = Image.open(path).convert("RGBA")
            paper = Image.new("RGBA", picture.size, "white")
            pixels = np.asarray(Image.alpha_composite(paper, picture).convert("L"))
        pixels = np.asarray(pixels, np.float64).squeeze()
    except (UnidentifiedImageError, OSError, ValueError, EOFError, SyntaxError, TypeError) as error:
        raise ValueError(f"predict: {path} cannot be read as an image ({error})") from None
    if pixels.ndim != 2 or min(pixels.shape) < 2:
        raise ValueError(f"predict: expected one grey image (H, W), got shape {pixels.shape}")
    if not np.isfinite(pixels).all():
        raise ValueError("predict: the image holds NaN or infinite values")
    return pixels


def _cut(pixels: np.ndarray, side: int, ink: int) -> np.ndarray:
    """Cut to the ink, which is scaled to `ink` and set into (side, side) by its centre of mass."""
    from PIL import Image

    rows, columns = np.nonzero(pixels.max(1) > 0.25)[0], np.nonzero(pixels.max(0) > 0.25)[0]
    pixels = pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    size = [max(1, round(n * ink / max(pixels.shape))) for n in pixels.shape]
    picture = Image.fromarray(np.round(255 * pixels).astype(np.uint8))
    small = np.asarray(picture.resize(size[::-1], Image.Resampling.BOX), np.float64) / 255
    at = []
    for axis, n in enumerate(size):
        centre = small.sum(1 - axis) @ (np.arange(n) + 0.5) / small.sum()
        at.append(min(max(0, round(side / 2 - centre)), side - n))
    frame = np.zeros((side, side))
    frame[at[0] : at[0] + size[0], at[1] : at[1] + size[1]] = small
    return frame


def classify(model: Any, image: np.ndarray) -> list[tuple[int, float]]:
    """Classes and probabilities, the likeliest first."""
    p = predict(model, image)[0]
    return [(int(i), float(p[i])) for i in np.argsort(-p, kind="stable")]
