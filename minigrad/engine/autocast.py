"""autocast: inside its regions every op computes in the dtype that suits it.

Products take nearly all the time and lose little in 16 bits, so their operands are cast down. What adds
many numbers up, or bends them steeply, is done in float32. Every other op takes what comes: of 16 bits and
float32 the engine's promotion makes float32. The casts are ops like any other, so a float32 parameter gets a
float32 gradient, and the optimiser's numbers stay in float32: the master weights of Micikevicius et al.
2018, "Mixed precision training". Small gradients would still vanish in float16: see amp.GradScaler.
"""

from __future__ import annotations

import contextlib
import functools
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import numpy as np

from .adjoint import cast
from .backend import Device, as_dtype, is_float
from .half import SINGLE, is_half
from .node import changed_since, mode, tick
from .op import autocasts
from .tensor import Tensor, wrap

__all__ = ["autocast", "get_autocast_dtype", "is_autocast_cache_enabled", "is_autocast_enabled"]

F = TypeVar("F", bound=Callable)

# ---------------------------------------------------------------- which op computes in what

LOW, FULL, FIRST = "the low dtype", "float32", "the first operand's dtype"

PRODUCTS = (
    "matmul einsum linear conv conv_grad_x attention packed_attention rnn_sequence lstm_sequence gru_sequence"
)
STEEP = (
    "exp exp2 expm1 log log2 log10 log1p pow square reciprocal rsqrt arccos arcsin cosh sinh tan softplus "
    "softmax log_softmax logsumexp"
)
SUMS = "sum cumsum prod cumprod norm2 normalise rms_norm resample"
LOSSES = "cross_entropy linear_cross_entropy binary_cross_entropy ctc_loss"
LINEAR_ALGEBRA = "inv det logabsdet solve cholesky"

POLICY: dict[str, str] = {
    **dict.fromkeys(PRODUCTS.split(), LOW),
    **dict.fromkeys(" ".join((STEEP, SUMS, LOSSES, LINEAR_ALGEBRA)).split(), FULL),
    "prelu": FIRST,
}

# ---------------------------------------------------------------- regions

DEFAULTS = {"cuda": "float16", "cpu": "bfloat16"}  # the faster one on GPUs, the safer one elsewhere


class _Mode(threading.local):
    def __init__(self) -> None:
        self.low: dict[str, np.dtype | None] = {"cpu": None, "cuda": None}  # by the kind of device
        self.casts: dict[tuple, tuple] = {}  # casts of parameters, until the outermost region ends
        self.caching = True
        self.former: list[tuple] = []


_mode = _Mode()


class autocast(contextlib.ContextDecorator):
    """`with autocast("cuda"):` (or `@autocast("cuda")`): ops on that kind of device in mixed precision.

    dtype: float16 or bfloat16; by default float16 on "cuda", bfloat16 on "cpu". enabled=False: a region
    of plain precision, inside another one perhaps. cache_enabled: a parameter is cast once for the whole
    region. Wrap the forward pass and the loss; backward() and step() belong after it. float64 is left
    alone. Holds for this thread. Raises ValueError for other devices and dtypes; where there is no GPU,
    "cuda" warns and does nothing.

    >>> import minigrad as mg
    >>> w = mg.ones((2, 2), requires_grad=True)
    >>> with mg.autocast("cpu", dtype=mg.float16):
    ...     y = w @ w
    ...     z = mg.exp(y)
    >>> z.sum().backward()
    >>> [str(t.dtype) for t in (y, z, w.grad)]
    ['float16', 'float32', 'float32']
    """

    def __init__(
        self, device_type: str, dtype: Any = None, enabled: bool = True, cache_enabled: bool | None = None
    ) -> None:
        if device_type not in DEFAULTS:
            raise ValueError(f"autocast: expected 'cuda' or 'cpu' (device_type={device_type!r})")
        self.kind, self.enabled, self.cache_enabled = device_type, bool(enabled), cache_enabled
        self.dtype: np.dtype | None = None
        if enabled and not usable(device_type):
            warnings.warn("autocast: there is no GPU here: disabled", UserWarning, stacklevel=2)
            self.enabled = False
        if self.enabled:
            self.dtype = _checked(DEFAULTS[device_type] if dtype is None else dtype)

    def __enter__(self) -> autocast:
        caching = _mode.caching if self.cache_enabled is None else self.cache_enabled
        _enter({**_mode.low, self.kind: self.dtype}, _mode.casts, caching)
        return self

    def __exit__(self, *error: object) -> None:
        _leave()

    def __repr__(self) -> str:
        return f"autocast({self.kind!r}, dtype={self.dtype}, enabled={self.enabled})"


def usable(device_type: str) -> bool:
    """True if there is such a device here."""
    try:
        return Device(device_type).xp is not None
    except TypeError:
        return False


