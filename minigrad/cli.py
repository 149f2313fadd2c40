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
        self.epochs = epochs
        if not self.live:
            return
        if self.task is None:
            self.task = self.bar.add_task("", told="")
        place = {"total": epochs * batches, "completed": (epoch - 1) * batches + done}
        self.bar.update(self.task, description=f"epoch {epoch}/{epochs}", **place)

    def step(self, loss: float, figures: dict[str, float], samples: int) -> None:
        """One step: the epoch's figures so far, and the rate."""
        if self.live:
            rate = f"{(self.bar.tasks[0].speed or 0.0) * samples:,.0f}/s"
            told = "  ".join(f"{name} {value:.4f}" for name, value in {"loss": loss, **figures}.items())
            self.bar.update(self.task, advance=1, told=f"{told}  {rate}")

    def end(self, row: dict[str, float], best: bool) -> None:
        """One epoch: its line (of many epochs, about twenty lines)."""
        epoch, every = int(row["epoch"]), max(1, self.epochs // 20)
        if epoch % every and epoch not in (1, self.epochs):
            return
        parts = {"": "train_", "  validation ": "val_"}
        told = "".join(
            f"{word}{_figures(row, prefix)}" for word, prefix in parts.items() if _figures(row, prefix)
        )
        console.print(
            f"epoch {epoch:>3}  {told}  {row['seconds']:.0f} s{'  *' if best else ''}", soft_wrap=True
        )


def _figures(row: dict[str, float], prefix: str) -> str:
    """A row's figures of that prefix."""
    chosen = {k[len(prefix) :]: v for k, v in row.items() if k.startswith(prefix)}
    return "  ".join(f"{name} {value:.4f}" for name, value in chosen.items())


@app.command()
def train(
    recipe: Annotated[str, typer.Argument(help="what to train; `minigrad recipes` lists them")],
    data: Annotated[str | None, typer.Option(help="the data; the recipe's first by default")] = None,
    data_dir: Annotated[str | None, typer.Option(help="folder of the data files")] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:N")] = "cpu",
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="name=value ...: lr, epochs, batch_size, seed ...")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="folder for the run; runs/RECIPE-DATA by default")] = None,
    seed: Annotated[int | None, typer.Option(help="the first seed: the same as --set seed=N")] = None,
    seeds: Annotated[int | None, typer.Option(help="how many seeds; the recipe's number by default")] = None,
    workers: Annotated[int | None, typer.Option(help="the same as --set workers=N")] = None,
    short: Annotated[bool, typer.Option("--short", help="a form of seconds, to see that it learns")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="go on from the folder's last checkpoint")] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="begin anew in a folder that holds a run")
    ] = False,
) -> None:
    """Train a recipe; leaves checkpoints, metrics and pictures in a folder."""
    from .engine.backend import Device
    from .recipes import RECIPES, Stopped, find
    from .runs import Run

    chosen = find(RECIPES, recipe, data)
    folder = out or Path("runs") / f"{recipe}-{chosen.data}"
    named = {"seed": seed, "workers": workers}
    settings = [*(settings or []), *(f"{k}={v}" for k, v in named.items() if v is not None)]
    _ = Device(device).xp  # a missing GPU is told at once
    progress = Progressing()
    run = Run(chosen, folder, settings, device, data_dir, _command(), seeds, short, progress)
    _prepare(run, resume, overwrite)
    console.print(f"{chosen.summary}\non {chosen.data}, to {folder}", soft_wrap=True)
    _share_cores()
    _on_signals(run)
    try:
        with progress:
            metrics = run.start()
    except Stopped:
        words = [word for word in sys.argv[1:] if word not in ("--resume", "--overwrite")]
        again = shlex.join(["minigrad", *words, "--resume"])
        console.print(f"stopped after a whole step; to go on: {again}", soft_wrap=True)
        raise typer.Exit(130) from None
    _show(metrics, folder)


