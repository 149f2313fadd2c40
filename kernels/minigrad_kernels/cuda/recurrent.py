"""Launches of recurrent.cu: whole sequences of LSTM, GRU and RNN, and their gradients.

The sums that need no earlier state are one product for all time steps, before the walk; so are, after the
walk back, the gradients of all weights. Between them comes the walk, in one of two forms that `together`
chooses from: one launch for many steps, or per step one product of cuBLAS and one kernel.

Lengths are Python's whole numbers here, as in the op: nothing is read from the GPU. Sequences that end (or
begin) on the way cut the walk into runs of steps with one number of sequences each; states that pass from
one run to the next lie in a row per sequence.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

from .launch import ceil_div, ctype, launch, library
from .linalg import matmul_into

__all__ = [
    "INSTANCES", "gru_sequence", "gru_sequence_joint", "lstm_sequence", "lstm_sequence_joint", "rnn_sequence",
    "rnn_sequence_joint", "together",
]  # fmt: skip

GATES = {"Lstm": 4, "Gru": 3, "RnnTanh": 1, "RnnRelu": 1}
TOGETHER = (1, 4)  # how many sequences a block may walk with
INSTANCES = tuple(
    f"{way}<{cell}, {last}>"
    for form, choices in (("step", ("float", "__half", "__nv_bfloat16")), ("walk", TOGETHER))
    for way in (f"{form}_forward", f"{form}_backward")
    for cell in GATES
    for last in choices
)
THREADS = 256
# What recurrent.cu defines, and what every card of compute capability 7.0 or more has.
KEPT, CHUNK, MOST_THREADS = 64, 16, 512
PROCESSORS, SHARED = 80, 96 * 1024


# ---------------------------------------------------------------- the way through time


class Run(NamedTuple):
    """Steps with one number of sequences, one after the other in the walk's order."""

    at: int  # the first row of the first of them
    jump: int  # rows from one to the next
    batch: int  # how many sequences
    steps: int
    before: int  # the first row of the step before the first of them
    carried: int  # how many sequences go on from there; the others begin here

    def each(self) -> Iterator[Run]:
        """Its steps, a run each."""
        at, before, carried = self.at, self.before, self.carried
        for _ in range(self.steps):
            yield Run(at, self.jump, self.batch, 1, before, carried)
            at, before, carried = at + self.jump, at, self.batch


@functools.lru_cache(maxsize=256)
def runs(sizes: tuple[int, ...], reverse: bool) -> tuple[Run, ...] | None:
    """The walk through steps of these sizes; None for sizes that grow.

    >>> for run in runs((2, 2, 1), False):
    ...     print(run)
    Run(at=0, jump=2, batch=2, steps=2, before=0, carried=0)
    Run(at=4, jump=1, batch=1, steps=1, before=2, carried=1)
    """
    if not sizes or sizes[-1] < 1 or any(a < b for a, b in pairwise(sizes)):
        return None
    rows = [(end - n, n) for n, end in zip(sizes, accumulate(sizes), strict=True)]
    found: list[Run] = []
    before = carried = 0
    for at, n in reversed(rows) if reverse else rows:
        if found and found[-1].batch == n:
            found[-1] = found[-1]._replace(steps=found[-1].steps + 1)
        else:
            found.append(Run(at, -n if reverse else n, n, 1, before, min(carried, n)))
        before, carried = at, n
    return tuple(found)


class Before(Sequence):
    """The state that each step started from, in the walk's order: views, made when they are asked for."""

    def __init__(self, states: Any, initial: Any, way: tuple[Run, ...]) -> None:
        self.states, self.initial, self.way = states, initial, way
        self.steps = [step for run in way for step in run.each()]

    def __len__(self) -> int:
        return len(self.steps)

    def __getitem__(self, k: Any) -> Any:
        if isinstance(k, slice):
            return [self[i] for i in range(*k.indices(len(self)))]
        step = self.steps[k]
        old = self.states[step.before : step.before + step.carried]
        new = self.initial[step.carried : step.batch]
        if not (step.carried and len(new)):
            return old if step.carried else new
        return library(old).concatenate([old, new])

    def packed(self) -> Any:
        """All of them in the rows of their steps."""
        out = library(self.states).empty(self.states.shape, self.states.dtype)
        for run in self.way:
            n, at = run.batch, run.at
            out[at : at + run.carried] = self.states[run.before : run.before + run.carried]
            out[at + run.carried : at + n] = self.initial[run.carried : n]
            rest = n * (run.steps - 1)  # they start from what lies `jump` rows off
            low = at + n if run.jump > 0 else at - rest
            out[low : low + rest] = self.states[low - run.jump : low - run.jump + rest]
        return out


