"""Checks of a layer or function: against PyTorch, and against itself.

`agree` and `modules_agree` compare with PyTorch: values, every gradient, gradients of gradients, float32, and weights
both ways. `behaves` needs no PyTorch: parts of a batch, memory order, inputs left alone. Floating arrays are inputs to
differentiate by; integer and boolean arrays and None are constants.
"""

import numpy as np
import pytest

import minigrad as mg

try:
    import torch
except ImportError:  # `behaves` needs none; tests that compare skip
    torch = None


def is_input(a):
    return isinstance(a, np.ndarray) and a.dtype.kind == "f"


def tensors(lib, arrays, dtype=None):
    """The arrays as tensors of a library; floating ones require grad."""
    found = []
    for a in arrays:
        t = lib.tensor(a.astype(dtype) if dtype and is_input(a) else a) if isinstance(a, np.ndarray) else a
        found.append(t.requires_grad_() if is_input(a) else t)
    return found


def flat(y):
    """The tensors in a result: a tensor, or tuples of them, however nested (a packed sequence is a tuple)."""
    if isinstance(y, tuple | list):
        return [t for part in y for t in flat(part)]
    return [] if y is None else [y]


def weights_like(ys):
    """Fixed random numbers to weight each floating output by."""
    rng = np.random.default_rng(1)
    return [rng.normal(size=tuple(y.shape)) for y in ys]


def total(lib, ys, vs):
    """The sum of all floating outputs, weighted: one number whose gradient shows every element's."""
    parts = [(y * lib.tensor(v.astype(str(y.dtype).split(".")[-1]))).sum() for y, v in zip(ys, vs, strict=True)]
    result = parts[0]
    for part in parts[1:]:
        result = result + part
    return result


def floating(ys):
    return [y for y in ys if "float" in str(y.dtype)]


def same(got, wanted, rtol, atol, what):
    assert tuple(got.shape) == tuple(wanted.shape), f"{what}: shape {tuple(got.shape)}, PyTorch {tuple(wanted.shape)}"
    np.testing.assert_allclose(
        got.detach().cpu().numpy().astype(float), wanted.detach().numpy(force=True).astype(float), rtol=rtol, atol=atol, err_msg=what
    )


def agree(ours, theirs, *arrays, rtol=1e-9, atol=1e-10, order2=True, float32=True, also=((), ())):
    """The same function in both libraries: outputs, gradients in float64 (to rtol), in float32 (to 1e-4), and of order 2.

    `also`: further leaves to differentiate by, ours and theirs (the parameters of modules).
    order2=False where PyTorch has no second derivative.
    """
    xs, ts = tensors(mg, arrays), tensors(torch, arrays)
    ys, zs = flat(ours(*xs)), flat(theirs(*ts))
    assert len(ys) == len(zs)
    for k, (y, z) in enumerate(zip(ys, zs, strict=True)):
        assert str(y.dtype) == str(z.dtype).split(".")[-1], f"output {k}: {y.dtype}, PyTorch {z.dtype}"
        same(y, z, rtol, atol, f"output {k}")
    leaves = [x for x, a in zip(xs, arrays, strict=True) if is_input(a)] + list(also[0])
    theirs_ = [t for t, a in zip(ts, arrays, strict=True) if is_input(a)] + list(also[1])
    ys, zs = [y for y in floating(ys) if y.requires_grad], [z for z in floating(zs) if z.requires_grad]
    assert len(ys) == len(zs), "the two disagree on which outputs have a gradient"
    if not ys:
        return
    vs = weights_like(ys)
    wanted = torch.autograd.grad(total(torch, zs, vs), theirs_, create_graph=order2, allow_unused=True)
    loss = total(mg, ys, vs)
    got = mg.grad(loss, leaves, create_graph=True, allow_unused=True)
    loss.backward(retain_graph=order2)
    for k, (x, t, g, w) in enumerate(zip(leaves, theirs_, got, wanted, strict=True)):
        w = torch.zeros_like(t) if w is None else w
        for found, how in ((x.grad, "backward"), (g, "create_graph")):
            found = mg.zeros_like(x) if found is None else found
            same(found, w, rtol * 10, atol, f"gradient {k} by {how}")
        x.grad = None
    if order2:
        _second_order(got, wanted, leaves, theirs_, rtol, atol)
    if float32 and not also[0]:
        _float32(ours, theirs, arrays)


def _second_order(got, wanted, leaves, theirs, rtol, atol):
    pairs = [(g, w) for g, w in zip(got, wanted, strict=True) if w is not None and w.requires_grad]
    pairs = [(mg.zeros_like(leaves[0]) if g is None else g, w) for g, w in pairs]
    if not pairs:
        return
    us = weights_like([w for _, w in pairs])
    wanted2 = torch.autograd.grad(total(torch, [w for _, w in pairs], us), theirs, allow_unused=True)
    loss = total(mg, [g for g, _ in pairs], us)
    got2 = mg.grad(loss, leaves, allow_unused=True) if loss.requires_grad else [None] * len(leaves)
    for k, (x, g, w) in enumerate(zip(leaves, got2, wanted2, strict=True)):
        if w is not None:
            same(mg.zeros_like(x) if g is None else g, w, rtol * 100, atol * 10, f"second derivative {k}")


def _float32(ours, theirs, arrays):
    y32 = floating(flat(ours(*tensors(mg, arrays, np.float32))))
    z32 = floating(flat(theirs(*tensors(torch, arrays, np.float32))))
    for k, (y, z) in enumerate(zip(y32, z32, strict=True)):
        assert str(y.dtype) == str(z.dtype).split(".")[-1]
        scale = float(z.detach().abs().max()) if z.numel() else 0.0
        same(y, z, 1e-4, 1e-4 * max(scale, 1e-2), f"float32 output {k}")


