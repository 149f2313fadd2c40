"""How a user's typed program looks: `mypy --strict tests/surface.py` must understand all of it.

test_smoke.py runs it. A name, method or operator that type checkers do not see fails here.
"""

from typing import assert_type

import numpy as np

import minigrad as mg
from minigrad import Tensor, nn, optim


class Classifier(nn.Module):
    """A module as a user writes it."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 8), nn.ReLU())
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = nn.functional.relu(self.head(self.body(x)))
        return y


def arithmetic(x: Tensor) -> Tensor:
    """Operators, methods and functions all give tensors."""
    y = (x + 1.0) * 2 / x - x**2 + (-x) @ x.T
    assert_type(y, Tensor)
    assert_type(y.sum(axis=0).reshape(1, -1)[0], Tensor)
    assert_type(y > 0, Tensor)
    return y.mean()


def train() -> float:
    """One training step."""
    model = Classifier()
    optimiser = optim.Adam(model.parameters(), lr=0.01)
    labels = mg.tensor(np.array([0, 1, 2]))
    loss = nn.CrossEntropyLoss()(model(mg.ones(3, 4)), labels)
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    return float(loss.item())


def look_inside() -> float:
    """A trace and what it answers."""
    t = mg.trace(lambda w, x: mg.tanh(w * x), 2.0, 0.5)
    assert_type(t, mg.Trace)
    assert_type(mg.trace(mg.ones(2, 2)), Tensor)
    assert t.check() and len(t.paths("w")) == 1
    return float(t["w"].grad.sum()) if t["w"].grad is not None else 0.0


def main() -> None:
    """Run everything above."""
    assert look_inside() > 0
    x = mg.tensor(np.eye(2) + 1.0, requires_grad=True)
    arithmetic(x).backward()
    gradient = x.grad
    assert gradient is not None and gradient.shape == (2, 2)
    with mg.no_grad():
        assert not arithmetic(x).requires_grad
    assert train() > 0


if __name__ == "__main__":
    main()
