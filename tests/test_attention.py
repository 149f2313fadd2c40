"""Attention against PyTorch, whole against blocked, and what must hold by definition."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minigrad as mg
from minigrad import nn
from minigrad.nn import functional as F
from minigrad.ops.attention import attention

torch = pytest.importorskip("torch")
from against_torch import agree, behaves, both_reject, draw, modules_agree, plain_pytorch  # noqa: E402, F401

TF = torch.nn.functional
MATH = torch.nn.attention.SDPBackend.MATH
pytestmark = pytest.mark.usefixtures("plain_pytorch")
quick = settings(max_examples=12, deadline=None, derandomize=True)


def some_mask(kind, shape, seed, open_rows=True):
    """A boolean or additive mask, or None; with open_rows every row keeps key 0."""
    rng = np.random.default_rng(seed)
    if kind in (None, "causal"):
        return None
    allowed = rng.random(shape) < 0.6
    if open_rows and allowed.size:
        allowed[..., 0] = True
    if kind == "bool":
        return allowed
    return np.where(allowed, rng.normal(size=shape), -np.inf) if kind == "-inf" else rng.normal(size=shape)


# ---------------------------------------------------------------- scaled_dot_product_attention


@quick
@given(
    lead=st.sampled_from([(), (2,), (2, 3), (2, 1, 2)]),
    rows=st.integers(1, 5),
    keys=st.integers(1, 5),
    width=st.integers(1, 4),
    kind=st.sampled_from([None, "bool", "float", "-inf", "causal"]),
    wide=st.booleans(),
    scale=st.sampled_from([None, 0.5]),
    seed=st.integers(0, 99),
)
def test_scaled_dot_product_attention_is_pytorchs(lead, rows, keys, width, kind, wide, scale, seed):
    q, k, v = draw(seed, (*lead, rows, width), (*lead, keys, width), (*lead, keys, width + 1))
    mask = some_mask(kind, (*lead, rows, keys) if wide else (rows, keys), seed)
    given_ = [q, k, v] + ([] if mask is None else [mask])
    call = lambda f: lambda *xs: f(*xs, is_causal=kind == "causal", scale=scale)
    agree(call(F.scaled_dot_product_attention), call(TF.scaled_dot_product_attention), *given_)


@quick
@given(
    groups=st.integers(1, 3), each=st.integers(1, 3), kind=st.sampled_from([None, "bool", "float", "causal"]),
    heads_in_mask=st.booleans(), batch=st.sampled_from([(), (2,)]),
)  # fmt: skip
def test_grouped_queries_are_pytorchs(groups, each, kind, heads_in_mask, batch):
    q, k, v = draw(0, (*batch, groups * each, 3, 2), (*batch, groups, 4, 2), (*batch, groups, 4, 3))
    mask = some_mask(kind, (groups * each, 3, 4) if heads_in_mask else (3, 4), 1)
    given_ = [q, k, v] + ([] if mask is None else [mask])
    call = lambda f: lambda *xs: f(*xs, is_causal=kind == "causal", enable_gqa=True)
    agree(call(F.scaled_dot_product_attention), call(TF.scaled_dot_product_attention), *given_)


@pytest.mark.parametrize("shapes", [
    [(2, 3, 4, 2), (3, 5, 2), (1, 1, 5, 2)],
    [(4, 2), (2, 5, 2), (2, 5, 1)],
    [(2, 4, 2), (5, 2), (5, 2)],
])  # fmt: skip
def test_leading_axes_broadcast(shapes):
    agree(F.scaled_dot_product_attention, TF.scaled_dot_product_attention, *draw(0, *shapes))


def test_it_behaves():
    q, k, v = draw(0, (3, 2, 4, 2), (3, 2, 5, 2), (3, 2, 5, 3))
    behaves(F.scaled_dot_product_attention, q, k, v)
    behaves(lambda *xs: attention(*xs, causal=True, block_size=2), q, k, v)


@pytest.mark.parametrize("kind", ["bool", "-inf"])
@pytest.mark.parametrize("block", [None, 2])
def test_a_row_masked_everywhere_is_zero_with_zero_gradient(kind, block):
    arrays = draw(0, (2, 3, 2), (2, 4, 2), (2, 4, 3))
    mask = some_mask(kind, (3, 4), 0)
    mask[1] = False if kind == "bool" else -np.inf
    agree(F.scaled_dot_product_attention, TF.scaled_dot_product_attention, *arrays, mask, order2=kind == "bool")
    q, k, v = (mg.tensor(a, requires_grad=True) for a in arrays)
    masks = {"mask": mg.tensor(mask)} if kind == "bool" else {"bias": mg.tensor(mask, requires_grad=True)}
    y = attention(q, k, v, **masks, block_size=block)
    assert (y.detach().cpu().numpy()[:, 1] == 0).all()
    y.sum().backward()
    assert (q.grad.cpu().numpy()[:, 1] == 0).all()
    for t in (q, k, v, *masks.values()):
        assert t.grad is None or np.isfinite(t.grad.cpu().numpy()).all()
    everywhere = attention(q, k, v, mask=mg.tensor(np.zeros((1, 1), bool)), block_size=block)
    assert (everywhere.detach().cpu().numpy() == 0).all()


def test_no_keys_give_zero_and_no_rows_nothing():
    none = mg.zeros(2, 0, 3, requires_grad=True)
    y = F.scaled_dot_product_attention(mg.ones(2, 4, 3), none, none)
    y.sum().backward()
    assert y.shape == (2, 4, 3) and (y.detach().cpu().numpy() == 0).all() and none.grad.shape == none.shape
    assert F.scaled_dot_product_attention(none, mg.ones(2, 4, 3), mg.ones(2, 4, 3)).shape == (2, 0, 3)


def test_scores_beyond_the_range_of_exp():
    q = mg.tensor([[1000.0], [-1000.0]])
    for block in (None, 1):
        y = attention(q, mg.tensor([[1.0], [2.0], [3.0]]), mg.tensor([[1.0], [2.0], [3.0]]), block_size=block)
        assert y.cpu().numpy().ravel().tolist() == [3.0, 1.0]


def test_what_pytorch_rejects():
    x, y = (lambda lib: lib.ones(2, 3, 4)), (lambda lib: lib.ones(2, 5, 3))
    f = lambda lib: (F if lib is mg else TF).scaled_dot_product_attention
    ints = {"dtype": "int64"}, {"dtype": torch.int64}
    for call in (
        lambda lib: f(lib)(x(lib), y(lib), y(lib)),
        lambda lib: f(lib)(x(lib), x(lib), y(lib)),
        lambda lib: f(lib)(lib.ones(4), lib.ones(4), lib.ones(4)),
        lambda lib: f(lib)(x(lib), x(lib), x(lib), lib.ones(4, 4)),
        lambda lib: f(lib)(x(lib), x(lib), x(lib), lib.ones(5, 2, 3, 3)),
        lambda lib: f(lib)(x(lib), x(lib), x(lib), lib.ones(3, 3), is_causal=True),
        lambda lib: f(lib)(x(lib), x(lib), x(lib), lib.ones(3, 3, **ints[lib is torch])),
        lambda lib: f(lib)(x(lib), x(lib), x(lib), dropout_p=1.5),
        lambda lib: f(lib)(lib.ones(3, 3, 4), x(lib), x(lib), enable_gqa=True),
        lambda lib: f(lib)(lib.ones(3, 3, 4), x(lib), x(lib)),
    ):  # fmt: skip
        both_reject(lambda call=call: call(mg), lambda call=call: call(torch))
    with pytest.raises(TypeError, match="positional"):
        F.scaled_dot_product_attention(x(mg), x(mg), x(mg), None, 0.0, False, 0.5)
    with pytest.raises(TypeError, match="one dtype"):
        F.scaled_dot_product_attention(x(mg), x(mg).double(), x(mg))
    for bad in (0, True, 1.5):
        with pytest.raises(ValueError, match="block_size="):
            attention(x(mg), x(mg), x(mg), block_size=bad)
    with pytest.raises(TypeError, match="boolean mask"):
        attention(x(mg), x(mg), x(mg), mask=mg.ones(3, 3))
    with pytest.raises(ValueError, match="seed"):
        attention(x(mg), x(mg), x(mg), dropout_p=0.5)


# ---------------------------------------------------------------- blocks


def outcome(arrays, mask=None, **how):
    """Output and all gradients."""
    xs = [mg.tensor(a, requires_grad=True) for a in arrays]
    y = attention(*xs, mask=None if mask is None else mg.tensor(mask), **how)
    y.backward(mg.tensor(np.random.default_rng(9).normal(size=y.shape)))
    return [y.detach().cpu().numpy(), *[x.grad.cpu().numpy() for x in xs]]


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("bias", [None, (), (1, 1), (7,), (7, 1), (2, 1, 1, 7), (2, 3, 7, 7)])
def test_blocked_equals_whole(causal, p, bias):
    """Every block size, rows fewer and more than keys; masks of every form, some rows shut."""
    how = {"causal": causal, "dropout_p": p, "seed": (3, 5)}
    for rows, keys in ((7, 7), (4, 7), (7, 4), (1, 7)):
        fit = None if bias is None else tuple({0: rows, 1: keys}[i] if n == 7 else n for i, n in zip(range(2 - len(bias), 2), bias, strict=True))
        arrays = draw(rows, (2, 3, rows, 2), (1, 3, keys, 2), (2, 1, keys, 3)) + ([] if bias is None else draw(1, fit))
        for shape in (None, (2, 1, 1, keys), (rows, 1), (rows, keys)):
            mask = None if shape is None else some_mask("bool", shape, 2, open_rows=False)
            wanted = outcome(arrays, mask, **how, block_size=keys)
            for block in (1, 2, 3, 5):
                for a, b in zip(wanted, outcome(arrays, mask, **how, block_size=block), strict=True):
                    np.testing.assert_allclose(b, a, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("block", [50, 64, 100, 150])
def test_dropout_bits_do_not_depend_on_the_blocks(block):
    arrays = draw(0, (1, 2, 9, 2), (1, 2, 200, 2), (1, 2, 200, 3))
    how = {"dropout_p": 0.25, "seed": (1, 2)}
    for a, b in zip(outcome(arrays, **how, block_size=200), outcome(arrays, **how, block_size=block), strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-12, atol=1e-13)


def peak(keys, block):
    """Bytes at the worst moment of forward and backward, the inputs apart."""
    xs = [mg.zeros(keys, 8, requires_grad=True) for _ in range(3)]
    tracemalloc.start()
    try:
        with mg.reference_mode():
            attention(*xs, causal=True, block_size=block).backward(mg.ones(keys, 8))
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_blocked_memory_is_linear_in_the_length():
    peak(64, 16)  # imports and plans
    small, large = peak(1024, 32), peak(4096, 32)
    assert large <= 4.4 * small
    assert large < 4096 * 4096 * 4 / 6, "less than a sixth of one matrix of scores"
    assert peak(2048, 2048) > 2048 * 2048 * 4  # the whole form does hold it: the measure can tell


@pytest.mark.parametrize(("keys", "causal"), [(8192, False), (1024, True)])
def test_large_scores_are_blocked_by_themselves(keys, causal):
    x = mg.zeros(keys, 2)
    tracemalloc.start()
    F.scaled_dot_product_attention(x, x, x, is_causal=causal)
    worst = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert worst < keys * keys * 4 / 2


# ---------------------------------------------------------------- dropout


def test_dropout_keeps_the_expectation_and_drops_the_right_share():
    mg.manual_seed(0)
    q = mg.zeros(1, 400, 1)
    y = F.scaled_dot_product_attention(q, q, mg.ones(1, 400, 1), dropout_p=0.3).cpu().numpy()
    assert abs(y.mean() - 1) < 5 * np.sqrt(0.3 / 0.7 / 400**2)
    share = y[0, :, 0] * 0.7  # of the keys that stayed, row by row
    assert abs(share.std() - np.sqrt(0.3 * 0.7 / 400)) < 0.003
    again = F.scaled_dot_product_attention(q, q, mg.ones(1, 400, 1), dropout_p=0.3).cpu().numpy()
    assert (again != y).any()
    mg.manual_seed(0)
    assert (F.scaled_dot_product_attention(q, q, mg.ones(1, 400, 1), dropout_p=0.3).cpu().numpy() == y).all()
    assert (F.scaled_dot_product_attention(q, q, q + 1, dropout_p=1.0).cpu().numpy() == 0).all()


def test_multihead_attention_drops_in_training_only():
    mg.manual_seed(1)
    layer, x = nn.MultiheadAttention(4, 2, dropout=0.5), mg.randn(6, 2, 4)
    for need in (True, False):
        layer.train()
        assert (layer(x, x, x, need_weights=need)[0].detach().cpu().numpy() != layer(x, x, x, need_weights=need)[0].detach().cpu().numpy()).any()
        layer.eval()
        assert (layer(x, x, x, need_weights=need)[0].detach().cpu().numpy() == layer(x, x, x, need_weights=need)[0].detach().cpu().numpy()).all()
    layer.train()
    _, weights = layer(x, x, x, average_attn_weights=False)
    assert (weights.detach().cpu().numpy() == 0).any()  # PyTorch too shows them as they were used


# ---------------------------------------------------------------- MultiheadAttention


@pytest.mark.filterwarnings("ignore:Support for mismatched")
@settings(max_examples=20, deadline=None, derandomize=True)
@given(
    heads=st.integers(1, 3), bias=st.booleans(), bias_kv=st.booleans(), zero=st.booleans(), same=st.booleans(),
    first=st.booleans(), batched=st.booleans(), padding=st.sampled_from([None, "bool", "float"]),
    mask=st.sampled_from([None, "2d", "3d", "2d float"]), need=st.booleans(), average=st.booleans(), seed=st.integers(0, 99),
)  # fmt: skip
def test_multihead_attention_is_pytorchs(heads, bias, bias_kv, zero, same, first, batched, padding, mask, need, average, seed):
    embed, rows, keys, n = heads * 2, 3, 4, 2
    kdim, vdim = (None, None) if same else (3, 5)
    options = dict(bias=bias, add_bias_kv=bias_kv, add_zero_attn=zero, kdim=kdim, vdim=vdim, batch_first=first)
    shape = lambda t, width: ((n, t, width) if first else (t, n, width)) if batched else (t, width)
    arrays = draw(seed, shape(rows, embed), shape(keys, kdim or embed), shape(keys, vdim or embed))
    batch = n if batched else 1
    masks = {"attn_mask": None, "key_padding_mask": None}
    if mask:
        kind = "float" if "float" in mask else "bool"
        m = some_mask(kind, (batch * heads, rows, keys) if mask == "3d" else (rows, keys), seed)
        masks["attn_mask"] = ~m if kind == "bool" else m
    if padding:
        m = some_mask(padding, (batch, keys) if batched else (keys,), seed + 1)
        masks["key_padding_mask"] = ~m if padding == "bool" else m

    def call(layer, *xs):
        lib = mg if isinstance(layer, nn.Module) else torch
        typed = lambda m: m if m.dtype == bool else m.astype(str(xs[0].dtype).split(".")[-1])
        how = {k: None if v is None else lib.tensor(typed(v)) for k, v in masks.items()}
        return layer(*xs, need_weights=need, average_attn_weights=average, **how)

    ours, theirs = nn.MultiheadAttention(embed, heads, **options), torch.nn.MultiheadAttention(embed, heads, **options)
    modules_agree(ours, theirs, *arrays, call=call)


@pytest.mark.parametrize("need", [True, False])
def test_self_attention_with_gradients_to_masks(need):
    """One tensor three times, and the additive masks learned."""
    def call(layer, x, mask, padding):
        return layer(x, x, x, attn_mask=mask, key_padding_mask=padding, need_weights=need)

    arrays = draw(0, (4, 2, 6), (4, 4), (2, 4))
    modules_agree(nn.MultiheadAttention(6, 3), torch.nn.MultiheadAttention(6, 3), *arrays, call=call)


@pytest.mark.parametrize("need", [True, False])
@pytest.mark.parametrize("padded", [True, False])
def test_the_causal_hint_is_used_where_pytorch_uses_it(need, padded):
    """A wrong hint (the mask is not causal) shows which of the two counted."""
    padding = np.array([[False, False, True], [False, True, False]]) if padded else None
    mask = np.array([[False, False, True], [True, False, False], [False, False, False]])

    def call(layer, x):
        lib = mg if isinstance(layer, nn.Module) else torch
        kpm = None if padding is None else lib.tensor(padding)
        return layer(x, x, x, attn_mask=lib.tensor(mask), key_padding_mask=kpm, need_weights=need, is_causal=True)

    modules_agree(nn.MultiheadAttention(4, 2), torch.nn.MultiheadAttention(4, 2), *draw(0, (3, 2, 4)), call=call)


def test_multihead_attention_by_pytorchs_inference_path():
    torch.backends.mha.set_fastpath_enabled(True)
    ours, theirs = nn.MultiheadAttention(6, 2, batch_first=True), torch.nn.MultiheadAttention(6, 2, batch_first=True)
    modules_agree(ours, theirs, *draw(0, (2, 4, 6)), call=lambda m, x: m(x, x, x))


def test_static_keys_and_values():
    arrays = draw(0, (3, 2, 4), (5, 2, 4), (5, 2, 4), (12, 4), (12,), (4, 4), (4, 5, 2), (4, 5, 2))

    def call(f):
        return lambda q, k, v, w, b, out, sk, sv: f(
            q, k, v, 4, 2, w, b, None, None, False, 0.0, out, None, static_k=sk, static_v=sv
        )

    agree(call(F.multi_head_attention_forward), call(TF.multi_head_attention_forward), *arrays)


def test_a_padded_batch_entry_gives_zero_weights_where_pytorch_has_nan():
    layer, x = nn.MultiheadAttention(4, 2), mg.randn(3, 2, 4, requires_grad=True)
    padding = mg.tensor(np.array([[True] * 3, [False] * 3]))
    for need in (True, False):
        y, weights = layer(x, x, x, key_padding_mask=padding, need_weights=need)
        y.sum().backward()
        assert np.isfinite(x.grad.cpu().numpy()).all()
        if need:
            assert (weights.detach().cpu().numpy()[0] == 0).all()
        np.testing.assert_allclose(y.detach().cpu().numpy()[:, 0], np.broadcast_to(layer.out_proj.bias.detach().cpu().numpy(), (3, 4)))


def test_multihead_attention_refuses_what_pytorch_refuses():
    nets = {mg: nn, torch: torch.nn}
    for how in (dict(embed_dim=0, num_heads=1), dict(embed_dim=4, num_heads=3), dict(embed_dim=4, num_heads=0)):
        both_reject(lambda how=how: nn.MultiheadAttention(**how), lambda how=how: torch.nn.MultiheadAttention(**how))
    with pytest.raises(ValueError, match=r"dropout=1\.5"):
        nn.MultiheadAttention(4, 2, dropout=1.5)
    x = lambda lib, *s: lib.ones(*s)
    calls = (
        lambda lib, m: m(x(lib, 3, 4), x(lib, 3, 2, 4), x(lib, 3, 2, 4)),
        lambda lib, m: m(x(lib, 3, 2, 5), x(lib, 3, 2, 4), x(lib, 3, 2, 4)),
        lambda lib, m: m(x(lib, 3, 2, 4), x(lib, 3, 2, 4), x(lib, 5, 2, 4)),
        lambda lib, m: m(x(lib, 3, 2, 4), x(lib, 3, 1, 4), x(lib, 3, 1, 4)),
        lambda lib, m: m(x(lib, 1, 3, 2, 4), x(lib, 3, 2, 4), x(lib, 3, 2, 4)),
        lambda lib, m: m(*[x(lib, 3, 2, 4)] * 3, attn_mask=x(lib, 3, 4)),
        lambda lib, m: m(*[x(lib, 3, 2, 4)] * 3, attn_mask=x(lib, 2, 3, 3)),
        lambda lib, m: m(*[x(lib, 3, 2, 4)] * 3, key_padding_mask=x(lib, 3, 3)),
        lambda lib, m: m(*[x(lib, 3, 2, 4)] * 3, is_causal=True),
        lambda lib, m: m(*[x(lib, 3, 4)] * 3, key_padding_mask=x(lib, 1, 3)),
    )
    for call in calls:
        both_reject(*[lambda lib=lib, call=call: call(lib, nets[lib].MultiheadAttention(4, 2)) for lib in (mg, torch)])


# ---------------------------------------------------------------- what holds by definition


def test_weights_are_a_distribution_and_outputs_stay_in_the_convex_hull():
    q, k, v = (mg.tensor(a) for a in draw(3, (2, 5, 3), (2, 6, 3), (2, 6, 2)))
    weights = attention(q, k, mg.eye(6, dtype="float64"))
    np.testing.assert_allclose(weights.cpu().numpy().sum(-1), 1, rtol=1e-14)
    y, low, high = attention(q, k, v).cpu().numpy(), v.cpu().numpy().min(1, keepdims=True), v.cpu().numpy().max(1, keepdims=True)
    assert ((y >= low) & (y <= high)).all()
    masked = attention(q, k, mg.eye(6, dtype="float64"), mask=mg.tensor(np.arange(6) < 4)).cpu().numpy()
    assert (masked[..., 4:] == 0).all()


def test_self_attention_permutes_with_its_input():
    layer, x = nn.MultiheadAttention(6, 2).double(), mg.tensor(draw(0, (5, 2, 6))[0])
    order = [3, 0, 4, 1, 2]
    y, moved = layer(x, x, x)[0], layer(*[x[order]] * 3)[0]
    np.testing.assert_allclose(moved.detach().cpu().numpy(), y.detach().cpu().numpy()[order], rtol=1e-12, atol=1e-14)


def test_causal_attention_sends_no_gradient_from_the_future():
    x = mg.tensor(draw(0, (5, 3))[0], requires_grad=True)
    attention(x, x, x, causal=True)[2].sum().backward()
    assert (x.grad.cpu().numpy()[3:] == 0).all() and (x.grad.cpu().numpy()[:3] != 0).all()


def test_a_mask_of_two_keys_by_hand():
    """One query that scores 0 and log 3: weights 1/4 and 3/4."""
    q, k, v = mg.tensor([[1.0]]), mg.tensor([[0.0], [np.log(3.0)]]), mg.tensor([[4.0], [8.0]])
    np.testing.assert_allclose(F.scaled_dot_product_attention(q, k, v).cpu().numpy(), [[7.0]], rtol=1e-6)


# ---------------------------------------------------------------- additive, Luong, content


def numbers(*tensors):
    return [t.detach().cpu().numpy() for t in tensors]


def softmax(s):
    e = np.exp(s - s.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def test_additive_attention_is_its_formula():
    layer = nn.AdditiveAttention(3, 2, 4).double()
    q, k, v = draw(0, (2, 5, 3), (2, 6, 2), (2, 6, 7))
    w, b, u, score = numbers(layer.query_proj.weight, layer.query_proj.bias, layer.key_proj.weight, layer.score.weight)
    e = np.array([[[np.tanh(w @ q[n, i] + b + u @ k[n, j]) @ score[0] for j in range(6)] for i in range(5)] for n in range(2)])
    y, weights = layer(mg.tensor(q), mg.tensor(k), mg.tensor(v))
    np.testing.assert_allclose(weights.detach().cpu().numpy(), softmax(e), rtol=1e-12)
    np.testing.assert_allclose(y.detach().cpu().numpy(), softmax(e) @ v, rtol=1e-12)
    assert list(layer.state_dict()) == ["query_proj.weight", "query_proj.bias", "key_proj.weight", "score.weight"]
    behaves(lambda *xs: layer(*xs), q, k, v)


@pytest.mark.parametrize("kind", ["dot", "general", "concat", "location"])
def test_luong_scores_are_their_formulas(kind):
    wide = 3 if kind == "dot" else 2
    more = {"concat": {"hidden_dim": 4}, "location": {"max_length": 9}}.get(kind, {})
    layer = nn.LuongAttention(3, wide, kind, **more).double()
    q, k = draw(0, (2, 5, 3), (2, 6, wide))
    if kind == "dot":
        e = q @ k.swapaxes(1, 2)
    elif kind == "general":
        e = q @ layer.proj.weight.detach().cpu().numpy() @ k.swapaxes(1, 2)
    elif kind == "location":
        e = (q @ layer.proj.weight.detach().cpu().numpy().T)[..., :6]
    else:
        pairs = np.concatenate([np.repeat(q[:, :, None], 6, 2), np.repeat(k[:, None], 5, 1)], -1)
        e = np.tanh(pairs @ layer.proj.weight.detach().cpu().numpy().T) @ layer.score.weight.detach().cpu().numpy()[0]
    y, weights = layer(mg.tensor(q), mg.tensor(k))
    np.testing.assert_allclose(weights.detach().cpu().numpy(), softmax(e), rtol=1e-12)
    np.testing.assert_allclose(y.detach().cpu().numpy(), softmax(e) @ k, rtol=1e-12, atol=1e-14)
    behaves(lambda *xs: layer(*xs), q, k)


def test_content_addressing_by_cosine():
    memory, key = draw(0, (2, 6, 3), (2, 2, 3))
    beta = np.array([[0.5, 30.0], [1.0, 2.0]])
    cos = np.array([[[k @ m / np.linalg.norm(k) / np.linalg.norm(m) for m in memory[n]] for k in key[n]] for n in range(2)])
    layer = nn.ContentAddressing()
    read, w = layer(mg.tensor(memory), mg.tensor(key), mg.tensor(beta))
    np.testing.assert_allclose(w.cpu().numpy(), softmax(beta[..., None] * cos), rtol=1e-12)
    np.testing.assert_allclose(read.cpu().numpy(), w.cpu().numpy() @ memory, rtol=1e-12)
    sharp = layer(mg.tensor(memory), mg.tensor(memory), 1e6)[1]
    np.testing.assert_allclose(sharp.cpu().numpy(), np.broadcast_to(np.eye(6), (2, 6, 6)), atol=1e-12)
    behaves(lambda *xs: layer(*xs, 2.0), memory, key)


def test_masks_of_our_own_attentions():
    q, k = (mg.tensor(a) for a in draw(0, (2, 5, 3), (2, 6, 3)))
    padding = np.arange(6) < np.array([[4], [0]])
    for layer in (nn.AdditiveAttention(3, 3, 4).double(), nn.LuongAttention(3, 3).double()):
        y, w = layer(q, k, mask=mg.tensor(padding))
        assert (w.detach().cpu().numpy()[0, :, 4:] == 0).all() and (w.detach().cpu().numpy()[1] == 0).all()
        assert (y.detach().cpu().numpy()[1] == 0).all()
        np.testing.assert_allclose(y.detach().cpu().numpy()[0], layer(q[:1], k[:1, :4])[0].detach().cpu().numpy()[0], rtol=1e-12)
        full = np.broadcast_to(padding[:, None], (2, 5, 6)).copy()
        assert (layer(q, k, mask=mg.tensor(full))[1].detach().cpu().numpy() == w.detach().cpu().numpy()).all()
        with pytest.raises(TypeError, match="boolean mask"):
            layer(q, k, mask=mg.ones(2, 6))
        with pytest.raises(ValueError, match="expected mask"):
            layer(q, k, mask=mg.tensor(padding[:, :5]))
        with pytest.raises(ValueError, match="expected key"):
            layer(q, mg.ones(2, 6, 2))
        with pytest.raises(ValueError, match="expected value"):
            layer(q, k, k[:, :5])


def test_our_own_attentions_refuse_bad_settings():
    for make, said in (
        (lambda: nn.AdditiveAttention(3, 3, 0), "hidden_dim=0"),
        (lambda: nn.LuongAttention(3, 3, "cosine"), "score='cosine'"),
        (lambda: nn.LuongAttention(3, 2, "dot"), "equal widths"),
        (lambda: nn.LuongAttention(3, 3, "concat"), "hidden_dim=None"),
        (lambda: nn.LuongAttention(3, 3, "location"), "max_length=None"),
        (lambda: nn.LuongAttention(3, 3, "dot", hidden_dim=4), "hidden_dim=4"),
        (lambda: nn.LuongAttention(3, 3, "location", max_length=2)(mg.ones(1, 3), mg.ones(3, 3)), "max_length=2"),
        (lambda: nn.ContentAddressing(0.0), "eps=0.0"),
    ):
        with pytest.raises(ValueError, match=said):
            make()