# ---------------------------------------------------------------- which form


@functools.cache
def card(lib: Any, device: int) -> tuple[int, int]:
    """How many multiprocessors a device has, and how much shared memory a block may ask for, in bytes."""
    known = lib.cuda.Device(device).attributes
    return known.get("MultiProcessorCount", PROCESSORS), known.get("MaxSharedMemoryPerBlockOptin", SHARED)


def shared_bytes(gates: int, width: int, sequences: int, backward: bool) -> int:
    """What a walking block keeps in shared memory: operands, sums, and the weights that registers do not."""
    padded = ceil_div(width, CHUNK) * CHUNK
    vectors = (gates if backward else 1) * padded + gates * width
    return 4 * (sequences * vectors + max(0, width - KEPT) * gates * width)


def together(gates: int, width: int, way: tuple[Run, ...], processors: int, shared: int) -> int:
    """How many sequences a block walks with through all steps; 0: go step by step.

    The weights must fit on one multiprocessor, and each run of the walk must be worth fetching them anew.
    Few sequences are spread, one for each multiprocessor; more share a block's reads of its weights. From
    thousands on a step is work enough for all the card, and cuBLAS's product is the better one.

    >>> [together(4, 128, runs((batch,) * 50, False), 132, 227 * 1024) for batch in (8, 512, 8192)]
    [1, 4, 0]
    >>> together(4, 512, runs((8,) * 50, False), 132, 227 * 1024)
    0
    """
    batch, steps = max(run.batch for run in way), sum(run.steps for run in way)
    sequences = 1 if batch <= processors else TOGETHER[-1]
    fits = gates * width <= MOST_THREADS and shared_bytes(gates, width, sequences, True) <= shared
    pays = steps >= 4 * len(way) and batch <= 32 * processors
    return sequences if fits and pays else 0


def chosen(cell: str, w_hh: Any, way: tuple[Run, ...]) -> int:
    """`together` for these weights on their device; halves go step by step."""
    if w_hh.dtype.name != "float32":
        return 0
    return together(GATES[cell], w_hh.shape[1], way, *card(library(w_hh), w_hh.device.id))


# ---------------------------------------------------------------- the walks


def walk(cell: str, way: tuple, gates: Any, w_hh: Any, biases: tuple, h: Any, c: Any, kept: tuple) -> None:
    """All steps forwards: `gates` holds the sums of x and gets the gates, h and c go from first to last.

    kept: y, keeps and cells of recurrent.cu.
    """
    lib, count, width = library(gates), GATES[cell], w_hh.shape[1]
    sequences = chosen(cell, w_hh, way)
    if sequences:
        size, turned = shared_bytes(count, width, sequences, False), lib.ascontiguousarray(w_hh.T)
        for run in way:
            args = (gates, turned, *biases, h, c, *kept, run.at, run.jump, run.steps, run.batch, width)
            grid, name = ceil_div(run.batch, sequences), f"walk_forward<{cell}, {sequences}>"
            launch("recurrent", name, grid, count * width, args, shared=size)
        return
    # The product is added to the sums of x where they lie; but a GRU's reset gate stands between the two.
    sums = lib.empty((len(h), count * width), gates.dtype) if cell == "Gru" else None
    for step in (step for run in way for step in run.each()):
        n = step.batch
        if sums is None:
            matmul_into(h[:n], w_hh.T, gates[step.at : step.at + n], beta=1.0)
        else:
            matmul_into(h[:n], w_hh.T, sums[:n])
        args = (gates, sums, *biases, h, c, *kept, step.at, n, width)
        name = f"step_forward<{cell}, {ctype(gates.dtype)}>"
        launch("recurrent", name, ceil_div(n * width, THREADS), THREADS, args)


