"""The page of the recipes' results: what it says of each, what it refuses, and that it is up to date."""

import dataclasses
import json

import pytest

from benchmarks import recipes as measuring
from benchmarks import recipes_page as pages
from benchmarks import report
from minigrad.recipes import BY_GROUP, Recipe
from minigrad.train import Settings


def nothing(task, width=3):
    return {}


A = Recipe(
    name="a", summary="a system", run=nothing, data="points", metric="accuracy, %", mark=90, paper="91 % (B 1999)",
    minutes=2, settings=Settings(epochs=3), seeds=2, also={"gain": (">=", 1)},
)  # fmt: skip
B = dataclasses.replace(A, name="b", device="gpu", metric="loss", mark=0.5, higher_is_better=False, also={})
GROUPS = {"images": [A], "studies": [B]}


def run_of(recipe, value, **changes):
    figures = {recipe.metric: value, "gain": 1.5, "other": 7.0}
    return {
        "name": recipe.name, "data": recipe.data, "metric": recipe.metric, "value": value, "mark": recipe.mark,
        "higher_is_better": recipe.higher_is_better, "also": {k: list(v) for k, v in recipe.also.items()},
        "paper": recipe.paper, "device": recipe.device, "minutes": 1.96, "seeds": [0, 1], "commit": "abc123",
        "command": "minigrad train a --out '/some where/x' --data-dir=/y", "finished": "2026-01-01",
        "settings": dataclasses.asdict(recipe.settings), "options": recipe.options,
        "figures": {k: {"mean": v, "deviation": 0.25, "values": [v, v]} for k, v in figures.items()},
    } | changes  # fmt: skip


def rows(text):
    """The table rows of recipes, by the name in bold."""
    found = [[c.strip() for c in line.split(" | ")] for line in text.splitlines() if line.startswith("| **")]
    return {cells[0].split("**")[1]: cells for cells in found}


def test_what_is_not_measured_says_so_with_its_command():
    text = pages.page({}, {}, GROUPS)
    assert "**2 recipes: 0 reach their mark, 0 miss it, 2 not yet run** (1 of them are meant for a GPU)." in text
    found = rows(text)
    assert found["a"][5] == found["b"][5] == "not yet run" and found["a"][9] == "`minigrad train a`"
    assert found["b"][9] == "`minigrad train b --device cuda`" and found["b"][4] == "<= 0.5"
    assert text.index("## Images") < text.index("**a**") < text.index("## Studies") < text.index("**b**")
    assert list(pages.problems({}, {}, GROUPS)) == []


def test_a_measured_row_holds_every_figure_of_the_run():
    text = pages.page({"a_points": run_of(A, 92.4)}, {}, GROUPS)
    told = rows(text)["a"][1:]
    assert told[:3] == ["points", "cpu", "accuracy, %"] and told[3:5] == [">= 90", "92.4 ± 0.25 (2 seeds)"]
    assert told[5:] == ["reached", "2.0", "91 % (B 1999)", "`minigrad train a`", "`abc123` |"]
    assert "- a on points, further: gain 1.5 (>= 1: reached); other 7." in text
    assert "1 reach their mark, 0 miss it, 1 not yet run" in text


def test_every_row_has_as_many_cells_as_the_head():
    pipe = dataclasses.replace(A, summary="H(Y|X)")
    lines = pages.table([pipe, B], {"b_points": run_of(B, 0.4)}).splitlines()
    assert {line.replace("\\|", "").count("|") for line in lines} == {len(pages.COLUMNS) + 1}


@pytest.mark.parametrize(("recipe", "value", "well"), [(A, 90.0, True), (A, 89.9, False), (B, 0.5, True), (B, 0.51, False)])
def test_a_mark_is_reached_at_it_and_past_it(recipe, value, well):
    name = pages.key(recipe)
    run = run_of(recipe, value)
    assert pages.reached(recipe, run) is well and (rows(pages.page({name: run}, {}, GROUPS))[recipe.name][6] == "reached") is well
    assert list(pages.problems({name: run}, {}, GROUPS)) == (
        [] if well else [f'{name} misses its mark and has no account ("tried", "cause") in accounts.json']
    )


def test_a_further_bound_counts_too():
    run = run_of(A, 99.0)
    run["figures"]["gain"]["mean"] = 0.5
    assert not pages.reached(A, run)
    text = pages.page({"a_points": run}, {}, GROUPS)
    assert rows(text)["a"][6] == "**missed**" and "gain 0.5 (>= 1: **missed**)" in text


def test_a_missed_mark_needs_an_account_and_a_reached_one_none():
    missed = {"a_points": run_of(A, 80.0)}
    why = {"a_points": {"tried": "More epochs.", "cause": "Little data."}}
    assert "Tried: More epochs. Believed cause: Little data." in pages.page(missed, why, GROUPS)
    assert list(pages.problems(missed, why, GROUPS)) == []
    assert list(pages.problems(missed, {"a_points": {"tried": "More epochs.", "cause": ""}}, GROUPS))
    assert "No account yet." in pages.page(missed, {}, GROUPS)
    assert list(pages.problems({"a_points": run_of(A, 95.0)}, why, GROUPS)) == ["accounts.json has a_points, which reaches its mark"]
    assert list(pages.problems({}, {"c_points": {}}, GROUPS)) == ["accounts.json has c_points, which is no recipe"]


