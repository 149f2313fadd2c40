"""Sample inputs for every op: what `minigrad gradcheck` and the tests run it on.

One entry an op: a list of (arrays, metadata). Floats in the arrays are inputs to differentiate by;
integers, booleans and None are constants. Values stay away from ties, jumps and poles.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .engine.random import Generator

Sample = tuple[tuple, dict[str, Any]]


class _Draw:
    """Short names for random arrays of a fixed stream."""

    def __init__(self, seed: int) -> None:
        self.generator = Generator(seed).fork(7)

    def n(self, *shape: int) -> np.ndarray:
        """Normal numbers."""
        return self.generator.standard_normal(shape)

    def u(self, low: float, high: float, *shape: int) -> np.ndarray:
        """Uniform numbers."""
        return self.generator.uniform(low, high, shape)

    def apart(self, *shape: int) -> np.ndarray:
        """Distinct numbers, at least 0.3 apart and off 0: no ties, no kinks nearby."""
        size = int(np.prod(shape))
        steps = (self.generator.permutation(size) - size // 2 + 0.5) * 0.37
        return steps.reshape(shape)

    def matrix(self, n: int) -> np.ndarray:
        """A well-conditioned symmetric positive definite matrix."""
        a = self.n(n, n)
        return a @ a.T / n + 2.0 * np.eye(n)


def samples(seed: int = 0) -> dict[str, list[Sample]]:
    """All samples, by the op's name."""
    d = _Draw(seed)
    found = {
        **_elementwise(d),
        **_activations(d),
        **_shapes(d),
        **_reductions(d),
        **_matrices(d),
        **_windows(d),
    }
    return {**found, **_losses(d), **_without_gradient(d)}


def _elementwise(d: _Draw) -> dict[str, list[Sample]]:
    pairs = [((d.n(3, 4), d.n(3, 4)), {}), ((d.n(2, 1, 3), d.n(4, 1)), {}), ((d.n(), d.n(2, 2)), {})]
    away = [((d.n(3, 4), d.u(0.5, 2.0, 3, 4)), {}), ((d.n(2, 3), d.u(0.5, 2.0, 3)), {})]
    positive = [((d.u(0.3, 3.0, 3, 4),), {}), ((d.u(0.3, 3.0),), {})]
    plain = [((d.n(3, 4),), {}), ((d.n(),), {}), ((d.n(0, 2),), {})]
    inside = [((d.u(-0.9, 0.9, 3, 4),), {})]
    stepped = [((d.apart(3, 4),), {})]
    table: dict[str, list[Sample]] = dict.fromkeys(
        ("add", "sub", "mul", "arctan2", "hypot", "logaddexp"), pairs
    )
    table |= {
        name: [((d.apart(12)[:6].reshape(2, 3), d.apart(12)[6:9] + 0.11), {})]
        for name in ("maximum", "minimum")
    }
    table |= dict.fromkeys(
        ("neg", "positive", "square", "exp", "exp2", "expm1", "sin", "cos", "arctan"), plain
    )
    table |= dict.fromkeys(("sinh", "cosh", "tanh", "arcsinh"), plain)
    table |= dict.fromkeys(("sqrt", "rsqrt", "reciprocal", "log", "log2", "log10", "log1p"), positive)
    table |= dict.fromkeys(("tan", "arcsin", "arccos", "arctanh"), inside)
    table |= dict.fromkeys(("abs", "sign", "floor", "ceil", "trunc", "cbrt"), stepped)
    table["erf"] = table["erfc"] = [((d.u(-4.5, 4.5, 5, 4),), {})]
    table["arccosh"] = [((d.u(1.2, 4.0, 3, 4),), {})]
    table["div"] = away
    table["floor_divide"] = table["remainder"] = [((d.u(2.1, 2.9, 3), np.array([0.7, 1.3, -0.95])), {})]
    table["pow"] = [
        ((d.u(0.4, 2.0, 3, 4), d.n(4)), {}),
        ((d.n(2, 3), 3.0), {}),
        ((d.n(2, 3), 0.0), {}),
        ((2.0, d.n(3)), {}),
    ]
    table["round"] = [((d.apart(3, 4),), {"decimals": 0}), ((d.apart(4) + 0.0123,), {"decimals": 1})]
    table["where"] = [((d.n(3, 4) > 0, d.n(3, 4), d.n(4)), {}), ((d.n(2, 1) > 0, d.n(2, 3), d.n(2, 1)), {})]
    table["clip"] = [
        ((d.apart(3, 4),), {"min": -1.0, "max": 1.0}),
        ((d.apart(4),), {"min": None, "max": 0.1}),
    ]
    return table


