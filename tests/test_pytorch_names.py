"""A listing written for PyTorch: its names and spellings on tensors, beside PyTorch itself."""

import numpy as np
import pytest

import minigrad as mg

A, B = np.arange(6.0).reshape(2, 3) + 1, np.arange(12.0).reshape(2, 3, 2) - 5

CALLS = {
    "size": lambda lib, x, y: (x.size(), x.size(0), x.size(-1)),
    "numel": lambda lib, x, y: (x.numel(), x.dim(), x.ndim),
    "dim": lambda lib, x, y: x.sum(dim=1) + x.mean(dim=1, keepdim=True).reshape(-1),
    "argmax": lambda lib, x, y: x.argmax(dim=1),
    "softmax": lambda lib, x, y: lib.softmax(x, dim=1) + x.log_softmax(dim=0),
    "cat": lambda lib, x, y: lib.cat([x, x], dim=1) + lib.cat((x, x), 1),
    "stack": lambda lib, x, y: lib.stack([x, x], dim=1),
    "mm": lambda lib, x, y: lib.mm(x, x.t()) + x.mm(x.T),
    "bmm": lambda lib, x, y: lib.bmm(y, y.transpose(1, 2)) + y.bmm(y.mT),
    "mv": lambda lib, x, y: x.mv(x[0]),
    "t": lambda lib, x, y: x.t() + lib.t(x),
    "unbind": lambda lib, x, y: lib.unbind(y, 1)[2] + y.unbind(1)[0],
    "index_select": lambda lib, x, y: x.index_select(1, lib.tensor([2, 0, 2])),
    "view_as": lambda lib, x, y: x.view_as(x.t()) + x.reshape_as(x.t()),
    "expand_as": lambda lib, x, y: x[:, :1].expand_as(x),
    "view": lambda lib, x, y: x.view(x.size(0), -1) + x.view(-1).view(2, 3),
    "unsqueeze": lambda lib, x, y: lib.unsqueeze(x, 0).unsqueeze(-1).squeeze(),
    "clamp": lambda lib, x, y: x.clamp(2.0, 4.0) + lib.clamp(x, min=3.0),
    "new": lambda lib, x, y: x.new_zeros(2, 3) + x.new_ones((2, 3)) + x.new_full((2, 3), 4.0) + x.new_tensor([[1.0, 2.0, 3.0]]),
    "comparisons": lambda lib, x, y: (lib.eq(x, 2.0), lib.ne(x, 2.0), lib.lt(x, 2.0), lib.le(x, 2.0), lib.gt(x, 2.0), lib.ge(x, 2.0), x.eq(2.0).sum()),
    "running": lambda lib, x, y: x.cumsum(dim=1) + x.cumprod(dim=0) + lib.cumsum(x, dim=-1),
    "topk": lambda lib, x, y: lib.topk(x, 2, dim=0)[0] + x.topk(2, dim=0, largest=False)[0],
    "flip": lambda lib, x, y: x.flip(dims=[1]) + lib.flip(x, dims=(0, 1)),
    "roll": lambda lib, x, y: x.roll(shifts=1, dims=1) + lib.roll(x, 1, dims=0),
    "tril": lambda lib, x, y: x.tril(diagonal=1) + lib.triu(x, diagonal=1),
    "randint": lambda lib, x, y: lib.randint(1, (2, 3)) + x,
    "counts": lambda lib, x, y: (lib.numel(x), x.nelement()),
    "type": lambda lib, x, y: (x.detach() > 2).type(lib.float64) + x,
    "autograd": lambda lib, x, y: lib.autograd.grad(outputs=(x**3).sum(), inputs=x, create_graph=True, retain_graph=True, only_inputs=True)[0],
    "autograd of several": lambda lib, x, y: lib.autograd.grad(x**3 * y.sum(), [x, y], lib.ones_like(x))[1],
    "device": lambda lib, x, y: lib.zeros(2, device=lib.device("cpu")).to(lib.device("cpu")) + x[0, :2],
    "dtypes": lambda lib, x, y: lib.zeros(2, dtype=lib.float64) + lib.ones(2, dtype=lib.float).to(lib.double) + lib.tensor([1, 2], dtype=lib.long),
    "constants": lambda lib, x, y: x * lib.pi + lib.tensor([lib.inf, 0.0, lib.e]),
}


def known(v):
    return v.detach().cpu().numpy() if hasattr(v, "detach") else v