FAULTS = [
    ({"mark": 80}, "has mark 80, the recipe 90"),
    ({"higher_is_better": False}, "has higher_is_better False"),
    ({"also": {}}, "has further marks {}"),
    ({"metric": "loss"}, "has metric 'loss'"),
    ({"data": "lines"}, "is a run of a on lines"),
    ({"seeds": [0]}, "has 1 seeds, the recipe 2"),
    ({"options": {"width": 9}}, "was measured with other settings: width=9 (now 3)"),
    ({"settings": {"epochs": 1, "seed": 5, "workers": 9}}, "was measured with other settings: epochs=1 (now 3)"),
    ({"figures": {"accuracy, %": {"mean": 95.0, "deviation": 0.0}}}, "lacks gain"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "told"), FAULTS, ids=[told for _, told in FAULTS])
def test_a_result_of_another_recipe_is_refused(changes, told):
    [problem] = pages.problems({"a_points": run_of(A, 95.0, **changes)}, {}, GROUPS)
    assert problem.startswith("a_points.json ") and told in problem
    assert "| **a**" in pages.page({"a_points": run_of(A, 95.0, **changes)}, {}, GROUPS)


def test_a_result_of_no_recipe_is_refused():
    assert list(pages.problems({"c_points": run_of(A, 95.0)}, {}, GROUPS)) == ["c_points.json is of no recipe"]


def test_the_published_table_of_fibrillation_stands_beside_ours():
    mina = dataclasses.replace(A, name="fibrillation-mina", also={}, metric="ROC-AUC", mark=0.9)
    small = dataclasses.replace(mina, name="fibrillation-mina-small")
    run = run_of(small, 0.91)
    for name, value in (("ROC-AUC", 0.91), ("PR-AUC", 0.8), ("F1", 0.7)):
        run["figures"][name] = {"mean": value, "deviation": 0.01}
    text = pages.page({"fibrillation-mina-small_points": run}, {}, {"signals": [mina, small]})
    assert "| MINA | published | 0.9488 | 0.9436 | 0.8342 |" in text
    assert "|  | fibrillation-mina, not yet run |  |  |  |" in text
    assert "|  | fibrillation-mina-small | 0.9100 ± 0.0100 | 0.8000 ± 0.0100 | 0.7000 ± 0.0100 |" in text
    assert "MINA" not in pages.page({}, {}, GROUPS)


def test_what_the_command_line_tells_is_written_from_the_same_runs():
    told = json.loads(pages.measured({"a_points": run_of(A, 92.4)}))
    assert told["a_points"]["value"] == 92.4 and told["a_points"]["seeds"] == [0, 1]
    assert told["a_points"]["figures"]["gain"] == {"mean": 1.5, "deviation": 0.25}


def test_the_check_fails_and_writes_nothing_where_results_are_not_in_order(monkeypatch, capsys):
    monkeypatch.setattr(pages, "accounts", lambda: {"c_points": {}})
    monkeypatch.setattr("sys.argv", ["report", "--check"])
    monkeypatch.setattr("pathlib.Path.write_text", None)
    assert report.main() == 1 and "accounts.json has c_points, which is no recipe\n" in capsys.readouterr().err
    assert {pages.PAGE, pages.MEASURED} < set(report.texts())


def test_committed_results_are_in_order():
    assert list(pages.problems(pages.runs(), pages.accounts(), BY_GROUP)) == []


def fit(task, value=95.0):
    from minigrad import nn

    task.fit(nn.Linear(1, 1), [0], lambda net, _: net.weight.sum())
    return {"accuracy, %": value, "gain": 2.0}


def test_recipes_without_a_result_are_measured_and_kept(tmp_path):
    c = dataclasses.replace(A, name="c", run=fit, settings=Settings(epochs=1, workers=0))
    assert measuring.chosen("cpu", [], [A, B, c], tmp_path) == [A, c] and measuring.chosen("cuda", [], [A, B]) == [B]
    told = measuring.measure(c, "cpu", tmp_path / "runs", tmp_path / "results")
    assert told == "accuracy, % 95 (>= 90); gain 2 (>= 1)"
    kept = pages.runs(tmp_path / "results")
    assert kept["c_points"]["command"] == "minigrad train c" and kept["c_points"]["seeds"] == [0, 1]
    assert list(pages.problems(kept, {}, {"images": [c]})) == []
    assert measuring.chosen("cpu", [], [A, B, c], tmp_path / "results") == [A]
    assert measuring.chosen("cpu", ["c"], [A, B, c], tmp_path / "results") == [c]
    with pytest.raises(ValueError, match="no d; `minigrad recipes` lists them"):
        measuring.chosen("cpu", ["d"], [A, B])
