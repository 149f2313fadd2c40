"""Mixed precision: which op runs in what, float32 master weights, and steps that overflow left out."""

import sys
import threading

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.engine import autocast as regions
from minigrad.engine.backend import is_float
from minigrad.engine.op import REGISTRY
from minigrad.gradtable import as_function
from minigrad.nn import functional as F
from minigrad.samples import samples

pytest.importorskip("ml_dtypes")
rng = np.random.default_rng(0)
SAMPLES = samples()
HALF, FULL = "bfloat16", "float32"


@pytest.fixture(autouse=True)
def born_on_the_cpu():
    """Also where the suite runs on a GPU: what is meant for one says so."""
    with mg.device("cpu"):
        yield


def draw(*shape, dtype=FULL, grad=False):
    return mg.tensor(rng.standard_normal(shape).astype(np.float32), dtype=dtype, requires_grad=grad)


def casts(y):
    """How many casts there are behind y."""
    seen, stack = set(), [y.node]
    while stack:
        node = stack.pop()
        if node is not None and node not in seen:
            seen.add(node)
            stack += node.inputs
    return sum(node.op is not None and node.op.name == "cast" for node in seen)


# ---------------------------------------------------------------- 16-bit floats on the CPU


def worst(a, b):
    a, b = a._data.astype(np.float32), b._data
    assert np.array_equal(np.isfinite(a), np.isfinite(b))
    some = np.isfinite(b)
    return np.abs(a - b)[some].max(initial=0.0) / (np.abs(b)[some].max(initial=0.0) + 1e-3)


@pytest.mark.parametrize("dtype, error", [("float16", 4e-3), (HALF, 4e-2)])
@pytest.mark.parametrize("op", [op for op in REGISTRY.values() if op.name not in ("cast", "transfer")], ids=str)
def test_every_op_takes_16_bit_floats_and_gives_them_back(op, dtype, error):
    for args, meta in SAMPLES.get(op.name, []):
        results = []
        for kept in (dtype, FULL):  # the same numbers, which 16 bits can hold
            given = [a.astype(dtype).astype(kept) if hasattr(a, "dtype") and is_float(a.dtype) else a for a in args]
            f, xs, _ = as_function(op, (given, meta))
            ts = [mg.tensor(x, requires_grad=True) for x in xs]
            if not ts:
                return
            y = f(*ts)
            g = mg.tensor(np.random.default_rng(1).uniform(1, 2, y.shape).astype(dtype).astype(kept))
            results.append((y, mg.grad(y, ts, g, allow_unused=True) if y.requires_grad else ()))
        (y, grads), (z, expected) = results
        assert y.dtype == (dtype if z.dtype == FULL else z.dtype)
        if not is_float(z.dtype) or not z.size:
            continue
        assert worst(y, z) < error
        for a, b in zip(grads, expected, strict=True):
            assert (a is None) == (b is None)
            assert a is None or (a.dtype == dtype and worst(a, b) < error)


def test_sums_and_products_are_rounded_once():
    ones = mg.ones(1000, dtype=HALF)
    assert ones.sum().item() == 1000 and (ones @ ones).item() == 1000  # added up in bfloat16 it would be 256
    a = mg.tensor([[2048.0, *[1.0] * 7]], dtype="float16")
    assert (a @ mg.ones((8, 1), dtype="float16")).item() == 2056  # 2055 rounded: nothing was lost on the way


def test_two_kinds_of_16_bits_meet_in_float32():
    a, b = mg.ones(2, dtype="float16", requires_grad=True), mg.ones(2, dtype=mg.bfloat16, requires_grad=True)
    for y in (a * b, mg.cat([a, b]), a + b * mg.arange(2)):
        assert y.dtype == FULL
    y.sum().backward()
    assert a.grad.dtype == "float16" and b.grad.dtype == mg.bfloat16


def test_a_model_in_bfloat16_learns_saves_and_loads():
    net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1)).bfloat16()
    opt = mg.optim.AdamW(net.parameters(), lr=0.05)
    x = draw(8, 3, dtype=HALF)
    before = F.mse_loss(net(x), x[:, :1]).item()
    for _ in range(20):
        opt.zero_grad()
        F.mse_loss(net(x), x[:, :1]).backward()
        opt.step()
    assert F.mse_loss(net(x), x[:, :1]).item() < before
    again = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1)).bfloat16()
    again.load_state_dict(net.state_dict())
    assert again(x).tolist() == net(x).tolist() and repr(net(x)[0]).endswith("dtype=bfloat16, op=take_index)")


