"""Mixture densities, our own loss: against PyTorch's distributions, by hand, far away."""

import math

import numpy as np
import pytest
from against_torch import agree
from hypothesis import given
from hypothesis import strategies as st
from loss_draws import Draws, few, reductions, seeds

import minigrad as mg
from minigrad import nn
from minigrad.nn import functional as F

torch = pytest.importorskip("torch")
TF = torch.nn.functional


def log_normal(t, mean, scale):
    return -0.5 * ((t - mean) / scale) ** 2 - math.log(scale) - 0.5 * math.log(2 * math.pi)


@given(seed=seeds, head=st.lists(st.integers(1, 3), max_size=2), k=st.integers(1, 3), size=st.integers(1, 3), one=st.booleans(), reduction=reductions)
@few
def test_mixture_nll_is_the_density(seed, head, k, size, one, reduction):
    """Against PyTorch's mixture distributions, and for one component against the normal density by hand."""
    d = Draws(seed)
    dist = torch.distributions
    logits, mean, log_scale, target = d.n(*head, k), d.n(*head, k, size), d.n(*head, k, 1 if one else size), d.n(*head, size)

    def theirs(logits, mean, log_scale, target):
        part = dist.Independent(dist.Normal(mean, log_scale.exp().expand_as(mean)), 1)
        losses = -dist.MixtureSameFamily(dist.Categorical(logits=logits), part).log_prob(target)
        return losses if reduction == "none" else losses.mean() if reduction == "mean" else losses.sum()

    agree(lambda *xs: F.mixture_nll_loss(*xs, reduction=reduction), theirs, logits, mean, log_scale, target)


def test_mixture_nll_by_hand_and_far_away():
    """Two components, by the formula; and 10^4 deviations from both, where the density itself is 0 in any dtype."""
    loss = nn.MixtureNLLLoss()
    t = lambda *v: mg.tensor(np.array(v), requires_grad=True)
    got = loss(t(math.log(0.25), math.log(0.75)), t([1.0], [3.0]), t([math.log(0.5)], [math.log(2.0)]), t(2.0))
    wanted = -math.log(0.25 * math.exp(log_normal(2, 1, 0.5)) + 0.75 * math.exp(log_normal(2, 3, 2)))
    assert got.item() == pytest.approx(wanted, rel=1e-14)
    mean = mg.tensor([[0.0], [1.0]], requires_grad=True)
    far = loss(mg.zeros(2), mean, mg.zeros(2, 1), mg.tensor([1e4]))
    far.backward()
    assert far.item() == pytest.approx(0.5 * (1e4 - 1) ** 2, rel=1e-6)
    np.testing.assert_allclose(mean.grad.cpu().numpy(), [[0.0], [-9999.0]])


def test_a_mixture_integrates_to_one():
    x = np.linspace(-30, 30, 6001)
    n = len(x)
    every = lambda v: mg.tensor(np.broadcast_to(np.array(v), (n, 2, 1)).copy())
    logits = mg.tensor(np.tile([0.3, -0.5], (n, 1)))
    p = mg.exp(-F.mixture_nll_loss(logits, every([[-2.0], [4.0]]), every([[0.2], [0.7]]), mg.tensor(x[:, None]), reduction="none")).cpu().numpy()
    assert p.sum() * (x[1] - x[0]) == pytest.approx(1.0, rel=1e-9)


def test_mixture_refuses_shapes_that_do_not_fit():
    z = mg.zeros
    for shapes in (((4, 3), (4, 3, 2), (4, 3, 2), (4, 3)), ((4, 3), (4, 2, 2), (4, 3, 2), (4, 2)), ((3,), (4, 3, 2), (4, 3, 2), (4, 2)), ((4, 3), (4, 3, 2), (4, 1, 2), (4, 2)), ((), (2,), (2,), (2,))):
        with pytest.raises(ValueError, match="mixture_nll_loss: expected logits"):
            F.mixture_nll_loss(*[z(s) for s in shapes])
