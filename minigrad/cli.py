"""The command `minigrad`: train, evaluate, predict, recipes, explain, gradcheck, doctor."""

from __future__ import annotations

import ast
import json
import os
import shlex
import signal
import sys
from pathlib import Path
from typing import Annotated, Any

try:
    import typer
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    from rich.table import Table
except ImportError:
    sys.exit("minigrad: the command line needs typer and rich; pip install 'minigrad[train]'")

import minigrad
from minigrad.doctor import cores
from minigrad_kernels.cpu.blas import choose_core, core_in_use, limit_threads
from minigrad_kernels.cpu.memory import keep_freed_memory

app = typer.Typer(
    help="Train networks you can read, and check every gradient.",
    add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None,
)  # fmt: skip
console = Console(highlight=False)


class Progressing:
    """The loop's watcher: a bar in a terminal, else a line an epoch."""

    def __init__(self) -> None:
        self.live = console.is_terminal
        self.bar = Progress(
            TextColumn("{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn(),
            TextColumn("{task.fields[told]}"), TimeRemainingColumn(), console=console, transient=True,
        )  # fmt: skip
        self.task: Any = None

    def __enter__(self) -> Progressing:
        if self.live:
            self.bar.start()
        return self

    def __exit__(self, *exc: object) -> None:
        if self.live:
            self.bar.stop()

    def start(self, epoch: int, epochs: int, batches: int, done: int) -> None:
        """An epoch begins; the time left is that of the whole run."""
        total = epochs * batches
        if self.live and self.task is None:
            self.task = self.bar.add_task("", total=total, completed=(epoch - 1) * batches + done, told="")
        if self.live:
            self.bar.update(self.task, description=f"epoch {epoch}/{epochs}")

    def step(self, loss: float, accuracy: float, samples: int) -> None:
        """One step: loss, accuracy and rate."""
        if self.live:
            task = self.bar.tasks[0]
            rate = f"{(task.speed or 0.0) * samples:,.0f}/s"
            self.bar.update(
                self.task, advance=1, told=f"loss {loss:.4f}  accuracy {100 * accuracy:.2f} %  {rate}"
            )

    def end(self, row: dict[str, float], best: bool) -> None:
        """One epoch: its line."""
        console.print(
            f"epoch {row['epoch']:>3.0f}  loss {row['train_loss']:.4f}"
            f"  accuracy {100 * row['train_accuracy']:.2f} %"
            f"  validation {row['val_loss']:.4f}  {100 * row['val_accuracy']:.2f} %"
            f"  {row['seconds']:.0f} s{'  *' if best else ''}",
            soft_wrap=True,
        )


@app.command()
def train(
    recipe: Annotated[str, typer.Argument(help="what to train; `minigrad recipes` lists them")],
    data: Annotated[str, typer.Option(help="digits (shipped) or mnist")] = "digits",
    data_dir: Annotated[str | None, typer.Option(help="folder of the data files")] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:N")] = "cpu",
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="name=value ...: lr, epochs, batch_size, seed ...")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="folder for the run; runs/RECIPE-DATA by default")] = None,
    seed: Annotated[int | None, typer.Option(help="the same as --set seed=N")] = None,
    workers: Annotated[int | None, typer.Option(help="the same as --set workers=N")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="go on from the folder's last checkpoint")] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="begin anew in a folder that holds a run")
    ] = False,
) -> None:
    """Train a recipe; leaves checkpoints, metrics and pictures in a folder."""
    from .engine.backend import Device
    from .runs import LAST, Run

    folder = out or Path("runs") / f"{recipe}-{data}"
    named = {"seed": seed, "workers": workers}
    settings = [*(settings or []), *(f"{k}={v}" for k, v in named.items() if v is not None)]
    _ = Device(device).xp  # a missing GPU is told at once
    begun = (folder / LAST).exists()
    if begun and not (resume or overwrite):
        raise FileExistsError(
            f"train: {folder} holds a run; add --resume to go on, --overwrite to begin anew, or --out DIR"
        )
    if resume and not begun:
        raise FileNotFoundError(f"train: {folder} holds no run to resume; leave --resume out")
    run = Run(recipe, data, folder, settings, device, data_dir, _command())
    if resume:
        run.trainer.resume()
    elif begun:
        for name in (*FILES, "best.safetensors", LAST):
            (folder / name).unlink(missing_ok=True)
    console.print(
        f"{run.recipe.summary}\n{len(run.splits.train[1]):,} training images of {data}, to {folder}",
        soft_wrap=True,
    )
    _share_cores()
    _on_signals(run.trainer)
    with Progressing() as progress:
        done = run.trainer.fit(progress)
    if not done:
        again = f"minigrad train {recipe} {_arguments_to_resume(data, data_dir, device, settings, out)}"
        console.print(f"stopped after a whole step; to go on: {again}", soft_wrap=True)
        raise typer.Exit(130)
    _show(run.finish(), folder)


