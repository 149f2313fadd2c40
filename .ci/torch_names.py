"""Write minigrad/nn/PYTORCH.md: every public name of torch.nn, nn.functional and optim, and whether it is here.

`python .ci/torch_names.py` writes it (PyTorch must be installed); tests/test_torch_names.py sees that it is current.
"here and equal" is not typed by hand: the name must exist, take PyTorch's arguments by name, order and default, and
have a row in tests/torch_rows.py, which the suite runs in both libraries (or, for tools and schedules, be
compared by name in the test file of its topic).
"""

import enum
import inspect
import re
import sys
import textwrap
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import torch

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "kernels"), str(ROOT / "tests")]

from torch_rows import FUNCTIONS, MODULES, OPTIMISERS, SCHEDULES  # noqa: E402

from minigrad import nn, optim  # noqa: E402

PAGE = ROOT / "minigrad" / "nn" / "PYTORCH.md"
EQUAL, DIFFERENT, LEFT_OUT = "here and equal", "here and different", "left out"
UNEXPLAINED = "UNEXPLAINED"

# Not counted: deprecated names, quantised ones, and those whose shapes come later ("lazy").
NOT_COUNTED = {
    "Container": "deprecated: use Sequential or ModuleList",
    "NLLLoss2d": "deprecated: use NLLLoss",
    "upsample": "deprecated: use interpolate",
    "upsample_nearest": "deprecated: use interpolate",
    "upsample_bilinear": "deprecated: use interpolate",
    "clip_grad_norm": "deprecated: use clip_grad_norm_",
    "UninitializedParameter": "lazy",
    "UninitializedBuffer": "lazy",
}
# Typing and dispatch helpers that the module happens to show.
NOT_PUBLIC = {
    "boolean_dispatch", "handle_torch_function", "has_torch_function", "has_torch_function_unary",
    "has_torch_function_variadic", "assert_int_or_pair", "PackedSequence_", "bind", "swap_in_optimizer_params_and_state",
}  # fmt: skip
WHY_LEFT_OUT = {
    "DataParallel": "one process, one device; PyTorch itself advises against it",
    "SyncBatchNorm": "statistics across processes; there are no process groups here",
    "SparseAdam": "there are no sparse gradients here",
    "grouped_mm": "products of low-precision blocks on particular GPUs; matmul and einsum are here",
    "scaled_mm": "8-bit floats, which NumPy has not",
    "scaled_grouped_mm": "8-bit floats, which NumPy has not",
    **dict.fromkeys(
        ("convert_conv2d_weight_memory_format", "convert_conv3d_weight_memory_format"),
        "convolution chooses its own memory order here",
    ),
}
WHY_DIFFERENT = {
    "CrossMapLRN2d": "PyTorch's moving sum never lets go of channel 0; here it is the formula",
}
NOTES = {
    **dict.fromkeys(
        ("Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "FeatureAlphaDropout", "dropout",
         "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout", "gumbel_softmax",
         "RReLU", "rrelu", "rrelu_", "FractionalMaxPool2d", "FractionalMaxPool3d", "fractional_max_pool2d",
         "fractional_max_pool3d"),
        "the same distribution, other random bits",
    ),
    **dict.fromkeys(("Hardsigmoid", "hardsigmoid", "Hardswish"), "PyTorch's slope is 1/6 rounded to float32"),
    "Muon": "in full precision; PyTorch orthogonalises in bfloat16",
    "scaled_dot_product_attention": "a row masked everywhere gives 0",
    "Embedding": "gradients are dense: sparse=True is refused",
    **dict.fromkeys(
        ("EmbeddingBag", "embedding_bag"),
        "gradients are dense: sparse=True is refused; scale_grad_by_freq counts right, where PyTorch's counts slip",
    ),
    **dict.fromkeys(("CTCLoss", "ctc_loss"), "the true gradient also of inputs that are no log-probabilities"),
    **dict.fromkeys(
        ("CosineSimilarity", "cosine_similarity"), "the true gradient also of a vector shorter than eps"
    ),
    **dict.fromkeys(
        ("ConstantLR", "LinearLR"), "total_iters=0 does not hold the rate at its first factor for ever"
    ),
    "Adagrad": "a group's own initial_accumulator_value counts",
}  # fmt: skip
DEPRECATED_ARGUMENTS = {"size_average", "reduce", "min_value", "max_value", "_stacklevel"}


