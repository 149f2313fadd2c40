"""benchmarks/results/recipes.md: every recipe, the mark it has to reach, and what was measured.

Written by `benchmarks.report` from benchmarks/results/recipes/NAME_DATA.json (a run's metrics.json) and the
registry, with minigrad/recipes/measured.json, which `minigrad recipes` reads. The marks are the recipes',
the accounts of missed ones are minigrad/recipes/accounts.json. `problems` is what `--check` fails for.
"""

from __future__ import annotations

import dataclasses
import json
import shlex
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.harness import ROOT
from minigrad.listing import command
from minigrad.recipes import BY_GROUP, RECIPES, Recipe
from minigrad.recipes.fibrillation import PAPER as PUBLISHED

FOLDER = ROOT / "benchmarks" / "results" / "recipes"
PAGE = ROOT / "benchmarks" / "results" / "recipes.md"
MEASURED = ROOT / "minigrad" / "recipes" / "measured.json"
ACCOUNTS = ROOT / "minigrad" / "recipes" / "accounts.json"

Run = dict[str, Any]  # a metrics.json
Accounts = dict[str, dict[str, str]]  # {"NAME_DATA": {"tried": "...", "cause": "..."}}
Groups = Mapping[str, Iterable[Recipe]]

HEAD = """# What the recipes reach

Written by `python -m benchmarks.report` from the files of runs in [`recipes/`](recipes); no figure here is
typed by hand. A mark is what a recipe has to reach on its data; under *published* stands what a paper
reported, mostly on other data or with more of it. Measured figures are means over the seeds, ± their
deviation (of the sample). Any row is measured again by its command, and nothing else.
"""

COLUMNS = (
    "recipe", "data", "device", "figure", "mark", "measured", "", "minutes", "published", "run by", "commit",
)  # fmt: skip

AF = """### Atrial fibrillation beside the published table

Published: MINA's paper (Hong et al. 2019), on recordings of the 2017 challenge, split by its authors. Ours:
fibrillation against all the rest, the recordings at 100 Hz, our split; mean ± deviation over the seeds."""
AF_FIGURES = "ROC-AUC", "PR-AUC", "F1"  # in the order of the published table


def runs(folder: Path = FOLDER) -> dict[str, Run]:
    """The measured runs by "NAME_DATA"."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}


def accounts(path: Path = ACCOUNTS) -> Accounts:
    """Why a mark is missed, by "NAME_DATA": what was tried, and what is believed to be the cause."""
    return json.loads(path.read_text()) if path.exists() else {}


def key(recipe: Recipe) -> str:
    """The name of a recipe's file of results."""
    return f"{recipe.name}_{recipe.data}"


# ---------------------------------------------------------------- marks


def bounds(recipe: Recipe) -> dict[str, tuple[str, float]]:
    """What each figure has to reach, of those that have to reach something: the metric first."""
    return {recipe.metric: (">=" if recipe.higher_is_better else "<=", recipe.mark), **recipe.also}


def holds(run: Run, figure: str, bound: tuple[str, float]) -> bool:
    """True if a run's figure is at its bound or past it."""
    mean, (sign, limit) = run["figures"][figure]["mean"], bound
    return mean >= limit if sign == ">=" else mean <= limit


def reached(recipe: Recipe, run: Run) -> bool:
    """True if all of a recipe's bounds hold."""
    return all(holds(run, figure, bound) for figure, bound in bounds(recipe).items())


def problems(found: dict[str, Run], why: Accounts, groups: Groups = BY_GROUP) -> Iterator[str]:
    """What is wrong with the results: each in one line."""
    known = {key(r): r for group in groups.values() for r in group}
    for name in sorted(set(found) - set(known)):
        yield f"{name}.json is of no recipe"
    for name in sorted(set(why) - set(known)):
        yield f"accounts.json has {name}, which is no recipe"
    for name, recipe in known.items():
        if name in found:
            yield from (f"{name}.json {told}" for told in faults(recipe, found[name]))
            missed = not lacking(recipe, found[name]) and not reached(recipe, found[name])
            if missed and not all(why.get(name, {}).get(part) for part in ("tried", "cause")):
                yield f'{name} misses its mark and has no account ("tried", "cause") in accounts.json'
            if not missed and name in why:
                yield f"accounts.json has {name}, which reaches its mark"


