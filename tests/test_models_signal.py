"""Signals: sizes, causality, fields of view, mu-law, bands that add up, attention that averages, pairs in any order."""

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn, optim
from minigrad.models.ecg import MINA, Attention, BeatCNN, BeatLSTM, ECGNet, Segments, bands
from minigrad.models.fcn1d import FCN1d
from minigrad.models.protein import ProteinLSTM, encode
from minigrad.models.resnet1d import Block1d, ResNet1d
from minigrad.models.siamese import Siamese
from minigrad.models.wavenet import WaveNet, mu_law, mu_law_inverse


def count(module):
    return sum(p.size for p in module.parameters())


def array(x):
    return x.detach().cpu().numpy()


def waves(rows, length, channels=1):
    """Slow and fast noisy sines in turn, and which."""
    rng = np.random.default_rng(0)
    labels = np.arange(rows) % 2
    phase = rng.random((rows, channels, 1)) * 6
    x = np.sin(np.arange(length) * np.where(labels, 0.9, 0.3)[:, None, None] + phase)
    return mg.tensor((x + 0.1 * rng.standard_normal(x.shape)).astype(np.float32)), mg.tensor(labels)


def learn(net, loss_of, steps=8, lr=0.01):
    """The first gradient reaches every parameter; the loss falls."""
    optimiser, losses = optim.Adam(net.parameters(), lr), []
    for step in range(steps):
        optimiser.zero_grad()
        loss = loss_of()
        loss.backward()
        if step == 0:
            for key, p in net.named_parameters():
                assert p.grad is not None and p.grad.shape == p.shape and abs(array(p.grad)).max() > 0, key
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0], losses


CLASSIFIERS = {
    "fcn": (lambda: FCN1d(1, 2), 1),
    "beat cnn": (lambda: BeatCNN(2, 16), 1),
    "beat lstm": (lambda: BeatLSTM(2, 16), 1),
    "cnn": (lambda: ECGNet("CNN", filters=16, segment=20, kernel=8), 1),
    "crnn": (lambda: ECGNet("CRNN", filters=16, hidden=8, segment=20, kernel=8), 1),
    "acrnn": (lambda: ECGNet("ACRNN", filters=16, hidden=8, segment=20, kernel=8), 1),
    "mina": (lambda: MINA(2, 2, 16, 8, segment=20, kernel=8), 2),
    "resnet": (lambda: ResNet1d(2, width=4, pooled=True), 1),
}


def test_parameter_counts():
    assert count(FCN1d(1, 5)) == 265_349
    nets = BeatCNN(), BeatLSTM(), ECGNet("CNN"), ECGNet("CRNN"), ECGNet("ACRNN"), MINA()
    assert [count(net) for net in nets] == [42_629, 18_245, 1_218, 26_306, 26_834, 109_658]
    assert count(WaveNet()) == 339_872
    assert count(ProteinLSTM()) == 42_707
    net = ResNet1d()
    assert count(net) == 10_468_204
    kinds = [type(m) for m in net.modules()]
    assert kinds.count(nn.Conv1d) == 33 and kinds.count(nn.Linear) == 1  # 34 layers as drawn


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_every_classifier_learns_slow_from_fast_waves(name):
    mg.manual_seed(0)
    make, channels = CLASSIFIERS[name]
    net, (x, labels) = make(), waves(8, 60, channels)
    steps = 12 if isinstance(net, BeatLSTM | ECGNet | MINA) else 3  # those with batch norm are faster
    learn(net, lambda: nn.CrossEntropyLoss()(net(x), labels), steps, 0.02)


@pytest.mark.parametrize("name", sorted(set(CLASSIFIERS) - {"resnet"}))
def test_a_signal_gets_a_score_a_class(name):
    make, channels = CLASSIFIERS[name]
    assert make()(mg.randn(3, channels, 40)).shape == (3, 2)


def test_wrong_signals_are_told():
    with pytest.raises(ValueError, match=r"FCN1d: expected signals \(N, 1, L\), got \(2, 9\)"):
        FCN1d()(mg.zeros(2, 9))
    with pytest.raises(ValueError, match=r"CRNN: .* L a multiple of 50, got \(2, 1, 60\)"):
        ECGNet("CRNN")(mg.zeros(2, 1, 60))
    with pytest.raises(ValueError, match=r"kind='RNN'"):
        ECGNet("RNN")
    with pytest.raises(ValueError, match=r"MINA: expected signals \(N, 4, L\)"):
        MINA()(mg.zeros(2, 1, 100))
    with pytest.raises(ValueError, match=r"ResNet1d: expected signals"):
        ResNet1d(width=1)(mg.zeros(2, 3, 9))
    with pytest.raises(ValueError, match="rising edges"):
        bands(np.zeros((1, 10)), 100, (5, 1))


# ---------------------------------------------------------------- ECG


