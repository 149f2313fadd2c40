"""Activation layers: PyTorch's classes over the ops of the same name."""

from __future__ import annotations

from typing import Any

from ..engine.tensor import Tensor
from ..ops import activation as A
from ..ops.softmax import log_softmax, softmax
from ..ops.trig import tanh
from . import init
from .functional.activation import implicit_axis
from .linear import new_parameter
from .module import Module

__all__ = [
    "CELU",
    "ELU",
    "GELU",
    "GLU",
    "Hardshrink",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "LeakyReLU",
    "LogSigmoid",
    "LogSoftmax",
    "Mish",
    "PReLU",
    "ReLU",
    "ReLU6",
    "SELU",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softmin",
    "Softplus",
    "Softshrink",
    "Softsign",
    "Tanh",
    "Tanhshrink",
    "Threshold",
]


def refuse_inplace(layer: str, inplace: bool) -> None:
    """In-place activations would overwrite what the graph saved."""
    if inplace:
        raise ValueError(f"{layer}: in-place activation is not supported (inplace=True); leave it False")


class ReLU(Module):
    """max(x, 0), elementwise."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        refuse_inplace("ReLU", inplace)

    def forward(self, x: Tensor) -> Tensor:
        """relu(x)."""
        return A.relu(x)


class ReLU6(Module):
    """min(max(x, 0), 6), elementwise."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        refuse_inplace("ReLU6", inplace)

    def forward(self, x: Tensor) -> Tensor:
        """relu6(x)."""
        return A.relu6(x)


class SELU(Module):
    """Scaled ELU (Klambauer et al. 2017), elementwise."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        refuse_inplace("SELU", inplace)

    def forward(self, x: Tensor) -> Tensor:
        """selu(x)."""
        return A.selu(x)


class SiLU(Module):
    """x sigmoid(x), elementwise."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        refuse_inplace("SiLU", inplace)

    def forward(self, x: Tensor) -> Tensor:
        """silu(x)."""
        return A.silu(x)


class Mish(Module):
    """x tanh(softplus(x)), elementwise."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        refuse_inplace("Mish", inplace)

    def forward(self, x: Tensor) -> Tensor:
        """mish(x)."""
        return A.mish(x)


class Hardswish(Module):
    """x relu6(x + 3) / 6, elementwise."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        refuse_inplace("Hardswish", inplace)

    def forward(self, x: Tensor) -> Tensor:
        """hardswish(x)."""
        return A.hardswish(x)


