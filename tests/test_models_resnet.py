"""ResNets: the papers' counts, torchvision's keys, PyTorch's values, shortcuts that are the identity, plain twins."""

import numpy as np
import pytest
from image_models import count, learns, undrawn  # noqa: F401

import minigrad as mg
from minigrad import models, nn
from minigrad.models import BasicBlock, Bottleneck, ImageNetResNet, ResNet, resnet18, resnet34, resnet50

try:
    import torch
except ImportError:
    torch = None


# ---------------------------------------------------------------- ImageNet


def test_imagenet_parameters(undrawn):  # noqa: F811
    assert [count(make()) for make in (resnet18, resnet34, resnet50)] == [11_689_512, 21_797_672, 25_557_032]


NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


def torchvisions_keys(counts, convs, first_projects):
    """The layout of torchvision's state_dict, written down from its rules."""
    keys = ["conv1.weight", *(f"bn1.{k}" for k in NORM)]
    for layer, blocks in enumerate(counts, 1):
        for block in range(blocks):
            at = f"layer{layer}.{block}"
            for i in range(1, convs + 1):
                keys += [f"{at}.conv{i}.weight", *(f"{at}.bn{i}.{k}" for k in NORM)]
            if block == 0 and (layer > 1 or first_projects):
                keys += [f"{at}.downsample.0.weight", *(f"{at}.downsample.1.{k}" for k in NORM)]
    return [*keys, "fc.weight", "fc.bias"]


def test_imagenet_state_dicts_are_torchvisions(undrawn):  # noqa: F811
    assert list(resnet18().state_dict()) == torchvisions_keys((2, 2, 2, 2), 2, False)
    assert list(resnet34().state_dict()) == torchvisions_keys((3, 4, 6, 3), 2, False)
    keys = list(resnet50().state_dict())
    assert keys == torchvisions_keys((3, 4, 6, 3), 3, True)
    assert (len(resnet18().state_dict()), len(keys)) == (122, 320)


def test_the_maps_of_table_1(undrawn):  # noqa: F811
    net = ImageNetResNet(Bottleneck, (3, 4, 6, 3), width=4)  # 1/16 of ResNet-50's maps: the same places
    rows = {row.name: row.output_shape for row in nn.explain_shapes(net, (1, 3, 224, 224)).rows}
    assert rows["conv1"] == (1, 4, 112, 112) and rows["maxpool"] == (1, 4, 56, 56)
    ends = [rows[f"layer{i}.{n - 1}.bn3"] for i, n in ((1, 3), (2, 4), (3, 6), (4, 3))]
    assert ends == [(1, 16, 56, 56), (1, 32, 28, 28), (1, 64, 14, 14), (1, 128, 7, 7)]


@pytest.mark.torch
@pytest.mark.parametrize("block, counts", [(BasicBlock, (1, 2, 1, 1)), (Bottleneck, (2, 1, 1, 1))])
def test_values_with_torchs_layers_and_the_same_state_dict(block, counts):
    if torch is None:
        pytest.skip("PyTorch is not installed")
    mg.manual_seed(0)
    ours = ImageNetResNet(block, counts, classes=5, width=8).eval()
    theirs = torch_twin(block, counts, 5, 8).eval()
    rng = np.random.default_rng(0)
    state = {k: v.cpu().numpy() for k, v in ours.state_dict().items()}
    for key, value in state.items():
        if "running" in key:
            state[key] = rng.uniform(0.5, 1.5, value.shape).astype(np.float32)
    ours.load_state_dict({k: mg.tensor(v) for k, v in state.items()})
    theirs.load_state_dict({k: torch.tensor(v) for k, v in state.items()})  # strict: every key, no more
    x = rng.normal(size=(2, 3, 48, 40)).astype(np.float32)
    wanted = theirs(torch.tensor(x)).detach().numpy()
    np.testing.assert_allclose(ours(mg.tensor(x)).detach().cpu().numpy(), wanted, rtol=1e-3, atol=1e-5 * np.abs(wanted).max())