FILES = {
    "metrics.json": "test accuracy, sizes, settings",
    "metrics.csv": "a row per epoch",
    "learning_curves.png": "loss and accuracy by epoch",
    "confusion_matrix.png": "which digit was taken for which",
    "first_layer_filters.png": "what the first layer looks for",
    "worst_mistakes.png": "the test images it got most wrong",
}


def _show(metrics: dict[str, Any], folder: Path) -> None:
    """The result, and the files it left."""
    console.print(
        f"\ntest accuracy {100 * metrics['test_accuracy']:.2f} % of {metrics['test_samples']:,} images "
        f"(expected {metrics['expected']}), best epoch {metrics['best_epoch']}, {metrics['seconds']:.0f} s\n",
        soft_wrap=True,
    )
    for name, what in {
        **FILES,
        "best.safetensors": "the best weights",
        "last.safetensors": "all that resuming needs",
    }.items():
        console.print(f"  {folder / name}  {what}", soft_wrap=True)
    console.print(f"\nnext: minigrad predict {folder} IMAGE", soft_wrap=True)


def _command() -> str:
    return shlex.join(["minigrad", *sys.argv[1:]])


def _arguments_to_resume(
    data: str, data_dir: str | None, device: str, settings: list[str] | None, out: Path | None
) -> str:
    words = ["--data", data] if data != "digits" else []
    words += ["--data-dir", data_dir] if data_dir else []
    words += ["--device", device] if device != "cpu" else []
    words += ["--set", *settings] if settings else []
    words += ["--out", str(out)] if out else []
    return shlex.join([*words, "--resume"])


def _share_cores() -> None:
    """Leave the loader a core, unless the user has said how many threads BLAS may use."""
    if not {"OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"} & set(os.environ):
        limit_threads(max(1, cores() - 1))


def _on_signals(trainer: Any) -> None:
    """Ctrl-C (or a polite kill) lets the step end and saves; a second one ends at once."""

    def stop(number: int, frame: Any) -> None:
        if trainer.stop:
            raise KeyboardInterrupt
        trainer.stop = True

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)


@app.command()
def evaluate(
    run: Annotated[Path, typer.Argument(help="a run's folder")],
    data: Annotated[str | None, typer.Option(help="digits or mnist; the run's own by default")] = None,
    data_dir: Annotated[str | None, typer.Option(help="folder of the data files")] = None,
) -> None:
    """Test accuracy of a run's best checkpoint."""
    from .recipes.base import load
    from .runs import open_run, score

    _, model, notes = open_run(run)
    name = data or notes["data"]
    images, labels = load(name, data_dir).test
    loss, accuracy, _ = score(model, images, labels)
    console.print(
        f"{run}: test accuracy {100 * accuracy:.2f} %, loss {loss:.4f}, on {len(labels):,} images of {name}",
        soft_wrap=True,
    )


@app.command()
def predict(
    run: Annotated[Path, typer.Argument(help="a run's folder")],
    image: Annotated[Path, typer.Argument(help="a picture of one digit: PNG, JPEG, ... or .npy")],
) -> None:
    """The three likeliest classes of one image."""
    from .runs import classify, open_run, read_image

    _, model, notes = open_run(run)
    for digit, probability in classify(model, read_image(image, notes["data"]))[:3]:
        console.print(f"{digit}  {100 * probability:6.2f} %")


@app.command()
def recipes() -> None:
    """What can be trained, on what, and what to expect."""
    from .recipes import RECIPES

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("recipe", "data", "minutes", "expected", "measured", "what it is"):
        table.add_column(name)
    for r in RECIPES.values():
        for i, data in enumerate(r.settings):
            name, summary = (r.name, r.summary) if i == 0 else ("", "")
            table.add_row(name, data, r.minutes[data], r.expected[data], r.measured[data], summary)
    console.print(table)


@app.command()
def gradcheck(
    op: Annotated[list[str] | None, typer.Option("--op", help="only this op; may be given again")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="also write the rows to a file")] = None,
    seed: Annotated[int, typer.Option(help="of the sample inputs")] = 0,
) -> None:
    """Check the gradient of every op against numbers from outside, orders 1 and 2."""
    from .gradtable import check_all, format_table
    from .io import write_atomically

    rows = check_all(op, seed)
    console.print(format_table(rows), soft_wrap=True, markup=False)
    if json_file is not None:
        write_atomically(json_file, (json.dumps(rows, indent=1) + "\n").encode())
    if not all(row["ok"] for row in rows):
        raise typer.Exit(1)