def lacking(recipe: Recipe, run: Run) -> list[str]:
    """The figures that have a bound and were not measured."""
    return [figure for figure in bounds(recipe) if figure not in run["figures"]]


def faults(recipe: Recipe, run: Run) -> Iterator[str]:
    """In what a run is not one of its recipe as it is now."""
    if (run["name"], run["data"]) != (recipe.name, recipe.data):
        yield f"is a run of {run['name']} on {run['data']}"
    if lost := lacking(recipe, run):
        yield f"lacks {', '.join(lost)}"
    for name in ("metric", "mark", "higher_is_better"):
        if run[name] != getattr(recipe, name):
            yield f"has {name} {run[name]!r}, the recipe {getattr(recipe, name)!r}"
    if {k: tuple(v) for k, v in run["also"].items()} != {k: tuple(v) for k, v in recipe.also.items()}:
        yield f"has further marks {run['also']}, the recipe {dict(recipe.also)}"
    now = {**dataclasses.asdict(recipe.settings), **recipe.options}
    was = {**run["settings"], **run["options"]}
    if changed := [k for k in now if k in was and now[k] != was[k] and k not in ("seed", "workers")]:
        told = ", ".join(f"{k}={was[k]!r} (now {now[k]!r})" for k in changed)
        yield f"was measured with other settings: {told}"
    if len(run["seeds"]) < recipe.seeds:
        yield f"has {len(run['seeds'])} seeds, the recipe {recipe.seeds}"


# ---------------------------------------------------------------- the page


def page(found: dict[str, Run] | None = None, why: Accounts | None = None, groups: Groups = BY_GROUP) -> str:
    """The whole text."""
    found, why = runs() if found is None else found, accounts() if why is None else why
    known = {key(r): r for group in groups.values() for r in group}
    found = {k: run for k, run in found.items() if k in known and not lacking(known[k], run)}
    parts = [HEAD.rstrip(), counts(found, groups)]
    for group, recipes in groups.items():
        parts.append(f"## {group.capitalize()}\n\n{table(list(recipes), found)}")
        lines = [line for r in recipes if key(r) in found for line in remarks(r, found[key(r)], why)]
        if lines:
            parts.append("\n".join(lines))
        if published := list(fibrillation(recipes, found)):
            parts += [AF, _table(("model", "whose", *AF_FIGURES), published)]
    return "\n\n".join(parts) + "\n"


def counts(found: dict[str, Run], groups: Groups) -> str:
    """How many reach their marks, in a line."""
    recipes = [r for group in groups.values() for r in group]
    ran = [r for r in recipes if key(r) in found]
    well = sum(reached(r, found[key(r)]) for r in ran)
    waiting = [r for r in recipes if key(r) not in found]
    on_gpu = sum(r.device == "gpu" for r in waiting)
    told = f"{well} reach their mark, {len(ran) - well} miss it, {len(waiting)} not yet run"
    gpu = f" ({on_gpu} of them are meant for a GPU)" if on_gpu else ""
    return f"**{len(recipes)} recipes: {told}**{gpu}."


def table(recipes: list[Recipe], found: dict[str, Run]) -> str:
    """One group."""
    return _table(COLUMNS, [row(r, found.get(key(r))) for r in recipes])


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = (head, ("---",) * len(head), *rows)
    return "\n".join(
        f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |" for cells in lines
    )