def test_bfloat16_without_its_package_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    with pytest.raises(TypeError, match="pip install ml_dtypes"):
        mg.ones(2, dtype="bfloat16")
    with pytest.raises(TypeError, match="pip install ml_dtypes"):
        mg.autocast("cpu")
    with mg.autocast("cpu", dtype="float16"):
        assert (mg.ones((1, 1)) @ mg.ones((1, 1))).dtype == "float16"


# ---------------------------------------------------------------- which op in what, beside PyTorch

# lambdas of (library, its functional, x (4, 6), w (5, 6), image (2, 3, 6, 6), filters (4, 3, 3, 3), y like x)
SAME = {  # as PyTorch's autocast on the CPU
    "matmul": lambda m, f, x, w, i, k, y: x @ w.T,
    "matrix_vector": lambda m, f, x, w, i, k, y: m.matmul(x, w[0]),
    "batched_matmul": lambda m, f, x, w, i, k, y: m.matmul(i, i),
    "einsum": lambda m, f, x, w, i, k, y: m.einsum("ij,kj->ik", x, w),
    "linear": lambda m, f, x, w, i, k, y: f.linear(x, w, w[:, 0]),
    "conv2d": lambda m, f, x, w, i, k, y: f.conv2d(i, k),
    "conv1d": lambda m, f, x, w, i, k, y: f.conv1d(i[:, :, 0], k[:, :, 0]),
    "conv_transpose2d": lambda m, f, x, w, i, k, y: f.conv_transpose2d(i, m.swapaxes(k, 0, 1)),
    "attention": lambda m, f, x, w, i, k, y: f.scaled_dot_product_attention(i, i, i),
    "causal_attention": lambda m, f, x, w, i, k, y: f.scaled_dot_product_attention(i, i, i, is_causal=True),
    "add": lambda m, f, x, w, i, k, y: x + y,
    "mul": lambda m, f, x, w, i, k, y: x * y,
    "mul_number": lambda m, f, x, w, i, k, y: 2.0 * x,
    "maximum": lambda m, f, x, w, i, k, y: m.maximum(x, y),
    "where": lambda m, f, x, w, i, k, y: m.where(x > 0, x, y),
    "relu": lambda m, f, x, w, i, k, y: f.relu(x),
    "gelu": lambda m, f, x, w, i, k, y: f.gelu(x),
    "silu": lambda m, f, x, w, i, k, y: f.silu(x),
    "sigmoid": lambda m, f, x, w, i, k, y: m.sigmoid(x),
    "tanh": lambda m, f, x, w, i, k, y: m.tanh(x),
    "abs": lambda m, f, x, w, i, k, y: m.abs(x),
    "sqrt": lambda m, f, x, w, i, k, y: m.sqrt(m.abs(x)),
    "clip": lambda m, f, x, w, i, k, y: m.clip(x, -1.0, 1.0),
    "mean": lambda m, f, x, w, i, k, y: x.mean(),
    "max": lambda m, f, x, w, i, k, y: x.max(),
    "reshape": lambda m, f, x, w, i, k, y: x.reshape(-1),
    "getitem": lambda m, f, x, w, i, k, y: x[1:],
    "cat": lambda m, f, x, w, i, k, y: m.cat([x, y]),
    "stack": lambda m, f, x, w, i, k, y: m.stack([x, y]),
    "max_pool2d": lambda m, f, x, w, i, k, y: f.max_pool2d(i, 2),
    "avg_pool2d": lambda m, f, x, w, i, k, y: f.avg_pool2d(i, 2),
    "adaptive_avg_pool2d": lambda m, f, x, w, i, k, y: f.adaptive_avg_pool2d(i, 1),
    "prod": lambda m, f, x, w, i, k, y: m.prod(x),
    "mse_loss": lambda m, f, x, w, i, k, y: f.mse_loss(x, y),
    "l1_loss": lambda m, f, x, w, i, k, y: f.l1_loss(x, y),
    "smooth_l1_loss": lambda m, f, x, w, i, k, y: f.smooth_l1_loss(x, y),
    "huber_loss": lambda m, f, x, w, i, k, y: f.huber_loss(x, y),
    "kl_div": lambda m, f, x, w, i, k, y: f.kl_div(x, f.softmax(y, -1), reduction="sum"),
    "soft_margin_loss": lambda m, f, x, w, i, k, y: f.soft_margin_loss(x, y),
    "cosine_embedding_loss": lambda m, f, x, w, i, k, y: f.cosine_embedding_loss(x, y, m.ones(4)),
    "triplet_margin_loss": lambda m, f, x, w, i, k, y: f.triplet_margin_loss(x, y, x),
    "cross_entropy": lambda m, f, x, w, i, k, y: f.cross_entropy(x, x.argmax(1)),
    "nll_loss": lambda m, f, x, w, i, k, y: f.nll_loss(x, x.argmax(1)),
    "bce": lambda m, f, x, w, i, k, y: f.binary_cross_entropy(m.sigmoid(x), m.sigmoid(y)),
    "bce_with_logits": lambda m, f, x, w, i, k, y: f.binary_cross_entropy_with_logits(x, m.sigmoid(y)),
}
# Here as PyTorch documents it for CUDA: one table serves both devices. Its CPU table lets these take what comes.
FLOAT32 = {
    "exp": lambda m, f, x, w, i, k, y: m.exp(x),
    "log": lambda m, f, x, w, i, k, y: m.log(m.abs(x)),
    "log1p": lambda m, f, x, w, i, k, y: m.log1p(m.abs(x)),
    "pow": lambda m, f, x, w, i, k, y: x**3,
    "reciprocal": lambda m, f, x, w, i, k, y: m.reciprocal(x),
    "rsqrt": lambda m, f, x, w, i, k, y: m.rsqrt(m.abs(x)),
    "tan": lambda m, f, x, w, i, k, y: m.tan(x),
    "softplus": lambda m, f, x, w, i, k, y: f.softplus(x),
    "softmax": lambda m, f, x, w, i, k, y: f.softmax(x, -1),
    "log_softmax": lambda m, f, x, w, i, k, y: f.log_softmax(x, -1),
    "logsumexp": lambda m, f, x, w, i, k, y: m.logsumexp(x, -1),
    "layer_norm": lambda m, f, x, w, i, k, y: f.layer_norm(x, (6,)),
    "group_norm": lambda m, f, x, w, i, k, y: f.group_norm(i, 3),
    "sum": lambda m, f, x, w, i, k, y: x.sum(),
    "cumsum": lambda m, f, x, w, i, k, y: m.cumsum(x, 0),
    "cosine_similarity": lambda m, f, x, w, i, k, y: f.cosine_similarity(x, y),
    "interpolate": lambda m, f, x, w, i, k, y: f.interpolate(i, scale_factor=2, mode="bilinear"),
}