def walk_back(
    cell: str, way: tuple, g: Any, past: tuple, w_hh: Any, d_ih: Any, d_hh: Any, dh: Any, dc: Any
) -> None:
    """All steps backwards. past: gates, keeps, states and initial of recurrent.cu; d_hh None: it is d_ih."""
    count, width = GATES[cell], w_hh.shape[1]
    sequences = chosen(cell, w_hh, way)
    if sequences:
        size, w = shared_bytes(count, width, sequences, True), library(g).ascontiguousarray(w_hh)
        for run in reversed(way):
            at = run.at + (run.steps - 1) * run.jump
            where = (at, -run.jump, run.steps, run.before, run.carried, run.batch, width)
            grid, name = ceil_div(run.batch, sequences), f"walk_backward<{cell}, {sequences}>"
            args = (g, *past, w, d_ih, d_hh, dh, dc, *where)
            launch("recurrent", name, grid, count * width, args, shared=size)
        return
    d_hh, of_gru = (d_ih, None) if d_hh is None else (d_hh, d_hh)
    name = f"step_backward<{cell}, {ctype(g.dtype)}>"
    for step in (step for run in reversed(way) for step in reversed(list(run.each()))):
        n = step.batch
        args = (g, *past, d_ih, of_gru, dh, dc, step.at, step.before, step.carried, n, width)
        launch("recurrent", name, ceil_div(n * width, THREADS), THREADS, args)
        beta = 0.0 if of_gru is None else 1.0  # a GRU's gradient also goes past the product
        matmul_into(d_hh[step.at : step.at + n], w_hh, dh[:n], beta=beta)


# ---------------------------------------------------------------- before and after the walk


def fits(gates: int, x: Any, states: tuple, w_ih: Any, w_hh: Any, biases: tuple, sizes: tuple) -> bool:
    """Whether the arrays are of one dtype and belong together."""
    batch, width = sizes[0], w_hh.shape[-1]
    shapes: list[tuple] = [(x, (sum(sizes), w_ih.shape[-1])), (w_ih, (gates * width, w_ih.shape[-1]))]
    shapes += [(w_hh, (gates * width, width)), *((s, (batch, width)) for s in states)]
    shapes += [(b, (gates * width,)) for b in biases if b is not None]
    return all(a.shape == shape and a.dtype == x.dtype for a, shape in shapes) and width > 0


def dense(*arrays: Any) -> list[Any]:
    """Each in C order, None as it is."""
    return [None if a is None else library(a).ascontiguousarray(a) for a in arrays]


def times(a: Any, b: Any) -> Any:
    """a @ b."""
    return matmul_into(a, b, library(a).empty((a.shape[0], b.shape[1]), a.dtype))


def gradients(needs: tuple, d_ih: Any, d_hh: Any, x: Any, before: Before, w_ih: Any) -> list[Any]:
    """Of x, W_ih, W_hh, b_ih, b_hh: one product or sum over all steps each; None where not needed."""
    gx, gw_ih, gw_hh, gb_ih, gb_hh = needs
    return [
        times(d_ih, w_ih) if gx else None,
        times(d_ih.T, x) if gw_ih else None,
        times(d_hh.T, before.packed()) if gw_hh else None,
        summed(d_ih) if gb_ih else None,
        summed(d_hh) if gb_hh else None,
    ]


def summed(d: Any) -> Any:
    """The sum of the rows, made in float32."""
    if d.dtype.name == "float32":
        return d.sum(axis=0)
    return times(library(d).ones((1, len(d)), d.dtype), d).reshape(-1)


# ---------------------------------------------------------------- what the ops call


def lstm_sequence(
    x: Any, h0: Any, c0: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None, w_hr: Any = None, *,
    sizes: tuple, reverse: bool = False,
) -> Any:  # fmt: skip
    """h of all steps and every sequence's last c, flat; without a projection."""
    way = runs(tuple(sizes), reverse)
    if way is None or w_hr is not None or not fits(4, x, (h0, c0), w_ih, w_hh, (b_ih, b_hh), sizes):
        return NotImplemented
    lib, dtype, (total, _), (batch, width) = library(x), x.dtype, x.shape, h0.shape
    result = lib.empty((total + batch) * width, dtype)
    y, last = result[: total * width].reshape(total, width), result[total * width :].reshape(batch, width)
    cells, tanhs = lib.empty((total, width), dtype), lib.empty((total, width), dtype)
    gates, h0, c0 = times(x, w_ih.T), *dense(h0, c0)
    c = c0.astype("float32")  # the cell's state is kept in float32
    walk("Lstm", way, gates, w_hh, tuple(dense(b_ih, b_hh)), h0.copy(), c, (y, tanhs, cells))
    last[...] = c
    return result, (Before(y, h0, way), Before(cells, c0, way), gates, tanhs, y)


