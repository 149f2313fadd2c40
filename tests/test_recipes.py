"""Recipes: the short form of each learns and leaves what it promises; and what a run is, on small ones.

Real data sets are taken from MINIGRAD_DATA, imitations (imitation.py) stand in for those that are not there.
"""

import dataclasses
import json
from functools import partial

import imitation
import numpy as np
import pytest

from minigrad import data, nn, recipes, runs
from minigrad.data import TensorDataset, files
from minigrad.nn import functional as F
from minigrad.recipes import RECIPES, Recipe, Stopped, find
from minigrad.runs import Run, again
from minigrad.train import Settings

KEYS = {
    "name", "metric", "value", "mark", "higher_is_better", "paper", "data", "device", "minutes", "seeds",
    "commit", "command",
}  # fmt: skip
WEIGHTS = {"last.safetensors", "best.safetensors"}
# Short forms of two or three seconds run in every suite, the others with --slow.
QUICK = {
    "mlp_digits", "lenet5_digits", "gcn_cora", "cora-mlp_cora", "beats-lstm_ecg5000", "forecasting_synthetic",
    "penalties_synthetic", "capacity_synthetic", "rnn-forms_synthetic", "sizes_none",
}  # fmt: skip


@pytest.fixture(scope="session")
def sets(tmp_path_factory):
    """(folder, the imitations in it)."""
    folder = tmp_path_factory.mktemp("data")
    yield folder, imitation.data_folder(folder)
    files.checksums.cache_clear()


@pytest.fixture
def data_sets(sets, monkeypatch):
    imitation.accept(monkeypatch, *sets)


@pytest.fixture(scope="module")
def imitations(tmp_path_factory):
    """A folder with an imitation of every set."""
    folder = tmp_path_factory.mktemp("imitations")
    imitation.write(folder)
    return folder


# ---------------------------------------------------------------- every recipe


def forms():
    for r in RECIPES:
        name = f"{r.name}_{r.data}"
        yield pytest.param(r, id=name, marks=[] if name in QUICK else [pytest.mark.slow])


@pytest.mark.cpu
@pytest.mark.parametrize("recipe", list(forms()))
def test_short_form_learns_and_leaves_what_people_look_at(recipe, data_sets, tmp_path, monkeypatch):
    folder = tmp_path / "run"
    metrics = Run(recipe, folder, command="minigrad train", short=True).start()
    figures = {name: found["mean"] for name, found in metrics["figures"].items()}
    baseline = figures[recipe.baseline] if isinstance(recipe.baseline, str) else recipe.baseline
    assert recipe.better(metrics["value"], baseline), figures
    assert np.isfinite(list(figures.values())).all()
    assert set(metrics) >= KEYS and json.loads((folder / "metrics.json").read_text()) == metrics
    left = {path for path in folder.rglob("*") if path.suffix in (".png", ".svg", ".txt", ".gif")}
    assert left and all(path.stat().st_size > 0 for path in left)

    monkeypatch.setattr("minigrad.train.Trainer._step", no_step)
    monkeypatch.setattr("minigrad.inspect.plots.figure._save", lambda figure, path: None)  # drawn once is enough
    whole = again(folder)
    assert whole.known_by == Run(recipe, folder, short=True).known_by
    assert whole.figures() == [pytest.approx(figures, rel=1e-12)]


def no_step(*args):
    raise AssertionError("a finished run is not trained again")


def test_recipes_are_told_apart_and_say_what_they_promise():
    names = [(r.name, r.data) for r in RECIPES]
    assert len(set(names)) == len(names)
    for r in RECIPES:
        assert r.device in ("cpu", "gpu") and r.minutes > 0 and r.seeds >= 1 and r.paper and r.summary
        assert all(sign in (">=", "<=") for sign, _ in r.also.values())
        settings = {f.name for f in dataclasses.fields(Settings)}
        assert not settings & set(r.options), "an option hides a setting"
        assert set(r.short) <= settings | set(r.options), "the short form sets what there is not"
        assert all(type(v) in (bool, int, float, str) for v in r.options.values()), "--set cannot say it"


