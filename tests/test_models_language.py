"""Language models and translation: causality, sizes by formula, alignments, sampling, decoding that stops."""

import numpy as np
import pytest
import torch

import minigrad as mg
from minigrad import nn, optim
from minigrad.models import GPT, GPT2_SIZES, CharRNN, GPTSize, Seq2Seq
from minigrad.models.sampling import draw
from minigrad.models.seq2seq import END, START, shifted
from minigrad.nn import functional as F


def count(module):
    return sum(p.size for p in module.parameters())


def tokens(*shape, vocabulary=9, seed=0, least=0):
    return mg.tensor(np.random.default_rng(seed).integers(least, vocabulary, shape))


def near(a, b, atol=1e-5):
    np.testing.assert_allclose(a.detach().cpu().numpy(), b.detach().cpu().numpy(), atol=atol, rtol=0)


def gradients(net, loss):
    loss.backward()
    for name, p in net.named_parameters():
        assert p.grad is not None and float(abs(p.grad.cpu().numpy()).max()) > 0, name


def learn(net, loss_of, steps, lr=1e-2):
    optimiser, losses = optim.Adam(net.parameters(), lr), []
    for _ in range(steps):
        optimiser.zero_grad()
        loss = loss_of()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return losses


def gpt(**kw):
    return GPT(**({"vocabulary": 9, "block_size": 8, "layers": 2, "heads": 2, "width": 12} | kw))


def char_rnn(**kw):
    return CharRNN(9, **({"embedding_dim": 6, "hidden": 10, "layers": 2} | kw))


def test_gpt_has_the_size_of_the_formula_and_gpt2_the_papers():
    for tied in (True, False):
        net = gpt(tied=tied)
        assert count(net) == net.size.parameters(tied)
    millions = {name: round(size.parameters() / 1e6, 1) for name, size in GPT2_SIZES.items()}
    assert GPT2_SIZES["small"].parameters() == 124_439_808
    assert millions == {"small": 124.4, "medium": 354.8, "large": 774.0, "xl": 1557.6}
    # GPT-3, Brown et al. 2020, table 2.1: 175 billion.
    assert round(GPTSize(50_257, 2048, 96, 96, 12_288).parameters() / 1e9) == 175


def test_char_rnn_has_the_size_of_its_formula():
    assert count(char_rnn()) == 9 * 6 + 4 * 10 * (6 + 10 + 2) + 4 * 10 * (10 + 10 + 2) + 10 * 9 + 9


def test_tied_weights_are_one_and_gather_both_gradients():
    net = gpt()
    assert net.lm_head.weight is net.transformer["wte"].weight
    near(GPT(9, 8, 2, 2, 12).lm_head.weight * 0, net.lm_head.weight * 0)
    F.cross_entropy(net(tokens(2, 5, vocabulary=3)).reshape(-1, 9), tokens(10)).backward()
    unused = net.lm_head.weight.grad.numpy()[3:]  # tokens that never went in still came out as scores
    assert abs(unused).max() > 0


@pytest.mark.parametrize("make", [gpt, char_rnn])
def test_no_gradient_comes_from_the_future(make):
    net, x = make(), tokens(1, 8)
    table = net.transformer["wte"] if isinstance(net, GPT) else net.embedding
    kept = []
    table.register_forward_hook(lambda module, inputs, y: kept.append(y))
    for t in (0, 3, 7):
        kept.clear()
        scores = net(x)
        kept[0].retain_grad()
        (scores[:, t] ** 2).sum().backward()
        reached = abs(kept[0].grad.numpy()[0]).max(1) > 0
        assert reached.tolist() == [s <= t for s in range(8)]


@pytest.mark.parametrize("make", [gpt, char_rnn])
def test_scores_do_not_change_with_what_follows(make):
    net, x = make(), tokens(2, 8)
    near(net(x)[:, :5], net(x[:, :5]))


