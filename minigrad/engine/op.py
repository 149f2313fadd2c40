"""@op and @elementwise: what an op is.

An op is a forward on raw arrays and one VJP per array argument, side by side:

    @elementwise(a=lambda g, b: g * b,
                 b=lambda g, a: g * a)
    def mul(xp, a, b):
        return xp.multiply(a, b)

Array arguments are positional, metadata is keyword-only. A VJP (vector-Jacobian product: how
the gradient `g` of the output becomes that of one input) says by its parameter names what it
needs: `g`, `y` (the output), array arguments, `x_shape` (only the shape of x), metadata. A node
saves exactly that, for the inputs that carry gradients, and nothing else.

A VJP is written in operators and minigrad ops, which return raw arrays when given no Tensor. So
one text serves ordinary backward, on raw arrays, and create_graph=True, on Tensors.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .backend import Array, default_dtype, is_float, is_number, xp_of
from .tensor import Node, Tensor, mode, wrap
from .vjp import Plan

REGISTRY: dict[str, Op] = {}


class _KernelMode(threading.local):
    reference = False


_kernel_mode = _KernelMode()


@contextlib.contextmanager
def reference_mode() -> Iterator[None]:
    """Run the readable forwards only: no kernels inside this block (per thread)."""
    former, _kernel_mode.reference = _kernel_mode.reference, True
    try:
        yield
    finally:
        _kernel_mode.reference = former


# ---------------------------------------------------------------- declaring


def elementwise(**vjps: Any) -> Callable[[Callable], Callable]:
    """Declare an op that broadcasts: the engine sums each VJP back to its input's shape."""
    return lambda forward: _declare(Op(forward, vjps, elementwise=True))


def op(
    joint: Callable | None = None, reference: Callable | None = None, extra: bool = False, **vjps: Any
) -> Callable[[Callable], Callable]:
    """Declare an op whose VJPs return the exact shapes of its inputs.

    `joint` is one backward for all inputs: like a VJP it names what it needs, and besides
    `needs` (a bool per array argument) and, with `extra`, `saved`; it returns a gradient per
    array argument. With `extra` the forward returns `(y, saved)`. `reference` says the same op
    in plain ops, taking the op's own arguments; higher orders differentiate it.
    """
    return lambda forward: _declare(Op(forward, vjps, joint=joint, reference=reference, extra=extra))