def test_a_recipe_for_a_gpu_has_a_small_one_for_the_cpu():
    small = {r.name.removesuffix("-small") for r in RECIPES if r.device == "cpu"}
    whole = {"text-cnn-folds": "text-cnn"}  # one of the folds
    assert {whole.get(r.name, r.name) for r in RECIPES if r.device == "gpu"} <= small


# ---------------------------------------------------------------- imitations


@pytest.mark.parametrize("name", imitation.SETS)
def test_imitations_are_read_by_the_loaders(name, imitations, monkeypatch):
    imitation.accept(monkeypatch, imitations, [name])
    here = imitations / name
    if name == "mnist":
        images, labels = data.mnist(True)
        assert len(images) > 6000 and np.bincount(labels).min() > 500 and images.max() == 255
    elif name == "cifar10_jpeg":
        images, labels, lossy = data.cifar10(False)
        assert lossy and len(images) == 1000 and np.ptp(images.mean((0, 2, 3))) < 40
    elif name == "omniglot_small":
        small, shots = data.omniglot("small2"), data.omniglot_runs()
        assert len(small.images) == len(small.strokes) == 600 and 0.01 < shots.train.mean() < 0.2
    elif name == "babi_en10k":
        assert all(data.babi(task, split) for task in (1, 20) for split in ("train", "test"))
        assert len(data.babi(2)) == 400
    elif name == "ecg_cinc2017":
        ecgs = data.cinc2017("all", "v2")
        lengths = {len(record) for record in ecgs.records}
        assert lengths == {1000, 3000} and max(abs(r).max() for r in ecgs.records) < 4
    else:
        load = {
            "ud_english_ewt": partial(data.ud_english, "test"), "protein_ss_qian_sejnowski": data.protein_structure,
            "tinyshakespeare": data.tinyshakespeare, "rt_polarity": data.rt_polarity, "cora": data.cora,
            "ecg5000": data.ecg5000, "ecg200": data.ecg200,
        }[name]  # fmt: skip
        assert len(load(data_dir=here)) >= 2
    if name == "tinyshakespeare":
        assert len(set(data.tinyshakespeare("all"))) == 65


def test_an_imitation_is_not_taken_for_the_real_set(imitations):
    files.checksums.cache_clear()
    for load in (data.mnist, data.ecg5000, data.cora):
        if load is data.ecg5000:
            continue  # the archive's text has no published checksum
        with pytest.raises(ValueError, match=r"MD5|SHA-256"):
            load(data_dir=imitations)


# ---------------------------------------------------------------- a run, on a line through points


def line(task, slope=2.0, wide=False, word="x"):
    """Fit y = slope x: learns in a few steps, and has one option of each kind."""
    rng = np.random.default_rng(task.seed)
    x = rng.standard_normal((64, 1)).astype(np.float32)
    net = nn.Linear(1, 1)

    def loss(net, batch):
        return F.mse_loss(net(batch[0]), batch[1])

    def judge(net):
        return {"error": abs(float(net.weight[0, 0]) - slope)}

    history = task.fit(net, TensorDataset(x, slope * x), loss, judge)
    task.picture("weight.txt").write_text(f"{word} {float(net.weight[0, 0])}")
    return {"error": judge(net)["error"], "epochs run": len(history)}


LINE = Recipe(
    name="line", summary="a line", run=line, data="points", metric="error", mark=0.1, paper="none", minutes=1,
    higher_is_better=False, settings=Settings(epochs=4, batch_size=16, lr=0.05, workers=0), seeds=2,
    short={"epochs": 2, "slope": 1.0}, also={"epochs run": (">=", 4)},
)  # fmt: skip


@pytest.fixture
def registered(monkeypatch):
    """LINE among the recipes, where `again` and the command line find it."""
    for module in (recipes, runs):
        monkeypatch.setattr(module, "RECIPES", (*RECIPES, LINE))


def test_a_run_of_several_seeds_tells_means_and_deviations(tmp_path):
    metrics = Run(LINE, tmp_path, seeds=3, command="minigrad train line").start()
    found = metrics["figures"]["error"]
    assert metrics["seeds"] == [0, 1, 2] and len(set(found["values"])) == 3
    assert metrics["value"] == found["mean"] == pytest.approx(np.mean(found["values"]))
    assert found["deviation"] == pytest.approx(np.std(found["values"], ddof=1))
    assert sorted(p.name for p in tmp_path.iterdir() if p.is_dir()) == ["seed-0", "seed-1", "seed-2"]
    assert metrics["also"] == {"epochs run": [">=", 4]} and metrics["command"] == "minigrad train line"
    one = Run(LINE, tmp_path / "alone", ["seed=1"], seeds=1).start()
    assert one["value"] == found["values"][1] and one["figures"]["error"]["deviation"] == 0
    assert (tmp_path / "alone" / "best.safetensors").exists()  # one seed needs no folder of its own


