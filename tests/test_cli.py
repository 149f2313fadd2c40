"""The command line as a user types it: what it prints, leaves behind, and how it refuses."""

import dataclasses
import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from minigrad import cli, doctor, listing
from minigrad.io import load_checkpoint
from minigrad.recipes import Recipe

ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": os.pathsep.join(sys.path),
    "OPENBLAS_NUM_THREADS": "1",
    "COLUMNS": "200",
}


def run(*words, **kw):
    return subprocess.run(
        [sys.executable, "-m", "minigrad", *map(str, words)],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        **kw,
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "mlp"
    done = run("train", "mlp", "--out", folder, "--set", "epochs=3", "--seed", "1")
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


@pytest.mark.slow
def test_train_tells_its_result_and_the_files_it_left(trained):
    folder, said = trained
    assert "test error, %" in said and said.count("epoch ") == 3 and "\x1b" not in said
    for name in cli.FILES:
        assert (folder / name).stat().st_size > 0 and name in said
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["settings"]["epochs"] == 3 and metrics["seeds"] == [1] and 0 <= metrics["value"] < 50


@pytest.mark.slow
def test_evaluate_and_predict(trained, tmp_path):
    folder, _ = trained
    metrics = json.loads((folder / "metrics.json").read_text())
    assert f"test error, % {metrics['value']:.6g}" in run("evaluate", folder).stdout
    from minigrad.data import digits

    image = digits("test")[0][0]
    np.save(tmp_path / "digit.npy", image)
    said = run("predict", folder, tmp_path / "digit.npy").stdout.split()
    assert len(said) == 9 and said[2::3] == ["%"] * 3
    from PIL import Image

    Image.fromarray(255 - np.kron(image * 15, np.ones((9, 9))).astype(np.uint8)).save(
        tmp_path / "digit.png"
    )  # dark on light
    assert run("predict", folder, tmp_path / "digit.png").stdout.split()[0] == said[0]


def test_predict_sees_what_the_network_was_trained_on(tmp_path):
    """One of the data's own size is taken as it is; a scan with margins is cut to its ink first."""
    from PIL import Image

    from minigrad.data import digits
    from minigrad.digit_pictures import read_image
    from minigrad.recipes.digits import load

    images, truth = digits("test")[0][:40], load("digits").test[0][:40]
    for image, input_ in zip(images, truth, strict=True):
        bright = image * (16 / image.max())  # pictures are read from their darkest to their brightest
        np.save(tmp_path / "own.npy", bright)
        assert abs(read_image(tmp_path / "own.npy") - input_).max() < 0.3
        if image.max() == 16:
            np.testing.assert_array_equal(read_image(tmp_path / "own.npy")[0], input_)
        scan = np.zeros((300, 260), np.uint8)  # far from the middle, dark on light
        scan[30:190, 70:230] = np.kron(image * 15, np.ones((20, 20)))
        Image.fromarray(255 - scan).save(tmp_path / "scan.png")
        seen = read_image(tmp_path / "scan.png")[0, 0]
        likeness = np.corrcoef(seen.ravel(), input_.ravel())[0, 1]
        moved = max(np.corrcoef(np.roll(seen, n, 1).ravel(), input_.ravel())[0, 1] for n in (-3, 0, 3))
        assert max(likeness, moved) > 0.8


@pytest.mark.slow
def test_a_blank_or_strange_picture_is_told(trained, tmp_path):
    from minigrad.digit_pictures import read_image

    for array, told in (
        (np.ones((9, 9)), "is blank"),
        (np.zeros((4, 5, 3)), "expected one grey image"),
        (np.full((9, 9), np.nan), "NaN"),
        (np.array(["a", "b"]), "cannot be read"),
    ):
        np.save(tmp_path / "x.npy", array)
        with pytest.raises(ValueError, match=told):
            read_image(tmp_path / "x.npy")


MISTAKES = [
    (["train", "lenet6"], 1, "did you mean 'lenet5'?"),
    (["train", "resnet", "--data", "mnist"], 1, "resnet trains on digits, not on 'mnist'"),
    (["train", "mlp", "--data", "mnist", "--data-dir", "/nowhere"], 1, "MNIST"),
    (["train", "mlp", "--set", "epoch=3"], 1, "did you mean 'epochs'?"),
    (["train", "mlp", "--set", "lr=fast"], 1, "expected a value of type float (lr='fast')"),
    (["train", "mlp", "--device", "gpu"], 1, "expected 'cpu', 'cuda' or 'cuda:N', got 'gpu'"),
    (["train", "mlp", "--resume"], 1, "holds no run to resume"),
    (["recipes", "lenet6"], 1, "did you mean 'lenet5'?"),
    (["train"], 2, "Missing argument"),
    (["train", "mlp", "--epochs", "3"], 2, "No such option"),
    (["trian", "mlp"], 2, "No such command"),
    (["evaluate", "nowhere"], 1, "holds no run"),
    (["gradcheck", "--op", "nope"], 1, "there is no op 'nope'"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "code", "told"), MISTAKES, ids=[" ".join(w) for w, *_ in MISTAKES])
def test_a_mistake_is_one_line_and_no_traceback(words, code, told, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["minigrad", *words])
    monkeypatch.setattr(cli, "_faster_blas", lambda: None)
    monkeypatch.setenv("MINIGRAD_CACHE", str(tmp_path / "cache"))
    if "/nowhere" in words:
        import minigrad.data.datasets as sets

        monkeypatch.setattr(
            sets, "_download", lambda *a, **k: (_ for _ in ()).throw(FileNotFoundError("MNIST: no network"))
        )
    with pytest.raises(SystemExit) as end:
        cli.main()
    said = capsys.readouterr().err
    assert end.value.code == code and told in said and len(said.strip().splitlines()) == 1
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_a_finished_run_is_not_overwritten_by_accident(trained):
    folder, _ = trained
    before = (folder / "best.safetensors").read_bytes()
    again = run("train", "mlp", "--out", folder)
    assert again.returncode == 1 and "--resume" in again.stderr and "--overwrite" in again.stderr
    assert (folder / "best.safetensors").read_bytes() == before


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_an_interrupt_leaves_a_checkpoint_and_says_how_to_go_on(tmp_path, number):
    folder = tmp_path / "run"
    process = subprocess.Popen(
        [sys.executable, "-m", "minigrad", "train", "mlp", "--out", str(folder), "--set", "epochs=200"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT,
    )  # fmt: skip
    while "epoch" not in process.stdout.readline():
        assert process.poll() is None
    process.send_signal(number)
    said, errors = process.communicate()
    assert process.returncode == 130 and not errors
    assert f"minigrad train mlp --out {folder} --set epochs=200 --resume" in said
    _, data = load_checkpoint(folder / "last.safetensors")
    assert data["history"]


def test_gradcheck_prints_the_table_and_writes_rows(tmp_path):
    done = run("gradcheck", "--op", "tanh", "--op", "relu", "--json", tmp_path / "rows.json")
    assert done.returncode == 0 and "complex-step" in done.stdout and "all right" in done.stdout
    rows = json.loads((tmp_path / "rows.json").read_text())
    assert [r["op"] for r in rows] == ["tanh", "relu"]
    assert {"op", "method", "order1", "order2"} <= set(rows[0]) and rows[0]["order1"] <= 1e-12


@pytest.mark.slow
def test_recipes_doctor_and_version():
    said = run("recipes").stdout
    assert "lenet5" in said and "mnist" in said and "<= 1.1" in said
    assert "minigrad train lenet5 --data mnist" in run("recipes", "lenet5").stdout
    assert "NumPy" in run("doctor").stdout
    assert run("--version").stdout.startswith("minigrad ")


SEVERAL = Recipe(
    name="several", summary="words " * 30, run=lambda task, width=7: {}, data="points", metric="accuracy, %", mark=90,
    paper="91 %", minutes=3, seeds=3, also={"gain": (">=", 1.5)}, short={"epochs": 2},
)  # fmt: skip
GROUPS = {"images": [SEVERAL], "studies": [dataclasses.replace(SEVERAL, data="lines", device="gpu")]}
FOUND = {
    "several_lines": {
        "value": 92.345, "device": "cuda", "minutes": 1.26, "seeds": [0, 1, 2], "commit": "abc",
        "figures": {"accuracy, %": {"mean": 92.345, "deviation": 0.5}, "gain": {"mean": 2.0, "deviation": 0.25}},
    }
}  # fmt: skip


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_list_of_recipes_fits_the_terminal(width):
    told = listing.overview(None, width, GROUPS, FOUND).splitlines()
    assert max(map(len, told)) <= max(width, sum(listing.COLUMNS.values()))
    assert [line.split() for line in told if line.startswith("several")] == [
        ["several", "points", "cpu", "3", ">=", "90", "not", "yet"],
        ["several", "lines", "gpu", "3", ">=", "90", "92.34"],
    ]
    assert told[2] == "IMAGES" and "STUDIES" in told and told[4].startswith("    accuracy, %: words")
    on_gpu = listing.overview("gpu", width, GROUPS, FOUND)
    assert "lines" in on_gpu and "points" not in on_gpu and "IMAGES" not in on_gpu


def test_everything_of_one_recipe_is_told():
    first, second = (part.split() for part in listing.about("several", 80, GROUPS, FOUND).split("several on ")[1:])
    text = " ".join(second)
    for part in (
        "to reach accuracy, % >= 90 gain >= 1.5", "published 91 %", "accuracy, % 92.34 +- 0.5 over 3 seeds",
        "gain 2 +- 0.25 over 3 seeds", "cuda, 1.3 minutes, commit abc", "about 3 minutes on a GPU, 3 seeds",
        "epochs=20", "options width=7", "--short epochs=2", "run minigrad train several --data lines --device cuda",
    ):  # fmt: skip
        assert part in text, part
    assert "measured not yet takes" in " ".join(first) and "run minigrad train several" in " ".join(first)
    with pytest.raises(ValueError, match="did you mean 'several'"):
        listing.about("sevral", 80, GROUPS, FOUND)


def test_doctor_gives_the_one_right_command():
    assert doctor.cupy_command("12.4") == "pip install 'cupy-cuda12x[ctk]'"
    assert doctor.cupy_command("13.0") == "pip install 'cupy-cuda13x[ctk]'"
    assert "update" in doctor.cupy_command("11.8")


def test_several_values_may_follow_one_set():
    spread = cli.spread_set(["train", "mlp", "--set", "lr=1", "epochs=2", "--out", "x", "--set", "seed=3"])
    assert spread == ["train", "mlp", "--set", "lr=1", "--set", "epochs=2", "--out", "x", "--set", "seed=3"]
    assert cli.spread_set(["train", "--set"]) == ["train", "--set"]


def test_without_the_extra_it_says_what_to_install(tmp_path):
    (tmp_path / "typer.py").write_text("raise ImportError")
    environment = {**ENVIRONMENT, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    done = subprocess.run(
        [sys.executable, "-m", "minigrad", "recipes"], capture_output=True, text=True, env=environment
    )
    assert (
        done.returncode == 1
        and "pip install 'minigrad[train]'" in done.stderr
        and "Traceback" not in done.stderr
    )