def arguments(make, *dtypes):
    shapes = (4, 6), (5, 6), (2, 3, 6, 6), (4, 3, 3, 3), (4, 6)
    return [make(np.random.default_rng(7).standard_normal(s).astype(np.float32), d) for s, d in zip(shapes, dtypes, strict=True)]


KINDS = {"low": (HALF,) * 5, "full": (FULL,) * 5, "mixed": (HALF, FULL, HALF, FULL, FULL)}


@pytest.mark.torch
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", SAME)
def test_every_op_gives_the_dtype_of_pytorch_and_about_its_numbers(name, kind):
    torch = pytest.importorskip("torch")
    ours = arguments(lambda a, d: mg.tensor(a, dtype=d), *KINDS[kind])
    theirs = arguments(lambda a, d: torch.tensor(a, dtype=getattr(torch, d)), *KINDS[kind])
    with mg.autocast("cpu"), torch.autocast("cpu"):
        y, z = SAME[name](mg, F, *ours), SAME[name](torch, torch.nn.functional, *theirs)
    assert str(y.dtype) == str(z.dtype).removeprefix("torch.")
    assert tuple(y.shape) == tuple(z.shape)
    assert np.allclose(y._data.astype(np.float32), z.float().cpu().numpy(), rtol=0.03, atol=0.03)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", FLOAT32)
