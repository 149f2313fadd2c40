"""The page's live interpreter against the engine: every op and sample, forward and backward, in a real browser."""

import base64
import json
import re
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
from browser import BrowserPage, chromium  # noqa: F401 (chromium is a fixture)
from cases import SAMPLES

import minigrad as mg
from minigrad import nn
from minigrad.engine.op import REGISTRY
from minigrad.engine.random import Generator
from minigrad.gradtable import as_function
from minigrad.inspect.page.bundle import FOLDER
from minigrad.inspect.page.encode import ArrayTable, Graph
from minigrad.inspect.page.lower import encode_meta, lower

OURS = {name: op for name, op in REGISTRY.items() if op.forward.__module__.startswith("minigrad")}
F = nn.functional

# What the page adds to the interpreter for these tests: run graphs, and send all numbers back as base64.
HARNESS = """
function packed(array) {
  if (!array) return null;
  const bytes = new Uint8Array(array.data.buffer, array.data.byteOffset, array.data.byteLength);
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return { s: array.shape, b: btoa(text) };
}
const packedMap = (map) => Object.fromEntries([...map].map(([id, array]) => [id, packed(array)]));
function runJob(job, arrays) {
  const missing = notLive(job.graph, arrays);
  if (missing.length) return { missing };
  const override = new Map(Object.entries(job.override).map(([id, index]) => [Number(id), arrays[index]]));
  const run = runGraph(job.graph, override, arrays);
  const back = backGraph(job.graph, run, undefined, arrays);
  return { missing, values: packedMap(run.values), grads: packedMap(back.grads), sent: back.sent.map((s) => s.map(packed)) };
}
function runJobs(text) {
  const { jobs, arrays } = JSON.parse(text);
  const decoded = decodeArrays(arrays);
  return JSON.stringify(jobs.map((job) => runJob(job, decoded)));
}
"""


def scripts():
    """The interpreter's own files: it needs no other of the page's."""
    names = ["arrays.js", *sorted(f.name for f in FOLDER.glob("ops_*.js")), "interpreter.js"]
    return "\n".join((FOLDER / name).read_text(encoding="utf-8") for name in names)


@pytest.fixture(scope="module")
def page(chromium, tmp_path_factory):  # noqa: F811
    """One page with the interpreter in it, for all tests here."""
    opener = BrowserPage(chromium, tmp_path_factory.mktemp("interpreter"))
    yield opener.open_page(f'<script>"use strict";\n{scripts()}\n{HARNESS}</script>')
    assert opener.messages == [] and opener.requests == []
    opener.close()


class Jobs:
    """Graphs to run in the page, with what the engine says about them."""

    def __init__(self):
        self.arrays, self.jobs, self.wanted = ArrayTable(), [], []

    def add(self, name, trace, override=None, live=None, opened=True):
        """A trace's graph; with `override` {name: array} it must give the numbers of the trace `live`."""
        graph = Graph(trace, self.arrays).encoded()
        if not opened:
            graph["forward"] = [{**step, "inside": None} for step in graph["forward"]]
        changed = {trace[key].id: self.arrays(array) for key, array in (override or {}).items()}
        self.jobs.append({"graph": graph, "override": changed})
        self.wanted.append((name, live or trace))

    def run(self, page):
        """What the page computes, a dict per job."""
        text = json.dumps({"jobs": self.jobs, "arrays": self.arrays.encoded()}, allow_nan=False)
        return json.loads(page.evaluate("runJobs", text))

    def check(self, page):
        """Every value, every gradient and what every edge sends is the engine's, or a list of what is not."""
        faults = []
        for (name, trace), got in zip(self.wanted, self.run(page), strict=True):
            if got["missing"]:
                faults.append(f"{name}: not live, {got['missing']}")
                continue
            faults += [f"{name}: {fault}" for fault in compared(trace, got)]
        assert not faults, "\n".join(faults[:20])


def compared(trace, got):
    """The faults of one graph, to 1e-12 of each array's largest element.

    A gradient of nothing but rounding errors (it is 0 in exact numbers) is compared to the graph's largest.
    """
    largest = max(np.abs(v.grad).max(initial=0.0) for v in trace.values if v.grad is not None)
    for v in trace.values:
        yield from difference(f"value {v.name}", got["values"][str(v.id)], v.data)
        if v.grad is not None:
            yield from difference(f"gradient of {v.name}", got["grads"].get(str(v.id)), v.grad, largest)
    for step, sent in zip(trace.backward, got["sent"], strict=True):
        for edge, array in zip(step.edges, sent, strict=True):
            yield from difference(f"{edge!r}", array, edge.sent, largest)