def modules_agree(ours, theirs, *arrays, call=lambda m, *xs: m(*xs), same_repr=True, **how):
    """A module of each library, made in float64: weights move both ways, and then outputs and gradients agree.

    Parameter gradients are compared too, and in float32 the outputs in eval mode. Returns (ours, theirs), both with one
    set of weights.
    """
    ours, theirs = ours.double(), theirs.double()
    first = theirs.state_dict()
    mine = ours.state_dict()
    assert list(mine) == list(first), f"keys {list(mine)}, PyTorch {list(first)}"
    ours.load_state_dict({k: mg.tensor(v.cpu().numpy()) for k, v in first.items()})
    assert not same_repr or repr(ours) == repr(theirs)
    names = [n for n, _ in theirs.named_parameters()]
    assert [n for n, _ in ours.named_parameters()] == names
    leaves = [p for p in ours.parameters() if p.requires_grad], [p for p in theirs.parameters() if p.requires_grad]
    agree(lambda *xs: call(ours, *xs), lambda *ts: call(theirs, *ts), *arrays, also=leaves, **how)
    for (name, p), q in zip(ours.named_buffers(), theirs.buffers(), strict=True):
        same(p, q, 1e-9, 1e-10, f"buffer {name}")
    back = {k: torch.tensor(v.cpu().numpy() + (0.25 if v.dtype == np.float64 else 0)) for k, v in ours.state_dict().items()}
    theirs.load_state_dict(back)
    ours.load_state_dict({k: mg.tensor(v.cpu().numpy()) for k, v in back.items()})
    ours.eval(), theirs.eval()
    with mg.no_grad(), torch.no_grad():
        for y, z in zip(flat(call(ours, *tensors(mg, arrays))), flat(call(theirs, *tensors(torch, arrays))), strict=True):
            same(y, z, 1e-9, 1e-10, "output after the weights came back")
        if how.get("float32", True):
            _float32(lambda *xs: call(ours.float(), *xs), lambda *ts: call(theirs.float(), *ts), arrays)
    ours.double().load_state_dict({k: mg.tensor(v.cpu().numpy()) for k, v in back.items()})
    theirs.double().load_state_dict(back)
    ours.train(), theirs.train()
    return ours, theirs


def behaves(f, *arrays, batch=0, split=True, empty=True, rtol=1e-12):
    """Against itself: a batch in two parts equals the whole, memory order changes nothing, inputs are left alone, and
    an empty batch passes with zero gradients. `batch`: the batch axis of the floating inputs (all of them)."""
    before = [a.copy() if isinstance(a, np.ndarray) else a for a in arrays]
    xs = tensors(mg, arrays)
    ys = floating(flat(f(*xs)))
    vs = weights_like(ys)
    total(mg, ys, vs).backward()
    for make in (lambda a: a[::-1].copy()[::-1], lambda a: a.T.copy().T, lambda a: a.repeat(2, axis=-1)[..., ::2]):
        others = [mg.asarray(make(mg.tensor(a).data)).requires_grad_() if is_input(a) and a.ndim else x for a, x in zip(arrays, tensors(mg, arrays))]
        ys2 = floating(flat(f(*others)))
        total(mg, ys2, vs).backward()
        for y, y2 in zip(ys, ys2, strict=True):
            np.testing.assert_allclose(y2.detach().cpu().numpy(), y.detach().cpu().numpy(), rtol=rtol, atol=1e-13)
        for a, x, o in zip(arrays, xs, others, strict=True):
            if is_input(a) and x.grad is not None:
                np.testing.assert_allclose(o.grad.cpu().numpy(), x.grad.cpu().numpy(), rtol=rtol * 10, atol=1e-12)
    wide = [a for a in arrays if isinstance(a, np.ndarray)]
    n = wide[0].shape[batch]
    if split and n > 1:
        cut = lambda a, part: np.take(a, part, axis=batch) if isinstance(a, np.ndarray) else a
        parts = [floating(flat(f(*tensors(mg, [cut(a, range(*p)) for a in arrays])))) for p in ((0, 1), (1, n))]
        for k, y in enumerate(ys):
            whole = np.concatenate([p[k].detach().cpu().numpy() for p in parts], axis=batch)
            np.testing.assert_allclose(whole, y.detach().cpu().numpy(), rtol=rtol, atol=1e-13)
    if empty:
        none = tensors(mg, [np.take(a, [], axis=batch) if isinstance(a, np.ndarray) else a for a in arrays])
        y0 = floating(flat(f(*none)))
        total(mg, y0, weights_like(y0)).backward()
        for x in none:
            if isinstance(x, mg.Tensor) and x.requires_grad:
                assert x.grad is None or x.grad.shape == x.shape
    for a, b in zip(arrays, before, strict=True):
        if isinstance(a, np.ndarray):
            assert np.array_equal(a, b), "an input was changed"


def both_reject(ours, theirs):
    """Both libraries refuse, and ours says in one line what was expected."""
    refused = False
    try:
        theirs()
    except Exception:
        refused = True
    assert refused, "PyTorch accepts this"
    try:
        ours()
    except (ValueError, TypeError, IndexError) as error:
        assert ":" in str(error) and "\n" not in str(error), f"not a one-line message: {error}"
    else:
        raise AssertionError("PyTorch refuses this, minigrad accepts it")


@pytest.fixture
def plain_pytorch():
    """PyTorch's own formula of attention: its inference path rounds otherwise and writes zeros at padded places."""
    torch.backends.mha.set_fastpath_enabled(False)
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        yield
    torch.backends.mha.set_fastpath_enabled(True)


def draw(seed, *shapes):
    """Normal numbers of each shape."""
    rng = np.random.default_rng(seed)
    return [rng.normal(size=s) for s in shapes]