def test_what_bends_steeply_or_adds_up_is_done_in_float32(name, kind):
    given = arguments(lambda a, d: mg.tensor(a, dtype=d), *KINDS[kind])
    with mg.autocast("cpu"):
        y = FLOAT32[name](mg, F, *given)
    assert y.dtype == FULL
    wide = [t.float() for t in given]
    assert np.allclose(y._data, FLOAT32[name](mg, F, *wide)._data, rtol=1e-5, atol=1e-5)  # nothing was rounded


@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
def test_recurrent_layers_run_in_the_low_dtype(kind):
    layer, x = kind(4, 5, num_layers=2), draw(3, 2, 4)
    with mg.autocast("cpu"):
        y = layer(x)[0]
    assert y.dtype == HALF and np.allclose(y._data.astype(np.float32), layer(x)[0]._data, atol=0.03)
    y.sum().backward()
    assert all(p.grad.dtype == FULL for p in layer.parameters())


def test_prelu_follows_its_input():
    act = nn.PReLU()
    with mg.autocast("cpu"):
        assert act(draw(3, dtype=HALF)).dtype == HALF and act(draw(3)).dtype == FULL


def test_every_op_of_the_table_is_an_op():
    assert set(regions.POLICY) <= set(REGISTRY)


@pytest.mark.parametrize("dtype", [HALF, FULL])
def test_bce_of_probabilities_is_refused_on_the_gpu(stand_in, dtype):
    with mg.autocast("cuda", dtype=HALF):
        x = mg.tensor([0.5], dtype=dtype, device="cuda")
        with pytest.raises(ValueError, match="binary_cross_entropy_with_logits"):
            F.binary_cross_entropy(x, x)


# ---------------------------------------------------------------- regions


def product():
    return (mg.ones((2, 2)) @ mg.ones((2, 2))).dtype


def test_regions_nest_and_end():
    assert not mg.is_autocast_enabled("cpu") and product() == FULL
    with mg.autocast("cpu", dtype=mg.float16):
        assert product() == "float16" and mg.is_autocast_enabled("cpu")
        assert mg.get_autocast_dtype("cpu") == "float16" and not mg.is_autocast_enabled()
        with mg.autocast("cpu"):
            assert product() == HALF
            with mg.autocast("cpu", enabled=False):
                assert product() == FULL and not mg.is_autocast_enabled("cpu")
            assert product() == HALF
        assert product() == "float16"
    with pytest.raises(RuntimeError, match="mine"), mg.autocast("cpu"):
        raise RuntimeError("mine")
    assert product() == FULL and mg.get_autocast_dtype("cpu") == HALF


def test_a_region_is_a_decorator_and_may_be_entered_again():
    region = mg.amp.autocast("cpu")

    @region
    def f():
        with region:
            return product()

    assert f() == HALF and f() == HALF and product() == FULL


def test_a_region_holds_for_its_thread():
    found = []
    with mg.autocast("cpu"):
        thread = threading.Thread(target=lambda: found.append(product()))
        thread.start()
        thread.join()
        assert product() == HALF
    assert found == [FULL]


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match=r"'cuda' or 'cpu' \(device_type='xpu'\)"):
        mg.autocast("xpu")
    with pytest.raises(ValueError, match="float16 or bfloat16"):
        mg.autocast("cpu", dtype="float64")
    with pytest.raises(ValueError, match="is_autocast_enabled: expected"):
        mg.is_autocast_enabled("xpu")


def test_without_a_gpu_cuda_warns_and_does_nothing(device):
    if device != "cpu":
        pytest.skip("there is one")
    with pytest.warns(UserWarning, match="no GPU"), mg.autocast("cuda"):
        assert product() == FULL
    with pytest.warns(UserWarning, match="no GPU"):
        assert not mg.amp.GradScaler().is_enabled()


def test_double_precision_and_integers_are_left_alone():
    a = mg.ones((2, 2), dtype="float64")
    with mg.autocast("cpu"):
        assert (a @ a).dtype == "float64" and (a @ mg.ones((2, 2))).dtype == "float64"
        assert (mg.ones((2, 2), dtype="int64") @ mg.ones((2, 2), dtype="int64")).dtype == "int64"
        assert mg.arange(3).sum().dtype == mg.arange(3).dtype
        assert (draw(2, 3) @ np.ones((3, 2), np.float32)).dtype == HALF  # a bare array beside a Tensor