class Op:
    """A forward, its VJPs, and its faster kernels."""

    def __init__(
        self,
        forward: Callable,
        vjps: dict,
        *,
        elementwise: bool = False,
        joint: Callable | None = None,
        reference: Callable | None = None,
        extra: bool = False,
    ) -> None:
        self.name = forward.__name__.strip("_")
        self.forward = forward
        self.vjps = vjps
        self.joint = joint
        self.reference = reference
        self.extra = extra
        self.elementwise = elementwise
        self.kernels: dict[str, Callable] = {}  # device kind -> the forward's signature without xp
        self.plans: dict[int, Plan] = {}
        self._read_signature()

    def __repr__(self) -> str:
        return f"<op {self.name}>"

    def _read_signature(self) -> None:
        """Array arguments and metadata from the forward; a missing or misnamed VJP fails here."""
        _, *params = inspect.signature(self.forward).parameters.values()
        self.variadic = any(p.kind is p.VAR_POSITIONAL for p in params)
        self.arrays = tuple(p.name for p in params if p.kind is p.POSITIONAL_OR_KEYWORD)
        self.required = sum(p.kind is p.POSITIONAL_OR_KEYWORD and p.default is p.empty for p in params)
        self.meta = tuple(p.name for p in params if p.kind is p.KEYWORD_ONLY)
        self.defaults = {p.name: p.default for p in params if p.kind is p.KEYWORD_ONLY and p.default is not p.empty}
        if self.joint is not None:
            wrong = [name for name, vjp in self.vjps.items() if name not in self.arrays or vjp is not None]
            if wrong:
                raise TypeError(f"op {self.name}: with joint= an argument can only be declared None, got {wrong}")
        elif set(self.vjps) != set(self.arrays) or self.variadic:
            missing, wrong = set(self.arrays) - set(self.vjps), set(self.vjps) - set(self.arrays)
            raise TypeError(f"op {self.name}: VJPs missing for {sorted(missing)}, misnamed {sorted(wrong)}")
        # Arguments declared None (indices, conditions) carry no gradient and take no part in promotion.
        self.constant = tuple(self.vjps.get(name, self) is None for name in self.arrays)
        self.differentiable = self.joint is not None or any(self.vjps.values())
        Plan(self, (1 << (len(self.arrays) + 1)) - 1)  # reads every VJP's names: a wrong one fails at import

    def plan(self, mask: int) -> Plan:
        """What to save and how to call back, for the inputs in `mask` (a leading 1, then a bit per input)."""
        made = self.plans.get(mask)
        if made is None:
            made = self.plans[mask] = Plan(self, mask)
        return made

    def run(self, xp: Any, arrays: list, meta: dict) -> Any:
        """The forward, or a kernel that takes the job; errors name the op and its arrays."""
        try:
            if self.kernels and not _kernel_mode.reference:
                kernel = self.kernels.get("cpu" if xp is np else "cuda")
                y = kernel(*arrays, **meta) if kernel else NotImplemented
                if y is not NotImplemented:
                    return y
            return self.forward(xp, *arrays, **meta)
        except (ValueError, TypeError, IndexError) as error:  # AxisError is both of the latter
            raise self.explain(error, arrays) from error

    def explain(self, error: Exception, arrays: list) -> Exception:
        """The same error, beginning with the op's name and ending with its arguments."""
        text = str(error).strip() or type(error).__name__
        if text.startswith(f"{self.name}:"):
            return error
        kind = next(k for k in (IndexError, TypeError, ValueError) if isinstance(error, k))
        kind = ValueError if isinstance(error, np.exceptions.AxisError) else kind
        names = self.arrays if not self.variadic else [f"arrays[{i}]" for i in range(len(arrays))]
        told = ", ".join(f"{n}: {_describe(a)}" for n, a in zip(names, arrays, strict=False) if a is not None)
        return kind(f"{self.name}: {text.splitlines()[0]} ({told})")

    def bind(self, args: tuple, given: dict) -> tuple[tuple, dict]:
        """Arrays and metadata of a call: metadata may follow the arrays, arrays may be named."""
        if not self.variadic:
            args, given = self._place(args, given)
        unknown = given.keys() - set(self.meta)
        if unknown:
            known = ", ".join((*self.arrays, *self.meta))
            raise TypeError(f"{self.name}: unknown argument {sorted(unknown)[0]!r}, expected {known}")
        meta = {**self.defaults, **given}
        missing = [name for name in self.meta if name not in meta]
        if missing:
            raise TypeError(f"{self.name}: missing argument {missing[0]!r}")
        return args, meta

    def _place(self, args: tuple, given: dict) -> tuple[tuple, dict]:
        n, given = len(self.arrays), dict(given)
        placed, extra = list(args[:n]), args[n:]
        if len(extra) > len(self.meta):
            raise TypeError(f"{self.name}: takes {n + len(self.meta)} arguments, got {len(args)}")
        for i in range(len(placed), n):
            if i < self.required and self.arrays[i] not in given:
                raise TypeError(f"{self.name}: missing argument {self.arrays[i]!r}")
            placed.append(given.pop(self.arrays[i], None))
        for name, value in zip(self.meta, extra, strict=False):
            if name in given:
                raise TypeError(f"{self.name}: got two values for {name!r}")
            given[name] = value
        return tuple(placed), given


def _describe(array: Any) -> str:
    return f"{array.shape} {array.dtype}" if hasattr(array, "dtype") else repr(array)


# ---------------------------------------------------------------- calling