@pytest.mark.parametrize("make", [gpt, char_rnn])
def test_language_models_learn_a_cycle_and_go_on_with_it(make):
    mg.manual_seed(0)
    net, text = make(), np.arange(25) % 5 + 2
    x = mg.tensor(np.stack([text[i : i + 7] for i in range(8)]))
    y = mg.tensor(np.stack([text[i + 1 : i + 8] for i in range(8)]).reshape(-1))
    loss_of = lambda: F.cross_entropy(net(x).reshape(-1, 9), y)
    gradients(net, loss_of())
    losses = learn(net, loss_of, 60, 2e-2)
    assert losses[0] > 1.5 and losses[-1] < 0.2
    said = (net.generate if isinstance(net, GPT) else net.sample)(x[:1, :4], 12, temperature=0.0)
    assert said.numpy()[0].tolist() == (np.arange(16) % 5 + 2).tolist()  # past GPT's block_size of 8


@pytest.mark.parametrize("make", [gpt, char_rnn])
def test_sampling_is_repeated_by_its_generator_and_leaves_the_mode(make):
    net = make(dropout=0.5)
    say = net.generate if isinstance(net, GPT) else net.sample
    once, again = (say(tokens(2, 3), 6, 1.3, 4, generator=mg.Generator(7)).numpy() for _ in range(2))
    assert once.shape == (2, 9) and (once == again).all() and net.training
    net.eval()
    assert not say(tokens(2, 3), 1).requires_grad and not net.training


def test_char_rnn_carries_its_state_from_piece_to_piece():
    net, x = char_rnn(), tokens(2, 8)
    first, state = net.step(x[:, :3])
    second, _ = net.step(x[:, 3:], state)
    near(net(x), mg.concatenate([first, second], 1))


def test_draws_follow_the_scores():
    scores = mg.tensor(np.log([[0.7, 0.2, 0.06, 0.04]] * 4000).astype("float32"))
    shares = lambda *how: np.bincount(draw(scores, *how, mg.Generator(0)).numpy()[:, 0], minlength=4) / 4000
    np.testing.assert_allclose(shares(1.0, None), [0.7, 0.2, 0.06, 0.04], atol=0.03)
    np.testing.assert_allclose(shares(1.0, 2), [7 / 9, 2 / 9, 0, 0], atol=0.03)
    sharp = np.array([0.7, 0.2, 0.06, 0.04]) ** 2
    np.testing.assert_allclose(shares(0.5, None), sharp / sharp.sum(), atol=0.03)
    assert shares(0.0, None).tolist() == [1, 0, 0, 0]


def in_torch(net):
    """PyTorch's own encoder of norm-first layers, with the weights of our GPT."""
    c, heads = net.size.width, net.size.heads
    layer = torch.nn.TransformerEncoderLayer(
        c, heads, 4 * c, 0.0, lambda x: torch.nn.functional.gelu(x, approximate="tanh"),
        batch_first=True, norm_first=True,
    )  # fmt: skip
    stack = torch.nn.TransformerEncoder(
        layer, net.size.layers, torch.nn.LayerNorm(c), enable_nested_tensor=False
    )
    names = {
        "ln_1": "norm1", "ln_2": "norm2", "attn.c_attn.": "self_attn.in_proj_",
        "attn.c_proj": "self_attn.out_proj", "mlp.c_fc": "linear1", "mlp.c_proj": "linear2",
    }  # fmt: skip
    weights = {}
    for key, value in net.state_dict().items():
        name = key.removeprefix("transformer.").replace("h.", "layers.", 1).replace("ln_f", "norm")
        for ours, theirs in names.items():
            name = name.replace(ours, theirs)
        weights[name] = torch.tensor(value.numpy())
    wte, wpe = weights.pop("wte.weight"), weights.pop("wpe.weight")
    head = weights.pop("lm_head.weight")
    stack.load_state_dict(weights)
    return stack, wte, wpe, head


@pytest.mark.parametrize("tied", [True, False])
def test_gpt_is_torchs_causal_encoder_with_the_same_weights(tied):
    net, x = gpt(tied=tied), tokens(3, 7)
    for p in net.parameters():
        nn.init.normal_(p, 0.0, 0.3)
    stack, wte, wpe, head = in_torch(net)
    mask = torch.nn.Transformer.generate_square_subsequent_mask(7)
    with torch.no_grad():
        expected = stack(wte[torch.tensor(x.numpy())] + wpe[:7], mask=mask) @ head.T
    np.testing.assert_allclose(net(x).detach().numpy(), expected.numpy(), atol=1e-4)


# ---------------------------------------------------------------- translation


def seq2seq(**kw):
    return Seq2Seq(9, 9, **({"embedding_dim": 8, "hidden": 12, "attention": 10} | kw))


