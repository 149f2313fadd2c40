"""Samples of whole sequences: equal and unequal lengths, both directions."""

from __future__ import annotations

from .draw import Draw, Sample

EVEN, UNEVEN = (2, 2, 2), (3, 2, 2, 1)


def samples(d: Draw) -> dict[str, list[Sample]]:
    def some(gates: int, *states: int, bias: bool = True, out: int = 2) -> tuple:
        x, initial = (
            d.n(8 if len(states) and states[0] == 3 else 6, 3),
            [d.n(states[0], n) for n in states[1:]],
        )
        weights = d.n(gates * 2, 3), d.n(gates * 2, out)
        return (x, *initial, *weights, *([d.n(gates * 2), d.n(gates * 2)] if bias else [None, None]))

    even, back = {"sizes": EVEN, "reverse": False}, {"sizes": UNEVEN, "reverse": True}
    uneven, even_back = {**back, "reverse": False}, {**even, "reverse": True}
    tanh, relu = {"nonlinearity": "tanh"}, {"nonlinearity": "relu"}
    projected = (*some(4, 3, 1, 2, out=1), d.n(1, 2))
    return {
        "rnn_sequence": [(some(1, 2, 2), even | tanh), (some(1, 3, 2, bias=False), back | tanh), (some(1, 3, 2), uneven | relu)],
        "lstm_sequence": [((*some(4, 2, 2, 2), None), even), ((*some(4, 3, 2, 2, bias=False), None), back), (projected, uneven)],
        "gru_sequence": [(some(3, 2, 2), even_back), (some(3, 3, 2, bias=False), uneven), (some(3, 3, 2), back)],
    }  # fmt: skip
