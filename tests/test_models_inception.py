"""GoogLeNet: table 1's counts and shapes, naive against reduced modules, both auxiliary classifiers."""

import numpy as np
import pytest
from image_models import count, learns, undrawn  # noqa: F401

import minigrad as mg
from minigrad import nn
from minigrad.models import GoogLeNet, Inception, MiniGoogLeNet, NaiveInception, auxiliary_loss
from minigrad.models.inception import TABLE, Auxiliary, Scores


def test_googlenets_parameters(undrawn):  # noqa: F811
    whole, bare = GoogLeNet(), GoogLeNet(aux=False)
    assert (count(bare), count(whole)) == (6_998_552, 13_378_280)
    assert count(whole.aux1) + count(whole.aux2) == 13_378_280 - 6_998_552
    assert count(MiniGoogLeNet()) == 626_462
    sizes = [count(getattr(bare, f"inception{name}")) for name in TABLE]
    assert sizes == [163_696, 388_736, 376_176, 449_160, 510_104, 605_376, 868_352, 1_043_456, 1_444_080]
    assert [round(n / 1024) for n in sizes[:2]] == [160, 380]  # 159K and 380K in table 1, which leaves out biases


def test_each_module_takes_what_the_one_before_gives():
    rows = list(TABLE.values())
    outs = [ones + threes + fives + pooled for _, ones, _, threes, _, fives, pooled in rows]
    assert outs == [256, 480, 512, 512, 512, 528, 832, 832, 1024]
    assert [row[0] for row in rows] == [192, *outs[:-1]]


def test_googlenets_maps(undrawn):  # noqa: F811
    """The same windows on a network whose modules pass on one map a branch, so that 224 pixels cost little."""
    net = GoogLeNet(classes=3)
    rows = {row.name: row for row in nn.explain_shapes(Thin(net), (1, 3, 224, 224)).rows}
    assert rows["conv1.0"].output_shape[2:] == (112, 112)
    assert rows["aux1.pool"].output_shape == (1, 4, 4, 4) and rows["aux2.pool"].output_shape[2:] == (4, 4)
    places = [rows[f"inception{n}.branch1.0"].output_shape[2] for n in TABLE]
    assert places == [28, 28, 14, 14, 14, 14, 14, 7, 7]
    assert Auxiliary(512, 5)(mg.zeros(2, 512, 14, 14)).shape == (2, 5)


@pytest.mark.parametrize("head, last", [("aux1", "4a"), ("aux2", "4d")])
def test_an_auxiliary_classifier_reaches_what_lies_below_it(head, last, undrawn):  # noqa: F811
    net = Thin(GoogLeNet(classes=3))
    getattr(net(mg.zeros(1, 3, 224, 224)), head).sum().backward()
    reached = {name.split(".")[0] for name, p in net.named_parameters() if p.grad is not None}
    below = list(TABLE)[: list(TABLE).index(last) + 1]
    assert reached == {"conv1", head, *(f"inception{name}" for name in below)}


class Thin(nn.Module):
    """GoogLeNet's path with thin layers in the places of its own."""

    def __init__(self, net):
        super().__init__()
        self.norm, self.pool, self.drop = net.norm, net.pool, net.drop
        self.conv1, self.conv2, self.conv3 = nn.Sequential(nn.Conv2d(3, 4, 7, 2, 3)), nn.Identity(), nn.Identity()
        for name in TABLE:
            setattr(self, f"inception{name}", Inception(4, 1, 1, 1, 1, 1, 1))
        for name in ("aux1", "aux2"):
            head = getattr(net, name)
            head.conv, head.fc1 = nn.Identity(), nn.Linear(4 * 4 * 4, 1024)
            setattr(self, name, head)
        self.fc = nn.Linear(4, 3)

    def forward(self, x):
        self.training = True  # the shapes' table runs in eval mode; we want the auxiliary heads too
        return GoogLeNet.forward(self, x)


# ---------------------------------------------------------------- naive and reduced


