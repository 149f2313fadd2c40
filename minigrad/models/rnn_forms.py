"""The forms of a recurrent network, each with a toy that needs just this form.

FORMS["one-one"]          x -> y                  add 3, modulo 8: nothing to remember, no recurrence
FORMS["one-many"]         x -> y_1 ... y_T        count down from x to 0: one input, the rest is memory
FORMS["many-one"]         x_1 ... x_T -> y        which symbol came first
FORMS["many-many"]        x_t -> y_t              x_t xor x_{t-1}, at once: aligned
FORMS["encoder-decoder"]  x_1 ... x_T -> y_1 ...  the symbols from last to first: read all, then speak

Every form is a GRU (Cho et al. 2014) with a table before it and a linear layer behind it, symbols (N, T) in
and scores (N, T', symbols) out, T or T' = 1 where the form has one.

    x, y = FORMS["many-one"].batch(64, rng)
    right = learn("many-one")
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from .. import nn
from ..engine.tensor import Tensor
from ..nn import functional as F
from ..nn.parameter import check_size
from ..ops.create import zeros_like
from ..ops.reduce import argmax
from ..ops.shape import concatenate
from ..optim import Adam
from .tokens import check_tokens

__all__ = ["FORMS", "EncoderDecoder", "Form", "ManyToMany", "ManyToOne", "OneToMany", "OneToOne", "learn"]

STEPS = 4  # how long the toys' sequences are
Batch = tuple[np.ndarray, np.ndarray]


class _Form(nn.Module):
    """The parts that the forms share; `steps` is how many outputs those with many make by themselves."""

    recurrent = True

    def __init__(self, symbols: int, hidden: int = 32, steps: int = STEPS) -> None:
        super().__init__()
        check_size(type(self).__name__, symbols=symbols, steps=steps)
        self.table, self.fc = nn.Embedding(symbols, hidden), nn.Linear(hidden, symbols)
        if self.recurrent:
            self.rnn = nn.GRU(hidden, hidden, batch_first=True)
        self.hidden, self.steps = hidden, steps

    def embed(self, x: Tensor) -> Tensor:
        """(N, T) -> (N, T, hidden)."""
        check_tokens(type(self).__name__, x)
        return self.table(x)


class OneToOne(_Form):
    """(N, 1) -> (N, 1, symbols): no sequence, a table and a linear layer."""

    recurrent = False

    def forward(self, x: Tensor) -> Tensor:
        """Scores."""
        return self.fc(self.embed(x))


class OneToMany(_Form):
    """(N, 1) -> (N, steps, symbols): the first input is the symbol, the others are zeros."""

    def forward(self, x: Tensor) -> Tensor:
        """Scores."""
        heard = self.embed(x)
        silence = zeros_like(heard)
        return self.fc(self.rnn(concatenate([heard] + [silence] * (self.steps - 1), 1))[0])


class ManyToOne(_Form):
    """(N, T) -> (N, 1, symbols): the last state answers."""

    def forward(self, x: Tensor) -> Tensor:
        """Scores."""
        return self.fc(self.rnn(self.embed(x))[0][:, -1:])


class ManyToMany(_Form):
    """(N, T) -> (N, T, symbols): every state answers at once, from what it has seen so far."""

    def forward(self, x: Tensor) -> Tensor:
        """Scores."""
        return self.fc(self.rnn(self.embed(x))[0])


class EncoderDecoder(_Form):
    """(N, T) -> (N, steps, symbols): the encoder's last state begins the decoder and is its input."""

    def __init__(self, symbols: int, hidden: int = 32, steps: int = STEPS) -> None:
        super().__init__(symbols, hidden, steps)
        self.decoder = nn.GRU(hidden, hidden, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        """Scores."""
        y, state = self.rnn(self.embed(x))
        return self.fc(self.decoder(concatenate([y[:, -1:]] * self.steps, 1), state)[0])


# ---------------------------------------------------------------- the toys


def add_three(n: int, rng: np.random.Generator) -> Batch:
    """x -> x + 3 modulo 8."""
    x = rng.integers(0, 8, (n, 1))
    return x, (x + 3) % 8


def count_down(n: int, rng: np.random.Generator) -> Batch:
    """x -> x - 1, x - 2, ... 0, 0."""
    x = rng.integers(0, 8, (n, 1))
    return x, np.maximum(x - np.arange(1, STEPS + 1), 0)


def first_symbol(n: int, rng: np.random.Generator) -> Batch:
    """x -> x_1."""
    x = rng.integers(0, 4, (n, STEPS))
    return x, x[:, :1]


def changes(n: int, rng: np.random.Generator) -> Batch:
    """Bits -> x_t xor x_{t-1}, x_0 = 0: who sees x_t alone is right half of the time."""
    x = rng.integers(0, 2, (n, STEPS))
    return x, x ^ np.pad(x, ((0, 0), (1, 0)))[:, :-1]


def reverse(n: int, rng: np.random.Generator) -> Batch:
    """x -> x_T ... x_1."""
    x = rng.integers(0, 4, (n, STEPS))
    return x, x[:, ::-1].copy()


class Form(NamedTuple):
    """A network's class, its toy, how many symbols that has and how many steps of Adam it takes to learn."""

    network: Callable[[int], nn.Module]
    batch: Callable[[int, np.random.Generator], Batch]
    symbols: int
    updates: int


FORMS = {
    "one-one": Form(OneToOne, add_three, 8, 40),
    "one-many": Form(OneToMany, count_down, 8, 60),
    "many-one": Form(ManyToOne, first_symbol, 4, 60),
    "many-many": Form(ManyToMany, changes, 2, 60),
    "encoder-decoder": Form(EncoderDecoder, reverse, 4, 150),
}


def learn(form: str, updates: int | None = None, lr: float = 2e-2, seed: int = 0) -> float:
    """Train the form on its toy; the share of outputs that are right on a fresh batch of 256."""
    if form not in FORMS:
        raise ValueError(f"learn: expected one of {', '.join(FORMS)} (form={form!r})")
    network, batch, symbols, enough = FORMS[form]
    rng, net = np.random.default_rng(seed), network(symbols)
    optimiser = Adam(net.parameters(), lr)
    for _ in range(enough if updates is None else updates):
        x, y = map(Tensor, batch(64, rng))
        optimiser.zero_grad()
        F.cross_entropy(net(x).reshape(-1, symbols), y.reshape(-1)).backward()
        optimiser.step()
    x, y = map(Tensor, batch(256, rng))
    return float((argmax(net(x), axis=-1) == y).numpy().mean())