def row(recipe: Recipe, run: Run | None) -> tuple[str, ...]:
    """One recipe, measured or not."""
    what = f"**{recipe.name}**: {recipe.summary}", recipe.data
    mark = recipe.metric, recipe.expected
    if run is None:
        told = (
            "not yet run",
            "",
            f"about {recipe.minutes:g}",
            recipe.paper,
            f"`{command(recipe, RECIPES)}`",
            "",
        )
        return *what, recipe.device, *mark, *told
    verdict = "reached" if reached(recipe, run) else "**missed**"
    value = figure(run["figures"][recipe.metric], len(run["seeds"]))
    by = f"`{asked(run['command'])}`", f"`{run['commit']}`"
    return *what, run["device"], *mark, value, verdict, f"{run['minutes']:.1f}", recipe.paper, *by


def figure(found: dict[str, Any], seeds: int) -> str:
    """A mean with its deviation over the seeds."""
    mean, deviation = found["mean"], found["deviation"]
    return f"{mean:.4g} ± {deviation:.2g} ({seeds} seeds)" if seeds > 1 else f"{mean:.4g}"


PLACES = "--out", "--data-dir"


def asked(words: str) -> str:
    """A run's command without the places of its files."""
    kept: list[str] = []
    before = ""
    for word in shlex.split(words):
        name = word.partition("=")[0]
        if name not in (*PLACES, "--resume", "--overwrite") and before not in PLACES:
            kept.append(word)
        before = word
    return shlex.join(kept)


def remarks(recipe: Recipe, run: Run, why: Accounts) -> Iterator[str]:
    """What else a run found, with the bounds of those that have one; and the account if it missed."""
    told = []
    for name, found in run["figures"].items():
        if name != recipe.metric:
            told.append(f"{name} {figure(found, 1)}{judged(recipe, run, name)}")
    if told:
        yield f"- {recipe.name} on {recipe.data}, further: {'; '.join(told)}."
    if not reached(recipe, run):
        account = why.get(key(recipe))
        text = (
            f"Tried: {account['tried']} Believed cause: {account['cause']}" if account else "No account yet."
        )
        yield f"- **{recipe.name} on {recipe.data} misses its mark.** {text}"


def judged(recipe: Recipe, run: Run, name: str) -> str:
    """A further figure's bound, and whether it holds."""
    bound = recipe.also.get(name)
    if bound is None:
        return ""
    return f" ({bound[0]} {bound[1]:g}: {'reached' if holds(run, name, bound) else '**missed**'})"


def fibrillation(recipes: Iterable[Recipe], found: dict[str, Run]) -> Iterator[tuple[str, ...]]:
    """The published table of atrial fibrillation, and under each of its models our runs of it."""
    mine = [r for r in recipes if r.name.startswith("fibrillation-")]
    for model, values in PUBLISHED.items() if mine else ():
        yield model, "published", *(f"{v:.4f}" for v in values)
        for r in mine:
            if r.name.removeprefix("fibrillation-").removesuffix("-small") == model.lower():
                run = found.get(key(r))
                cells = [""] * 3 if run is None else [af_cell(run, name) for name in AF_FIGURES]
                yield "", f"{r.name}{'' if run else ', not yet run'}", *cells


def af_cell(run: Run, name: str) -> str:
    """One of our figures of that name ("F1, at its best threshold" is F1 too)."""
    fitting = [v for k, v in run["figures"].items() if k == name or k.startswith(f"{name},")]
    return f"{fitting[0]['mean']:.4f} ± {fitting[0]['deviation']:.4f}" if fitting else ""


# ---------------------------------------------------------------- for `minigrad recipes`


def measured(found: dict[str, Run] | None = None) -> str:
    """measured.json: of each run what the command line tells."""
    found = runs() if found is None else found
    kept = ("value", "device", "minutes", "seeds", "commit", "finished", "figures")
    rows = {name: {k: run[k] for k in kept} for name, run in found.items()}
    for row in rows.values():
        row["figures"] = {
            name: {part: values[part] for part in ("mean", "deviation")}
            for name, values in row["figures"].items()
        }
    return json.dumps(rows, indent=1) + "\n"