@dataclass
class Name:
    """One name of PyTorch's, and how it stands here."""

    place: str
    name: str
    status: str
    note: str = ""


# ---------------------------------------------------------------- what PyTorch shows


def shown(module, is_kind, home: str = "torch") -> list[str]:
    """Public names of a module that are of a kind and PyTorch's own."""
    found = [n for n, v in vars(module).items() if not n.startswith("_") and is_kind(v)]
    return sorted(n for n in found if n not in NOT_PUBLIC and belongs(getattr(module, n), home))


def belongs(value, home: str) -> bool:
    return (getattr(value, "__module__", None) or "torch").startswith(home)


def places():
    """(place, PyTorch's module, ours, names, rows)."""
    is_class = inspect.isclass
    is_function = lambda v: callable(v) and not inspect.isclass(v)
    yield "nn", torch.nn, nn, shown(torch.nn, is_class), MODULES
    yield "nn.functional", torch.nn.functional, nn.functional, shown(torch.nn.functional, is_function), FUNCTIONS
    yield "optim", torch.optim, optim, shown(torch.optim, is_class), {**OPTIMISERS, **named_in("test_optim.py")}
    schedulers = torch.optim.lr_scheduler
    names = shown(schedulers, is_class, "torch.optim.lr_scheduler")
    yield "optim.lr_scheduler", schedulers, optim.lr_scheduler, names, {**SCHEDULES, **named_in("test_schedules.py")}
    swa = torch.optim.swa_utils
    yield "optim.swa_utils", swa, optim.swa_utils, shown(swa, callable, swa.__name__), named_in("test_swa.py")
    names = [n for n in shown(torch.nn.init, is_function, "torch.nn.init") if n.endswith("_") or n == "calculate_gain"]
    yield "nn.init", torch.nn.init, nn.init, names, named_in("test_init.py")
    utils = torch.nn.utils
    names = shown(utils, is_function, "torch.nn.utils")
    yield "nn.utils", utils, nn.utils, names, named_in("test_regularisation.py", "test_nn_utils.py")
    for part, tests in (("rnn", "test_packing.py"), ("parametrize", "test_nn_utils.py"), ("parametrizations", "test_nn_utils.py")):
        theirs = getattr(utils, part)
        yield f"nn.utils.{part}", theirs, getattr(nn.utils, part), shown(theirs, callable, theirs.__name__), named_in(tests)


def named_in(*files: str) -> dict[str, None]:
    """The words of test files: what they test, they name."""
    text = "".join((ROOT / "tests" / file).read_text() for file in files)
    return dict.fromkeys(re.findall(r"\w+", text))


# ---------------------------------------------------------------- signatures


def arguments(value) -> list[tuple[str, object]] | None:
    """Names and defaults, from the signature or from the first line of the documentation."""
    try:
        target = value.__init__ if inspect.isclass(value) else value
        parameters = list(inspect.signature(target).parameters.values())
    except (ValueError, TypeError):
        return from_documentation(value)
    if {p.kind for p in parameters} >= {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}:
        return None  # a dispatcher: (*args, **kwargs) says nothing
    return [(p.name, p.default) for p in parameters if p.name != "self" and p.name not in DEPRECATED_ARGUMENTS]


def from_documentation(value) -> list[tuple[str, object]] | None:
    found = re.search(rf"{value.__name__}\((.*?)\)\s*->", value.__doc__ or "", re.S)
    if not found:
        return None
    try:
        scope: dict = {}
        exec(f"def f({found.group(1)}): pass", scope)
    except SyntaxError:
        return None
    return arguments(scope["f"])


