"""What the tests of image models share: counting, making large models for nothing, and learning one batch."""

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn, optim


def count(module):
    return sum(p.size for p in module.parameters())


@pytest.fixture
def undrawn(monkeypatch):
    """Models are made without drawing their weights: counting 140 million then costs nothing."""
    zero = nn.init.zeros_

    def leave(*args, **kwargs):
        for t in args:
            if isinstance(t, mg.Tensor) and t.size < 3e6:  # memory nobody wrote may hold anything
                zero(t)

    for name in ("layer_default_", "normal_", "constant_", "zeros_", "kaiming_normal_"):
        monkeypatch.setattr(nn.init, name, leave)


def learns(net, shape, classes=4, steps=6, lr=1e-3, loss_of=None):
    """Adam on one batch: the first step sends a gradient to every weight, and the loss falls."""
    net.train()
    x, labels = mg.randn(*shape), mg.tensor(np.arange(shape[0]) % classes)
    loss_of = loss_of or (lambda scores, y: nn.CrossEntropyLoss()(scores, y))
    optimiser, losses = optim.Adam(net.parameters(), lr), []
    for step in range(steps):
        optimiser.zero_grad()
        loss = loss_of(net(x), labels)
        loss.backward()
        if step == 0:
            dead = [k for k, p in net.named_parameters() if p.grad is None or not p.grad.cpu().numpy().any()]
            assert dead == []
        optimiser.step()
        losses.append(loss.item())
    assert np.isfinite(losses).all() and losses[-1] < 0.7 * losses[0], losses