def _activations(d: _Draw) -> dict[str, list[Sample]]:
    smooth = [((3.0 * d.n(3, 4),), {}), ((d.n(),), {})]
    kinked = d.apart(3, 4)
    table: dict[str, list[Sample]] = dict.fromkeys(("sigmoid", "logsigmoid", "silu", "gelu_erf"), smooth)
    table["softplus"] = [((3.0 * d.n(3, 4),), {"beta": 1.5, "threshold": 20.0})]
    table["relu"] = table["hardsigmoid"] = table["hardswish"] = [((kinked,), {})]
    table["leaky_relu"] = [((kinked,), {"negative_slope": 0.2})]
    table["elu"] = table["celu"] = [((kinked,), {"alpha": 1.3})]
    table["hardtanh"] = [((kinked,), {"min_val": -0.7, "max_val": 0.8})]
    table["softshrink"] = table["hardshrink"] = [((kinked,), {"lambd": 0.4})]
    table["threshold"] = [((kinked,), {"threshold": 0.1, "value": 3.0})]
    table["prelu"] = [((kinked, d.u(0.1, 0.5, 1)), {}), ((kinked, d.u(0.1, 0.5, 4)), {})]
    return table


def _shapes(d: _Draw) -> dict[str, list[Sample]]:
    x = d.n(2, 3, 4)
    rows = np.array([0, 2, 2, 0, 1])
    mask = np.array([True, False, True])
    grid = (np.array([[0, 1], [1, 1]]), np.array([2, 0]))
    return {
        "sum_to": [((x,), {"shape": (3, 1)}), ((x,), {"shape": ()})],
        "broadcast_to": [((d.n(3, 1),), {"shape": (2, 3, 4)}), ((d.n(),), {"shape": (2,)})],
        "cast": [((x,), {"dtype": "float64"})],
        "identity": [((x,), {})],
        "copy": [((x,), {})],
        "transfer": [((x,), {"target": "cpu", "source": "cpu"})],
        "reshape": [((x,), {"shape": (4, -1)}), ((d.n(1),), {"shape": ()})],
        "transpose": [((x,), {"axes": (2, 0, 1)}), ((x,), {"axes": None})],
        "concatenate": [((d.n(2, 3), d.n(2, 1), d.n(2, 2)), {"axis": 1}), ((d.n(2), d.n(0)), {"axis": 0})],
        "flip": [((x,), {"axis": (0, 2)}), ((x,), {"axis": None})],
        "roll": [((x,), {"shift": 2, "axis": 1}), ((x,), {"shift": (1, -1), "axis": (0, 2)}), ((x,), {"shift": 5, "axis": None})],
        "tril": [((x,), {"k": 0}), ((d.n(3, 3),), {"k": -1})],
        "triu": [((x,), {"k": 1})],
        "diagonal": [((x,), {"offset": 1, "axis1": 2, "axis2": 0}), ((d.n(3, 4),), {"offset": -1, "axis1": 0, "axis2": 1})],
        "diagonal_adjoint": [((d.n(2, 3),), {"shape": (2, 3, 3), "offset": 0, "axis1": 1, "axis2": 2})],
        "take_index": [
            ((d.n(3, 4),), {"index": rows}), ((d.n(3, 4),), {"index": mask}), ((x,), {"index": (slice(None), *grid)}),
            ((x,), {"index": (1, None, slice(None, None, -2))}), ((x,), {"index": (Ellipsis, 0)}),
        ],
        "put_add": [((d.n(5, 4),), {"shape": (3, 4), "index": rows}), ((d.n(2, 2, 2),), {"shape": (2, 3, 4), "index": (slice(None), *grid)})],
        "put": [((d.n(3, 4), d.n(2, 4)), {"index": mask}), ((x, d.n(4)), {"index": (0, slice(1, None))})],
        "pad_constant": [((d.n(2, 3),), {"width": ((1, 0), (2, 1)), "value": 1.5})],
        "dropout": [((x,), {"p": 0.0, "generator": None}), ((x,), {"p": 1.0, "generator": None}), ((x,), {"p": 0.4, "generator": "fixed"})],
    }  # fmt: skip