def test_a_parameter_is_cast_once_in_a_region():
    w, x = draw(3, 3, grad=True), draw(2, 3)
    with mg.autocast("cpu"):
        y = x @ w @ w @ w
        assert casts(y) == 1
        w.data[...] = 0.0
        mg.engine.node.mutated(w.data)  # as an optimiser does
        assert abs(x @ w).max().item() == 0.0
    with mg.autocast("cpu"):
        with mg.no_grad():  # a cast without a graph is of no use after it
            assert not (x @ w).requires_grad
        assert (x @ w).requires_grad
        w.data = np.ones((3, 3), np.float32)
        assert (x @ w).tolist() != (x @ mg.zeros((3, 3))).tolist()
    with mg.autocast("cpu", cache_enabled=False):
        assert casts(x @ w @ w) == 2 and not mg.is_autocast_cache_enabled()
    assert not regions._mode.casts


def test_two_losses_may_share_a_cast():
    w, x = draw(3, 1, grad=True), draw(2, 3)
    with mg.autocast("cpu"):
        a, b = (x @ w).sum(), (2 * x @ w).sum()
    a.backward()
    once = w.grad.tolist()
    b.backward()
    assert np.allclose(w.grad.tolist(), 3 * np.array(once), rtol=0.02)


def test_gradients_of_gradients():
    w, x = draw(4, 4, grad=True), draw(2, 4)

    def penalty(region):
        with region:
            loss = (mg.tanh(x @ w) ** 2).sum()
            (g,) = mg.grad(loss, [w], create_graph=True)
            assert g.dtype == FULL
            return mg.grad((g * g).sum(), w)

    mixed = penalty(mg.autocast("cpu"))
    assert mixed.dtype == FULL
    plain = penalty(mg.autocast("cpu", enabled=False))
    assert np.abs(mixed.cpu().numpy() - plain.cpu().numpy()).max() < 0.05 * np.abs(plain.cpu().numpy()).max()


def test_gradients_are_the_same_inside_the_region_and_after_it():
    w, x = draw(4, 4, grad=True), draw(2, 4)
    with mg.autocast("cpu"):
        loss = (mg.erf(x @ w) * mg.ones(4, dtype=HALF)).mean()
        (inside,) = mg.grad(loss, [w], create_graph=True)
    (after,) = mg.grad(loss, [w], create_graph=True)
    assert inside.tolist() == after.tolist()


def test_a_checkpoint_is_replayed_in_its_region():
    net, x = nn.Sequential(nn.Linear(3, 4), nn.GELU(), nn.Linear(4, 2)), draw(5, 3)

    def gradients(f):
        net.zero_grad()
        with mg.autocast("cpu"):
            y = f(x)
            loss = y.sum()
        assert y.dtype == HALF
        loss.backward()
        return [p.grad.cpu().numpy() for p in net.parameters()]

    plain, again = gradients(net), gradients(lambda x: mg.checkpoint(net, x))
    assert all(np.array_equal(a, b) for a, b in zip(plain, again, strict=True))


def test_reference_mode_computes_the_same_dtypes():
    net, x = nn.Sequential(nn.Linear(8, 8), nn.LayerNorm(8), nn.GELU(), nn.Linear(8, 2)), draw(4, 8)
    with mg.autocast("cpu"):
        y = net(x)
        with mg.reference_mode():
            z = net(x)
    assert y.dtype == z.dtype == HALF
    assert np.allclose(y._data.astype(np.float32), z._data.astype(np.float32), atol=0.02)


# ---------------------------------------------------------------- training


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head = nn.LSTM(4, 8, batch_first=True), nn.Linear(8, 3)

    def forward(self, x):
        return self.head(self.body(x)[0][:, -1])


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        return self.head(self.body(x).mean(1))


def conv_net():
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(4, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3),
    )  # fmt: skip


NETS = {
    "mlp": (lambda: nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3)), (6,)),
    "conv": (conv_net, (1, 8, 8)),
    "lstm": (Tagger, (5, 4)),
    "transformer": (Encoder, (5, 8)),
}


