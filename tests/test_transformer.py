"""Transformers against PyTorch, and positions against their formulas."""

import copy
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minigrad as mg
from minigrad import nn
from minigrad.ops.attention import attention

torch = pytest.importorskip("torch")
from against_torch import both_reject, draw, modules_agree, plain_pytorch  # noqa: E402, F401

pytestmark = [
    pytest.mark.usefixtures("plain_pytorch"),
    pytest.mark.filterwarnings("ignore:enable_nested_tensor is True", "ignore:Support for mismatched"),
]
quick = settings(max_examples=10, deadline=None, derandomize=True)


def lib_of(module):
    return mg if isinstance(module, nn.Module) else torch


def sequence(steps, width, batch, first):
    return (steps, width) if batch is None else (batch, steps, width) if first else (steps, batch, width)


def mask_of(kind, rows, keys, seed):
    """A mask with PyTorch's meaning here (True: no part), that leaves key 0 to all; by kind."""
    if kind is None:
        return None
    shut = np.triu(np.ones((rows, keys), bool), 1) if "causal" in kind else np.random.default_rng(seed).random((rows, keys)) < 0.4
    shut[..., 0] = False
    return shut if "bool" in kind else np.where(shut, -np.inf, 0.0)


MASKS = st.sampled_from([None, "causal", "causal bool", "float", "bool"])
LAYER = dict(
    width=st.sampled_from([4, 6]), heads=st.integers(1, 2), feed=st.integers(1, 5),
    activation=st.sampled_from(["relu", "gelu", "module", "callable"]), eps=st.sampled_from([1e-5, 0.1]),
    first=st.booleans(), norm_first=st.booleans(), bias=st.booleans(), batch=st.sampled_from([None, 2]),
    mask=MASKS, padded=st.booleans(), seed=st.integers(0, 99),
)  # fmt: skip


def activation_of(kind, lib):
    return {"module": lib.nn.SiLU(), "callable": lib.tanh}.get(kind, kind)


def pair(name, o, *more, **how):
    """The same layer of both libraries; PyTorch draws the weights, from the seed."""
    torch.manual_seed(o["seed"])
    return [
        getattr(lib.nn, name)(
            o["width"], o["heads"], *more, o["feed"], 0.0, activation_of(o["activation"], lib), layer_norm_eps=o["eps"],
            batch_first=o["first"], norm_first=o["norm_first"], bias=o["bias"], **how,
        )
        for lib in (mg, torch)
    ]  # fmt: skip


def unshadowed(theirs):
    """PyTorch's copies of a decoder layer whose activation is a Module compute relu: an attribute hides it."""
    for module in theirs.modules():
        if "activation" in module._modules:
            vars(module).pop("activation", None)
    return theirs


def padding_of(o, steps):
    if not o["padded"]:
        return None
    n = 1 if o["batch"] is None else o["batch"]
    shut = np.random.default_rng(o["seed"] + 1).random((n, steps)) < 0.4
    shut[:, 0] = False
    return shut[0] if o["batch"] is None else shut


def given_to(module, **arrays):
    dtype = str(next(module.parameters()).dtype).split(".")[-1]
    typed = lambda a: lib_of(module).tensor(a if a.dtype == bool else a.astype(dtype))
    return {k: a if a is None else typed(a) for k, a in arrays.items()}


@quick
@given(**LAYER)
def test_encoder_layer_is_pytorchs(**o):
    (x,) = draw(o["seed"], sequence(4, o["width"], o["batch"], o["first"]))
    masks = dict(src_mask=mask_of(o["mask"], 4, 4, o["seed"]), src_key_padding_mask=padding_of(o, 4))
    ours, theirs = pair("TransformerEncoderLayer", o)
    modules_agree(ours, theirs, x, call=lambda m, x: m(x, **given_to(m, **masks)))


@quick
@given(**LAYER)
def test_decoder_layer_is_pytorchs(**o):
    x, memory = draw(o["seed"], sequence(3, o["width"], o["batch"], o["first"]), sequence(4, o["width"], o["batch"], o["first"]))
    masks = dict(
        tgt_mask=mask_of(o["mask"], 3, 3, 1), memory_mask=mask_of(o["mask"], 3, 4, 2),
        tgt_key_padding_mask=padding_of(o, 3), memory_key_padding_mask=padding_of(o, 4),
    )  # fmt: skip
    ours, theirs = pair("TransformerDecoderLayer", o)
    modules_agree(ours, theirs, x, memory, call=lambda m, x, y: m(x, y, **given_to(m, **masks)))