class Hardsigmoid(Module):
    """relu6(x + 3) / 6, elementwise."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        refuse_inplace("Hardsigmoid", inplace)

    def forward(self, x: Tensor) -> Tensor:
        """hardsigmoid(x)."""
        return A.hardsigmoid(x)


class Sigmoid(Module):
    """1 / (1 + e^-x), elementwise."""

    def forward(self, x: Tensor) -> Tensor:
        """sigmoid(x)."""
        return A.sigmoid(x)


class Tanh(Module):
    """tanh x, elementwise."""

    def forward(self, x: Tensor) -> Tensor:
        """tanh(x)."""
        return tanh(x)


class LogSigmoid(Module):
    """log sigmoid(x), elementwise."""

    def forward(self, x: Tensor) -> Tensor:
        """logsigmoid(x)."""
        return A.logsigmoid(x)


class Softsign(Module):
    """x / (1 + |x|), elementwise."""

    def forward(self, x: Tensor) -> Tensor:
        """softsign(x)."""
        return A.softsign(x)


class Tanhshrink(Module):
    """x - tanh(x), elementwise."""

    def forward(self, x: Tensor) -> Tensor:
        """tanhshrink(x)."""
        return A.tanhshrink(x)


class LeakyReLU(Module):
    """x where x > 0, else negative_slope x."""

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        super().__init__()
        refuse_inplace("LeakyReLU", inplace)
        self.negative_slope = negative_slope

    def forward(self, x: Tensor) -> Tensor:
        """leaky_relu(x)."""
        return A.leaky_relu(x, negative_slope=self.negative_slope)

    def extra_repr(self) -> str:
        """The settings."""
        return f"negative_slope={self.negative_slope}"


class ELU(Module):
    """x where x > 0, else alpha (e^x - 1)."""

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        refuse_inplace("ELU", inplace)
        self.alpha = alpha

    def forward(self, x: Tensor) -> Tensor:
        """elu(x)."""
        return A.elu(x, alpha=self.alpha)

    def extra_repr(self) -> str:
        """The settings."""
        return f"alpha={self.alpha}"


class CELU(Module):
    """x where x > 0, else alpha (e^(x / alpha) - 1)."""

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        refuse_inplace("CELU", inplace)
        self.alpha = alpha

    def forward(self, x: Tensor) -> Tensor:
        """celu(x)."""
        return A.celu(x, alpha=self.alpha)

    def extra_repr(self) -> str:
        """The settings."""
        return f"alpha={self.alpha}"


class GELU(Module):
    """x Phi(x), Phi the normal distribution (Hendrycks & Gimpel 2016)."""

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        self.approximate = approximate

    def forward(self, x: Tensor) -> Tensor:
        """gelu(x)."""
        return A.gelu(x, self.approximate)

    def extra_repr(self) -> str:
        """The settings."""
        return f"approximate={self.approximate!r}"


class Softplus(Module):
    """log(1 + e^(beta x)) / beta."""

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        super().__init__()
        self.beta, self.threshold = beta, threshold

    def forward(self, x: Tensor) -> Tensor:
        """softplus(x)."""
        return A.softplus(x, beta=self.beta, threshold=self.threshold)

    def extra_repr(self) -> str:
        """The settings."""
        return f"beta={self.beta}, threshold={self.threshold}"


class Hardtanh(Module):
    """x limited to [min_val, max_val]."""

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        refuse_inplace("Hardtanh", inplace)
        if not min_val < max_val:
            raise ValueError(f"Hardtanh: expected min_val < max_val (min_val={min_val}, max_val={max_val})")
        self.min_val, self.max_val = min_val, max_val

    def forward(self, x: Tensor) -> Tensor:
        """hardtanh(x)."""
        return A.hardtanh(x, min_val=self.min_val, max_val=self.max_val)

    def extra_repr(self) -> str:
        """The settings."""
        return f"min_val={self.min_val}, max_val={self.max_val}"


class Softshrink(Module):
    """x moved lambd towards 0."""

    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__()
        self.lambd = lambd

    def forward(self, x: Tensor) -> Tensor:
        """softshrink(x)."""
        return A.softshrink(x, lambd=self.lambd)

    def extra_repr(self) -> str:
        """The settings."""
        return str(self.lambd)


class Hardshrink(Module):
    """x, but 0 where |x| <= lambd."""

    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__()
        self.lambd = lambd

    def forward(self, x: Tensor) -> Tensor:
        """hardshrink(x)."""
        return A.hardshrink(x, lambd=self.lambd)

    def extra_repr(self) -> str:
        """The settings."""
        return str(self.lambd)


class Threshold(Module):
    """x where x > threshold, else value."""

    def __init__(self, threshold: float, value: float, inplace: bool = False) -> None:
        super().__init__()
        refuse_inplace("Threshold", inplace)
        self.threshold, self.value = threshold, value

    def forward(self, x: Tensor) -> Tensor:
        """threshold(x)."""
        return A.threshold(x, threshold=self.threshold, value=self.value)

    def extra_repr(self) -> str:
        """The settings."""
        return f"threshold={self.threshold}, value={self.value}"


class PReLU(Module):
    """x where x > 0, else weight x, with one learned weight, or one a channel (He et al. 2015)."""

    def __init__(
        self, num_parameters: int = 1, init: float = 0.25, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__()
        self.num_parameters, self.init = num_parameters, init
        self.weight = new_parameter(num_parameters, device=device, dtype=dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Start again from `init`."""
        init.constant_(self.weight, self.init)

    def forward(self, x: Tensor) -> Tensor:
        """prelu(x), channels on axis 1."""
        shape = (-1,) + (1,) * (x.ndim - 2) if self.num_parameters > 1 else (1,)
        return A.prelu(x, self.weight.reshape(shape))

    def extra_repr(self) -> str:
        """How many weights."""
        return f"num_parameters={self.num_parameters}"


class GLU(Module):
    """a sigmoid(b), where a and b are the halves of x along `dim` (Dauphin et al. 2017)."""

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        """glu(x)."""
        return A.glu(x, self.dim)

    def extra_repr(self) -> str:
        """The axis."""
        return f"dim={self.dim}"


class Softmax(Module):
    """e^x_i / sum_j e^x_j along dim."""

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        """softmax(x)."""
        return softmax(x, axis=implicit_axis(self.dim, x))

    def extra_repr(self) -> str:
        """The axis."""
        return f"dim={self.dim}"


class Softmin(Module):
    """Softmax of -x."""

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        """softmin(x)."""
        return softmax(-x, axis=implicit_axis(self.dim, x))

    def extra_repr(self) -> str:
        """The axis."""
        return f"dim={self.dim}"


class LogSoftmax(Module):
    """log softmax(x) along dim."""

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        """logsoftmax(x)."""
        return log_softmax(x, axis=implicit_axis(self.dim, x))

    def extra_repr(self) -> str:
        """The axis."""
        return f"dim={self.dim}"