def reversals(n, length=3, seed=0):
    """Words and the same from last to first, with END."""
    x = np.random.default_rng(seed).integers(3, 7, (n, length))
    return mg.tensor(x), mg.tensor(np.concatenate([x[:, ::-1], np.full((n, 1), END)], 1))


def test_the_alignment_is_a_distribution_over_the_words_that_are_there():
    net, (x, y) = seq2seq(), reversals(4)
    short = x.numpy().copy()
    short[2, 1:], short[3, 2:] = 0, 0
    scores, a = net(mg.tensor(short), shifted(y))
    assert scores.shape == (4, 4, 9) and a.shape == (4, 4, 3)
    np.testing.assert_allclose(a.detach().numpy().sum(-1), 1, atol=1e-6)
    assert ((a.detach().numpy() > 0) == (short != 0)[:, None]).all()
    gradients(net, F.cross_entropy(scores.reshape(-1, 9), y.reshape(-1)))


def test_padding_makes_no_difference_to_the_translation():
    net, (x, y) = seq2seq(), reversals(2)
    more = mg.tensor(np.pad(x.numpy(), ((0, 0), (0, 4))))
    near(net(x, shifted(y))[0], net(more, shifted(y))[0])


def test_the_targets_future_is_not_seen():
    net, (x, y) = seq2seq(), reversals(2)
    changed = y.numpy().copy()
    changed[:, 2:] = 8
    scores = [net(x, shifted(mg.tensor(t)))[0].detach().numpy() for t in (y.numpy(), changed)]
    assert (scores[0][:, :3] == scores[1][:, :3]).all() and (scores[0][:, 3] != scores[1][:, 3]).any()
    assert shifted(y).numpy()[:, 0].tolist() == [START, START]


def test_greedy_decoding_stops_at_the_end_of_the_last_sentence():
    net, (x, _) = seq2seq(), reversals(3)
    nn.init.zeros_(net.fc.weight)
    with mg.no_grad():
        net.fc.bias.copy_(mg.tensor(np.eye(9)[END].astype("float32")))
    words, alignment = net.greedy(x)
    assert words.numpy().tolist() == [[END]] * 3 and alignment.shape == (3, 1, 3) and net.training
    with mg.no_grad():
        net.fc.bias.copy_(mg.tensor(np.eye(9)[5].astype("float32")))  # it never ends
    assert net.greedy(x, most=6)[0].numpy().tolist() == [[5] * 6] * 3


def test_words_behind_a_sentences_end_are_padding():
    net, steps = seq2seq(), iter([[5, END], [END, 6], [7, END]])
    net.step = lambda word, s, h, mask: (
        mg.tensor(np.eye(9)[next(steps)].astype("float32")), s, mg.zeros(2, 3)
    )  # fmt: skip
    assert net.greedy(reversals(2)[0])[0].numpy().tolist() == [[5, END], [END, 0]]


def test_seq2seq_learns_to_reverse():
    mg.manual_seed(0)
    net, (x, y) = seq2seq(hidden=24), reversals(48)
    loss_of = lambda: F.cross_entropy(net(x, shifted(y))[0].reshape(-1, 9), y.reshape(-1))
    losses = learn(net, loss_of, 60, 2e-2)
    assert losses[0] > 1.5 and losses[-1] < 0.1
    said = net.greedy(x)[0].numpy()
    assert (said[:, :4] == y.numpy()).all(1).mean() > 0.9


def test_what_does_not_fit_is_told():
    with pytest.raises(ValueError, match=r"width divisible by heads \(width=12, heads=5\)"):
        gpt(heads=5)
    with pytest.raises(ValueError, match="at most block_size=8 tokens, got 9"):
        gpt()(tokens(1, 9))
    with pytest.raises(TypeError, match="GPT: expected whole numbers"):
        gpt()(mg.zeros(2, 3))
    with pytest.raises(ValueError, match=r"temperature=-1"):
        char_rnn().sample(tokens(1, 2), 3, temperature=-1)
    with pytest.raises(ValueError, match=r"top_k=0"):
        gpt().generate(tokens(1, 2), 3, top_k=0)
    with pytest.raises(ValueError, match="as many targets as sources, got 1, 2"):
        seq2seq()(tokens(2, 3), tokens(1, 3))
