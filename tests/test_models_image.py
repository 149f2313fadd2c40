"""AlexNet, VGG, network in network, the pattern builder: counts of the papers, shapes, gradients, that they learn."""

import numpy as np
import pytest
from image_models import count, learns, undrawn  # noqa: F401

import minigrad as mg
from minigrad import inspect, nn
from minigrad.models import (
    NIN,
    PATTERNS,
    VGG,
    AlexNet,
    AlexNet32,
    CAMNet,
    NarrowVGG,
    pattern,
    pattern_text,
    vgg11,
    vgg13,
    vgg16,
    vgg19,
)

# ---------------------------------------------------------------- AlexNet


def test_alexnets_parameters(undrawn):  # noqa: F811
    net = AlexNet()
    by_layer = {name: count(layer) for name, layer in net.named_children() if count(layer)}
    assert by_layer == {
        "conv1": 34_944, "conv2": 307_456, "conv3": 885_120, "conv4": 663_936, "conv5": 442_624,
        "fc6": 37_752_832, "fc7": 16_781_312, "fc8": 4_097_000,
    }  # fmt: skip
    assert count(net) == 60_965_224
    assert count(AlexNet32()) == 4_980_554


def test_alexnets_maps(undrawn):  # noqa: F811
    net = AlexNet()
    net.forward = net.features  # 4.6 of the paper's 61 million weights; the linear layers' shapes are counted above
    rows = {row.name: row for row in nn.explain_shapes(net, (1, 3, 227, 227)).rows if row.parameters}
    assert [rows[f"conv{i}"].output_shape for i in (1, 2, 3, 4, 5)] == [
        (1, 96, 55, 55), (1, 256, 27, 27), (1, 384, 13, 13), (1, 384, 13, 13), (1, 256, 13, 13),
    ]  # fmt: skip
    assert net.pool(mg.zeros(1, 256, 13, 13)).shape == (1, 256, 6, 6)


def test_alexnet_starts_as_in_section_5(monkeypatch):
    monkeypatch.setattr(nn.Linear, "reset_parameters", lambda self: None)
    net = AlexNet.__new__(AlexNet)
    nn.Module.__init__(net)
    net.conv1, net.conv2, net.fc7, net.fc8 = nn.Conv2d(3, 96, 11), nn.Conv2d(96, 64, 5), nn.Linear(9, 9), nn.Linear(9, 9)
    net.reset_parameters()
    assert [layer.bias.mean().item() for layer in net.children()] == [0, 1, 1, 0]
    assert abs(np.asarray(net.conv1.weight.detach().cpu().numpy()).std() - 0.01) < 3e-4


def test_a_group_of_alexnet_sees_only_its_half():
    net = AlexNet32().eval()
    x = mg.randn(1, 64, 8, 8, requires_grad=True)
    net.conv2(x)[:, :96].sum().backward()
    g = x.grad.cpu().numpy()
    assert g[:, :32].any() and not g[:, 32:].any()


def test_alexnets_normalisation_has_the_papers_sum():
    x = mg.randn(2, 7, 3, 3, dtype="float64")
    a = x.cpu().numpy()
    windows = [(a[:, max(0, i - 2) : i + 3] ** 2).sum(1) for i in range(7)]
    wanted = a / (2 + 1e-4 * np.stack(windows, 1)) ** 0.75
    np.testing.assert_allclose(AlexNet32().norm(x).cpu().numpy(), wanted, rtol=1e-12)


def test_the_small_alexnet_learns():
    mg.manual_seed(0)
    learns(AlexNet32(classes=4, dropout=0.0), (4, 3, 32, 32), lr=1e-4)


def test_the_small_alexnet_has_a_width():
    assert count(AlexNet32(width=16)) < count(AlexNet32()) / 15
    assert AlexNet32(width=8).eval()(mg.randn(1, 3, 32, 32)).shape == (1, 10)
    with pytest.raises(ValueError, match=r"AlexNet32: expected an even number >= 2.*\(width=5\)"):
        AlexNet32(width=5)


# ---------------------------------------------------------------- VGG


def test_vggs_parameters(undrawn):  # noqa: F811
    assert [count(make()) for make in (vgg11, vgg13, vgg16, vgg19)] == [
        132_863_336, 133_047_848, 138_357_544, 143_667_240,
    ]  # fmt: skip
    assert count(vgg16(norm=True)) == 138_365_992
    stage, found = 0, [0] * 5
    for layer in vgg16().features:
        found[stage] += count(layer)
        stage += isinstance(layer, nn.MaxPool2d)
    assert found == [38_720, 221_440, 1_475_328, 5_899_776, 7_079_424]
    assert count(NarrowVGG()) == 3_686_954