def _reductions(d: _Draw) -> dict[str, list[Sample]]:
    x, holes = d.n(2, 3, 4), d.n(3, 4)
    holes[0, 1] = holes[2, 2] = holes[2, 0] = 0.0
    ways: list[dict[str, Any]] = [
        {"axis": None, "keepdims": False}, {"axis": 1, "keepdims": True}, {"axis": (0, -1), "keepdims": False},
    ]  # fmt: skip
    table: dict[str, list[Sample]] = {
        name: [((x,), w) for w in ways] for name in ("sum", "mean", "norm2", "logsumexp")
    }
    table["prod"] = [
        ((d.n(2, 3),), ways[0]),
        ((x,), ways[1]),
        ((x,), ways[2]),
        ((holes,), {"axis": 1, "keepdims": False}),
    ]
    table["max"] = table["min"] = [((d.apart(2, 3, 4),), w) for w in ways]
    table["cumsum"] = [((x,), {"axis": 1}), ((x,), {"axis": -1})]
    table["cumprod"] = [((x,), {"axis": 1}), ((holes,), {"axis": 1})]
    table["softmax"] = table["log_softmax"] = [((x,), {"axis": -1}), ((x,), {"axis": 0})]
    table["others"] = [((d.n(2, 3),), {})]
    table["off_diagonal"] = table["half_diagonal"] = [((d.n(2, 3, 3),), {})]
    return table


def _matrices(d: _Draw) -> dict[str, list[Sample]]:
    square = d.n(3, 3) + 2.5 * np.eye(3)
    return {
        "matmul": [((d.n(3, 4), d.n(4, 2)), {}), ((d.n(2, 3, 4), d.n(4, 2)), {}), ((d.n(2, 1, 3, 4), d.n(3, 4, 2)), {})],
        "einsum": [
            ((d.n(2, 3), d.n(3, 4)), {"subscripts": "ij,jk->ik"}), ((d.n(2, 3),), {"subscripts": "ij->j"}),
            ((d.n(2, 3), d.n(3, 4), d.n(2)), {"subscripts": "ij,jk,i->k"}),
        ],
        "inv": [((square,), {})],
        "det": [((square,), {}), ((np.stack([square, square.T]),), {})],
        "logabsdet": [((square,), {})],
        "solve": [((square, d.n(3, 2)), {})],
        "cholesky": [((d.matrix(3),), {})],
        "linear": [((d.n(2, 4), d.n(3, 4), d.n(3)), {}), ((d.n(2, 2, 4), d.n(3, 4), None), {})],
    }  # fmt: skip