def difference(what, packed, wanted, largest=0.0):
    if packed is None:
        yield f"{what}: nothing came"
        return
    got = np.frombuffer(base64.b64decode(packed["b"])).reshape(packed["s"])
    wanted = np.asarray(wanted, np.float64)
    if got.shape != wanted.shape:
        yield f"{what}: shape {got.shape}, expected {wanted.shape}"
        return
    size = np.abs(wanted[np.isfinite(wanted)]).max(initial=0.0)
    size = largest if size < 1e-13 * largest else size
    with np.errstate(invalid="ignore"):
        same = (got == wanted) | (np.isnan(got) & np.isnan(wanted)) | (np.abs(got - wanted) <= 1e-12 * size)
    if not same.all():
        yield f"{what}: off by {np.abs(got - wanted)[~same].max():.3g}, the largest element is {size:.3g}"


# ---------------------------------------------------------------- op by op


def differentiable(every):
    """(name, k, trace) of samples of each op with a gradient: all, or the first."""
    for name, op in OURS.items():
        for k, sample in enumerate(SAMPLES[name][: None if every else 1]):
            if op.differentiable:
                f, xs, _ = as_function(op, sample)
                with mg.no_grad():
                    v = Generator(3).standard_normal(f(*map(mg.tensor, xs)).shape)
                yield name, k, mg.trace(f, *xs, gradient=v)


def check_samples(page, every):
    jobs = Jobs()
    for name, k, trace in differentiable(every):
        jobs.add(f"{name}[{k}]", trace)
        if name in ("cross_entropy", "normalise", "rms_norm"):  # these also have a form of their own
            jobs.add(f"{name}[{k}] unopened", trace, opened=False)
    jobs.check(page)


def test_each_op_computes_what_the_engine_computes(page):
    check_samples(page, every=False)


@pytest.mark.slow
def test_every_sample_of_every_op(page):
    check_samples(page, every=True)