def test_bands_add_up_and_tell_frequencies_apart():
    t = np.arange(1000) / 100
    tones = [np.sin(2 * np.pi * f * t) for f in (0.2, 2, 10, 30)]
    parts = bands(np.sum(tones, 0)[None])
    assert parts.shape == (1, 4, 1000)
    np.testing.assert_allclose(parts[0], tones, atol=1e-5)
    noise = np.random.default_rng(0).standard_normal((2, 301))
    np.testing.assert_allclose(bands(noise).sum(1), noise, atol=1e-5)


def test_minas_weights_are_averages_on_three_levels():
    net = MINA(2, 4, 16, 8)
    x = mg.randn(3, 4, 200)
    scores, beat, rhythm, frequency = net.explain(x)
    assert scores.shape == (3, 2)
    assert (beat.shape, rhythm.shape, frequency.shape) == ((3, 4, 4, 18), (3, 4, 4), (3, 4))
    for alpha in (beat, rhythm, frequency):
        np.testing.assert_allclose(array(alpha).sum(-1), 1, rtol=1e-5)
        assert (array(alpha) > 0).all()


def test_acrnn_tells_how_it_weighs_segments_and_the_others_weigh_none():
    x = mg.randn(3, 1, 200)
    scores, rhythm = ECGNet("ACRNN", filters=8, hidden=4).explain(x)
    assert scores.shape == (3, 2) and rhythm.shape == (3, 4)
    np.testing.assert_allclose(array(rhythm).sum(-1), 1, rtol=1e-5)
    assert ECGNet("CNN", filters=8).explain(x)[1] is ECGNet("CRNN", filters=8).explain(x)[1] is None


def test_attention_without_an_opinion_is_the_mean():
    level = Attention(5, 3, knowledge=True)
    level.V.weight = nn.Parameter(mg.zeros(1, 3))
    h = mg.randn(2, 7, 5)
    np.testing.assert_allclose(array(level(h, mg.randn(2, 7, 1))[0]), array(h).mean(1), atol=1e-6)


def test_knowledge_stands_where_the_convolution_looks():
    segments = Segments(3, segment=20, kernel=6, stride=2)
    x = np.zeros((1, 40), np.float32)
    x[0, 29:] = 1.0  # one step, between samples 8 and 9 of the second segment
    change = array(segments.change(mg.tensor(x)))[0, :, :, 0]
    assert change.shape == array(segments(mg.tensor(x))).shape[1:3] == (2, 8)
    begins = np.arange(8) * 2
    np.testing.assert_allclose(change[1], np.where((begins <= 8) & (begins + 5 >= 9), 0.2, 0), atol=1e-6)
    assert not change[0].any()


def test_fcns_maps_average_to_its_scores():
    net = FCN1d(2, 3).eval()
    x = mg.randn(2, 2, 30)
    np.testing.assert_allclose(array(net.class_maps(x)).mean(2) + array(net.fc.bias), array(net(x)), atol=1e-5)


def test_resnet_answers_every_256_samples():
    net = ResNet1d(5, width=1).eval()
    assert net(mg.randn(1, 1, 1024)).shape == (1, 4, 5)
    assert net(mg.randn(1, 1, 1025)).shape == (1, 5, 5)
    x = mg.randn(1, 1, 512)
    scores = array(net(x))
    net.pooled = True
    np.testing.assert_allclose(array(net(x)), scores.mean(1), atol=1e-6)


def test_a_block_whose_last_layer_is_zero_is_its_shortcut():
    same, halves = (Block1d(3, filters, stride, 0.0, False) for filters, stride in ((3, 1), (5, 2)))
    for block in (same, halves):
        block.conv2.weight, block.conv2.bias = (nn.Parameter(p.detach() * 0) for p in (block.conv2.weight, block.conv2.bias))
    x = mg.randn(2, 3, 9)
    np.testing.assert_array_equal(array(same(x)), array(x))
    y = array(halves(x))
    assert y.shape == (2, 5, 5) and not y[:, 3:].any()
    np.testing.assert_array_equal(y[:, :3, :4], array(x)[:, :, :8].reshape(2, 3, 4, 2).max(-1))


# ---------------------------------------------------------------- WaveNet


def test_wavenets_field_is_1024_exactly():
    net = WaveNet(8, residual=2, skip=3, stacks=1)
    assert net.receptive_field == 1024 and WaveNet(8, 2, 3).receptive_field == 3070
    x = mg.randn(1, 2, 1100, requires_grad=True)
    net.scores(x)[0, :, 1060].sum().backward()
    seen = np.flatnonzero(abs(array(x.grad)).sum((0, 1)))
    assert seen[0] == 1060 - 1023 and seen[-1] == 1060  # nothing older, nothing from the future


def test_wavenet_does_not_see_the_future():
    net = WaveNet(8, residual=4, skip=4, stacks=2, depth=3).eval()
    symbols = np.random.default_rng(0).integers(0, 8, (2, 20))
    before = array(net(mg.tensor(symbols)))
    symbols[:, 11] = (symbols[:, 11] + 1) % 8
    after = array(net(mg.tensor(symbols)))
    np.testing.assert_array_equal(after[:, :, :11], before[:, :, :11])
    assert (after[:, :, 11] != before[:, :, 11]).any()