def _declare(op: Op) -> Callable:
    """Register `op` and return it as a plain function, which also works as a Tensor's method."""
    if op.name in REGISTRY:
        raise TypeError(f"op {op.name}: declared twice")
    REGISTRY[op.name] = op
    arity = -1 if op.variadic or len(op.defaults) < len(op.meta) else len(op.arrays)
    defaults, forward, plans = op.defaults, op.forward, op.plans
    ndarray = np.ndarray
    mixes = len(op.arrays) != 1  # one array alone has nothing to agree with

    def call(*args: Any, **given: Any) -> Any:
        if given or len(args) != arity:
            args, meta = op.bind(args, given)
        else:
            meta = defaults
        arrays, inputs = [], []
        mask, seen, plain = 1, False, True  # mask: a leading 1, then a bit per input with a node
        for a in args:
            node = None
            if isinstance(a, Tensor):
                seen, node, a = True, a._node, a._data
                plain = plain and type(a) is ndarray
            elif type(a) is not float and type(a) is not int:
                plain = False
            arrays.append(a)
            inputs.append(node)
            mask = mask + mask + (node is not None)
        xp = np
        if not plain or not seen:
            xp = settle(op, arrays)
        if mixes and len({a.dtype for a in arrays if type(a) is ndarray}) > 1:
            agree(op, arrays)
        y = op.run(xp, arrays, meta)
        saved = None
        if op.extra:
            y, saved = y
        if not seen:
            return y
        if type(y) is not ndarray and xp is np:
            y = np.asarray(y)
        if mask != 1 << len(arrays) and op.differentiable and mode.recording and carries(op, y):
            plan = plans.get(mask) or op.plan(mask)
            node = Node(plan, inputs, meta, plan.save(y, arrays, saved), y)
            return wrap(y, node) if mode.recording is True else mode.recording(wrap(y, node), arrays)
        return wrap(y, None)

    functools.update_wrapper(call, forward)
    call.__signature__ = _without_xp(forward)
    call.op = op
    return call


def _without_xp(forward: Callable) -> inspect.Signature:
    signature = inspect.signature(forward)
    return signature.replace(parameters=list(signature.parameters.values())[1:])


def settle(op: Op, arrays: list) -> Any:
    """Make every operand a number or an array of one library, which is returned."""
    xp = None
    for i, a in enumerate(arrays):
        if isinstance(a, np.generic):
            arrays[i] = a.item()  # NumPy's scalars are as weak as Python's
        elif isinstance(a, list | tuple):
            a = arrays[i] = _list(op, a, arrays)
        elif not (a is None or hasattr(a, "dtype") or is_number(a)):
            raise TypeError(f"{op.name}: expected a Tensor, array or number, got {type(a).__name__}")
        if hasattr(a, "shape") and not isinstance(a, np.generic):
            mine = xp_of(a)
            if xp not in (None, mine):
                raise TypeError(_two_places(op, arrays))
            xp = mine
    return xp or np


def _list(op: Op, values: list | tuple, arrays: list) -> np.ndarray:
    """A list is as weak as the numbers in it: it takes the float dtype it meets."""
    array = Tensor(values)._data if any(isinstance(v, Tensor) for v in values) else np.asarray(values)
    if array.dtype != np.float64:
        return array
    met = [a.dtype for a in arrays if hasattr(a, "dtype") and is_float(a.dtype)]
    return array.astype(np.result_type(*met) if met else default_dtype())


def _two_places(op: Op, arrays: list) -> str:
    """Say which argument is where, and the way out."""
    names = op.arrays or [f"arrays[{i}]" for i in range(len(arrays))]
    where = [
        f"{name} on {'cpu' if xp_of(a) is np else 'cuda'}"
        for name, a in zip(names, arrays, strict=False)
        if hasattr(a, "shape")
    ]
    return f"{op.name}: expected all arrays on one device, got {', '.join(where)}; move one with .to('cpu') or .to('cuda')"


def agree(op: Op, arrays: list) -> None:
    """Integers and booleans never widen a float: float32 * int64 stays float32 (NumPy: float64)."""
    taking_part = [i for i, a in enumerate(arrays) if hasattr(a, "dtype") and not (op.constant and op.constant[i])]
    floats = {arrays[i].dtype for i in taking_part if is_float(arrays[i].dtype)}
    if floats:
        for i in taking_part:
            if arrays[i].dtype.kind in "biu":
                arrays[i] = arrays[i].astype(np.result_type(*floats))


def carries(op: Op, y: Array) -> bool:
    """Gradients end where an op leaves the floats; into the complex plane they cannot go."""
    if is_float(y.dtype):
        return True
    if y.dtype.kind == "c":
        raise TypeError(f"{op.name}: gradients of complex results are not defined here; use real and imaginary parts")
    return False