@app.command()
def explain(
    expression: Annotated[str, typer.Argument(help='for example "max(0, 1 - w*x*y)"')],
    values: Annotated[list[str], typer.Argument(help="name=value ...: numbers, or lists as [1, 2]")],
    out: Annotated[Path, typer.Option(help="the stepper page")] = Path("step.html"),
    check: Annotated[bool, typer.Option("--check", help="hold every edge to finite differences")] = False,
) -> None:
    """Step through the gradient of an expression: a table here, and a page to walk through."""
    from .inspect.explain import explain as explained

    trace = explained(expression, **dict(_value(word) for word in values))
    print(trace)  # as it is: the console would fold the lines
    if check:
        print(f"\n{trace.check()}")
    console.print(f"\nthe same, step by step: {trace.save(out, expression)}", soft_wrap=True, markup=False)


def _value(word: str) -> tuple[str, Any]:
    """'x=0.3' as a name and a number, or a list of them."""
    name, equals, text = word.partition("=")
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        value = None
    if not name.isidentifier() or not equals or not isinstance(value, int | float | list):
        raise ValueError(f"explain: expected name=number or name=[1, 2], got {word!r}")
    return name, value


@app.command()
def doctor(
    warm: Annotated[
        bool, typer.Option("--warm-up", help="compile all CUDA kernels into CuPy's cache, once")
    ] = False,
) -> None:
    """What this machine has, and what to install or set to go faster."""
    from .doctor import examine, warm_up

    if warm:
        with Progress(console=console) as progress:
            task = progress.add_task("compiling")
            failed = warm_up(
                lambda done, of, name: progress.update(task, completed=done, total=of, description=name)
            )
        for line in failed:
            console.print(line, soft_wrap=True, markup=False, style="red")
        raise typer.Exit(bool(failed))
    for finding in examine():
        console.print(f"{finding.what:<16}{finding.state}", soft_wrap=True, markup=False)
        if finding.advice:
            console.print(f"{'':<16}-> {finding.advice}", soft_wrap=True, markup=False, style="yellow")


@app.callback(invoke_without_command=True)
def options(
    version: Annotated[bool, typer.Option("--version", help="print the version and leave")] = False,
) -> None:
    """Train networks you can read, and check every gradient."""
    if version:
        console.print(f"minigrad {minigrad.__version__}")
        raise typer.Exit


def spread_set(words: list[str]) -> list[str]:
    """`--set a=1 b=2` as `--set a=1 --set b=2`, which is what the parser knows."""
    result: list[str] = []
    setting = False
    for word in words:
        if word == "--set":
            setting = True
        elif setting and "=" in word and not word.startswith("-"):
            result += ["--set", word]
        else:
            if setting and result[-2:-1] != ["--set"]:
                result.append("--set")
            setting = False
            result.append(word)
    return result + ["--set"] if setting and result[-2:-1] != ["--set"] else result


def main() -> None:
    """Run a command. A mistake is one line, never a traceback (unless --debug is given)."""
    words = [w for w in sys.argv[1:] if w != "--debug"]
    debug = len(words) < len(sys.argv) - 1
    _faster_blas()
    keep_freed_memory()
    try:
        code = app(args=spread_set(words), standalone_mode=False)
    except KeyboardInterrupt:
        sys.exit("\nminigrad: stopped at once; the last checkpoint is whole")
    except Exception as error:
        if debug:
            raise
        show = getattr(error, "format_message", None)  # usage errors of the parser
        print(f"minigrad: {show() if show else _told(error)}", file=sys.stderr)
        sys.exit(2 if show else 1)
    sys.exit(code if isinstance(code, int) else 0)


def _told(error: Exception) -> str:
    """What an error says, without Python's `[Errno 28]`; its kind where it says nothing."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"
    return str(error) or type(error).__name__


def _faster_blas() -> None:
    """Begin again with AVX-512 matrix kernels where OpenBLAS overlooked the processor's."""
    if "OPENBLAS_CORETYPE" in os.environ or (core_in_use() or "").lower() != "haswell":
        return
    if choose_core():
        os.execv(sys.executable, [sys.executable, "-m", "minigrad", *sys.argv[1:]])


if __name__ == "__main__":
    main()