@pytest.mark.slow
@settings(max_examples=8, deadline=None, derandomize=True)
@given(**LAYER, normed=st.booleans(), hint=st.sampled_from([None, True, False]))
def test_stacks_are_pytorchs(normed, hint, **o):
    x, memory = draw(o["seed"], sequence(3, o["width"], o["batch"], o["first"]), sequence(4, o["width"], o["batch"], o["first"]))
    encoders, decoders = pair("TransformerEncoderLayer", o), pair("TransformerDecoderLayer", o)
    norms = [lib.nn.LayerNorm(o["width"]) if normed else None for lib in (mg, torch)]
    mask = mask_of(o["mask"], 4, 4, 0)
    hint = hint if mask is not None else None
    stack = [lib.nn.TransformerEncoder(layer, 2, norm) for lib, layer, norm in zip((mg, torch), encoders, norms, strict=True)]
    call = lambda m, x: m(x, is_causal=hint, **given_to(m, mask=mask, src_key_padding_mask=padding_of(o, 4)))
    modules_agree(*stack, memory, call=call, order2=False)
    stack = [lib.nn.TransformerDecoder(layer, 2, norm) for lib, layer, norm in zip((mg, torch), decoders, norms, strict=True)]
    unshadowed(stack[1])
    masks = dict(tgt_mask=mask_of(o["mask"], 3, 3, 0), memory_key_padding_mask=padding_of(o, 4))
    modules_agree(*stack, x, memory, call=lambda m, x, y: m(x, y, tgt_is_causal=hint, **given_to(m, **masks)), order2=False)


@pytest.mark.slow
@settings(max_examples=6, deadline=None, derandomize=True)
@given(**LAYER)
def test_transformer_is_pytorchs(**o):
    shapes = [sequence(steps, o["width"], o["batch"], o["first"]) for steps in (4, 3)]
    masks = dict(
        src_mask=mask_of(o["mask"], 4, 4, 0), tgt_mask=mask_of(o["mask"], 3, 3, 1), memory_mask=mask_of(o["mask"], 3, 4, 2),
        src_key_padding_mask=padding_of(o, 4), tgt_key_padding_mask=padding_of(o, 3), memory_key_padding_mask=padding_of(o, 4),
    )  # fmt: skip
    ours, theirs = pair("Transformer", o, 2, 1)
    modules_agree(ours, unshadowed(theirs), *draw(o["seed"], *shapes), call=lambda m, x, y: m(x, y, **given_to(m, **masks)), order2=False)


def test_order_two_and_pytorchs_inference_path():
    torch.backends.mha.set_fastpath_enabled(True)
    how = dict(dim_feedforward=5, dropout=0.0, batch_first=True, activation="gelu")
    stacks = [lib.nn.TransformerEncoder(lib.nn.TransformerEncoderLayer(4, 2, **how), 2) for lib in (mg, torch)]
    modules_agree(*stacks, *draw(0, (2, 3, 4)))


@pytest.mark.cpu  # on a GPU nobody looks: that would wait for it
def test_the_causal_mask_is_found_by_itself():
    mask = nn.Transformer.generate_square_subsequent_mask(4)
    assert (mask.cpu().numpy() == torch.nn.Transformer.generate_square_subsequent_mask(4).numpy()).all() and mask.dtype == np.float32
    assert nn.Transformer.generate_square_subsequent_mask(2, dtype="float64").dtype == np.float64
    seen = []

    class Spy(nn.TransformerEncoderLayer):
        def forward(self, src, src_mask=None, src_key_padding_mask=None, is_causal=False):
            seen.append(is_causal)
            return src

    encoder, x = nn.TransformerEncoder(Spy(2, 1), 1), mg.zeros(4, 1, 2)
    bool_mask = mg.tensor(np.triu(np.ones((4, 4), bool), 1))
    for given_ in (mask, bool_mask, mask * 1.0 + 0.0, mg.zeros(4, 4), mask[:3, :3], None):
        encoder(x, given_)
    assert seen == [True, True, True, False, False, False]


def test_copies_begin_alike_and_are_their_own():
    layer = nn.TransformerEncoderLayer(4, 2, 3)
    stack = nn.TransformerEncoder(layer, 2)
    first, second = (dict(m.named_parameters()) for m in stack.layers)
    for name, p in layer.named_parameters():
        assert (first[name].detach().cpu().numpy() == p.detach().cpu().numpy()).all()
        assert len({id(q) for q in (p, first[name], second[name])}) == 3
    assert sum(1 for _ in stack.parameters()) == 2 * sum(1 for _ in layer.parameters())
    again = copy.deepcopy(stack)
    assert list(again.state_dict()) == list(stack.state_dict())


