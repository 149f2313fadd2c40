"""Distances, similarities, linear and bilinear maps against PyTorch."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from loss_draws import Draws, both, few, seeds

import minigrad as mg
from minigrad import nn
from minigrad.nn import functional as F

torch = pytest.importorskip("torch")
TF = torch.nn.functional


@given(data=st.data(), seed=seeds, shape=st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple), p=st.sampled_from([0.0, 1.0, 1.5, 2.0, 3.0, math.inf]), keepdim=st.booleans())
@few
def test_distances(data, seed, shape, p, keepdim):
    d = Draws(seed)
    dim = data.draw(st.integers(-len(shape), len(shape) - 1))
    both("cosine_similarity", d.n(*shape), d.n(*shape), dim=dim)
    both("cosine_similarity", d.n(*shape), d.n(*shape[-1:]), dim=-1)
    both("cosine_similarity", d.n(*shape), d.n(*[data.draw(st.sampled_from([1, n])) for n in shape]), dim=dim)
    if p:
        both("pairwise_distance", d.n(*shape), d.n(*shape[-1:]), p=p, eps=1e-3, keepdim=keepdim)
    a = d.n(*shape)
    ours, theirs = F.pairwise_distance(mg.tensor(a), mg.tensor(a), p, 0.0), TF.pairwise_distance(torch.tensor(a), torch.tensor(a), p, 0.0)
    np.testing.assert_allclose(ours.cpu().numpy(), theirs.numpy(), atol=1e-12)


@given(seed=seeds, n=st.integers(0, 5), size=st.integers(1, 4), p=st.sampled_from([0.0, 1.0, 2.0, 3.0, math.inf]))
@few
def test_pdist(seed, n, size, p):
    x = Draws(seed).n(n, size)
    if p and n > 1:
        both("pdist", x, p=p, order2=False)
    np.testing.assert_allclose(F.pdist(mg.tensor(x), p).cpu().numpy(), TF.pdist(torch.tensor(x), p).numpy(), rtol=1e-12)


def test_distance_to_itself_has_gradient_0():
    for f in (lambda x: F.pairwise_distance(x, x.detach(), eps=0.0).sum(), lambda x: F.pdist(mg.concatenate([x, x])).sum()):
        x = mg.tensor([[1.0, 2.0]], requires_grad=True)
        f(x).backward()
        assert np.isfinite(x.grad.cpu().numpy()).all()
    x = mg.zeros(1, 2, requires_grad=True)
    F.cosine_similarity(x, mg.ones(1, 2)).sum().backward()
    assert np.isfinite(x.grad.cpu().numpy()).all()


@given(seed=seeds, head=st.lists(st.integers(1, 3), max_size=2), sizes=st.tuples(*[st.integers(1, 4)] * 3), biased=st.booleans())
@few
def test_linear_and_bilinear(seed, head, sizes, biased):
    d = Draws(seed)
    i, j, o = sizes
    bias = [d.n(o)] if biased else []
    both("bilinear", d.n(*head, i), d.n(*head, j), d.n(o, i, j), *bias)
    both("linear", d.n(*head, i), d.n(o, i), *bias)
    both("linear", d.n(*head, i), d.n(i))


def test_bilinear_starts_as_pytorchs_does():
    mg.manual_seed(0)
    w = nn.Bilinear(25, 30, 40).weight.detach().cpu().numpy()
    assert 0.19 < abs(w).max() <= 0.2 and w.std() == pytest.approx(0.2 / math.sqrt(3), rel=0.02)
