"""Anomalies by an LSTM autoencoder: Malhotra et al. 2016, "LSTM-based Encoder-Decoder for Multi-sensor

Anomaly Detection".

sequence  (N, T, I)
encoder   LSTM, its last output              the code (N, H)
decoder   LSTM that reads the code T times   (N, T, H)
output    linear, then turned round          the sequence again (N, T, I)

Trained on normal sequences only, it rebuilds those; `score`, the mean squared error of a sequence, is high
for what it has never seen. As in the paper the decoder speaks from last to first: what was read last is
remembered best. Where it differs: the decoder reads the code at every step, not its own last value, and
begins from zeros; the score is the plain mean of squares, without the covariance of the errors.
"""

from __future__ import annotations

import numpy as np

from .. import nn
from ..engine.recording import no_grad
from ..engine.tensor import Tensor
from ..nn.parameter import check_size
from ..ops.shape import broadcast_to, expand_dims, flip

__all__ = ["LSTMAutoencoder"]


class LSTMAutoencoder(nn.Module):
    """Sequences (N, T, inputs) -> the same, through a code of `hidden` numbers.

    4 H (I + H + 2) + 4 H (2 H + 2) + H I + I parameters.
    """

    def __init__(self, inputs: int = 1, hidden: int = 32) -> None:
        super().__init__()
        check_size("LSTMAutoencoder", inputs=inputs, hidden=hidden)
        self.inputs = inputs
        self.encoder = nn.LSTM(inputs, hidden, batch_first=True)
        self.decoder = nn.LSTM(hidden, hidden, batch_first=True)
        self.fc = nn.Linear(hidden, inputs)

    def encode(self, x: Tensor) -> Tensor:
        """The codes (N, hidden)."""
        if x.ndim != 3 or x.shape[-1] != self.inputs:
            raise ValueError(f"LSTMAutoencoder: expected (N, T, inputs={self.inputs}), got {x.shape}")
        return self.encoder(x)[0][:, -1]

    def decode(self, code: Tensor, steps: int) -> Tensor:
        """(N, steps, inputs): the sequence of a code, as far back as `steps` from its end."""
        told = broadcast_to(expand_dims(code, 1), (len(code), steps, code.shape[1]))
        return flip(self.fc(self.decoder(told)[0]), axis=1)

    def forward(self, x: Tensor) -> Tensor:
        """The sequences rebuilt."""
        return self.decode(self.encode(x), x.shape[1])

    def score(self, x: Tensor) -> np.ndarray:
        """Mean squared error of each sequence, (N,): how unusual it is."""
        with no_grad():
            error = self(x) - x
            return (error * error).mean(axis=(1, 2)).cpu().numpy()
