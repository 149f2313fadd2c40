"""Architectures: the parameter counts of their papers, the shapes they take, and that they can learn."""

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn, optim
from minigrad.models import MLP, LeNet5, ResNet, resnet20
from minigrad.models.lenet5 import ScaledTanh
from minigrad.recipes import RECIPES
from minigrad.recipes.digits import as_input, load


def count(module):
    return sum(p.size for p in module.parameters())


def test_parameter_counts():
    net = LeNet5()
    by_layer = {name: count(getattr(net, name)) for name in ("C1", "C3", "C5", "F6", "output")}
    assert by_layer == {"C1": 156, "C3": 2416, "C5": 48120, "F6": 10164, "output": 850}
    assert count(net) == 61_706
    assert count(MLP((784, 512, 512, 10))) == 669_706
    assert count(resnet20()) == 269_722  # the paper's table 6: 0.27 million
    assert count(ResNet(9)) == 853_018  # ResNet-56: 0.85 million


CLASSIFIERS = {r.name: r.build for r in RECIPES if r.build}


@pytest.mark.parametrize("name", sorted(CLASSIFIERS))
def test_every_classifier_of_digits_sends_a_gradient_to_every_weight_and_can_learn_a_batch(name):
    mg.manual_seed(0)
    net = CLASSIFIERS[name]()
    images, labels = (a[:16] for a in load("digits").train)
    optimiser, loss_of = optim.Adam(net.parameters(), 3e-3), nn.CrossEntropyLoss()
    losses = []
    for step in range(12):
        optimiser.zero_grad()
        loss = loss_of(net(mg.tensor(images)), mg.tensor(labels))
        loss.backward()
        if step == 0:
            for key, p in net.named_parameters():
                assert p.grad.shape == p.shape and float(abs(p.grad.cpu().numpy()).max()) > 0, key
        optimiser.step()
        losses.append(loss.item())
    assert losses[0] > 1.5 and losses[-1] < 0.6 * losses[0]


def test_the_resnets_shortcut_thins_and_pads_with_zeros():
    block = ResNet(1, channels=1).blocks[1]  # 16 -> 32 maps, every second pixel
    x = mg.randn(2, 16, 6, 6)
    y = block.shortcut(x).cpu().numpy()
    assert y.shape == (2, 32, 3, 3)
    assert (y[:, :16] == x.cpu().numpy()[:, :, ::2, ::2]).all() and not y[:, 16:].any()


def test_scaled_tanh_maps_one_to_one():
    y = ScaledTanh()(mg.tensor([-1.0, 0.0, 1.0])).cpu().numpy()
    np.testing.assert_allclose(y, [-1, 0, 1], atol=2e-5)


def test_wrong_sizes_are_told():
    with pytest.raises(ValueError, match=r"LeNet5: expected images \(N, 1, 32, 32\), got \(2, 1, 28, 28\)"):
        LeNet5()(mg.zeros(2, 1, 28, 28))
    with pytest.raises(ValueError, match=r"sizes=\(3,\)"):
        MLP((3,))
    with pytest.raises(ValueError, match="n=0"):
        ResNet(0)


def test_both_kinds_of_digits_become_the_papers_input():
    rng = np.random.default_rng(0)
    small = as_input(rng.integers(0, 17, (3, 8, 8), dtype=np.uint8), "digits")
    large = as_input(rng.integers(0, 256, (3, 28, 28), dtype=np.uint8), "mnist")
    for images in (small, large):
        assert images.shape == (3, 1, 32, 32) and images.dtype == np.float32
        assert np.float32(-0.1) <= images.min() and images.max() <= np.float32(1.1751)
    assert (small[:, 0, :4] == np.float32(-0.1)).all() and (large[:, 0, :2] == np.float32(-0.1)).all()
    flat = as_input(np.full((1, 8, 8), 16, np.uint8), "digits")
    np.testing.assert_allclose(flat[0, 0, 4:28, 4:28], 1.175, rtol=1e-6)  # enlarging keeps a constant