@pytest.mark.parametrize("name", CALLS)
def test_as_in_pytorch(name):
    torch = pytest.importorskip("torch")
    found = []
    for lib in (mg, torch):
        x, y = (lib.tensor(a, requires_grad=True) for a in (A, B))
        z = CALLS[name](lib, x, y)
        if hasattr(z, "requires_grad") and z.requires_grad:
            z.sum().backward()
        found.append([known(v) for v in (z if isinstance(z, tuple) else (z,))] + [known(v.grad) for v in (x, y)])
    for ours, theirs in zip(*found, strict=True):
        if isinstance(theirs, np.ndarray):
            assert ours.dtype == theirs.dtype
            np.testing.assert_allclose(ours, theirs, rtol=1e-12)
        else:
            assert ours == (tuple(theirs) if isinstance(theirs, tuple) else theirs)


def test_size_is_numpys_number_too():
    x = mg.zeros(2, 3)
    assert x.size == 6 and x.size * 2 == 12 and np.zeros(x.size).shape == (6,)
    with pytest.raises(IndexError):
        x.size(5)


def test_a_device_is_a_value_and_a_place_to_work_in():
    cpu = mg.device("cpu")
    assert (cpu.type, str(cpu), cpu) == ("cpu", "cpu", mg.default_device()) and mg.ones(2).device == cpu
    with cpu as outer, cpu as inner:
        assert outer is inner is cpu and mg.default_device() == cpu
    if not mg.cuda.is_available():
        with pytest.raises(TypeError, match="device: 'cuda'"), mg.device("cuda"):
            pass
        assert mg.default_device() == cpu
    with pytest.raises(ValueError, match="device: expected 'cpu'"):
        mg.device("tpu")


def test_autograd_fills_in_only_the_inputs():
    x = mg.ones(2, requires_grad=True)
    with pytest.raises(ValueError, match="only_inputs=True"):
        mg.autograd.grad(x.sum(), x, only_inputs=False)


def test_both_spellings_at_once_are_refused():
    with pytest.raises(TypeError, match="sum: unknown argument 'dim'"):
        mg.ones(2, 2).sum(axis=0, dim=1)
    with pytest.raises(TypeError, match="sum: unknown argument 'dims'"):
        mg.ones(2, 2).sum(dim=0, dims=1)


def test_multinomial_follows_its_weights():
    mg.manual_seed(0)
    p = mg.tensor([[0.0, 1.0, 3.0], [5.0, 0.0, 5.0]])
    draws = mg.multinomial(p, 20_000, replacement=True).cpu().numpy()
    assert draws.shape == (2, 20_000)
    shares = np.stack([np.bincount(row, minlength=3) / 20_000 for row in draws])
    np.testing.assert_allclose(shares, [[0.0, 0.25, 0.75], [0.5, 0.0, 0.5]], atol=0.015)
    first = np.array([mg.multinomial(p[0], 2).cpu().numpy() for _ in range(3000)])
    assert (np.sort(first, axis=1) == [1, 2]).all(), "without replacement all are different"
    assert abs((first[:, 0] == 2).mean() - 0.75) < 0.03, "the first draw follows the weights"


@pytest.mark.parametrize(
    ("weights", "count", "replacement"),
    [([0.5, -0.1], 1, True), ([0.0, 0.0], 1, True), ([0.5, 0.5], 3, False), ([0.0, 0.5], 2, False), ([0.5, 0.5], 0, True), ([[[1.0]]], 1, True)],
)
def test_multinomial_refuses(weights, count, replacement):
    with pytest.raises(ValueError, match="multinomial: expected"):
        mg.multinomial(mg.tensor(weights), count, replacement)


def test_random_fills_are_for_constants():
    mg.manual_seed(0)
    x = mg.zeros(10_000)
    assert x.normal_(2.0, 0.5) is x
    assert abs(float(x.mean().item()) - 2.0) < 0.02 and abs(float(x.std().item()) - 0.5) < 0.02
    x.uniform_(-1.0, 3.0)
    assert -1.0 <= float(x.min().item()) < -0.99 and 2.99 < float(x.max().item()) < 3.0
    with pytest.raises(ValueError, match="leaf"):
        mg.zeros(2, requires_grad=True).normal_()


@pytest.mark.parametrize("call", [lambda x: mg.mm(x, x[0]), lambda x: mg.bmm(x, x), lambda x: mg.t(x[None]), lambda x: mg.index_select(x, 0, x > 0)])
def test_shapes_are_checked(call):
    with pytest.raises(ValueError, match="expected"):
        call(mg.ones(2, 2))


def test_inference_mode_records_nothing():
    x = mg.ones(2, requires_grad=True)

    @mg.inference_mode()
    def double(t):
        return t * 2.0

    assert not double(x).requires_grad
    with mg.inference_mode(), mg.inference_mode(False):
        assert (x * 2.0).requires_grad