def trained(make, shape, dtype, steps=25, wrap=lambda step: step):
    mg.manual_seed(3)
    net, draws = make(), np.random.default_rng(5)
    x = mg.tensor(draws.standard_normal((12, *shape)).astype(np.float32))
    t = mg.tensor(draws.integers(0, 3, 12))
    opt = mg.optim.Adam(net.parameters(), lr=0.02)
    scaler = mg.amp.GradScaler("cpu", init_scale=2.0**10, enabled=dtype == "float16")

    def step(x, t):
        opt.zero_grad()
        with mg.autocast("cpu", dtype=dtype, enabled=dtype != FULL):
            loss = F.cross_entropy(net(x), t)
        scaler.scale(loss).backward()
        scaler.unscale_(opt)
        nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        scaler.step(opt)
        scaler.update()
        return loss

    step = wrap(step)
    losses = [step(x, t).item() for _ in range(steps)]
    return losses, net


@pytest.mark.parametrize("dtype", ["float16", HALF])
@pytest.mark.parametrize("name", NETS)
def test_mixed_precision_learns_as_float32_does(name, dtype):
    plain, _ = trained(*NETS[name], FULL)
    mixed, net = trained(*NETS[name], dtype)
    assert plain[-1] < 0.6 * plain[0]
    assert abs(mixed[-1] - plain[-1]) < 0.1 * plain[0]
    assert {str(p.dtype) for p in net.parameters()} == {FULL} == {str(p.grad.dtype) for p in net.parameters()}


@pytest.mark.parametrize("dtype", ["float16", HALF])
def test_a_captured_step_is_the_plain_step(dtype):
    plain, a = trained(*NETS["mlp"], dtype, 8)
    replayed, b = trained(*NETS["mlp"], dtype, 8, mg.capture)
    assert plain == replayed
    assert all(np.array_equal(p.data, q.data) for p, q in zip(a.parameters(), b.parameters(), strict=True))


def test_a_capture_knows_the_region_it_was_recorded_in():
    w = draw(3, 3)
    f = mg.capture(lambda x: x @ w)
    x = draw(2, 3)
    for _ in range(3):
        assert f(x).dtype == FULL
        with mg.autocast("cpu"):
            assert f(x).dtype == HALF


# ---------------------------------------------------------------- on a GPU, or its stand-in


def on_gpu(dtype, wrap=lambda step: step, scaler_inside=True, kind=mg.optim.AdamW):
    """The losses of a few steps on the device, and a step to look at."""
    mg.manual_seed(0)
    net = nn.Sequential(nn.Linear(8, 16), nn.LayerNorm(16), nn.GELU(), nn.Linear(16, 3)).to("cuda")
    opt = kind(net.parameters(), lr=0.02)
    scaler = mg.cuda.amp.GradScaler(init_scale=2.0**10, enabled=dtype == "float16")
    draws = np.random.default_rng(0)
    x = mg.tensor(draws.standard_normal((12, 8)).astype(np.float32), device="cuda")
    t = mg.tensor(draws.integers(0, 3, 12), device="cuda")

    def forward(x, t):
        opt.zero_grad()
        with mg.cuda.amp.autocast(dtype=dtype):
            y = net(x)
            assert y.dtype == dtype
            loss = F.cross_entropy(y, t)
        scaler.scale(loss).backward()
        return loss

    def follow():
        scaler.unscale_(opt)
        nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        scaler.step(opt)
        scaler.update()

    def step(x, t):
        loss = forward(x, t)
        if scaler_inside:
            follow()
        return loss

    step, losses = wrap(step), []
    for _ in range(5):
        losses.append(step(x, t).item())
        if not scaler_inside:
            follow()
    assert all(p.grad.dtype == FULL for p in net.parameters())
    return losses, lambda: step(x, t)


@pytest.mark.parametrize("dtype", ["float16", HALF])
@pytest.mark.parametrize("kind", [mg.optim.AdamW, mg.optim.RMSprop])
def test_a_step_on_the_gpu_reads_nothing_or_one_number_for_an_optimiser_without_a_kernel(stand_in, dtype, kind):
    losses, step = on_gpu(dtype, kind=kind)
    assert losses[-1] < 0.9 * losses[0]
    if stand_in:
        stand_in.ledger.clear()
        step()
        read = dtype == "float16" and kind is mg.optim.RMSprop
        assert [e.size for e in stand_in.ledger.all("d2h", "h2d", "sync")] == [4] * read