def test_vggs_state_dict_is_torchvisions(undrawn):  # noqa: F811
    convs = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
    keys = [f"features.{i}" for i in convs] + [f"classifier.{i}" for i in (0, 3, 6)]
    assert list(vgg16().state_dict()) == [f"{k}.{part}" for k in keys for part in ("weight", "bias")]
    with_norm = [k for k in vgg11(norm=True).state_dict() if k.startswith("features.1.")]
    assert [k.rsplit(".")[-1] for k in with_norm] == ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]


def test_vggs_multiply_adds_and_field(undrawn):  # noqa: F811
    net = VGG(16, classes=3)
    table = nn.explain_shapes(net.features, (1, 3, 32, 32))
    assert table.multiply_adds == 15_346_630_656 // 49  # at 224x224 the paper's 15.3 billion: 49 times the places
    assert table.rows[-1].output_shape == (1, 512, 1, 1) and table.rows[-1].receptive_field == (212, 212)


def test_three_3x3_layers_see_7x7_with_27_of_49_weights():
    three = nn.Sequential(*[nn.Conv2d(64, 64, 3, bias=False) for _ in range(3)])
    assert count(three) == 110_592 and count(nn.Conv2d(64, 64, 7, bias=False)) == 200_704
    assert nn.explain_shapes(three, (1, 64, 7, 7)).rows[-1].receptive_field == (7, 7)


def test_he_start_keeps_the_size_of_what_passes():
    mg.manual_seed(0)
    net = NarrowVGG(width=16).eval()
    for layer in net.features:
        if isinstance(layer, nn.Conv2d):
            assert not layer.bias.detach().cpu().numpy().any()
            w = layer.weight.detach().cpu().numpy()
            np.testing.assert_allclose(w.std(), np.sqrt(2 / w[0].size), rtol=0.15)


def test_the_narrow_vgg_learns():
    mg.manual_seed(0)
    learns(NarrowVGG(classes=4, width=8, dropout=0.0, depth=11), (8, 3, 32, 32), lr=3e-3)


# ---------------------------------------------------------------- network in network, class activation maps


def test_nins_parameters_and_maps():
    net = NIN().eval()
    assert count(net) == 966_986
    assert [count(getattr(net, f"mlpconv{i}")) for i in (1, 2, 3)] == [60_928, 535_104, 370_954]
    x = mg.randn(2, 3, 32, 32)
    maps = net.class_maps(x)
    assert maps.shape == (2, 10, 8, 8)
    np.testing.assert_allclose(net(x).tolist(), maps.mean((2, 3)).tolist(), rtol=1e-5, atol=1e-6)  # GAP is the mean


def test_an_mlpconv_is_a_small_network_at_every_place():
    part = NIN().mlpconv1
    x = mg.randn(1, 3, 9, 9)
    patch = part(x)[0, :, 4, 4]
    by_hand = (part[0](x)[0, :, 4, 4]).relu()
    for layer in (part[2], part[4]):
        by_hand = (layer.weight[:, :, 0, 0] @ by_hand + layer.bias).relu()
    np.testing.assert_allclose(patch.tolist(), by_hand.tolist(), rtol=1e-4, atol=1e-6)


def test_nins_maps_are_its_class_activation_maps():
    """The last 1x1 convolution after the mean is a linear layer: weights x maps, whose mean + bias is the score."""
    net, x = NIN(channels=1, classes=4).eval(), mg.randn(2, 1, 12, 12)
    maps = net.class_maps(x)
    bias = net.mlpconv3[-1].bias
    unbiased = maps - bias[:, None, None]
    np.testing.assert_allclose((unbiased.mean((2, 3)) + bias).tolist(), net(x).tolist(), rtol=1e-5, atol=1e-5)


def test_the_class_activation_maps_mean_and_bias_are_the_score():
    mg.manual_seed(1)
    net = CAMNet(width=4).eval()
    for p in net.parameters():
        p.data[...] = p.data + 0.1
    x = mg.randn(3, 1, 28, 20)
    for target in (0, 4, 9):
        heat = inspect.class_activation_map(net, x, target)
        assert heat.shape == (3, 7, 5)
        score = heat.mean((1, 2)) + net.fc.bias[target]
        np.testing.assert_allclose(score.tolist(), net(x)[:, target].tolist(), rtol=1e-4, atol=1e-5)


def test_the_map_follows_the_evidence():
    """Maps move with the image, by a quarter of the pixels: what is seen is seen wherever it stands."""
    net = CAMNet(width=4).eval()
    canvas = np.zeros((2, 1, 48, 48), np.float32)
    canvas[0, 0, 16:22, 16:22] = canvas[1, 0, 24:30, 20:26] = np.random.default_rng(0).normal(size=(6, 6))
    first, second = inspect.class_activation_map(net, mg.tensor(canvas), 3).tolist()
    np.testing.assert_allclose(np.roll(first, (2, 1), (0, 1)), second, atol=1e-5)


