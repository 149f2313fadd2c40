"""The gradient table: every registered op, checked on its samples. `minigrad gradcheck` prints it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from . import nn  # noqa: F401 (registers its ops)
from .engine.backend import Device, default_device, is_float, to_device
from .engine.op import REGISTRY, Op
from .engine.random import Generator
from .engine.tensor import Tensor, tensor
from .gradcheck import adjoint_error, float32_error, gradcheck
from .samples import Sample, samples


def moved(value: Any, device: Device) -> Any:
    """A sample's arguments or settings with their arrays on a device; `tables` are always NumPy's."""
    if isinstance(value, list | tuple):
        return type(value)([moved(item, device) for item in value])
    if isinstance(value, dict):
        return {k: item if k == "tables" else moved(item, device) for k, item in value.items()}
    return to_device(value, device) if isinstance(value, np.ndarray) else value


def as_function(op: Op, sample: Sample) -> tuple[Callable[..., Tensor], list[np.ndarray], list[str]]:
    """The op as a function of its floating inputs alone, those inputs, and their names.

    The other arrays, of whole numbers say, follow those inputs to their device.
    """
    args, meta = sample
    names = op.arrays or [f"arrays[{i}]" for i in range(len(args))]
    places = [i for i, a in enumerate(args) if isinstance(a, np.ndarray) and is_float(a.dtype)]
    places = [i for i in places if not (op.constant and op.constant[i])]

    def f(*xs: Tensor) -> Tensor:
        device = next((x.device for x in xs if isinstance(x, Tensor)), default_device())
        given, fixed = (list(args), meta) if device.kind == "cpu" else moved((list(args), meta), device)
        for place, x in zip(places, xs, strict=True):
            given[place] = x
        if meta.get("generator") == "fixed":
            fixed = {**fixed, "generator": Generator(5)}
        if not xs:  # an op of whole numbers or truths
            given = [tensor(a) if isinstance(a, np.ndarray) else a for a in args]
        return op.call(*given, **fixed)

    return f, [args[i] for i in places], [names[i] for i in places]


def linear_parts(
    f: Callable[..., Tensor], xs: list[np.ndarray], seed: int = 0
) -> Iterator[tuple[Callable, np.ndarray]]:
    """For every argument that f is linear in, whatever the others are: f less f(0), of that argument alone.

    Linear is what proves to be: h(u + v) = h(u) + h(v) on random u and v. Such parts are also held to
    <h(u), w> = <u, h^T w>.
    """
    generator = Generator(seed).fork(3)
    for i, x in enumerate(xs):
        part = lambda u, i=i: f(*[u if k == i else to_device(x, u.device) for k, x in enumerate(xs)])
        u, v = (generator.standard_normal(x.shape) for _ in range(2))
        try:
            with np.errstate(all="ignore"):
                at_0, at_u, at_v, at_both = (part(tensor(a)).cpu().numpy() for a in (0.0 * u, u, v, u + v))
        except (ValueError, np.linalg.LinAlgError):  # not defined everywhere, so not linear
            continue
        if at_0.size and np.allclose(at_both + at_0, at_u + at_v, rtol=1e-10, atol=1e-10):
            yield (lambda u, part=part, at_0=at_0: part(u) - tensor(at_0)), x


def check_op(op: Op, cases: Iterable[Sample], seed: int = 0) -> dict[str, Any]:
    """One row: the worst errors of an op over its samples, and where the worst is."""
    row: dict[str, Any] = {
        "op": op.name,
        "method": "no gradient",
        "order1": 0.0,
        "order2": 0.0,
        "worst": "",
        "ok": True,
    }
    row |= {"adjoint": None, "float32": 0.0, "faults": []}
    if not op.differentiable:
        return row
    for k, sample in enumerate(cases):
        f, xs, names = as_function(op, sample)
        report = gradcheck(f, xs, order=2, names=names, raise_exception=False, seed=seed)
        row["ok"] = row["ok"] and report.ok
        row["faults"] += report.faults()
        for r in report.rows:
            key = f"order{r.order}"
            if r.order == 1 and (row["method"] == "no gradient" or r.method == "richardson"):
                row["method"] = r.method  # the weaker method, if samples differ
            if r.order == 1 and (not row["worst"] or r.error > row["order1"]):
                row["worst"] = f"{r.name}[{', '.join(map(str, r.index))}] of sample {k}"
            row[key] = max(row[key], r.error)
        row["float32"] = max(row["float32"], float32_error(f, xs, seed))
        for linear, x in linear_parts(f, xs, seed):
            row["adjoint"] = max(row["adjoint"] or 0.0, adjoint_error(linear, x, seed))
    row["ok"] = row["ok"] and (row["adjoint"] or 0.0) <= 1e-13 and row["float32"] <= 1e-4
    return row


def check_all(ops: Iterable[str] | None = None, seed: int = 0) -> list[dict[str, Any]]:
    """A row for every registered op (or for those named), in alphabetical order.

    Raises ValueError for an op that is not registered, or that has no samples.
    """
    table = samples(seed)
    names = sorted(REGISTRY) if ops is None else list(ops)
    for name in names:
        if name not in REGISTRY:
            raise ValueError(f"gradcheck: there is no op {name!r}; `minigrad gradcheck` lists them")
        if name not in table:
            raise ValueError(f"gradcheck: op {name!r} has no samples; add them to minigrad/samples/")
    return [check_op(REGISTRY[name], table[name], seed) for name in names]


def format_table(rows: list[dict[str, Any]]) -> str:
    """The rows as text: op, method, errors of both orders, worst index; faults below."""
    head = f"{'op':<22}{'method':<14}{'order 1':>9}{'order 2':>9}{'adjoint':>9}{'float32':>9}  worst at"
    lines = [head, "-" * len(head)]
    for r in rows:
        if r["method"] == "no gradient":
            lines.append(f"{r['op']:<22}no gradient")
            continue
        adjoint = "" if r["adjoint"] is None else f"{r['adjoint']:.0e}"
        lines.append(
            f"{r['op']:<22}{r['method']:<14}{r['order1']:>9.0e}{r['order2']:>9.0e}{adjoint:>9}{r['float32']:>9.0e}"
            f"  {r['worst']}{'' if r['ok'] else '  WRONG'}"
        )
        lines += [f"    {fault}" for fault in r["faults"]]
    checked = [r for r in rows if r["method"] != "no gradient"]
    analytic = max((r["order1"] for r in checked if r["method"] == "complex-step"), default=0.0)
    other = max(
        (max(r["order2"], r["order1"] if r["method"] != "complex-step" else 0.0) for r in checked),
        default=0.0,
    )
    wrong = [r["op"] for r in rows if not r["ok"]]
    lines.append(
        f"{len(rows)} ops, {len(checked)} with gradients: "
        f"worst analytic first order {analytic:.0e}, worst other {other:.0e}; "
        + (f"WRONG: {', '.join(wrong)}" if wrong else "all right")
    )
    return "\n".join(lines)