def test_mixed_precision_in_a_graph_of_launches(stand_in):
    assert on_gpu(HALF)[0] == on_gpu(HALF, mg.capture)[0]
    assert on_gpu("float16", scaler_inside=False)[0] == on_gpu("float16", mg.capture, False)[0]
    assert on_gpu("float16")[0] == on_gpu("float16", mg.capture)[0]
    with pytest.raises(ValueError, match=r"GradScaler.step\(\) reads on the host.*up to backward"):
        on_gpu("float16", mg.capture, kind=mg.optim.RMSprop)


# ---------------------------------------------------------------- the scaler


def learner(kind=mg.optim.Adam, **settings):
    w = mg.tensor([1.0, 2.0], requires_grad=True)
    return w, kind([w], lr=0.1, **settings)


OPTIMIZERS = [(mg.optim.Adam, {}), (mg.optim.SGD, {"momentum": 0.9, "dampening": 0.5}), (mg.optim.RMSprop, {})]


@pytest.mark.parametrize("kind, settings", OPTIMIZERS)
@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("first", [True, False])
def test_a_step_that_overflows_changes_nothing(kind, settings, bad, first):
    w, opt = learner(kind, **settings)
    scaler = mg.amp.GradScaler("cpu", init_scale=4.0)

    def step(factor):
        opt.zero_grad()
        scaler.scale((w * w * mg.tensor([1.0, factor])).sum()).backward()
        scaler.step(opt)
        scaler.update()

    if not first:
        step(1.0)
    before = repr((w.tolist(), opt.state_dict(), scaler.get_scale()))
    step(bad)
    assert repr((w.tolist(), opt.state_dict(), 2 * scaler.get_scale())) == before
    step(1.0)
    assert repr(w.tolist()) not in before and scaler.get_scale() == 2.0


def test_unscaled_gradients_are_the_true_ones_and_the_step_too():
    (w, opt), (v, plain) = learner(), learner()
    scaler = mg.amp.GradScaler("cpu", init_scale=2.0**20)
    for clip in (False, True):
        for p, o in ((w, opt), (v, plain)):
            o.zero_grad()
            loss = (p**3).sum()
            (scaler.scale(loss) if p is w else loss).backward()
        scaler.unscale_(opt)
        assert w.grad.tolist() == v.grad.tolist()
        if clip:
            norms = [nn.utils.clip_grad_norm_([p], 0.5).item() for p in (w, v)]
            assert norms[0] == norms[1]
        scaler.step(opt)
        scaler.update()
        plain.step()
        assert w.tolist() == v.tolist()


@pytest.mark.torch
@pytest.mark.parametrize("settings", [{}, {"growth_factor": 1.7, "backoff_factor": 0.3, "growth_interval": 2, "init_scale": 3.0}])
def test_the_schedule_of_scales_is_pytorchs(settings):
    torch = pytest.importorskip("torch")
    settings = {"growth_interval": 3, "init_scale": 2.0**126, **settings}
    w, opt = learner(mg.optim.SGD)
    v = torch.tensor([1.0, 2.0], requires_grad=True)
    theirs = torch.optim.SGD([v], lr=0.1)
    ours, other = mg.amp.GradScaler("cpu", **settings), torch.amp.GradScaler("cpu", **settings)
    other.scale(torch.ones(1))
    for good in np.random.default_rng(2).random(60) < 0.8:
        g = [1e-30, 1.0 if good else np.inf]
        w.grad, v.grad = mg.tensor(g), torch.tensor(g)
        for scaler, o in ((ours, opt), (other, theirs)):
            scaler.step(o)
            scaler.update()
        assert ours.state_dict() == other.state_dict()
        w.data[...], v.data[...] = 1.0, 1.0
    assert list(ours.state_dict()) == list(other.state_dict())
    ours.update(5.0)
    other.update(5.0)
    assert ours.get_scale() == other.get_scale() == 5.0
    fresh, again = mg.amp.GradScaler("cpu"), torch.amp.GradScaler("cpu")
    fresh.load_state_dict(other.state_dict())
    again.load_state_dict(ours.state_dict())
    assert fresh.state_dict() == ours.state_dict() == again.state_dict()


