"""The adding problem: Hochreiter & Schmidhuber 1997, "Long Short-Term Memory", section 5.4.

values   .3  .8  .1  .9  ...  .5  .2      uniform in [0, 1]
marks     0   1   0   0  ...   1   0      two ones, one in either half
target   .8 + .5                          the sum of the two marked values

(N, T, 2) -> RNN -> its last output (N, H) -> linear (N,). Always to say 1 has the error 1/6 = .167, the
variance of a sum of two uniform numbers: who stays there has not connected the marks with the end.

The paper draws values from [-1, 1], asks for 0.5 + sum / 4 and lets lengths vary by a tenth; this form, of
one length and in [0, 1], is the one that later papers report (Le, Jaitly & Hinton 2015).
"""

from __future__ import annotations

import numpy as np

from .. import nn
from ..engine.backprop import grad
from ..engine.recording import no_grad
from ..engine.tensor import Tensor
from ..nn.parameter import check_size
from ..ops.elementwise import log
from ..ops.random import rand
from ..ops.shape import squeeze

__all__ = ["BASELINE", "AddingRNN", "adding_problem", "gradient_by_distance"]

BASELINE = 1 / 6  # mean squared error of always saying 1
CELLS = {"tanh": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}


def adding_problem(n: int, length: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Sequences (n, length, 2) of values and marks, and the sums of the marked values (n,), in float32.

    >>> x, y = adding_problem(3, 10, np.random.default_rng(0))
    >>> bool(np.allclose((x[..., 0] * x[..., 1]).sum(1), y)), x[..., 1].sum(1).tolist()
    (True, [2.0, 2.0, 2.0])
    """
    check_size("adding_problem", n=n, length=length)
    if length < 2:
        raise ValueError(f"adding_problem: expected at least two places to mark (length={length})")
    x, half = np.zeros((n, length, 2)), length // 2
    x[..., 0] = rng.random((n, length))
    x[np.arange(n), rng.integers(0, half, n), 1] = 1
    x[np.arange(n), rng.integers(half, length, n), 1] = 1
    return x.astype(np.float32), x.prod(axis=2).sum(axis=1).astype(np.float32)


class AddingRNN(nn.Module):
    """Sequences (N, T, 2) -> the sum (N,), by an RNN of one kind: "tanh", "gru" or "lstm".

    An LSTM begins with open forget gates, bias 1 (Gers, Schmidhuber & Cummins 2000). memory: for how many
    steps it may have to remember; the biases of its gates are then drawn so that its cells keep what they
    hold for 1 to that many steps (Tallec & Ollivier 2018, section 2). With bias 1 a cell keeps
    no more than sigmoid(1)^50 = 1.6e-7 of what it held fifty steps ago.
    """

    def __init__(self, kind: str = "lstm", hidden: int = 64, memory: int = 0) -> None:
        super().__init__()
        if kind not in CELLS:
            raise ValueError(f"AddingRNN: expected one of {', '.join(CELLS)} (kind={kind!r})")
        self.kind = kind
        self.rnn = CELLS[kind](2, hidden, batch_first=True)
        self.fc = nn.Linear(hidden, 1)
        if kind == "lstm":
            self._open_gates(hidden, memory)

    def _open_gates(self, hidden: int, memory: int) -> None:
        """Forget gates at 1, or at log of 1 ... memory - 1 and input gates at minus that."""
        with no_grad():
            self.rnn.bias_ih_l0[hidden : 2 * hidden] = 1.0  # gates in the order i, f, g, o
            self.rnn.bias_hh_l0[hidden : 2 * hidden] = 0.0
            if memory > 2:
                open_for = log(rand(hidden) * (memory - 2) + 1)
                self.rnn.bias_ih_l0[hidden : 2 * hidden] = open_for
                self.rnn.bias_ih_l0[:hidden] = -open_for
                self.rnn.bias_hh_l0[:hidden] = 0.0

    def forward(self, x: Tensor) -> Tensor:
        """The sum, from the last output."""
        if x.ndim != 3 or x.shape[-1] != 2:
            raise ValueError(f"AddingRNN: expected values and marks (N, T, 2), got {x.shape}")
        return squeeze(self.fc(self.rnn(x)[0][:, -1]), -1)


def gradient_by_distance(net: nn.Module, x: Tensor) -> np.ndarray:
    """|d y / d x_{T-d}| for the distances d = 0 ... T - 1 from the end: its mean over the batch, (T,).

    A tanh RNN's falls by a factor with every step ("vanishing"), a gated one's need not.
    """
    x = x.detach().requires_grad_()
    (slope,) = grad(net(x).sum(), [x])
    return np.linalg.norm(slope.cpu().numpy(), axis=2).mean(axis=0)[::-1].copy()