STEPS = np.array([-3.0, -2.5, -1.5, -1.0, -0.5, 0.0, 0.0, 0.5, 1.0, 1.0, 1.5, 2.5, 3.0])
TIES = {  # at a kink or a tie the engine makes a choice: the page must make the same
    "elementwise": lambda x: sum((f(x) * STEPS).sum() for f in (mg.abs, mg.sign, mg.floor, mg.ceil, mg.trunc, mg.round, F.relu, F.relu6, F.elu, F.celu)),
    "shrink": lambda x: sum((f(x) * STEPS).sum() for f in (F.hardtanh, F.hardsigmoid, F.hardswish, F.softshrink, F.hardshrink, F.leaky_relu, F.selu)),
    "clip": lambda x: (mg.clip(x, -1.0, 1.5) * STEPS).sum() + (F.threshold(x, 0.5, 9.0) * STEPS).sum(),
    "two": lambda x: ((mg.maximum(x, x[::-1]) - mg.minimum(x, 0.5)) * STEPS).sum() + mg.logaddexp(x, x).sum(),
    "extrema": lambda x: x.max() * 2.0 - x.min() + (x[:12].reshape(2, 2, 3).max(axis=(0, 2)) * np.array([1.0, 2.0])).sum(),
    "powers": lambda x: (x**2 + x**0 + x**3.0).sum() + (2.0**x).sum() + ((x * x) ** x).sum(),
    "zeros": lambda x: mg.prod(x[3:8]) + mg.prod(x[:4]) + mg.cumprod(x, 0).sum() + mg.norm(x[5:7]) + mg.norm(x),
    "rest": lambda x: (x % 1.25 * STEPS).sum() + (x % -0.75).sum() + (x // 0.5).sum(),
    "pool": lambda x: (F.max_pool2d(mg.concatenate([x, x, x[:10]]).reshape(1, 1, 6, 6), 3, 2, 1, ceil_mode=True) ** 2).sum(),
    "masks": lambda x: mg.softmax(mg.where(STEPS > 0, x, -np.inf)) @ STEPS + F.prelu(x, mg.tensor([0.3], dtype="float64")).sum(),
    "erf": lambda x: (mg.erf(2.2 * x) + mg.erfc(2.2 * x) + F.gelu(x * 3.0) + F.softplus(30.0 * x)).sum(),
}  # fmt: skip


def test_ties_and_kinks(page):
    jobs = Jobs()
    for name, f in TIES.items():
        jobs.add(name, mg.trace(f, STEPS))
    jobs.check(page)


INDICES = [
    (1,), (-1, ..., -2), (slice(None, None, -2), None), (..., slice(-3, None)), (slice(5, 1, -1), slice(1, -1), 0),
    (np.array([[0, -1], [1, 1]]),), (0, slice(None), np.array([1, 3])), (slice(None), np.array([1, 0]), np.array([[0], [3]])),
    (np.array([1, 0]), slice(None), np.array([3, 3])), (np.array([0, 1]), None, 1), (slice(None), np.array([1, 0]), None, np.array([3, 3])), (slice(0, 0), 1), (None, ..., np.array([2, 0])),
    (np.arange(24).reshape(2, 3, 4) % 5 == 1,), (slice(None), np.array([True, False, True]), slice(None, None, 3)), (0, np.eye(3, 4) > 0),
]  # fmt: skip


def test_every_kind_of_index(page):
    jobs, generator = Jobs(), Generator(8)
    x = generator.standard_normal((2, 3, 4))
    for index in INDICES:
        v = generator.standard_normal(x[index].shape)

        def put(x, v, index=index):
            y = x * 1.0
            y[index] = v
            return y

        jobs.add(f"x[{index}]", mg.trace(lambda x, index=index: x[index], x, gradient=v))
        jobs.add(f"x[{index}] = v", mg.trace(put, x, v, gradient=x + 1.0))
    jobs.check(page)


SHAPED = {  # forms that the samples leave out, on x (2, 3, 4)
    "matmul, broadcast": lambda x: x[:, None] @ x.transpose(0, 2, 1)[None],
    "matmul, vector": lambda x: x @ x[0, 0],
    "einsum, length 1": lambda x: mg.einsum("ijk,ijl->kl", x, x[:, :1]),
    "einsum, lost": lambda x: mg.einsum("ijk,k,j->i", x, x[0, 0], x[0, :, 0]),
    "tile and repeat": lambda x: mg.tile(x, (2, 1, 3)).sum(axis=1) * mg.repeat(x[0, :1], 3, axis=1),
    "stack": lambda x: mg.stack([x, -x, x * x], axis=-1)[..., 1:],
    "sort": lambda x: mg.sort(x, axis=1)[:, ::-1],
    "std": lambda x: (x - x.mean(axis=(0, -1), keepdims=True)) / mg.std(x, axis=-1, keepdims=True),
    "pad": lambda x: mg.pad(x, ((0, 0), (2, 1), (3, 2)), mode="reflect") * 2.0,
    "edge and wrap": lambda x: mg.pad(x, 1, mode="edge")[:, :, :4] + mg.pad(x, ((1, 1), (1, 1), (0, 0)), mode="wrap"),
    "conv1d": lambda x: F.conv1d(x, x[:, :, :3], stride=2, padding=2, dilation=1),
    "conv2d, groups": lambda x: F.conv2d(x.reshape(1, 4, 2, 3), x[:, 0].reshape(4, 1, 1, 2), padding=(0, 1), groups=4),
    "conv3d": lambda x: F.conv3d(x.reshape(1, 1, 2, 3, 4), x[:, :2, :2].reshape(1, 1, 2, 2, 2), padding=1, stride=(1, 2, 1)),
    "conv_transpose": lambda x: F.conv_transpose1d(x, x.transpose(1, 0, 2)[:, :, :3], stride=2, padding=1),
    "average pool": lambda x: F.avg_pool1d(x, 3, 2, 1, ceil_mode=True) + F.adaptive_avg_pool1d(x, 3)[..., :1],
    "adaptive max": lambda x: F.adaptive_max_pool1d(x, 3) + F.max_pool1d(x, 2, 1)[..., :3],
    "unfold": lambda x: F.unfold(x[None], 2, padding=1, stride=(1, 2)),
    "interpolate": lambda x: F.interpolate(x[None], size=(5, 3), mode="bilinear", align_corners=False),
    "embedding": lambda x: F.embedding(mg.tensor([[0, 1, 1], [0, 0, 1]]), x[:, 0]),
    "layer norm": lambda x: F.layer_norm(x, (3, 4)) + (F.group_norm(x[:, :2, :3], 2) ** 3).sum(),
    "batch norm": lambda x: F.batch_norm(x, None, None, x[0, :, 0], x[1, :, 0], training=True),
    "losses": lambda x: F.cross_entropy(x, mg.tensor([[0, 2, 1, 1], [2, -100, 0, 0]]), mg.tensor([1.0, 2.0, 0.5], dtype="float64")),
    "diagonals": lambda x: mg.tril(x, 1) @ mg.diag(x[0, 0]) + mg.trace(x[0]) + mg.diagonal(x, 1, 1, 2).sum(),
    "solve": lambda x: mg.solve(x[:, :, :3] + 3.0 * np.eye(3), x) + mg.det(x[:, :, :3])[:, None, None],
}  # fmt: skip


def test_forms_that_the_samples_leave_out(page):
    jobs, generator = Jobs(), Generator(9)
    x = generator.standard_normal((2, 3, 4))
    for name, f in SHAPED.items():
        with mg.no_grad():
            v = generator.standard_normal(f(mg.tensor(x)).shape)
        jobs.add(name, mg.trace(f, x, gradient=v))
    jobs.check(page)


def test_ops_without_a_gradient(page):
    arrays, jobs, wanted = ArrayTable(), [], []
    for name, op in OURS.items():
        for k, (args, meta) in enumerate(SAMPLES[name] if not op.differentiable else []):
            step = SimpleNamespace(op=name, meta=op.bind(args, meta)[1], saved=[])
            result = op.call(*[mg.tensor(a) for a in args], **meta).numpy()
            graph = single(arrays, args, step, result)
            jobs.append({"graph": graph, "override": {}})
            wanted.append((f"{name}[{k}]", result))
    text = json.dumps({"jobs": jobs, "arrays": arrays.encoded()}, allow_nan=False)
    for (name, result), got in zip(wanted, json.loads(page.evaluate("runJobs", text)), strict=True):
        assert not got["missing"], name
        assert list(difference(name, got["values"]["9"], result)) == []


def single(arrays, args, step, result):
    """The graph of one op, of inputs 0, 1, ... and output 9."""
    values = [{"id": i, "kind": "input", "data": arrays(np.asarray(a))} for i, a in enumerate(args)]
    values += [{"id": i, "kind": "result", "data": None, "dtype": str(result.dtype)} for i in range(len(args), 10)]
    meta = encode_meta(lower(step), arrays)
    forward = {"id": 0, "op": step.op, "inputs": list(range(len(args))), "output": 9, "meta": meta, "inside": None}
    return {"values": values, "forward": [forward], "backward": [], "output": 9, "seed": arrays(result)}


def test_no_op_is_forgotten(page):
    known = set(page.evaluate("Object.keys(OPS)"))
    left_out = page.evaluate("NOT_IN_TABLE")
    assert set(OURS) == known | set(left_out) and not known & set(left_out)
    assert all(OURS[name].reference is not None for name in left_out), "only what can be opened may be left out"


# ---------------------------------------------------------------- whole graphs


def random_expression(seed):
    """A function of three matrices, made of some fifteen ops, and its inputs."""
    rng = np.random.default_rng(seed)
    one = [mg.tanh, mg.sin, mg.nn.functional.gelu, mg.nn.functional.silu, lambda a: mg.softmax(a, 0), lambda a: a.T,
           lambda a: a[::-1], lambda a: a[[0, 2, 2]], lambda a: mg.sqrt(1.0 + a * a), lambda a: mg.roll(a, 1, 0),
           lambda a: a - a.mean(axis=0), lambda a: mg.cumsum(a, 1) * 0.3]  # fmt: skip
    two = [mg.add, mg.mul, mg.maximum, lambda a, b: a / (1.5 + mg.abs(b)), lambda a, b: a @ b * 0.3, mg.hypot,
           lambda a, b: mg.where(a.detach() > 0.1, a, b), lambda a, b: mg.einsum("ij,kj->ik", a, b) * 0.3]  # fmt: skip
    plan = [(rng.integers(2), rng.integers(12), rng.integers(8), *rng.integers(0, 99, 2)) for _ in range(15)]

    def f(a, b, c):
        pool = [a, b + c[0]]
        for binary, i, j, p, q in plan:
            x, y = pool[p % len(pool)], pool[q % len(pool)]
            pool.append(two[j](x, y) if binary else one[i](x))
        return sum((x * c).sum() for x in pool)

    return f, [rng.standard_normal((3, 3)) for _ in range(3)]


class LeNet(nn.Module):
    """LeNet-5 as it is taught."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 6, 5, padding=2), nn.Conv2d(6, 16, 5)
        self.fc1, self.fc2, self.fc3 = nn.Linear(400, 120), nn.Linear(120, 84), nn.Linear(84, 10)

    def forward(self, x, label):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2).flatten(1)
        return F.cross_entropy(self.fc3(F.relu(self.fc2(F.relu(self.fc1(x))))), label)


def lstm(steps, size):
    """A cell in a loop: its function and an input."""
    cell = nn.LSTMCell(3, size).double()

    def f(x):
        h = c = mg.zeros((1, size), dtype="float64")
        for t in range(steps):
            h, c = cell(x[t], (h, c))
        return (h * h).sum()

    return f, Generator(1).standard_normal((steps, 1, 3))


def mlp():
    """Two layers, of a batch, dropout and its own numbers."""
    mg.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 1)).double()
    return lambda x: (net(x) ** 2).mean(), Generator(2).standard_normal((5, 4))


def test_random_expressions(page):
    jobs = Jobs()
    for seed in range(6):
        f, xs = random_expression(seed)
        jobs.add(f"expression {seed}", mg.trace(f, *xs))
    jobs.check(page)


def test_small_networks(page):
    jobs = Jobs()
    for name, (f, x) in {"mlp": mlp(), "lstm": lstm(5, 4)}.items():
        jobs.add(name, mg.trace(f, x))
    jobs.check(page)


def large_networks():
    """Name, function and inputs."""
    mg.manual_seed(0)
    generator = Generator(4)
    yield "LeNet-5", LeNet().double(), (generator.standard_normal((1, 1, 28, 28)), np.array([3]))
    f, x = lstm(20, 32)
    yield "LSTM", f, (x,)
    block = nn.TransformerEncoderLayer(64, 4, 128, dropout=0.1, batch_first=True).double()
    x, weights = generator.standard_normal((2, 1, 16, 64))
    yield "transformer", lambda x: (block(x) * weights).sum(), (x,)


@pytest.mark.slow
def test_large_networks(page):
    for name, f, inputs in large_networks():
        jobs = Jobs()  # each with a budget of bytes of its own
        jobs.add(name, mg.trace(f, *inputs))
        jobs.check(page)


def test_a_changed_input_gives_what_the_engine_would_give(page):
    jobs, generator = Jobs(), Generator(5)
    f, _ = lstm(4, 3)
    before, after = generator.standard_normal((2, 4, 1, 3))
    jobs.add("lstm", mg.trace(f, before), {"x": after}, mg.trace(f, after))

    def g(w, x):  # relu, maximum and max pooling choose otherwise at the new numbers
        y = F.max_pool2d(F.relu(F.conv2d(x, w)), 2)
        return mg.maximum(y, 0.3).sum() + x.max()

    x, w, u = generator.standard_normal((2, 1, 6, 6)), *generator.standard_normal((2, 1, 1, 3, 3))
    jobs.add("pool", mg.trace(g, w, x), {"w": u}, mg.trace(g, u, x))
    q, k, p = generator.standard_normal((3, 4, 2))
    attend = lambda q, k: (F.scaled_dot_product_attention(q, k, k, is_causal=True) * np.arange(8.0).reshape(4, 2)).sum()
    jobs.add("attention", mg.trace(attend, q, k), {"q": p}, mg.trace(attend, p, k))
    jobs.check(page)


def test_masks_and_orders_are_made_again(page):
    jobs, (x, u) = Jobs(), Generator(10).standard_normal((2, 4, 3))
    cases = {
        "where": lambda x: (mg.where(x > 0.0, x, 0.1 * x) ** 2).sum(),
        "two masks": lambda x: (mg.where((x > -0.5) & ~(x > 0.5), x * x, mg.sin(x)) * x).sum(),
        "a mask as a number": lambda x: (x * (x > 0.0) * 3.0 + x * (x < 0.0).astype("float64")).sum(),
        "detached": lambda x: (x * mg.exp(x.detach())).sum() + (x.detach() * x * x).sum(),
        "huber": lambda x: F.huber_loss(x, mg.zeros((4, 3), dtype="float64"), delta=0.7),
        "sort": lambda x: (mg.sort(x, axis=0) * np.arange(12.0).reshape(4, 3)).sum(),
        "topk": lambda x: (mg.topk(x, 2, axis=0)[0] * np.arange(6.0).reshape(2, 3)).sum(),
        "argmax": lambda x: (x[x.argmax(axis=0)] ** 2).sum(),
        "straight through": lambda x: ((x + (mg.round(x) - x).detach()) * x).sum(),
    }
    for name, f in cases.items():
        jobs.add(name, mg.trace(f, x))
        jobs.add(name + ", changed", mg.trace(f, x), {"x": u}, mg.trace(f, u))
    jobs.check(page)


def test_a_constant_follows_an_input_without_gradient(page):
    jobs, (w, x, u) = Jobs(), Generator(11).standard_normal((3, 2, 2))
    labels = np.array([0, 1])
    f = lambda w, x, y: F.cross_entropy((mg.tensor(x) * 2.0 + 1.0) @ w, y) + (w[y] * F.dropout(mg.tensor(x))).sum()
    g = lambda w, x, y: F.cross_entropy((x * 2.0 + 1.0) @ w, y)
    data, moved = mg.tensor(x), mg.tensor(u)
    jobs.add("drawn", mg.trace(f, w, data, labels))
    jobs.add("data", mg.trace(g, w, data, labels), {"x": u}, mg.trace(g, w, moved, labels))
    jobs.check(page)


def test_behind_a_checkpoint(page):
    jobs, f = Jobs(), lambda w, x: mg.tanh(w @ x) * x
    whole = lambda w, x: (mg.checkpoint(f, w, mg.checkpoint(f, w, x)) ** 2).sum()
    w, x, u = *Generator(6).standard_normal((2, 3, 3)), Generator(7).standard_normal((3, 3))
    jobs.add("checkpoint", mg.trace(whole, w, x), {"w": u}, mg.trace(whole, u, x))
    jobs.check(page)


# ---------------------------------------------------------------- what cannot run


def test_what_cannot_run_is_named(page):
    jobs = Jobs()
    jobs.add("fine", mg.trace(lambda a, b: mg.exp(a * b).sum(), np.ones(3), np.ones(3)))
    (job,) = jobs.jobs
    strange = lambda **changes: [{**step, **(changes if step["op"] == "exp" else {})} for step in job["graph"]["forward"]]
    jobs.jobs = [
        {**job, "graph": {**job["graph"], "forward": strange(op="unheard_of")}},
        {**job, "graph": {**job["graph"], "forward": strange(meta={"how": {"repr": "<f>"}})}},
        job,
    ]
    assert [got["missing"] for got in jobs.run(page)] == [["unheard_of"], ["exp"], []]
    arrays = jobs.arrays.encoded()
    (b,) = [v for v in job["graph"]["values"] if v["name"] == "b"]
    arrays[b["data"]] = {"t": "f8", "s": [3], "summary": {"min": 1, "max": 1, "mean": 1, "norm": 1}, "picture": None}
    (got,) = json.loads(page.evaluate("runJobs", json.dumps({"jobs": [job], "arrays": arrays})))
    assert got["missing"] == ["mul"]


def test_settings_become_json():
    seen = []
    number = lambda array: seen.append(array) or len(seen) - 1
    given = {"a": (1, np.int64(2), 0.5), "s": slice(None, 3), "e": ..., "x": np.arange(3), "d": np.dtype("float32")}
    given |= {"i": -np.inf, "n": None, "f": abs}
    got = encode_meta(given, number)
    assert json.loads(json.dumps(got, allow_nan=False)) == {
        "a": [1, 2, 0.5], "s": {"slice": [None, 3, None]}, "e": {"ellipsis": True}, "x": {"array": 0},
        "d": {"dtype": "float32"}, "i": {"number": "-inf"}, "n": None, "f": {"repr": repr(abs)},
    }  # fmt: skip


def test_the_scripts_of_the_page_share_no_name():
    """They stand in one script element: a second `const` of a name would stop them all."""
    declared = re.compile(r"^(?:async )?(?:function\*?|const|let|class) (\w+)", re.M)
    files = [f for f in FOLDER.glob("*.js") if not f.name.startswith("dagre")]
    names = Counter(name for f in files for name in set(declared.findall(f.read_text(encoding="utf-8"))))
    assert [name for name, count in names.items() if count > 1] == []