def torch_twin(block, counts, classes, width):
    """The same network of torch.nn's layers."""
    tnn, relu = torch.nn, torch.relu
    bare = dict(bias=False)

    class Unit(tnn.Module):
        def __init__(self, n, f, s):
            super().__init__()
            if block is BasicBlock:
                sizes = [(n, f, 3, s), (f, f, 3, 1)]
            else:
                sizes = [(n, f, 1, 1), (f, f, 3, s), (f, 4 * f, 1, 1)]
            for i, (a, b, k, stride) in enumerate(sizes, 1):
                setattr(self, f"conv{i}", tnn.Conv2d(a, b, k, stride, k // 2, **bare))
                setattr(self, f"bn{i}", tnn.BatchNorm2d(b))
            self.depth, out = len(sizes), sizes[-1][1]
            if s != 1 or n != out:
                self.downsample = tnn.Sequential(tnn.Conv2d(n, out, 1, s, **bare), tnn.BatchNorm2d(out))

        def forward(self, x):
            y = x
            for i in range(1, self.depth + 1):
                y = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(y))
                y = relu(y) if i < self.depth else y
            return relu(y + (self.downsample(x) if hasattr(self, "downsample") else x))

    class Net(tnn.Module):
        def __init__(self):
            super().__init__()
            self.conv1, self.bn1 = tnn.Conv2d(3, width, 7, 2, 3, **bare), tnn.BatchNorm2d(width)
            n = width
            for i, blocks in enumerate(counts):
                units = []
                for j in range(blocks):
                    units.append(Unit(n, width << i, 2 if i and not j else 1))
                    n = (width << i) * block.expansion
                setattr(self, f"layer{i + 1}", tnn.Sequential(*units))
            self.fc = tnn.Linear(n, classes)

        def forward(self, x):
            x = tnn.functional.max_pool2d(relu(self.bn1(self.conv1(x))), 3, 2, 1)
            for i in range(1, 5):
                x = getattr(self, f"layer{i}")(x)
            return self.fc(x.mean((2, 3)))

    return Net()


@pytest.mark.parametrize("block", [BasicBlock, Bottleneck])
def test_a_block_that_adds_nothing_is_the_identity(block):
    unit = block(4 * block.expansion, 4)
    last = unit.bn2 if block is BasicBlock else unit.bn3
    nn.init.zeros_(last.weight)
    x = mg.rand(2, 4 * block.expansion, 5, 5)
    assert unit.downsample is None and (unit(x).detach().cpu().numpy() == x.cpu().numpy()).all()


@pytest.mark.parametrize("block", [BasicBlock, Bottleneck])
def test_imagenet_resnets_learn(block):
    mg.manual_seed(0)
    learns(ImageNetResNet(block, (1, 1, 1, 1), 4, width=8), (8, 3, 32, 32), lr=3e-3)


# ---------------------------------------------------------------- CIFAR

COUNTS = {20: 269_722, 32: 464_154, 44: 658_586, 56: 853_018, 110: 1_727_962}


@pytest.mark.parametrize("depth", COUNTS)
def test_cifar_resnets_and_their_plain_twins(depth, undrawn):  # noqa: F811
    residual, plain = (getattr(models, f"{kind}{depth}")() for kind in ("resnet", "plain"))
    assert count(residual) == count(plain) == COUNTS[depth]
    convs = [m for m in residual.modules() if isinstance(m, nn.Conv2d)]
    assert len(convs) + 1 == depth and len(residual.blocks) == (depth - 2) // 2
    assert list(residual.state_dict()) == list(plain.state_dict())


def test_a_cifar_block_that_adds_nothing_is_the_identity_and_its_twin_is_zero():
    x = mg.rand(2, 16, 6, 6)
    for residual in (True, False):
        unit = ResNet(1, residual=residual).blocks[0]
        nn.init.zeros_(unit.bn2.weight)
        assert (unit(x).detach().cpu().numpy() == (x.cpu().numpy() if residual else 0)).all()


def test_the_twins_differ_by_the_shortcut_alone():
    mg.manual_seed(0)
    residual, plain = ResNet(1).blocks[1], ResNet(1, residual=False).blocks[1]
    plain.load_state_dict(residual.state_dict())
    x = mg.randn(2, 16, 6, 6)
    inside = plain.bn2(plain.conv2(plain.bn1(plain.conv1(x)).relu()))
    np.testing.assert_allclose(residual(x).tolist(), (inside + residual.shortcut(x)).relu().tolist(), atol=1e-6)
    np.testing.assert_allclose(plain(x).tolist(), inside.relu().tolist(), atol=1e-6)


def test_the_plain_twin_learns():
    mg.manual_seed(0)
    learns(ResNet(1, classes=4, residual=False), (8, 3, 12, 12), lr=1e-2)


def test_wrong_sizes_are_told():
    with pytest.raises(ValueError, match=r"ImageNetResNet: .* at least 32, got \(1, 3, 24, 40\)"):
        ImageNetResNet(BasicBlock, (1, 1, 1, 1), width=4)(mg.zeros(1, 3, 24, 40))
    with pytest.raises(ValueError, match=r"counts=\(1, 0, 1, 1\)"):
        ImageNetResNet(BasicBlock, (1, 0, 1, 1))