def test_the_1x1_reductions_save_multiplications():
    naive, reduced = NaiveInception(192, 64, 128, 32), Inception(*TABLE["3a"])
    assert naive.multiplications(28, 28) == 784 * 192 * (64 + 9 * 128 + 25 * 32) == 303_464_448
    few = 192 * (64 + 96 + 16 + 32) + 9 * 96 * 128 + 25 * 16 * 32
    assert reduced.multiplications(28, 28) == 784 * few == 128_049_152
    assert (naive.out_channels, reduced.out_channels) == (64 + 128 + 32 + 192, 256)
    for module in (naive, reduced):  # the formula against what runs
        table = nn.explain_shapes(module, (1, 192, 7, 7))
        assert table.multiply_adds == module.multiplications(7, 7)
        assert module(mg.zeros(2, 192, 7, 7)).shape == (2, module.out_channels, 7, 7)


def test_the_branches_stand_side_by_side():
    module = Inception(3, 2, 2, 4, 1, 3, 5)
    x = mg.randn(2, 3, 6, 7)
    y, start = module(x), 0
    for branch, width in zip((module.branch1, module.branch2, module.branch3, module.branch4), (2, 4, 3, 5), strict=True):
        np.testing.assert_allclose(y[:, start : start + width].tolist(), branch(x).tolist(), atol=1e-6)
        start += width
    naive = NaiveInception(3, 2, 2, 2)
    np.testing.assert_array_equal(naive(x)[:, 6:].tolist(), nn.MaxPool2d(3, 1, padding=1)(x).tolist())


# ---------------------------------------------------------------- auxiliary classifiers


def test_the_auxiliary_loss_is_the_papers():
    rng = np.random.default_rng(0)
    scores = Scores(*(mg.tensor(rng.normal(size=(4, 5))) for _ in range(3)))
    labels = mg.tensor([0, 1, 2, 3])
    main, first, second = (nn.CrossEntropyLoss()(s, labels).item() for s in scores)
    assert abs(auxiliary_loss(scores, labels).item() - (main + 0.3 * first + 0.3 * second)) < 1e-12
    assert auxiliary_loss(scores.main, labels).item() == main


def test_scores_in_training_and_in_eval_mode():
    net, x = MiniGoogLeNet(classes=4), mg.randn(2, 3, 32, 32)
    told = net(x)
    assert isinstance(told, Scores) and [s.shape for s in told] == [(2, 4)] * 3
    assert net.eval()(x).shape == (2, 4)
    assert MiniGoogLeNet(classes=4, aux=False)(x).shape == (2, 4)


def test_the_first_auxiliary_reaches_the_early_modules_alone():
    net = MiniGoogLeNet(classes=4)
    nn.CrossEntropyLoss()(net(mg.randn(2, 3, 32, 32)).aux1, mg.tensor([0, 1])).backward()
    reached = {name.split(".")[0] for name, p in net.named_parameters() if p.grad is not None}
    assert reached == {"stem", "a", "b", "aux1"}


def test_the_mini_net_learns_with_its_auxiliary_loss():
    mg.manual_seed(0)
    learns(MiniGoogLeNet(classes=2, dropout=0.0), (2, 3, 32, 32), classes=2, steps=4, lr=3e-3, loss_of=auxiliary_loss)


def test_the_mini_net_has_a_width():
    assert MiniGoogLeNet(width=8).f.out_channels == 40
    assert count(MiniGoogLeNet(width=16)) < count(MiniGoogLeNet()) / 12
    with pytest.raises(ValueError, match=r"MiniGoogLeNet: expected a multiple of 8 \(width=12\)"):
        MiniGoogLeNet(width=12)


def test_wrong_sizes_are_told(undrawn):  # noqa: F811
    with pytest.raises(ValueError, match=r"GoogLeNet: expected images \(N, 3, 224, 224\), got \(1, 3, 225, 224\)"):
        GoogLeNet()(mg.zeros(1, 3, 225, 224))
    with pytest.raises(ValueError, match=r"MiniGoogLeNet: expected images \(N, 3, 32, 32\), got \(1, 1, 32, 32\)"):
        MiniGoogLeNet()(mg.zeros(1, 1, 32, 32))
