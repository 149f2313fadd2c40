"""Measure recipes and keep their results: `python -m benchmarks.recipes --device cuda [NAME ...]`.

Trains each recipe that is meant for the device (or those that are named) and has no result yet, in
runs/NAME-DATA, and copies its metrics.json to benchmarks/results/recipes/NAME_DATA.json. What was
interrupted goes on; one that fails is told, and the next one runs. Then: `python -m benchmarks.report`.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.recipes_page import FOLDER, bounds, key
from minigrad.engine.backend import Device
from minigrad.listing import command
from minigrad.recipes import RECIPES, Recipe
from minigrad.runs import METRICS, Run


def chosen(device: str, names: Sequence[str], every: Sequence[Recipe], folder: Path = FOLDER) -> list[Recipe]:
    """Those of these names, else those meant for the device that have no result."""
    if lost := sorted(set(names) - {r.name for r in every}):
        raise ValueError(f"recipes: there is no {', '.join(lost)}; `minigrad recipes` lists them")
    if names:
        return [r for r in every if r.name in names]
    kind = "cpu" if device == "cpu" else "gpu"
    return [r for r in every if r.device == kind and not (folder / f"{key(r)}.json").exists()]


def measure(recipe: Recipe, device: str, runs: Path, folder: Path = FOLDER) -> str:
    """Train one, or what is left of it, and keep its metrics; a line that tells them."""
    place = runs / f"{recipe.name}-{recipe.data}"
    run = Run(recipe, place, (), device, command=command(recipe, RECIPES))
    figures = run.start()["figures"]
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(place / METRICS, folder / f"{key(recipe)}.json")
    return "; ".join(
        f"{k} {figures[k]['mean']:.4g} ({sign} {at:g})" for k, (sign, at) in bounds(recipe).items()
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="recipes; all of the device's without a result by default")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    arguments = parser.parse_args()
    _ = Device(arguments.device).xp  # a missing GPU is told at once
    failed = 0
    for recipe in chosen(arguments.device, arguments.names, RECIPES):
        print(f"{recipe.name} on {recipe.data}, about {recipe.minutes:g} minutes ...", flush=True)
        try:
            print(f"  {measure(recipe, arguments.device, arguments.runs)}", flush=True)
        except Exception as error:  # the others do not depend on it
            failed += 1
            print(f"  failed: {type(error).__name__}: {error}", flush=True)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