def same_default(a, b) -> bool:
    empty = inspect.Parameter.empty
    if a is empty or b is empty:
        return a is b
    if isinstance(a, enum.Enum) or callable(a):
        return getattr(a, "__name__", str(a)) == getattr(b, "__name__", str(b))
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return list(a) == list(b)
    return a == b or (not a and not b and {a, b} <= {None, False})  # None and False: both "no"


def difference(ours, theirs) -> str:
    """How our arguments differ from PyTorch's; "" if they do not, or PyTorch does not tell."""
    a, b = arguments(ours), arguments(theirs)
    if a is None or b is None:
        return ""
    extra = [n for n, _ in a if n not in dict(b)]
    missing = [n for n, _ in b if n not in dict(a)]
    if missing or extra:
        parts = [f"lacks {', '.join(missing)}"] if missing else []
        return "; ".join(parts + ([f"adds {', '.join(extra)}"] if extra else []))
    if [n for n, _ in a] != [n for n, _ in b]:
        return f"order ({', '.join(n for n, _ in a)})"
    wrong = [f"{n}={d!r} where PyTorch has {e!r}" for (n, d), (_, e) in zip(a, b) if not same_default(d, e)]
    return "; ".join(wrong)


# ---------------------------------------------------------------- the table


def survey() -> list[Name]:
    """Every name with its status."""
    found = []
    for place, theirs, ours, names, rows in places():
        for name in names:
            if name in NOT_COUNTED or name.startswith("Lazy"):
                here = "here" if hasattr(ours, name) else "not here"
                found.append(Name(place, name, "not counted", f"{NOT_COUNTED.get(name, 'lazy')}; {here}"))
                continue
            found.append(Name(place, name, *standing(name, getattr(ours, name, None), getattr(theirs, name), rows)))
    return found


def standing(name: str, ours, theirs, rows) -> tuple[str, str]:
    if ours is None:
        return (LEFT_OUT, WHY_LEFT_OUT[name]) if name in WHY_LEFT_OUT else (UNEXPLAINED, "not here")
    differs = difference(ours, theirs)
    if name in WHY_DIFFERENT:
        return DIFFERENT, WHY_DIFFERENT[name]
    if differs:
        return UNEXPLAINED, f"arguments: {differs}"
    if name not in rows:
        return UNEXPLAINED, "no test names it"
    return EQUAL, NOTES.get(name, "")


def share(names: list[Name]) -> float:
    """Of the names that count, the part that is here and equal."""
    counted = [n for n in names if n.status != "not counted"]
    return sum(n.status == EQUAL for n in counted) / len(counted)


def page(names: list[Name]) -> str:
    """The page, from the survey."""
    count = Counter(n.status for n in names)
    counted = sum(count.values()) - count["not counted"]
    head = f"""\
    # PyTorch's names here

    Every public class and function of `torch.nn`, `torch.nn.functional` and `torch.optim` (PyTorch {torch.__version__.split("+")[0]}).
    Written by `.ci/torch_names.py`; not edited by hand. *Here and equal* means: PyTorch's arguments by name, order and
    default (the deprecated `size_average` and `reduce` aside), and the same values, gradients and state as PyTorch in
    `tests/test_torch_names.py` and the test file of its topic.

    **{count[EQUAL]} of {counted} names are here and equal ({share(names):.1%})**, {count[DIFFERENT]} here and different,
    {count[LEFT_OUT]} left out; {count["not counted"]} more are deprecated or lazy and not counted.
    """
    lines = [textwrap.dedent(head)]
    for place in dict.fromkeys(n.place for n in names):
        lines.append(f"## {place}\n\n| name | | note |\n|---|---|---|")
        lines += [f"| `{n.name}` | {n.status} | {n.note} |" for n in names if n.place == place]
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    table = survey()
    PAGE.write_text(page(table))
    for n in table:
        if n.status == UNEXPLAINED:
            print(f"{n.place}.{n.name}: {n.note}")
    print(f"{PAGE.relative_to(ROOT)}: {share(table):.1%} here and equal")