def test_options_and_settings_are_set_by_name_and_type(tmp_path):
    run = Run(LINE, tmp_path, ["slope=3", "wide=yes", "word=a=b", "epochs=7", "lr=1e-2"])
    assert run.options == {"slope": 3.0, "wide": True, "word": "a=b"}
    assert (run.settings.epochs, run.settings.lr) == (7, 0.01) and type(run.options["slope"]) is float
    assert Run(LINE, tmp_path).options == {"slope": 2.0, "wide": False, "word": "x"}
    settled = dataclasses.replace(LINE, run=partial(line, slope=5.0))
    assert Run(settled, tmp_path).options["slope"] == 5.0  # since the short form changes it
    settled = dataclasses.replace(settled, short={"epochs": 2})
    assert "slope" not in settled.options
    for change, told in (
        ("slop=3", "did you mean 'slope'"), ("slope", "expected name=value"), ("wide=perhaps", "of type bool"),
        ("epochs=2.5", "of type int"), ("epochs=0", ">= 1"), ("optimiser=adams", "adamw, adam or sgd"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=told):
            Run(LINE, tmp_path, [change])


def test_the_short_form_changes_what_it_says_and_may_be_changed(tmp_path):
    short = Run(LINE, tmp_path, short=True)
    assert (short.settings.epochs, short.options["slope"], short.seeds) == (2, 1.0, [0])
    assert short.settings.lr == LINE.settings.lr and short.options["word"] == "x"
    changed = Run(LINE, tmp_path, ["epochs=3"], short=True, seeds=2)
    assert (changed.settings.epochs, changed.options["slope"], changed.seeds) == (3, 1.0, [0, 1])


def test_a_folder_of_other_settings_is_not_gone_on_with(tmp_path):
    Run(LINE, tmp_path, ["workers=0"]).start()
    for change, told in (
        (["epochs=5"], r"epochs=5 \(was 4\)"), (["slope=3"], r"slope=3.0 \(was 2.0\)"),
        (["seed=1"], r"seeds=\[1, 2\] \(was \[0, 1\]\)"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=told):
            Run(LINE, tmp_path, change).start()
    other = dataclasses.replace(LINE, name="curve")
    with pytest.raises(ValueError, match="a run of recipe 'line', not 'curve'"):
        Run(other, tmp_path).start()
    Run(LINE, tmp_path, ["workers=1"]).check_same()  # how batches are made is no part of what comes of them


class StopAfter:
    """A watcher that interrupts its run after so many steps."""

    def __init__(self, steps):
        self.left, self.run = steps, None

    def start(self, *args):
        pass

    def step(self, *args):
        self.left -= 1
        if self.left == 0:
            self.run.interrupt()

    def end(self, *args):
        pass


@pytest.mark.parametrize("steps", [1, 7, 16, 18, 31, 32])
def test_an_interrupted_run_comes_to_the_same_figures(tmp_path, steps, registered):
    """Two seeds of 16 steps: stopped in the first, between both, in the second, after the last."""
    whole = Run(LINE, tmp_path / "whole").start()
    watcher = StopAfter(steps)
    watcher.run = Run(LINE, tmp_path / "broken", watcher=watcher)
    if steps < 32:
        with pytest.raises(Stopped):
            watcher.run.start()
        assert not (tmp_path / "broken" / "metrics.json").exists()
    else:
        watcher.run.start()
    resumed = again(tmp_path / "broken").start()
    assert resumed["figures"] == whole["figures"] and resumed["seeds"] == whole["seeds"]
    texts = [(tmp_path / run / "seed-1" / "weight.txt").read_text() for run in ("whole", "broken")]
    assert texts[0] == texts[1]


def test_time_is_added_up_over_interruptions(tmp_path):
    Run(LINE, tmp_path).start()
    about = runs.read_about(tmp_path)
    about["seconds"] += 600
    runs.write_json(tmp_path / "run.json", about)
    assert Run(LINE, tmp_path).start()["minutes"] >= 10


def test_unknown_recipes_and_data_are_told_with_what_there_is():
    with pytest.raises(ValueError, match=r"no 'lenet', only mlp, .*did you mean 'lenet5'"):
        find(RECIPES, "lenet")
    with pytest.raises(ValueError, match="line trains on points, not on 'cora'"):
        find([LINE], "line", "cora")
    assert find(RECIPES, "lenet5").data == "digits" and find(RECIPES, "lenet5", "mnist").data == "mnist"


def test_missing_data_leave_no_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIGRAD_DATA", str(tmp_path / "empty"))
    monkeypatch.setenv("MINIGRAD_CACHE", str(tmp_path / "empty"))
    with pytest.raises(FileNotFoundError, match="cora: found neither"):
        Run(find(RECIPES, "gcn"), tmp_path / "run").start()
    assert list(tmp_path.iterdir()) == []


def test_a_metric_that_the_run_does_not_give_is_told(tmp_path):
    wrong = dataclasses.replace(LINE, metric="accuracy")
    with pytest.raises(KeyError, match="recipe line: its run gave no 'accuracy', only error, epochs run"):
        Run(wrong, tmp_path).start()


def test_clearing_takes_only_what_runs_leave(tmp_path):
    run = Run(LINE, tmp_path)
    run.start()
    (tmp_path / "notes.md").write_text("mine")
    run.clear()
    assert [p.name for p in tmp_path.rglob("*") if p.is_file()] == ["notes.md"] and not run.begun()


def test_better_is_strict_and_knows_its_direction():
    more = dataclasses.replace(LINE, higher_is_better=True)
    assert LINE.better(1, 2) and not LINE.better(2, 1) and not LINE.better(1, 1)
    assert more.better(2, 1) and not more.better(1, 1)
    assert (LINE.expected, more.expected) == ("<= 0.1", ">= 0.1")


def test_the_command_line_trains_evaluates_and_lists(registered, tmp_path, monkeypatch, capsys):
    cli = pytest.importorskip("minigrad.cli", exc_type=SystemExit)
    monkeypatch.setattr(cli, "_faster_blas", lambda: None)
    monkeypatch.setattr(cli, "_on_signals", lambda run: None)
    monkeypatch.chdir(tmp_path)

    def said(*words):
        monkeypatch.setattr("sys.argv", ["minigrad", *words])
        with pytest.raises(SystemExit) as end:
            cli.main()
        out, err = capsys.readouterr()
        return end.value.code, out + err

    code, told = said("train", "line", "--short", "--seeds", "2", "--set", "lr=0.1", "slope=0.5")
    metrics = json.loads((tmp_path / "runs" / "line-points" / "metrics.json").read_text())
    assert code == 0 and f"{metrics['value']:.6g} +-" in told and "(expected <= 0.1)" in told and "seed-1/weight.txt" in told
    assert metrics["seeds"] == [0, 1] and metrics["options"]["slope"] == 0.5 and metrics["settings"]["epochs"] == 2
    assert metrics["command"] == "minigrad train line --short --seeds 2 --set lr=0.1 slope=0.5"
    assert said("train", "line", "--short")[0] == 1  # the folder holds a run
    assert "epochs=4 (was 2)" in said("train", "line", "--resume", "--seeds", "2", "--set", "lr=0.1", "slope=0.5")[1]

    monkeypatch.setattr("minigrad.train.Trainer._step", no_step)
    code, told = said("evaluate", "runs/line-points")
    assert code == 0 and told.splitlines() == [
        f"runs/line-points: error {metrics['value']:.6g}", "runs/line-points: epochs run 2",
    ]  # fmt: skip
    (tmp_path / "runs" / "line-points" / "metrics.json").unlink()
    assert "is not finished; go on with --resume" in said("evaluate", "runs/line-points")[1]

    listed = said("recipes")[1]
    assert all(f"\n{r.name} " in listed and r.data in listed for r in RECIPES)


def test_a_folder_without_a_run_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no run"):
        again(tmp_path)
