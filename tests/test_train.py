"""The training loop and its checkpoints: what survives a kill, and that a resumed run is the same run."""

import errno
import json
import os
import random as python_random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.classifier import classifier, score
from minigrad.io import load_checkpoint, save_checkpoint, write_atomically
from minigrad.recipes import RECIPES, find
from minigrad.recipes.digits import load
from minigrad.runs import Run, apply, open_classifier
from minigrad.train import BEST, LAST, Settings, Silent


class TinyNet(nn.Module):
    """A model with every kind of state: weights, running statistics, dropout's randomness."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Flatten(), nn.Linear(16, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Dropout(0.2), nn.Linear(12, 3)
        )

    def forward(self, x):
        return self.net(x)


def tiny_data(n=60):
    rng = np.random.default_rng(0)
    images = rng.normal(size=(n, 1, 4, 4)).astype(np.float32)
    labels = (images[:, 0, 0, :3].argmax(1)).astype(np.int64)
    return images, labels


def noise(images, generator):
    return images + generator.standard_normal(images.shape, np.float32) * np.float32(0.1)


def trainer(folder, **settings):
    mg.manual_seed(0)
    settings = Settings(**{"epochs": 3, "batch_size": 8, "workers": 0, **settings})
    return classifier(TinyNet(), tiny_data(), tiny_data(30), settings, folder, noise, save_seconds=0.0)


def weights(folder, name=LAST):
    tensors, data = load_checkpoint(folder / name)
    return {k: t.cpu().numpy() for k, t in tensors.items()}, data


def same(a, b):
    return a.keys() == b.keys() and all((a[k] == b[k]).all() for k in a)


class StopAfter(Silent):
    """Tells the loop to stop after so many steps, as Ctrl-C does."""

    def __init__(self, loop, steps):
        self.loop, self.left = loop, steps

    def step(self, loss, figures, samples):
        self.left -= 1
        self.loop.stop = self.left <= 0


@pytest.mark.parametrize("optimiser", ["adamw", "sgd"])
@pytest.mark.parametrize("steps", [1, 5, 8, 13, 21])
def test_a_resumed_run_equals_the_uninterrupted_one_bit_for_bit(tmp_path, steps, optimiser):
    whole = trainer(tmp_path / "whole", optimiser=optimiser)
    assert whole.fit()
    broken = trainer(tmp_path / "broken", optimiser=optimiser)
    assert not broken.fit(StopAfter(broken, steps))
    again = trainer(
        tmp_path / "broken", optimiser=optimiser, workers=2
    )  # workers may differ: the order may not
    mg.manual_seed(99)
    again.resume()
    assert again.fit()
    for name in (LAST, BEST):
        a, data_a = weights(tmp_path / "whole", name)
        b, data_b = weights(tmp_path / "broken", name)
        assert same(a, b)
        for row_a, row_b in zip(data_a["history"], data_b["history"], strict=True):
            assert {**row_a, "seconds": 0} == {**row_b, "seconds": 0}


def test_it_learns_and_stops_early(tmp_path):
    run = trainer(tmp_path, epochs=60, patience=4, lr=0.02)
    assert run.fit()
    losses = [row["val_loss"] for row in run.history]
    assert len(losses) < 60 and int(np.argmin(losses)) == len(losses) - 5
    tensors, _ = load_checkpoint(tmp_path / BEST)
    best = TinyNet()
    best.load_state_dict({k[6:]: t for k, t in tensors.items() if k.startswith("model.")})
    assert score(best, *tiny_data(30))[0] == min(losses)
    assert min(losses) < 0.5 * np.log(3)


def test_what_cannot_be_trained_is_refused_before_anything_is_written(tmp_path):
    images, labels = tiny_data()
    images[7, 0, 1, 2] = np.nan
    with pytest.raises(
        ValueError, match=r"training data: expected finite numbers, got nan at index \(7, 0, 1, 2\)"
    ):
        classifier(TinyNet(), (images, labels), tiny_data(9), Settings(), tmp_path)
    with pytest.raises(ValueError, match=r"epochs=0"):
        trainer(tmp_path, epochs=0)
    assert not list(tmp_path.iterdir())


def test_a_loss_that_explodes_stops_and_keeps_the_last_good_checkpoint(tmp_path):
    run = trainer(tmp_path, lr=1e-2)
    run.fit(StopAfter(run, 3))
    before, _ = weights(tmp_path)
    run.model.net[1].weight.data[0, 0] = np.inf
    run.stop = False
    with pytest.raises(FloatingPointError, match="the loss became"), np.errstate(all="ignore"):
        run.fit()
    assert same(before, weights(tmp_path)[0])


@pytest.mark.parametrize("at", [3, 8])
def test_weights_that_stop_being_finite_are_never_saved(tmp_path, at):
    """The loss may be finite and its gradient not: the damage shows one step later, after a checkpoint."""
    run = trainer(tmp_path, optimiser="sgd")
    step, done = run._step, []

    def overflowing(batch):
        samples = step(batch)
        done.append(1)
        if len(done) == at:
            run.model.net[1].weight.data[0, 0] = np.inf
        return samples

    run._step = overflowing
    with pytest.raises(FloatingPointError, match=r"is no longer finite|the validation loss became nan"):
        run.fit()
    assert all(np.isfinite(w).all() for w in weights(tmp_path)[0].values())


def test_the_table_has_a_row_per_epoch_while_the_run_goes_on_and_after_a_resume(tmp_path):
    run = trainer(tmp_path)
    run.fit(StopAfter(run, 13))  # in the second epoch
    assert len((tmp_path / "metrics.csv").read_text().splitlines()) == 1 + 1
    again = trainer(tmp_path)
    again.resume()
    again.fit()
    rows = (tmp_path / "metrics.csv").read_text().splitlines()
    assert [r.split(",")[0] for r in rows] == ["epoch", "1", "2", "3"]


def test_what_a_killed_process_left_unfinished_is_swept_up(tmp_path):
    left = tmp_path / f".{LAST}.abc123.part"
    left.write_bytes(b"half")
    mine = tmp_path / "notes.part"
    mine.write_bytes(b"mine")
    trainer(tmp_path, epochs=1).fit()
    assert not left.exists() and mine.exists()


def test_resuming_a_run_of_other_data_or_another_recipe_is_refused(tmp_path):
    run = trainer(tmp_path)
    run.notes = {"recipe": "mlp", "data": "digits"}
    run.fit(StopAfter(run, 2))
    for notes, told in (
        ({"recipe": "mlp", "data": "mnist"}, "is a run of data 'digits', not 'mnist'"),
        ({"recipe": "lenet5", "data": "digits"}, "is a run of recipe 'mlp', not 'lenet5'"),
    ):
        other = trainer(tmp_path)
        other.notes = notes
        with pytest.raises(ValueError, match=told):
            other.resume()


def test_resuming_with_other_settings_is_refused(tmp_path):
    run = trainer(tmp_path)
    run.fit(StopAfter(run, 2))
    with pytest.raises(ValueError, match=r"begun with other settings: lr=0.5 \(was 0.001\)"):
        trainer(tmp_path, lr=0.5).resume()


# ---------------------------------------------------------------- checkpoint files


def test_a_checkpoint_holds_every_dtype_and_shape(tmp_path):
    tensors = {
        "a": mg.randn(2, 3), "b": mg.tensor(np.array(3.5)), "c": mg.arange(4),
        "d": mg.zeros(0, 2, dtype="float16"), "e": np.array([True, False]),
        "f": np.arange(6.0).reshape(2, 3).T,
    }  # fmt: skip
    save_checkpoint(tmp_path / "x.safetensors", tensors, {"epoch": 3, "nested": {"rate": 0.1}})
    found, data = load_checkpoint(tmp_path / "x.safetensors")
    assert data == {"epoch": 3, "nested": {"rate": 0.1}}
    for name, t in tensors.items():
        raw = getattr(t, "data", t) if isinstance(t, mg.Tensor) else t
        assert (
            found[name].shape == raw.shape
            and found[name].dtype == raw.dtype
            and (found[name].cpu().numpy() == raw).all()
        )


def test_a_damaged_file_is_told_never_believed(tmp_path):
    path = tmp_path / "x.safetensors"
    save_checkpoint(path, {"w": np.arange(1000.0)}, {"epoch": 3})
    whole = path.read_bytes()
    rng = python_random.Random(0)
    for _ in range(60):
        at = rng.randrange(len(whole))
        damaged = (
            whole[:at] if rng.random() < 0.5 else whole[:at] + bytes([whole[at] ^ 0x41]) + whole[at + 1 :]
        )
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="damaged"):
            load_checkpoint(path)
    with pytest.raises(FileNotFoundError, match="there is no file"):
        load_checkpoint(tmp_path / "none")


@pytest.mark.parametrize("call", ["write", "fsync", "replace"])
def test_a_full_disk_leaves_the_old_file_and_no_rubbish(tmp_path, monkeypatch, call):
    path = tmp_path / "x"
    write_atomically(path, b"old")

    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    if call == "write":
        monkeypatch.setattr(os, "fdopen", full)
    else:
        monkeypatch.setattr(os, call, full)
    with pytest.raises(OSError, match=r"cannot write .*: the disk is full; the old file is untouched"):
        write_atomically(path, b"new" * 1000)
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


def test_state_dict_faults_are_told_all_at_once_and_change_nothing(tmp_path):
    model = TinyNet()
    before = {k: v.cpu().numpy().copy() for k, v in model.state_dict().items()}
    state = model.state_dict()
    state["net.1.weight"] = mg.zeros(3, 3)
    state["extra"] = state.pop("net.5.bias")
    with pytest.raises(ValueError) as error:
        model.load_state_dict(state)
    for part in ("net.1.weight expected (12, 16), got (3, 3)", "missing: net.5.bias", "extra: extra"):
        assert part in str(error.value)
    assert all((model.state_dict()[k].cpu().numpy() == v).all() for k, v in before.items())


# ---------------------------------------------------------------- whole runs, killed


def test_settings_are_parsed_and_checked():
    words = ["lr=0.1", "epochs=3", "augment=no", "optimiser=sgd", "hidden=7"]
    changed, options = apply(Settings(), {"hidden": 4, "words": "all"}, words)
    assert (changed.lr, changed.epochs, changed.augment, changed.optimiser) == (0.1, 3, False, "sgd")
    assert options == {"hidden": 7, "words": "all"}
    for change, told in (
        ("epoch=3", "did you mean 'epochs'"),
        ("lr", "name=value"),
        ("lr=fast", "type float"),
        ("lr=-1", "lr=-1"),
        ("epochs=1.5", "type int"),
        ("lr=nan", "lr=nan"),
    ):
        with pytest.raises(ValueError, match=told):
            apply(Settings(), {"hidden": 4}, [change])


MLP = find(RECIPES, "mlp")


@pytest.mark.slow
def test_a_run_leaves_metrics_and_four_pictures(tmp_path):
    metrics = Run(MLP, tmp_path, ["epochs=2"]).start()
    error = metrics["value"]
    assert error < 50 and metrics["figures"]["test accuracy, %"]["mean"] == pytest.approx(100 - error)
    assert json.loads((tmp_path / "metrics.json").read_text()) == metrics
    assert len((tmp_path / "metrics.csv").read_text().splitlines()) == 3
    assert len(list(tmp_path.glob("*.png"))) == 4
    recipe, model = open_classifier(tmp_path)
    assert recipe is MLP
    assert 100 * (1 - score(model, *load("digits").test)[1]) == error


WORK = """
import sys
from minigrad.recipes import RECIPES, find
from minigrad.runs import Run
run = Run(find(RECIPES, "mlp"), sys.argv[1], ["epochs=3", "workers=0"])
run.save_seconds = 0.0
print("go", flush=True)
run.start()
"""


def kill_at_random(folder, kills, seed):
    """Start, kill -9 at a random moment, see that the checkpoint loads, resume; to the end after `kills`."""
    rng = python_random.Random(seed)
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = 0
    while True:
        process = subprocess.Popen(
            [sys.executable, "-c", WORK, str(folder)], stdout=subprocess.PIPE, env=environment
        )
        process.stdout.readline()
        if done < kills:
            time.sleep(rng.uniform(0.0, 0.4))
            process.send_signal(signal.SIGKILL)
        code = process.wait()
        process.stdout.close()
        for name in (LAST, BEST):
            if (folder / name).exists():
                load_checkpoint(folder / name)  # raises if it is damaged
        if code == 0:
            return done
        assert code == -signal.SIGKILL
        done += 1


@pytest.mark.slow
def test_killed_runs_resume_to_the_same_bits(tmp_path):
    Run(MLP, tmp_path / "whole", ["epochs=3", "workers=0"]).start()
    kill_at_random(tmp_path / "killed", 4, seed=1)
    for name in (LAST, BEST):
        assert same(weights(tmp_path / "whole", name)[0], weights(tmp_path / "killed", name)[0])


@pytest.mark.slow
def test_fifty_kills_at_random_moments(tmp_path):
    Run(MLP, tmp_path / "whole", ["epochs=3", "workers=0"]).start()
    kills = 0
    for seed in range(50):
        kills += kill_at_random(tmp_path / f"killed{seed}", min(5, 50 - kills), seed)
        for name in (LAST, BEST):
            assert same(weights(tmp_path / "whole", name)[0], weights(tmp_path / f"killed{seed}", name)[0])
        if kills >= 50:
            break
    assert kills >= 50
