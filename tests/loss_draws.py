"""What the tests of losses share: random arrays by short names, strategies, and one call in both libraries."""

import numpy as np
from against_torch import agree, torch
from hypothesis import settings
from hypothesis import strategies as st

from minigrad.nn import functional as F

few = settings(max_examples=10, deadline=None, derandomize=True)
seeds = st.integers(0, 1000)
reductions = st.sampled_from(["none", "mean", "sum"])
shapes = st.lists(st.integers(1, 4), max_size=3).map(tuple)


class Draws:
    """Arrays of one seed by short names."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)

    def n(self, *shape):
        return np.asarray(2.0 * self.rng.normal(size=shape))

    def u(self, *shape, low=0.05, high=0.95):
        return np.asarray(self.rng.uniform(low, high, size=shape))

    def signs(self, *shape):
        return np.asarray(self.rng.choice([-1.0, 1.0], size=shape))

    def labels(self, classes, *shape):
        return np.asarray(self.rng.integers(0, classes, size=shape))


def both(name, *arrays, order2=True, float32=True, **how):
    """One function of nn.functional in both libraries, on the same arrays and options."""
    ours, theirs = getattr(F, name), getattr(torch.nn.functional, name)
    agree(lambda *xs: ours(*xs, **how), lambda *ts: theirs(*ts, **how), *arrays, order2=order2, float32=float32)