def test_mu_law():
    symbols = np.arange(256)
    np.testing.assert_array_equal(mu_law(mu_law_inverse(symbols)), symbols)
    x = np.linspace(-1, 1, 1001)
    gap = abs(mu_law_inverse(mu_law(x)) - x)
    assert gap.max() < 0.022 and gap[abs(x) < 0.01].max() < 5e-4  # finer near 0
    with pytest.raises(ValueError, match=r"\[-1, 1\], got up to 2"):
        mu_law([2.0])


def test_wavenet_learns_a_period_and_goes_on_with_it():
    mg.manual_seed(0)
    net = WaveNet(4, residual=8, skip=16, stacks=1, depth=3)
    wave = np.tile([0, 1, 2, 3, 2, 1], 8)
    x, next_ = mg.tensor(wave[None, :-1]), mg.tensor(wave[None, 1:])
    learn(net, lambda: nn.CrossEntropyLoss()(net(x)[:, :, 4:], next_[:, 4:]), 60, 0.02)
    drawn = net.sample(wave[:12], 12, np.random.default_rng(0))
    assert drawn.shape == (24,) and (drawn == wave[:24]).mean() > 0.9
    with pytest.raises(ValueError, match="stacks=0"):
        WaveNet(stacks=0)


# ---------------------------------------------------------------- protein


def test_protein_lstm_sees_both_ways_and_learns():
    mg.manual_seed(0)
    net = ProteinLSTM(hidden=8, embedding=6)
    chain = np.stack([encode("MKTAYIAKQRQISFVKSHFSRQ"), encode("GSHMTEYKLVVVGAGGVGKSAL")])
    targets = np.roll(chain, -1, 1) % 3  # what stands next on the right
    scores = lambda: net(mg.tensor(chain)).swapaxes(1, 2)
    learn(net, lambda: nn.CrossEntropyLoss()(scores(), mg.tensor(targets)), 20, 0.03)
    other = chain.copy()
    other[:, -1] = 1
    assert abs(array(net(mg.tensor(other))) - array(net(mg.tensor(chain))))[:, 0].max() > 0


def test_padding_changes_nothing_for_a_shorter_chain():
    net = ProteinLSTM(hidden=8).eval()
    long, short = encode("ACDEFGHIK"), encode("LMNPQ")
    padded = np.stack([long, np.pad(short, (0, 4))])
    together = array(net(mg.tensor(padded), [9, 5]))
    assert together.shape == (2, 9, 3)
    np.testing.assert_allclose(together[1, :5], array(net(mg.tensor(short[None])))[0], atol=1e-6)
    np.testing.assert_allclose(together[0], array(net(mg.tensor(long[None])))[0], atol=1e-6)
    with pytest.raises(ValueError, match="got 'B'"):
        encode("AB")
    with pytest.raises(ValueError, match=r"residues \(N, L\), got \(5,\)"):
        net(mg.tensor(short))


# ---------------------------------------------------------------- Siamese


@pytest.mark.slow  # 156 MB
def test_siamese_has_the_papers_layers():
    net = Siamese()
    assert [count(m) for m in net.maps if count(m)] == [6_464, 401_536, 262_272, 524_544]
    assert count(net.dense) == 37_752_832 and count(net) == 38_951_745


def test_siamese_has_the_papers_maps():
    net = Siamese(embedding=8)
    assert [count(m) for m in net.maps if count(m)] == [6_464, 401_536, 262_272, 524_544]
    assert net.dense.weight.shape == (8, 9_216)  # 4,096 rows in the paper: 37,752,832 numbers with the bias


def test_siamese_pairs_have_no_order_and_twins_are_nearest():
    mg.manual_seed(0)
    net = Siamese(65, 2, 8).eval()
    net.alpha.weight = nn.Parameter(-mg.ones(1, 8))  # far apart is unlike
    x = mg.randn(3, 1, 65, 65)
    a, b = x, x[[1, 2, 0]]
    np.testing.assert_array_equal(array(net(a, b)), array(net(b, a)))
    np.testing.assert_allclose(array(net(x, x)), np.repeat(array(net.alpha.bias), 3), atol=1e-6)
    assert array(net.one_shot(b, x)).tolist() == [1, 2, 0]


def test_siamese_learns_same_from_different():
    mg.manual_seed(0)
    net = Siamese(65, 2, 8)
    a = mg.randn(4, 1, 65, 65)
    b, same = mg.tensor(np.concatenate([array(a)[:2], array(a)[[3, 2]]])), mg.tensor([1.0, 1.0, 0.0, 0.0])
    learn(net, lambda: nn.BCEWithLogitsLoss()(net(a, b), same), 6, 0.05)
    with pytest.raises(ValueError, match="at least 65"):
        Siamese(64)
    with pytest.raises(ValueError, match=r"\(N, 1, 65, 65\), got \(1, 65, 65\)"):
        net.embed(a[0])
