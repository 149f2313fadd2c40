"""Activation layers: a layer holds the settings of a function of nn.functional."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, ClassVar

from ..engine.tensor import Tensor
from . import functional as F
from . import init
from .functional.activation import check_slopes
from .module import Module
from .parameter import check_size, new_parameter

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
    "RReLU",
    "ReLU",
    "ReLU6",
    "SELU",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softmax2d",
    "Softmin",
    "Softplus",
    "Softshrink",
    "Softsign",
    "Tanh",
    "Tanhshrink",
    "Threshold",
]


class _Activation(Module):
    """`_function(x, **settings)`; the settings are the attributes named as the constructor's arguments."""

    _function: ClassVar[Callable[..., Tensor]]
    _settings: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls._settings = tuple(inspect.signature(cls).parameters)

    def forward(self, input: Tensor) -> Tensor:
        """The function of that name in nn.functional."""
        return type(self)._function(input, **{name: getattr(self, name) for name in self._settings})

    def extra_repr(self) -> str:
        """The settings; `inplace` only where it is True."""
        shown = [name for name in self._settings if name != "inplace" or self.inplace]
        return ", ".join(f"{name}={getattr(self, name)!r}" for name in shown)


class _Plain(_Activation):
    """No settings."""

    def __init__(self) -> None:
        super().__init__()


class _InPlace(_Activation):
    """inplace=True: the input itself becomes the result."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace


class _Along(_Activation):
    """Along an axis."""

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim


class Sigmoid(_Plain):
    """1 / (1 + e^-x)."""

    _function = F.sigmoid


class Tanh(_Plain):
    """tanh x."""

    _function = F.tanh


class LogSigmoid(_Plain):
    """log sigmoid(x)."""

    _function = F.logsigmoid


class Softsign(_Plain):
    """x / (1 + |x|)."""

    _function = F.softsign


class Tanhshrink(_Plain):
    """x - tanh(x)."""

    _function = F.tanhshrink


class ReLU(_InPlace):
    """max(x, 0).

    >>> import minigrad as mg
    >>> x = mg.tensor([-1.0, 2.0], requires_grad=True)
    >>> mg.nn.ReLU()(x).sum().backward()
    >>> x.grad
    tensor([0., 1.])
    """

    _function = F.relu


class ReLU6(_InPlace):
    """min(max(x, 0), 6)."""

    _function = F.relu6


class SELU(_InPlace):
    """Scaled ELU (Klambauer et al. 2017)."""

    _function = F.selu


class SiLU(_InPlace):
    """x sigmoid(x)."""

    _function = F.silu


class Mish(_InPlace):
    """x tanh(softplus(x)) (Misra 2019)."""

    _function = F.mish


class _Hard(_InPlace):
    """PyTorch's repr of these two is silent about `inplace`."""

    def extra_repr(self) -> str:
        """Nothing."""
        return ""


class Hardswish(_Hard):
    """x relu6(x + 3) / 6 (Howard et al. 2019)."""

    _function = F.hardswish


class Hardsigmoid(_Hard):
    """relu6(x + 3) / 6."""

    _function = F.hardsigmoid


class LeakyReLU(_Activation):
    """x where x > 0, else negative_slope x."""

    _function = F.leaky_relu

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        super().__init__()
        self.negative_slope, self.inplace = negative_slope, inplace


class RReLU(_Activation):
    """x where x > 0, else a x: a random in [lower, upper) in training, else their mean (Xu et al. 2015)."""

    def __init__(self, lower: float = 1.0 / 8, upper: float = 1.0 / 3, inplace: bool = False) -> None:
        super().__init__()
        check_slopes("RReLU", lower, upper)
        self.lower, self.upper, self.inplace = lower, upper, inplace

    def forward(self, input: Tensor) -> Tensor:
        """rrelu(x), random in training only."""
        return F.rrelu(input, self.lower, self.upper, self.training, self.inplace)


class ELU(_Activation):
    """x where x > 0, else alpha (e^x - 1) (Clevert et al. 2015)."""

    _function = F.elu

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        self.alpha, self.inplace = alpha, inplace


