"""Launches of recurrent.cu: whole sequences of LSTM, GRU and RNN, and their gradients.

The sums that need no earlier state are one product for all time steps, before the walk; so are, after the
walk back, the gradients of all weights. Between them comes the walk, in one of three forms that `form`
chooses from: one launch for many steps, one for each, or a product of cuBLAS and a kernel for each.

Sequences that end (or begin) on the way cut the walk into runs of steps with one number of sequences each;
states that pass from one run to the next lie in a row per sequence.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

from .launch import ceil_div, ctype, launch, library, packed
from .linalg import linear_bias, matmul_into
from .recurrent_tiles import tiles, tiles_back
from .recurrent_way import Before, Run, every, runs

__all__ = [
    "INSTANCES", "Form", "form", "gru_sequence", "gru_sequence_joint", "lstm_sequence", "lstm_sequence_joint",
    "rnn_sequence", "rnn_sequence_joint",
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
    return 4 * (sequences * vectors + max(0, ceil_div(width, 4) * 4 - KEPT) * gates * width)


class Form(NamedTuple):
    """How to walk: "walk" (a launch for many steps), "tiles" (one for each), "steps" (two, one of cuBLAS)."""

    kind: str
    sequences: int = 0  # of a walk's block


def form(gates: int, width: int, way: tuple[Run, ...], processors: int, shared: int) -> Form:
    """The fastest form for these sizes, reckoned from what each form moves: it has not been measured.

    walk: the weights fit on one multiprocessor, and each run of steps is worth fetching them anew. Few
    sequences are spread, one for each multiprocessor; more share a block's reads of its weights. From
    thousands on a step is work enough for all the card. tiles: each of the tiles of 8 sequences fetches the
    weights from the L2 cache, at some 4 MB in a microsecond; cuBLAS and a second launch cost about five.

    >>> [form(4, 128, runs((batch,) * 50, False), 132, 227 * 1024) for batch in (8, 512, 8192)]
    [Form(kind='walk', sequences=1), Form(kind='walk', sequences=4), Form(kind='steps', sequences=0)]
    >>> [form(4, 256, runs((batch,) * 50, False), 132, 227 * 1024).kind for batch in (32, 256)]
    ['tiles', 'steps']
    """
    batch, steps = max(run.batch for run in way), sum(run.steps for run in way)
    fits = gates * width <= MOST_THREADS and shared_bytes(gates, width, TOGETHER[-1], True) <= shared
    if fits and steps >= 4 * len(way) and batch <= 32 * processors:
        return Form("walk", 1 if batch <= processors else TOGETHER[-1])
    fetched = ceil_div(batch, 8) * 4 * gates * width * width
    return Form("tiles" if width % 4 == 0 and fetched <= 16 << 20 else "steps")


def chosen(cell: str, w_hh: Any, initial: Any, way: tuple[Run, ...]) -> Form:
    """The form for these weights on their device; halves go step by step."""
    if w_hh.dtype.name != "float32":
        return Form("steps")
    found = form(GATES[cell], w_hh.shape[1], way, *card(library(w_hh), w_hh.device.id))
    return found if found.kind != "tiles" or packed(w_hh, initial) else Form("steps")


# ---------------------------------------------------------------- the walks


def forwards(
    cell: str, way: tuple, gates: Any, w_hh: Any, biases: tuple, h0: Any, c: Any, kept: tuple
) -> None:
    """All steps forwards: `gates` holds the sums of x and gets the gates, c goes from first to last.

    kept: y, keeps and cells of cells.cuh.
    """
    chose = chosen(cell, w_hh, h0, way)
    if chose.kind == "tiles":
        tiles(cell, way, gates, w_hh, biases, h0, c, kept)
    elif chose.kind == "walk":
        args = (gates, library(w_hh).ascontiguousarray(w_hh.T), *biases, h0.copy(), c, *kept)
        walk(cell, chose.sequences, way, args)
    else:
        steps(cell, way, gates, w_hh, biases, h0.copy(), c, kept)


def walk(cell: str, sequences: int, way: tuple, args: tuple) -> None:
    """One launch for each run. args: those of walk_forward, but where it is to go."""
    count, width = GATES[cell], len(args[1])
    size, name = shared_bytes(count, width, sequences, False), f"walk_forward<{cell}, {sequences}>"
    for run in way:
        where = (run.at, run.jump, run.steps, run.batch, width)
        launch("recurrent", name, ceil_div(run.batch, sequences), count * width, args + where, shared=size)


def steps(cell: str, way: tuple, gates: Any, w_hh: Any, biases: tuple, h: Any, c: Any, kept: tuple) -> None:
    """A product and a launch for each step; h goes from first to last states as c does."""
    width = w_hh.shape[1]
    # The product is added to the sums of x where they lie; but a GRU's reset gate stands between the two.
    sums = library(gates).empty((len(h), gates.shape[1]), gates.dtype) if cell == "Gru" else None
    for step in every(way):
        at, n = step.at, step.batch
        out, beta = (gates[at : at + n], 1.0) if sums is None else (sums[:n], 0.0)
        matmul_into(h[:n], w_hh.T, out, beta=beta)
        args = (gates, sums, *biases, h, c, *kept, at, n, width)
        name = f"step_forward<{cell}, {ctype(gates.dtype)}>"
        launch("recurrent", name, ceil_div(n * width, THREADS), THREADS, args)


def backwards(
    cell: str, way: tuple, g: Any, past: tuple, w_hh: Any, d_ih: Any, d_hh: Any, dh: Any, dc: Any
) -> None:
    """All steps backwards. past: gates, keeps, states and initial of cells.cuh; d_hh None: it is d_ih."""
    chose = chosen(cell, w_hh, dh, way)
    args = (g, *past, library(g).ascontiguousarray(w_hh), d_ih, d_hh, dh, dc)
    if chose.kind == "tiles":
        tiles_back(cell, way, args)
    elif chose.kind == "walk":
        walk_back(cell, chose.sequences, way, args)
    else:
        steps_back(cell, way, g, past, w_hh, d_ih, d_hh, dh, dc)


def walk_back(cell: str, sequences: int, way: tuple, args: tuple) -> None:
    """One launch for each run. args: those of walk_backward, but where it is to go."""
    count, width = GATES[cell], args[5].shape[1]
    size, name = shared_bytes(count, width, sequences, True), f"walk_backward<{cell}, {sequences}>"
    for run in reversed(way):
        at = run.at + (run.steps - 1) * run.jump
        where = (at, -run.jump, run.steps, run.before, run.carried, run.batch, width)
        launch("recurrent", name, ceil_div(run.batch, sequences), count * width, args + where, shared=size)


def steps_back(
    cell: str, way: tuple, g: Any, past: tuple, w_hh: Any, d_ih: Any, d_hh: Any, dh: Any, dc: Any
) -> None:
    """A launch and a product for each step."""
    d, beta = (d_ih, 0.0) if d_hh is None else (d_hh, 1.0)  # a GRU's gradient also goes past the product
    name, width = f"step_backward<{cell}, {ctype(g.dtype)}>", w_hh.shape[1]
    for step in reversed(every(way)):
        at, n = step.at, step.batch
        args = (g, *past, d_ih, d_hh, dh, dc, at, step.before, step.carried, n, width)
        launch("recurrent", name, ceil_div(n * width, THREADS), THREADS, args)
        matmul_into(d[at : at + n], w_hh, dh[:n], beta=beta)


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
        linear_bias(d_ih) if gb_ih else None,
        linear_bias(d_hh) if gb_hh else None,
    ]


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
    forwards("Lstm", way, gates, w_hh, tuple(dense(b_ih, b_hh)), h0, c, (y, tanhs, cells))
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
    backwards("Lstm", h_before.way, g, past, w_hh, d, None, dh, dc)
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
    forwards("Gru", way, gates, w_hh, (b_ih, b_hh), h0, None, (y, inner, None))
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
    backwards("Gru", before.way, dense(g)[0], past, w_hh, d_ih, d_hh, dh, None)
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
    forwards(rnn(nonlinearity), way, y, w_hh, (b_ih, b_hh), h0, None, (None, None, None))
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
    backwards(rnn(nonlinearity), saved.way, dense(g)[0], past, w_hh, d, None, dh, None)
    gx, *weights = gradients((needs[0], *needs[2:]), d, d, x, saved, w_ih)
    return gx, dh.astype(g.dtype, copy=False), *weights


def rnn(nonlinearity: str) -> str:
    """The cell of recurrent.cu."""
    return "RnnRelu" if nonlinearity == "relu" else "RnnTanh"