def lstm_sequence_joint(
    g: Any, needs: tuple, x: Any, h0: Any, c0: Any, w_ih: Any, w_hh: Any, w_hr: Any, saved: Any, *,
    sizes: tuple, reverse: bool,
) -> Any:  # fmt: skip
    """Gradients of x, h0, c0, the weights and the biases, of what the kernel saved."""
    h_before, c_before, gates, tanhs, _ = saved
    if w_hr is not None or not isinstance(h_before, Before):
        return NotImplemented
    lib, g = library(g), dense(g)[0]
    dc, dh = g[len(x) * h0.shape[1] :].reshape(h0.shape).astype("float32"), lib.zeros(h0.shape, "float32")
    d, past = lib.empty(gates.shape, g.dtype), (gates, tanhs, c_before.states, c_before.initial)
    walk_back("Lstm", h_before.way, g, past, w_hh, d, None, dh, dc)
    gx, *weights = gradients((needs[0], *needs[3:7]), d, d, x, h_before, w_ih)
    return gx, dh.astype(g.dtype, copy=False), dc.astype(g.dtype, copy=False), *weights, None


def gru_sequence(
    x: Any, h0: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None, *, sizes: tuple,
    reverse: bool = False,
) -> Any:  # fmt: skip
    """h of all steps."""
    way = runs(tuple(sizes), reverse)
    if way is None or not fits(3, x, (h0,), w_ih, w_hh, (b_ih, b_hh), sizes):
        return NotImplemented
    lib, shape = library(x), (len(x), h0.shape[1])
    y, inner, gates = lib.empty(shape, x.dtype), lib.empty(shape, x.dtype), times(x, w_ih.T)
    h0, b_ih, b_hh = dense(h0, b_ih, b_hh)
    walk("Gru", way, gates, w_hh, (b_ih, b_hh), h0.copy(), None, (y, inner, None))
    return y, (Before(y, h0, way), gates, inner)


def gru_sequence_joint(
    g: Any, needs: tuple, x: Any, h0: Any, w_ih: Any, w_hh: Any, saved: Any, *, sizes: tuple, reverse: bool
) -> Any:
    """Gradients of x, h0, the weights and the biases, of what the kernel saved."""
    before, gates, inner = saved
    if not isinstance(before, Before):
        return NotImplemented
    lib, dh = library(g), library(g).zeros(h0.shape, "float32")
    d_ih, d_hh = lib.empty(gates.shape, g.dtype), lib.empty(gates.shape, g.dtype)
    past = (gates, inner, before.states, before.initial)
    walk_back("Gru", before.way, dense(g)[0], past, w_hh, d_ih, d_hh, dh, None)
    gx, *weights = gradients((needs[0], *needs[2:]), d_ih, d_hh, x, before, w_ih)
    return gx, dh.astype(g.dtype, copy=False), *weights


def rnn_sequence(
    x: Any, h0: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None, *, sizes: tuple,
    reverse: bool = False, nonlinearity: str = "tanh",
) -> Any:  # fmt: skip
    """h of all steps."""
    way = runs(tuple(sizes), reverse)
    if way is None or not fits(1, x, (h0,), w_ih, w_hh, (b_ih, b_hh), sizes):
        return NotImplemented
    y = times(x, w_ih.T)
    h0, b_ih, b_hh = dense(h0, b_ih, b_hh)
    walk(rnn(nonlinearity), way, y, w_hh, (b_ih, b_hh), h0.copy(), None, (None, None, None))
    return y, Before(y, h0, way)


def rnn_sequence_joint(
    g: Any, needs: tuple, y: Any, x: Any, h0: Any, w_ih: Any, w_hh: Any, saved: Any, *, sizes: tuple,
    reverse: bool, nonlinearity: str,
) -> Any:  # fmt: skip
    """Gradients of x, h0, the weights and the biases, of what the kernel saved."""
    if not isinstance(saved, Before):
        return NotImplemented
    d, dh = library(g).empty(y.shape, g.dtype), library(g).zeros(h0.shape, "float32")
    past = (saved.states, None, None, None)
    walk_back(rnn(nonlinearity), saved.way, dense(g)[0], past, w_hh, d, None, dh, None)
    gx, *weights = gradients((needs[0], *needs[2:]), d, d, x, saved, w_ih)
    return gx, dh.astype(g.dtype, copy=False), *weights


def rnn(nonlinearity: str) -> str:
    """The cell of recurrent.cu."""
    return "RnnRelu" if nonlinearity == "relu" else "RnnTanh"