def _checked(dtype: Any) -> np.dtype:
    found = as_dtype(dtype)
    if not is_half(found):
        raise ValueError(f"autocast: expected float16 or bfloat16 (dtype={dtype!r})")
    return found


def _enter(low: dict, casts: dict, caching: bool) -> None:
    _mode.former.append((_mode.low, _mode.casts, _mode.caching))
    _mode.low, _mode.casts, _mode.caching = low, casts, caching
    autocasts.append(operands)


def _leave() -> None:
    autocasts.pop()
    _mode.low, _mode.casts, _mode.caching = _mode.former.pop()
    if not _mode.former:
        _mode.casts = {}


def state() -> tuple:
    """What `within` needs to make the same region again, elsewhere or later; it can be compared."""
    return _mode.low["cpu"], _mode.low["cuda"], _mode.caching


@contextlib.contextmanager
def within(former: tuple) -> Iterator[None]:
    """The region that state() described, with casts of its own."""
    cpu, cuda, caching = former
    _enter({"cpu": cpu, "cuda": cuda}, {}, caching)
    try:
        yield
    finally:
        _leave()


PLAIN = (None, None, True)  # the state outside all regions


def is_autocast_enabled(device_type: str = "cuda") -> bool:
    """True inside a region of autocast for that kind of device, in this thread."""
    return _mode.low[_kind("is_autocast_enabled", device_type)] is not None


def get_autocast_dtype(device_type: str) -> np.dtype:
    """The 16-bit dtype of the region; outside one, that device's default."""
    kind = _kind("get_autocast_dtype", device_type)
    return _mode.low[kind] or as_dtype(DEFAULTS[kind])


def is_autocast_cache_enabled() -> bool:
    """True where a region casts each parameter once."""
    return _mode.caching


def _kind(name: str, device_type: Any) -> str:
    try:
        return Device(device_type).kind
    except ValueError:
        raise ValueError(f"{name}: expected 'cuda' or 'cpu' (device_type={device_type!r})") from None


# ---------------------------------------------------------------- casting operands


def operands(op: Any, args: tuple, given: dict) -> tuple[tuple, dict]:
    """The arguments of a call of `op`, its floats cast as its policy says."""
    policy = POLICY.get(op.name)
    return (args, given) if policy is None else _cast_by(policy, op.name, args, given)


def in_float32(f: F) -> F:
    """Mark a function made of several ops, a loss say, that is done in float32 as a whole."""

    @functools.wraps(f)
    def call(*args: Any, **given: Any) -> Any:
        if autocasts:
            args, given = _cast_by(FULL, f.__name__, args, given)
        return f(*args, **given)

    return call  # type: ignore[return-value]


def _cast_by(policy: str, name: str, args: tuple, given: dict) -> tuple[tuple, dict]:
    values = [*args, *given.values()]
    first = next((a for a in values if isinstance(a, Tensor)), None)
    if first is None:  # raw arrays: a VJP computes in what it was given
        return args, given
    kind = "cpu" if isinstance(first._data, np.ndarray) else "cuda"
    low = _mode.low[kind]
    if low is None:
        return args, given
    if name == "binary_cross_entropy" and kind == "cuda":
        raise ValueError(
            "binary_cross_entropy: in 16 bits the logarithm of a probability overflows, autocast refuses it; "
            "use binary_cross_entropy_with_logits (BCEWithLogitsLoss) on the scores before the sigmoid"
        )
    floats = {a.dtype for a in values if hasattr(a, "dtype") and is_float(a.dtype)}
    if not floats or any(d != SINGLE and not is_half(d) for d in floats):
        return args, given
    dtype = low if policy is LOW else SINGLE
    if policy is FIRST and is_half(args[0].dtype):
        dtype = args[0].dtype
    return tuple([_as(a, dtype) for a in args]), {name: _as(a, dtype) for name, a in given.items()}


def _as(value: Any, dtype: np.dtype) -> Any:
    """A floating Tensor or array in `dtype`, anything else as it is."""
    if not hasattr(value, "dtype") or not is_float(value.dtype) or value.dtype == dtype:
        return value
    if not isinstance(value, Tensor):
        return cast(wrap(value, None), dtype=dtype)
    node = value._node
    if node is None or node.plan is not None or not _mode.caching:
        return cast(value, dtype=dtype)
    # A leaf: a parameter. Its cast serves until the region ends, the parameter changes, or a switch turns.
    key = node, dtype, mode.recording
    array, number, done = _mode.casts.get(key, (None, 0, None))
    if array is not value._data or changed_since(array, number):
        done = cast(value, dtype=dtype)
        _mode.casts[key] = value._data, tick(), done
    return done