class CELU(_Activation):
    """x where x > 0, else alpha (e^(x / alpha) - 1) (Barron 2017)."""

    _function = F.celu

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        if alpha == 0:
            raise ValueError(f"CELU: expected alpha other than 0 (alpha={alpha})")
        self.alpha, self.inplace = alpha, inplace


class GELU(_Activation):
    """x Phi(x), Phi the normal distribution; or its "tanh" approximation (Hendrycks & Gimpel 2016)."""

    _function = F.gelu

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        if approximate not in ("none", "tanh"):
            raise ValueError(f"GELU: expected 'none' or 'tanh' (approximate={approximate!r})")
        self.approximate = approximate


class Softplus(_Activation):
    """log(1 + e^(beta x)) / beta; x itself where beta x > threshold."""

    _function = F.softplus

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        super().__init__()
        if beta == 0:
            raise ValueError(f"Softplus: expected a number other than 0 (beta={beta})")
        self.beta, self.threshold = beta, threshold


class Hardtanh(_Activation):
    """x limited to [min_val, max_val]."""

    _function = F.hardtanh

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        if not min_val < max_val:
            raise ValueError(f"Hardtanh: expected min_val < max_val (min_val={min_val}, max_val={max_val})")
        self.min_val, self.max_val, self.inplace = min_val, max_val, inplace


class Threshold(_Activation):
    """x where x > threshold, else value."""

    _function = F.threshold

    def __init__(self, threshold: float, value: float, inplace: bool = False) -> None:
        super().__init__()
        self.threshold, self.value, self.inplace = threshold, value, inplace


class _Shrink(_Activation):
    """Towards 0 by lambd."""

    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__()
        if type(self) is Softshrink and not lambd >= 0:
            raise ValueError(f"Softshrink: expected lambd >= 0 (lambd={lambd})")
        self.lambd = lambd

    def extra_repr(self) -> str:
        """The width alone, as PyTorch has it."""
        return str(self.lambd)


class Softshrink(_Shrink):
    """x moved lambd towards 0, and 0 within it; ValueError for lambd < 0."""

    _function = F.softshrink


class Hardshrink(_Shrink):
    """x, but 0 where |x| <= lambd."""

    _function = F.hardshrink


class PReLU(Module):
    """x where x > 0, else weight x, with one learned weight, or one a channel (He et al. 2015)."""

    def __init__(
        self, num_parameters: int = 1, init: float = 0.25, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__()
        check_size("PReLU", num_parameters=num_parameters)
        self.num_parameters, self.init = num_parameters, init
        self.weight = new_parameter(num_parameters, device=device, dtype=dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Start again from `init`."""
        init.constant_(self.weight, self.init)

    def forward(self, input: Tensor) -> Tensor:
        """prelu(x), channels on axis 1."""
        return F.prelu(input, self.weight)

    def extra_repr(self) -> str:
        """How many weights."""
        return f"num_parameters={self.num_parameters}"


class GLU(_Activation):
    """a sigmoid(b), where a and b are the halves of x along `dim` (Dauphin et al. 2017)."""

    _function = F.glu

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = dim


# From a layer the warning about a missing axis climbs over forward() and __call__() to the caller.
_CALLER = 5


class Softmax(_Along):
    """e^x_i / sum_j e^x_j along dim."""

    _function = functools.partial(F.softmax, _stacklevel=_CALLER)


class Softmin(_Along):
    """Softmax of -x."""

    _function = functools.partial(F.softmin, _stacklevel=_CALLER)


class LogSoftmax(_Along):
    """log softmax(x) along dim."""

    _function = functools.partial(F.log_softmax, _stacklevel=_CALLER)


class Softmax2d(_Plain):
    """Softmax over the channels of (N, C, H, W) or (C, H, W), at each place."""

    def forward(self, input: Tensor) -> Tensor:
        """softmax(x) along axis -3."""
        if input.ndim not in (3, 4):
            raise ValueError(f"Softmax2d: expected (C, H, W) or (N, C, H, W), got shape {input.shape}")
        return F.softmax(input, -3)