def test_transformer_begins_as_pytorchs():
    """Matrices uniform within sqrt(6 / (in + out)), each on its own; biases of attention 0."""
    mg.manual_seed(0)
    model = nn.Transformer(32, 4, 1, 1, 64)
    for name, p in model.named_parameters():
        if p.ndim > 1:
            bound = np.sqrt(6 / sum(p.shape))
            assert 0.9 * bound < np.abs(p.detach().cpu().numpy()).max() <= bound, name
        elif "in_proj_bias" in name or "out_proj.bias" in name:
            assert (p.detach().cpu().numpy() == 0).all(), name
    assert (nn.MultiheadAttention(8, 2).in_proj_bias.detach().cpu().numpy() == 0).all()


def test_custom_stacks():
    class Double(nn.Module):
        def forward(self, src, **masks):
            return src + src

    class Take(nn.Module):
        def forward(self, tgt, memory, **masks):
            return tgt + memory

    model = nn.Transformer(2, 1, custom_encoder=Double(), custom_decoder=Take())
    assert (model(mg.ones(3, 1, 2), mg.ones(3, 1, 2)).cpu().numpy() == 3).all()


def test_dropout_in_training_only():
    layer, x = nn.TransformerEncoderLayer(4, 2, 8, dropout=0.5), mg.randn(5, 2, 4)
    assert (layer(x).detach().cpu().numpy() != layer(x).detach().cpu().numpy()).any()
    layer.eval()
    assert (layer(x).detach().cpu().numpy() == layer(x).detach().cpu().numpy()).all()


def test_transformers_refuse_what_pytorch_refuses():
    wrong = (
        lambda n: n.TransformerEncoderLayer(4, 3),
        lambda n: n.TransformerEncoderLayer(4, 2, dropout=1.5),
        lambda n: n.TransformerEncoderLayer(4, 2, activation="swish"),
        lambda n: n.TransformerDecoderLayer(0, 2),
        lambda n: n.TransformerEncoder("layer", 2),
        lambda n: n.Transformer(4, 3),
    )
    for make in wrong:
        both_reject(lambda make=make: make(nn), lambda make=make: make(torch.nn))
    small = dict(num_encoder_layers=1, num_decoder_layers=1, dim_feedforward=3)
    for src, tgt in (((3, 2, 4), (3, 1, 4)), ((3, 2, 4), (3, 2, 5)), ((3, 2, 5), (3, 2, 4)), ((3, 4), (3, 2, 4))):
        calls = [lambda lib=lib: lib.nn.Transformer(4, 2, **small)(lib.ones(*src), lib.ones(*tgt)) for lib in (mg, torch)]
        both_reject(*calls)


# ---------------------------------------------------------------- what holds by definition


def test_no_gradient_from_the_future_through_a_whole_encoder():
    layer = nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0, batch_first=True)
    encoder = nn.TransformerEncoder(layer, 3).double()
    x = mg.tensor(draw(0, (1, 5, 4))[0], requires_grad=True)
    encoder(x, nn.Transformer.generate_square_subsequent_mask(5))[:, 2].square().sum().backward()
    assert (x.grad.cpu().numpy()[:, 3:] == 0).all() and (x.grad.cpu().numpy()[:, :3] != 0).all()


def test_without_positions_an_encoder_permutes_with_its_input():
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0, batch_first=True), 2).double()
    x, order = mg.tensor(draw(0, (2, 5, 4))[0]), [4, 2, 0, 1, 3]
    y = encoder(x).detach().cpu().numpy()
    np.testing.assert_allclose(encoder(x[:, order]).detach().cpu().numpy(), y[:, order], rtol=1e-10, atol=1e-12)
    placed = nn.SinusoidalPositions(4)
    y = encoder(placed(x)).detach().cpu().numpy()
    assert np.abs(encoder(placed(x[:, order])).detach().cpu().numpy() - y[:, order]).max() > 1e-3


def test_padding_changes_nothing_for_the_others():
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0, batch_first=True), 2).double()
    x, junk = (mg.tensor(a) for a in draw(0, (1, 3, 4), (1, 2, 4)))
    padding = mg.tensor(np.array([[False] * 3 + [True] * 2]))
    y = encoder(mg.concatenate([x, junk], 1), src_key_padding_mask=padding).detach().cpu().numpy()
    np.testing.assert_allclose(y[:, :3], encoder(x).detach().cpu().numpy(), rtol=1e-12)


# ---------------------------------------------------------------- positions