def _prepare(run: Any, resume: bool, overwrite: bool) -> None:
    """See that the folder is free, or that it may be gone on with, or clear it."""
    begun = run.begun()
    if begun and not (resume or overwrite):
        raise FileExistsError(
            f"train: {run.folder} holds a run; add --resume to go on, --overwrite to begin anew, or --out DIR"
        )
    if resume and not begun:
        raise FileNotFoundError(f"train: {run.folder} holds no run to resume; leave --resume out")
    if begun and resume:
        run.check_same()
    elif begun:
        run.clear()


def _show(metrics: dict[str, Any], folder: Path) -> None:
    """The result beside the mark, and the files it left."""
    n = len(metrics["seeds"])
    console.print(f"\nafter {metrics['minutes']:.1f} minutes{f', mean of {n} seeds' if n > 1 else ''}:")
    for name, found in metrics["figures"].items():
        bound = _bounds(metrics).get(name)
        spread = f" +- {found['deviation']:.4g}" if n > 1 else ""
        told = f"   (expected {bound[0]} {bound[1]:g})" if bound else ""
        console.print(f"  {name:<40} {found['mean']:.6g}{spread}{told}", soft_wrap=True, markup=False)
    console.print()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        console.print(f"  {path}  {FILES.get(path.name, '')}".rstrip(), soft_wrap=True, markup=False)


def _bounds(metrics: dict[str, Any]) -> dict[str, Any]:
    """What each figure has to reach, of those that have to reach something."""
    return {
        metrics["metric"]: (">=" if metrics["higher_is_better"] else "<=", metrics["mark"]),
        **metrics["also"],
    }


FILES = {
    "run.json": "what was asked for",
    "metrics.json": "what was found, with settings, seeds and commit",
    "metrics.csv": "a row per epoch",
    "learning_curves.png": "loss and accuracy by epoch",
    "confusion_matrix.png": "which class was taken for which",
    "first_layer_filters.png": "what the first layer looks for",
    "worst_mistakes.png": "the test images it got most wrong",
    "best.safetensors": "the best weights",
    "last.safetensors": "all that resuming needs",
}


def _command() -> str:
    return shlex.join(["minigrad", *sys.argv[1:]])


def _share_cores() -> None:
    """Leave the loader a core, unless the user has said how many threads BLAS may use."""
    if not {"OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"} & set(os.environ):
        limit_threads(max(1, cores() - 1))


def _on_signals(run: Any) -> None:
    """Ctrl-C (or a polite kill) lets the step end and saves; a second one ends at once."""

    def stop(number: int, frame: Any) -> None:
        if run.stopped:
            raise KeyboardInterrupt
        run.interrupt()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)


@app.command()
def evaluate(
    run: Annotated[Path, typer.Argument(help="a run's folder")],
    data_dir: Annotated[str | None, typer.Option(help="folder of the data files")] = None,
) -> None:
    """Test a finished run's best weights again: every figure that it is held to."""
    from .runs import METRICS, again, summary

    whole = again(run, data_dir)
    if not (run / METRICS).exists():
        raise FileNotFoundError(f"evaluate: the run in {run} is not finished; go on with --resume first")
    found = whole.figures()
    for name in found[0]:
        values = summary([f[name] for f in found])
        console.print(f"{run}: {name} {values['mean']:.6g}", soft_wrap=True, markup=False)


@app.command()
def predict(
    run: Annotated[Path, typer.Argument(help="a run's folder")],
    image: Annotated[Path, typer.Argument(help="a picture of one digit: PNG, JPEG, ... or .npy")],
) -> None:
    """The three likeliest classes of one image of a digit."""
    from .digit_pictures import read_image
    from .runs import classify, open_classifier

    recipe, model = open_classifier(run)
    for digit, probability in classify(model, read_image(image, recipe.data))[:3]:
        console.print(f"{digit}  {100 * probability:6.2f} %")


@app.command()
def recipes(
    name: Annotated[str | None, typer.Argument(help="tell everything of this one")] = None,
    device: Annotated[str | None, typer.Option(help="only those for cpu, or for gpu")] = None,
) -> None:
    """What can be trained: data, device, minutes, the figure to reach, and the last one measured."""
    from .listing import about, overview

    width = min(console.width, 110)
    told = overview(device, width) if name is None else about(name, width)
    console.print(told, soft_wrap=True, markup=False)


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