def test_one_overflow_of_two_optimisers_skips_one_step_and_lowers_the_scale():
    (a, first), (b, second) = learner(), learner()
    scaler = mg.amp.GradScaler("cpu", init_scale=8.0)
    losses = scaler.scale([(a * mg.inf).sum(), (b * b).sum()])
    assert isinstance(losses, list)
    for loss, opt in zip(losses, (first, second), strict=True):
        loss.backward()
        scaler.step(opt)
    scaler.update()
    assert a.tolist() == [1.0, 2.0] != b.tolist() and scaler.get_scale() == 4.0


class Deciding(mg.optim.SGD):
    """An optimiser that leaves a step out by itself, without a read of the host."""

    _step_supports_amp_scaling = True

    def step(self, closure=None):
        self.seen = self.found_inf, self.grad_scale
        for p in self.param_groups[0]["params"]:
            g = p.grad._data if self.grad_scale is None else p.grad._data / self.grad_scale
            p._data[...] = np.where(self.found_inf > 0, p._data, p._data - 0.1 * g)


@pytest.mark.parametrize("unscale", [True, False])
def test_an_optimiser_may_decide_on_the_device(unscale):
    w, opt = learner(Deciding)
    scaler = mg.amp.GradScaler("cpu", init_scale=4.0)
    for factor, expected in ((1.0, [0.9, 1.9]), (mg.inf, [0.9, 1.9])):
        opt.zero_grad()
        scaler.scale((w * factor).sum()).backward()
        if unscale:
            scaler.unscale_(opt)
        scaler.step(opt)
        scaler.update()
        assert np.allclose(w.tolist(), expected) and not hasattr(opt, "found_inf")
        assert (opt.seen[1] is None) == unscale and opt.seen[0].shape == ()


def test_a_disabled_scaler_lets_everything_pass():
    (w, opt), scaler = learner(), mg.amp.GradScaler("cpu", enabled=False)
    loss = (w * w).sum()
    assert scaler.scale(loss) is loss and scaler.get_scale() == 1.0 and scaler.state_dict() == {}
    loss.backward()
    scaler.unscale_(opt)
    scaler.step(opt)
    scaler.update()
    scaler.load_state_dict({})
    assert w.tolist() != [1.0, 2.0] and not scaler.is_enabled()


def test_calls_out_of_order_are_refused():
    (w, opt), scaler = learner(), mg.amp.GradScaler("cpu")
    with pytest.raises(ValueError, match="no parameter of this optimizer has a gradient"):
        scaler.step(opt)
    with pytest.raises(ValueError, match="no step to judge by"):
        scaler.update()
    scaler.scale((w * w).sum()).backward()
    scaler.unscale_(opt)
    with pytest.raises(ValueError, match=r"after unscale_\(\)"):
        scaler.unscale_(opt)
    with pytest.raises(ValueError, match="closure"):
        scaler.step(opt, lambda: None)
    scaler.step(opt)
    with pytest.raises(ValueError, match="called twice"):
        scaler.step(opt)
    with pytest.raises(ValueError, match=r"after step\(\)"):
        scaler.unscale_(opt)
    with pytest.raises(TypeError, match="expected Tensors"):
        scaler.scale(3.0)
    h = mg.ones(1, dtype="float16", requires_grad=True)
    (h * h).sum().backward()
    with pytest.raises(ValueError, match="got float16"):
        scaler.unscale_(mg.optim.SGD([h], lr=0.1))
    with pytest.raises(ValueError, match=r"growth_tracker.*got list"):
        scaler.load_state_dict([])


def test_settings_of_the_scaler():
    scaler = mg.amp.GradScaler("cpu")
    scaler.set_growth_factor(3.0)
    scaler.set_backoff_factor(0.25)
    scaler.set_growth_interval(7)
    assert (scaler.get_growth_factor(), scaler.get_backoff_factor(), scaler.get_growth_interval()) == (3.0, 0.25, 7)
    for wrong in ({"growth_factor": 1.0}, {"backoff_factor": 1.0}, {"growth_interval": 0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            mg.amp.GradScaler("cpu", **wrong)
