"""Every name of torch.nn, nn.functional and optim that is here runs its row in both libraries; the table is current."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from against_torch import agree, behaves, flat, modules_agree, tensors  # noqa: E402
from torch_rows import FUNCTIONS, MODULES, OPTIMISERS, SCHEDULES  # noqa: E402

import minigrad as mg  # noqa: E402
from minigrad import nn, optim  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")  # PyTorch's advice about its own names
ROOT = Path(__file__).parent.parent


def rows(table):
    return [pytest.param(name, k, id=f"{name}-{k}") for name in table for k in range(len(table[name]))]


@pytest.mark.parametrize(("name", "k"), rows(MODULES))
def test_module(name, k):
    make, call, arrays, how = MODULES[name][k]
    modules_agree(make(nn, mg), make(torch.nn, torch), *arrays, **({"call": call} if call else {}), **how)


BATCH_SECOND = ("RNN", "GRU", "LSTM", "MultiheadAttention", "TransformerDecoderLayer", "TransformerDecoder", "Transformer")


@pytest.mark.parametrize(("name", "k"), rows(MODULES))
def test_module_behaves(name, k):
    """Parts of a batch, an empty batch (where PyTorch takes one), memory order, inputs left alone."""
    make, call, arrays, _ = MODULES[name][k]
    call = call or (lambda m, *xs: m(*xs))
    ours, theirs = (make(lib.nn, lib).double().eval() for lib in (mg, torch))
    f = lambda *xs: call(ours, *xs)
    axis = 1 if name in BATCH_SECOND and arrays[0].ndim == 3 else 0
    batch = {a.shape[axis] if a.ndim > axis else None for a in arrays}
    out = [y.shape[axis] if y.ndim > axis else None for y in flat(f(*tensors(mg, arrays)))]
    split = len(batch) == 1 and set(out) == batch and name not in NOT_BY_PARTS
    empty = split and takes(lambda: call(theirs, *tensors(torch, [np.take(a, [], axis=axis) for a in arrays])))
    behaves(f, *arrays, batch=axis, split=split, empty=empty)


# One output is a mean; random places are given for the whole batch.
NOT_BY_PARTS = ("AdaptiveLogSoftmaxWithLoss", "FractionalMaxPool2d", "FractionalMaxPool3d")


def takes(run):
    try:
        run()
    except Exception:
        return False
    return True


@pytest.mark.parametrize(("name", "k"), rows(FUNCTIONS))
def test_function(name, k):
    call, arrays, how = FUNCTIONS[name][k]
    agree(lambda *xs: call(nn.functional, mg, *xs), lambda *xs: call(torch.nn.functional, torch, *xs), *arrays, **how)


def descend(lib, opt, start, steps=8, schedule=None):
    """Parameters after some steps on a bowl with a bend, and the rates used."""
    w = lib.tensor(start.copy(), requires_grad=True)
    scale = lib.tensor(np.linspace(0.5, 3.0, start.size).reshape(start.shape))
    o = opt([w])
    s = schedule(o) if schedule else None
    rates = []

    def closure():
        o.zero_grad()
        loss = (scale * w * w).sum() + (w**4).sum() * 0.1 + w.sum()
        loss.backward()
        return loss

    for _ in range(steps):
        o.step(closure)
        rates.append(o.param_groups[0]["lr"])
        if s:
            s.step()
    return w.detach().cpu().numpy(), rates


# PyTorch keeps a factor of NAdam and two of ASGD in float32, and turns Muon's matrices in bfloat16.
ROUNDED = {"NAdam": 2e-6, "ASGD": 2e-6, "Muon": 2e-2}


@pytest.mark.parametrize("name", OPTIMISERS)
def test_optimiser(name):
    start, how = np.random.default_rng(2).normal(size=(4, 3)), OPTIMISERS[name]
    ours, _ = descend(mg, lambda p: getattr(optim, name)(p, **how), start)
    theirs, _ = descend(torch, lambda p: getattr(torch.optim, name)(p, **how), start)
    np.testing.assert_allclose(ours, theirs, rtol=ROUNDED.get(name, 1e-9), atol=1e-11)


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedule(name):
    start, how = np.ones((2, 2)), SCHEDULES[name]
    run = lambda lib, o, lr: descend(lib, lambda p: o.SGD(p, lr=0.1, momentum=0.9), start, 12, lambda x: getattr(o.lr_scheduler, name)(x, **how))
    ours, theirs = run(mg, optim, mg), run(torch, torch.optim, torch)
    np.testing.assert_allclose(ours[1], theirs[1], rtol=1e-12)


def table_maker():
    spec = importlib.util.spec_from_file_location("torch_names", ROOT / ".ci" / "torch_names.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_name_has_a_place_and_the_table_is_current():
    maker = table_maker()
    names = maker.survey()
    assert [n.name for n in names if n.status == maker.UNEXPLAINED] == []
    assert maker.share(names) >= 0.9
    assert maker.PAGE.read_text() == maker.page(names), "run python .ci/torch_names.py"