def _windows(d: _Draw) -> dict[str, list[Sample]]:
    one = {"stride": (2, 1), "padding": ((1, 1), (0, 1)), "dilation": (1, 2), "groups": 1}
    two = {"stride": (1,), "padding": ((2, 2),), "dilation": (2,), "groups": 2}
    pool = {"kernel": (2, 3), "stride": (2, 2), "padding": ((1, 1), (1, 1)), "ceil_mode": True}
    max_pool = {**pool, "dilation": (1, 1)}
    x, w, image = d.n(2, 3, 4, 5), d.n(2, 3, 2, 2), d.apart(2, 1, 4, 5)
    chosen = np.array([[[[3, 0, 1], [2, 5, 0], [0, 2, 1]]]] * 2, np.uint8)
    return {
        "conv": [((x, w, d.n(2)), one), ((d.n(2, 4, 5), d.n(4, 2, 3), None), two)],
        "conv_grad_x": [((d.n(2, 2, 3, 4), w), {"x_shape": x.shape, **one}), ((d.n(2, 4, 5), d.n(4, 2, 3)), {"x_shape": (2, 4, 5), **two})],
        "conv_grad_w": [((d.n(2, 2, 3, 4), x), {"w_shape": w.shape, **one}), ((d.n(2, 4, 5), d.n(2, 4, 5)), {"w_shape": (4, 2, 3), **two})],
        "max_pool": [((image,), max_pool), ((image,), {**max_pool, "padding": ((0, 0), (0, 0)), "ceil_mode": False})],
        "window_put": [((d.n(2, 1, 3, 3),), {"chosen": chosen, "x_shape": image.shape, **max_pool})],
        "window_take": [((d.n(2, 1, 4, 5),), {"chosen": chosen, **max_pool})],
        "window_sum": [((image,), pool)],
        "window_spread": [((d.n(2, 1, 3, 3),), {"x_shape": image.shape, **pool})],
        "batch_norm": [((d.n(3, 2, 2, 2), d.n(2), d.n(2)), {"eps": 1e-5, "moments": None}), ((d.n(4, 3), None, None), {"eps": 1e-3, "moments": None})],
    }  # fmt: skip


def _losses(d: _Draw) -> dict[str, list[Sample]]:
    labels, weight = np.array([1, 0, 2]), None
    plain = {"reduction": "mean", "ignore_index": -100, "label_smoothing": 0.0}
    return {
        "cross_entropy": [
            ((d.n(3, 4), labels, weight), plain),
            ((d.n(3, 4), labels, weight), {**plain, "reduction": "none", "label_smoothing": 0.1}),
            (
                (d.n(3, 4, 2), np.array([[1, 0], [3, 2], [0, 0]]), weight),
                {**plain, "ignore_index": 0, "reduction": "sum"},
            ),
        ]
    }


def _without_gradient(d: _Draw) -> dict[str, list[Sample]]:
    pair: list[Sample] = [((d.n(3, 4), d.n(4)), {})]
    bits: list[Sample] = [
        ((np.array([5, 3, 0]), np.array([6, 1, 2])), {}),
        ((np.array([True, False]), np.array([True, True])), {}),
    ]
    over: list[Sample] = [
        ((d.n(3, 4),), {"axis": 1, "keepdims": True}),
        ((d.n(3, 4),), {"axis": None, "keepdims": False}),
    ]
    compare = (
        "equal",
        "not_equal",
        "less",
        "less_equal",
        "greater",
        "greater_equal",
        "logical_and",
        "logical_or",
        "logical_xor",
    )
    table: dict[str, list[Sample]] = dict.fromkeys(compare, pair)
    table |= dict.fromkeys(("bitwise_and", "bitwise_or", "bitwise_xor"), bits)
    table |= {name: [((d.n(3, 4),), {})] for name in ("isnan", "isinf", "isfinite", "logical_not")}
    table |= dict.fromkeys(("argmax", "argmin", "all", "any"), over)
    table["left_shift"] = table["right_shift"] = [((np.array([5, 0, -2]), np.array([1, 3, 2])), {})]
    table["invert"] = [((np.array([5, 0, -2]),), {})]
    table["count_nonzero"] = [((d.n(3, 4),), {"axis": 0})]
    table["isclose"] = [(pair[0][0], {"rtol": 1e-5, "atol": 1e-8, "equal_nan": False})]
    table["argsort"] = [((d.apart(3, 4),), {"axis": -1, "descending": True, "stable": True})]
    return table