def test_nin_and_camnet_learn():
    mg.manual_seed(0)
    learns(NIN(channels=1, classes=4, dropout=0.0), (4, 1, 12, 12), lr=3e-4)
    learns(CAMNet(classes=4, width=8), (8, 1, 12, 12), lr=1e-2)


# ---------------------------------------------------------------- the pattern


def test_the_four_designs_by_hand():
    conv, flat = 3 * 9 * 16 + 16, 16 * 32 * 32
    more = 16 * 9 * 16 + 16
    by_hand = {
        "linear": 3072 * 10 + 10,
        "shallow": conv + flat * 10 + 10,
        "paired": conv + more + 16 * 8 * 8 * 64 + 64 + 64 * 10 + 10,
        "deep": conv + 5 * more + 16 * 4 * 4 * 64 + 64 + 64 * 64 + 64 + 64 * 10 + 10,
    }
    assert by_hand == {"linear": 30_730, "shallow": 164_298, "paired": 69_018, "deep": 33_306}
    for name, numbers in PATTERNS.items():
        assert count(pattern((3, 32, 32), 10, **numbers)) == by_hand[name], name


def test_the_four_designs_as_written():
    assert {name: pattern_text(**numbers) for name, numbers in PATTERNS.items()} == {
        "linear": "INPUT -> FC",
        "shallow": "INPUT -> CONV -> RELU -> FC",
        "paired": "INPUT -> [CONV -> RELU -> POOL]*2 -> FC -> RELU -> FC",
        "deep": "INPUT -> [CONV -> RELU -> CONV -> RELU -> POOL]*3 -> [FC -> RELU]*2 -> FC",
    }


def test_the_designs_shapes():
    net = pattern((3, 32, 24), 7, **PATTERNS["deep"], filters=(4, 6, 8))
    rows = nn.explain_shapes(net, (2, 3, 32, 24)).rows
    assert [row.output_shape[1:] for row in rows if row.kind == "MaxPool2d"] == [(4, 16, 12), (6, 8, 6), (8, 4, 3)]
    kinds = {"Conv2d": "CONV", "ReLU": "RELU", "MaxPool2d": "POOL", "Linear": "FC"}
    text = " -> ".join(["INPUT", *(kinds[row.kind] for row in rows if row.kind in kinds)])
    group = "CONV -> RELU -> CONV -> RELU -> POOL"
    assert text == f"INPUT -> {group} -> {group} -> {group} -> FC -> RELU -> FC -> RELU -> FC"
    assert rows[-1].output_shape == (2, 7)


@pytest.mark.parametrize("name", PATTERNS)
def test_the_designs_learn(name):
    mg.manual_seed(0)
    learns(pattern((2, 16, 16), 4, **PATTERNS[name], filters=8), (8, 2, 16, 16), lr=5e-3, steps=20)


# ---------------------------------------------------------------- what does not fit


def test_wrong_sizes_are_told(undrawn):  # noqa: F811
    with pytest.raises(ValueError, match=r"AlexNet: expected images \(N, 3, 227, 227\), got \(1, 3, 224, 224\)"):
        AlexNet()(mg.zeros(1, 3, 224, 224))
    with pytest.raises(ValueError, match=r"AlexNet32: expected images \(N, 3, 32, 32\), got \(1, 1, 32, 32\)"):
        AlexNet32()(mg.zeros(1, 1, 32, 32))
    with pytest.raises(ValueError, match=r"VGG: expected images \(N, 3, H, W\) with H and W at least 32, got \(1, 3, 28, 32\)"):
        vgg11()(mg.zeros(1, 3, 28, 32))
    with pytest.raises(ValueError, match="depth=12"):
        VGG(12)
    for make in (NarrowVGG, CAMNet):
        with pytest.raises(ValueError, match=f"{make.__name__}: .*width=0"):
            make(width=0)
    with pytest.raises(ValueError, match=r"NIN: .* at least 8, got"):
        NIN()(mg.zeros(1, 3, 7, 9))
    with pytest.raises(ValueError, match="at least 8 pixels both ways to halve 3 times"):
        pattern((1, 7, 9), 2, N=1, M=3, K=0)
    with pytest.raises(ValueError, match=r"one for each of 2 groups \(filters=\(3,\)\)"):
        pattern((1, 8, 8), 2, N=1, M=2, K=0, filters=(3,))
    with pytest.raises(ValueError, match="M=-1"):
        pattern((1, 8, 8), 2, N=1, M=-1, K=0)