@pytest.mark.parametrize("first", [True, False])
def test_sinusoidal_positions_are_the_formula(first):
    x = mg.tensor(draw(0, (2, 7, 6) if first else (7, 2, 6))[0])
    table = np.array([[[np.sin, np.cos][j % 2](t / 10000 ** (2 * (j // 2) / 6)) for j in range(6)] for t in range(7)])
    wanted = x.cpu().numpy() + (table if first else table[:, None])
    np.testing.assert_allclose(nn.SinusoidalPositions(6, batch_first=first)(x).cpu().numpy(), wanted, rtol=1e-13)
    assert not list(nn.SinusoidalPositions(6).state_dict())


def test_sinusoidal_positions_turn_by_a_fixed_rotation():
    """PE[t + s] is a rotation of PE[t] that depends on s alone (Vaswani et al. 2017, section 3.5)."""
    table = nn.SinusoidalPositions(4)(mg.zeros(50, 4, dtype="float64")).cpu().numpy()
    products = [table[t] @ table[t + 5] for t in range(45)]
    np.testing.assert_allclose(products, products[0], rtol=1e-12)


def test_learned_positions():
    for first, shape in ((True, (2, 3, 4)), (False, (3, 2, 4))):
        layer = nn.LearnedPositions(5, 4, batch_first=first)
        rows = layer.weight.detach().cpu().numpy()[:3]
        y = layer(mg.zeros(*shape))
        assert (y.detach().cpu().numpy() == (rows if first else rows[:, None])).all()
        y.sum().backward()
        assert (layer.weight.grad.cpu().numpy() == np.array([2, 2, 2, 0, 0])[:, None]).all()
    with pytest.raises(ValueError, match="max_length=5 positions, got 6"):
        layer(mg.zeros(6, 2, 4))


@pytest.mark.parametrize("interleaved", [True, False])
def test_rotary_positions_turn_pairs(interleaved):
    layer = nn.RotaryPositions(6, base=100.0, interleaved=interleaved)
    x = draw(0, (2, 3, 7, 6))[0]
    z = x[..., 0::2] + 1j * x[..., 1::2] if interleaved else x[..., :3] + 1j * x[..., 3:]
    z = z * np.exp(1j * np.arange(2, 9)[:, None] * 100.0 ** (-np.arange(3) * 2 / 6))
    wanted = np.stack([z.real, z.imag], -1).reshape(x.shape) if interleaved else np.concatenate([z.real, z.imag], -1)
    q, k = layer(mg.tensor(x), mg.tensor(2 * x), offset=2)
    np.testing.assert_allclose(q.cpu().numpy(), wanted, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(k.cpu().numpy(), 2 * wanted, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("interleaved", [True, False])
def test_rotary_scores_depend_on_the_distance_alone(interleaved):
    layer = nn.RotaryPositions(4, interleaved=interleaved)
    q, k = (mg.tensor(a, requires_grad=True) for a in draw(1, (5, 4), (5, 4)))
    here, there = (layer(q, k, offset=t) for t in (0, 1000))
    np.testing.assert_allclose(attention(*here, k).detach().cpu().numpy(), attention(*there, k).detach().cpu().numpy(), rtol=1e-9)
    turned = layer.turn(q)
    np.testing.assert_allclose(np.linalg.norm(turned.detach().cpu().numpy(), axis=-1), np.linalg.norm(q.detach().cpu().numpy(), axis=-1))
    turned.square().sum().backward()  # a rotation: the gradient of |x|^2 is 2 x
    np.testing.assert_allclose(q.grad.cpu().numpy(), 2 * q.detach().cpu().numpy(), rtol=1e-12)


def test_positions_keep_float32_and_refuse_bad_settings():
    x = mg.zeros(2, 3, 4)
    for layer in (nn.SinusoidalPositions(4), nn.LearnedPositions(5, 4)):
        assert layer(x).dtype == np.float32
    assert nn.RotaryPositions(4).turn(x).dtype == np.float32
    for make, said in (
        (lambda: nn.SinusoidalPositions(5), "d_model=5"),
        (lambda: nn.SinusoidalPositions(4, base=0), "base=0"),
        (lambda: nn.SinusoidalPositions(4)(mg.zeros(2, 6)), "width 4"),
        (lambda: nn.LearnedPositions(0, 4), "max_length=0"),
        (lambda: nn.RotaryPositions(3), "head_dim=3"),
        (lambda: nn.RotaryPositions(4)(mg.zeros(2, 6), mg.zeros(2, 4)), "width 4"),
    ):
        with pytest.raises(ValueError, match=said):
            make()


def test_no_warnings_of_our_own():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 1, 4), 1)(mg.ones(3, 4))
