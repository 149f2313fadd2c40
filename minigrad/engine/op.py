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

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad_kernels.layout import on_gpu

from .backend import Array, default_dtype, device_of, is_float, is_number, to_device, to_numpy, xp_of
from .half import MOVES, SINGLE, any_half, computed_wide, half_there, is_half, rounded_once
from .kernels import kernels_of
from .kernels import mode as kernel_mode
from .node import Node, mode
from .spelling import own_names
from .tensor import Tensor, wrap
from .vjp import Plan

__all__ = ["elementwise", "op"]

REGISTRY: dict[str, Op] = {}
autocasts: list[Callable] = []  # open regions of autocast, of all threads: (op, args, given) -> args, given


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
        self.kernels = kernels_of(self.name)  # device kind -> the forward's signature without xp
        self.moves = self.name in MOVES
        self.plans: dict[int, Plan] = {}
        self.call: Callable = forward  # the public function; set when declared
        self._read_signature()

    def __repr__(self) -> str:
        return f"<op {self.name}>"

    def _read_signature(self) -> None:
        """Array arguments and metadata from the forward; a missing or misnamed VJP fails here."""
        _, *params = inspect.signature(self.forward).parameters.values()
        self.variadic = next((p.name for p in params if p.kind is p.VAR_POSITIONAL), None)
        self.arrays = tuple(p.name for p in params if p.kind is p.POSITIONAL_OR_KEYWORD)
        self.required = sum(p.kind is p.POSITIONAL_OR_KEYWORD and p.default is p.empty for p in params)
        self.meta = tuple(p.name for p in params if p.kind is p.KEYWORD_ONLY)
        self.defaults = {
            p.name: p.default for p in params if p.kind is p.KEYWORD_ONLY and p.default is not p.empty
        }
        if self.joint is not None:
            wrong = [name for name, vjp in self.vjps.items() if name not in self.arrays or vjp is not None]
            if wrong:
                raise TypeError(
                    f"op {self.name}: with joint= an argument can only be declared None, got {wrong}"
                )
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
        """The result; 16-bit floats are worked on in float32, by a GPU's kernel or as a whole."""
        if xp is np:
            if not self.moves and any_half(arrays):
                return computed_wide(self, arrays, lambda wide: self.faster(xp, wide, meta))
        elif not self.moves and half_there(arrays) and not rounded_once(self.name, arrays):
            y = self.by_kernel(xp, arrays, meta)
            if y is NotImplemented:
                return computed_wide(self, arrays, lambda wide: self.faster(xp, wide, meta))
            return y
        return self.faster(xp, arrays, meta)

    def faster(self, xp: Any, arrays: list, meta: dict) -> Any:
        """A kernel that takes the job, else the forward."""
        y = self.by_kernel(xp, arrays, meta)
        return self.forward(xp, *arrays, **meta) if y is NotImplemented else y

    def by_kernel(self, xp: Any, arrays: list, meta: dict) -> Any:
        """A kernel's result; NotImplemented if none takes the job."""
        faster = self.kernels.get("cpu" if xp is np else "cuda")
        return NotImplemented if faster is None or kernel_mode.reference else faster(*arrays, **meta)

    def explain(self, error: Exception, arrays: list) -> Exception:
        """The same error, beginning with the op's name and ending with its arguments."""
        text = str(error).strip() or type(error).__name__
        if text.startswith(f"{self.name}:"):
            return error
        kind = next(k for k in (IndexError, TypeError, ValueError) if isinstance(error, k))
        kind = ValueError if isinstance(error, np.exceptions.AxisError) else kind
        names = self.arrays if not self.variadic else [f"arrays[{i}]" for i in range(len(arrays))]
        if self.elementwise and "broadcast" in text:
            text = "expected shapes that broadcast: from the last axis back, sizes are equal or one is 1"
        told = ", ".join(f"{n}: {_describe(a)}" for n, a in zip(names, arrays, strict=False) if a is not None)
        return kind(f"{self.name}: {text.splitlines()[0]} ({told})")

    def bind(self, args: tuple, given: dict) -> tuple[tuple, dict]:
        """Arrays and metadata of a call: metadata may follow the arrays, arrays may be named."""
        given = own_names(given, (*self.arrays, *self.meta)) if given else given
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
        n = len(self.arrays)
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
    if op.name in REGISTRY and REGISTRY[op.name].forward.__module__ != "__main__":  # a cell may run again
        raise TypeError(f"op {op.name}: declared twice")
    REGISTRY[op.name] = op
    arity = -1 if op.variadic or len(op.defaults) < len(op.meta) else len(op.arrays)
    defaults, forward, kernels, plans = op.defaults, op.forward, op.kernels, op.plans
    ndarray = np.ndarray

    def call(*args: Any, **given: Any) -> Any:
        if autocasts:
            args, given = in_region(op, args, given)
        if given or len(args) != arity:
            args, meta = op.bind(args, given)
        else:
            meta = defaults
        arrays, inputs = [], []
        mask, dtype = 1, None  # mask: a leading 1, then a bit per input with a node
        seen = mixed = odd = False
        for a in args:
            node = None
            if isinstance(a, Tensor):
                seen, node, a = True, a._node, a._data
                if type(a) is not ndarray:
                    odd = True
                elif dtype is None:
                    dtype = a.dtype
                elif a.dtype is not dtype:
                    mixed = True
            elif a is not None and type(a) is not float:
                odd = True
            arrays.append(a)
            inputs.append(node)
            mask = mask + mask + (node is not None)
        xp = settle(op, arrays) if odd or not seen else np
        if mixed or odd:
            agree(op, arrays)
        try:
            if dtype is not SINGLE or mixed or odd:
                y = op.run(xp, arrays, meta)
            else:
                y = op.faster(xp, arrays, meta) if kernels else forward(xp, *arrays, **meta)
        except (ValueError, TypeError, IndexError) as error:  # AxisError is both of the latter
            raise op.explain(error, arrays) from error
        saved = None
        if op.extra:
            y, saved = y
        if not seen:
            return y
        if type(y) is not ndarray and xp is np and not on_gpu(y):
            y = np.asarray(y)  # a NumPy scalar; an array that went to a GPU is none
        recording = mode.recording if mask > 1 << len(arrays) and op.differentiable else False
        if not recording or not (y.dtype is dtype or carries(op, y)):
            t, watcher = wrap(y, None), mode.recording
            return t if watcher is True or watcher is False else watcher.aside(t, op, args, meta)
        plan = plans.get(mask) or op.plan(mask)
        t = wrap(y, Node(plan, inputs, meta, plan.save(y, arrays, saved), y))
        return t if recording is True else recording.watch(t, arrays, args)

    if op.elementwise and op.differentiable and not op.meta and arity in (1, 2):
        call = (_fast_one if arity == 1 else _fast_two)(op, call)
    functools.update_wrapper(call, forward)
    call.__signature__ = _without_xp(forward)
    call.op, op.call = op, call
    return call


def in_region(op: Op, args: tuple, given: dict) -> tuple[tuple, dict]:
    """The arguments of a call, cast as autocast wants them if this thread is in a region of it."""
    for cast_operands in autocasts[:1]:
        return cast_operands(op, args, given)
    return args, given  # another thread has left the last region


# The commonest calls again, kept flat: elementwise on one or two CPU Tensors of one dtype. Half of a
# small op's time is Python's, and this halves it. Whatever is unusual goes to the general call, and so do
# 16-bit floats: autocast may want those in float32 (float32 it leaves alone in elementwise ops). An
# argument that was not given is `op`.


def _fast_one(op: Op, general: Callable) -> Callable:
    forward, kernels, plans, meta, ndarray = op.forward, op.kernels, op.plans, op.defaults, np.ndarray
    faster = kernels.get("cpu")

    def call(t: Any = op, /, *more: Any, **given: Any) -> Any:
        if isinstance(t, Tensor) and not more and not given:
            x, node = t._data, t._node
            dtype = x.dtype
            usual = dtype is SINGLE or dtype.char not in "eE"
            if (
                usual
                and type(x) is ndarray
                and ("cpu" not in kernels or (faster is not None and x.size < faster.least))
            ):
                y = forward(np, x)
                if type(y) is not ndarray:
                    y = np.asarray(y)
                recording = mode.recording
                if recording is False or (node is None and recording is True):
                    return wrap(y, None)
                if recording is True and y.dtype is dtype:
                    plan = plans.get(3) or op.plan(3)
                    return wrap(y, Node(plan, (node,), meta, plan.save(y, (x,), None), y))
        return general(*([] if t is op else [t]), *more, **given)

    return call


def _fast_two(op: Op, general: Callable) -> Callable:
    forward, kernels, plans, meta, ndarray = op.forward, op.kernels, op.plans, op.defaults, np.ndarray
    faster = kernels.get("cpu")

    def call(a: Any = op, b: Any = op, /, *more: Any, **given: Any) -> Any:
        if isinstance(a, Tensor) and b is not op and not more and not given:
            x, m = a._data, a._node
            dtype = x.dtype
            usual = type(x) is ndarray and (dtype is SINGLE or dtype.char not in "eE")
            if isinstance(b, Tensor):
                y, n = b._data, b._node
                alike = usual and type(y) is ndarray and dtype is y.dtype
            else:
                y, n = b, None
                alike = usual and (type(y) is float or type(y) is int)
            if alike and ("cpu" not in kernels or (faster is not None and x.size < faster.least)):
                try:
                    z = forward(np, x, y)
                except ValueError as error:
                    raise op.explain(error, [x, y]) from error
                if type(z) is not ndarray:
                    z = np.asarray(z)
                recording = mode.recording
                if recording is False or (m is None and n is None and recording is True):
                    return wrap(z, None)
                if recording is True and z.dtype is dtype:
                    mask = 4 + 2 * (m is not None) + (n is not None)
                    plan = plans.get(mask) or op.plan(mask)
                    saved = plan.save(z, (x, y), None) if plan.keep else ()
                    return wrap(z, Node(plan, (m, n), meta, saved, z))
        return general(*[x for x in (a, b) if x is not op], *more, **given)

    return call


def _without_xp(forward: Callable) -> inspect.Signature:
    signature = inspect.signature(forward)
    return signature.replace(parameters=list(signature.parameters.values())[1:])


def settle(op: Op, arrays: list) -> Any:
    """Make every operand a number or an array of one library, which is returned.

    NumPy's scalars are as weak as Python's beside an array; alone, numbers are 0-d arrays.
    """
    xp = None
    numbers = []
    for i, a in enumerate(arrays):
        if is_number(a):
            numbers.append(i)
        elif isinstance(a, list | tuple):
            a = arrays[i] = _list(op, a, arrays)
        elif not (a is None or hasattr(a, "dtype")):
            raise TypeError(f"{op.name}: expected a Tensor, array or number, got {type(a).__name__}")
        if hasattr(a, "shape") and i not in numbers:
            mine = xp_of(a)
            if xp not in (None, mine):
                raise TypeError(_two_places(op, arrays))
            xp = mine
    for i in numbers:
        if xp is None or not op.elementwise:
            arrays[i] = np.asarray(arrays[i])
        elif isinstance(arrays[i], np.generic):
            arrays[i] = arrays[i].item()
    return xp or np


def _list(op: Op, values: list | tuple, arrays: list) -> Array:
    """A list is as weak as the numbers in it: it takes the float dtype it meets, and the GPU."""
    array = (
        to_numpy(Tensor(values)._data) if any(isinstance(v, Tensor) for v in values) else np.asarray(values)
    )
    if array.dtype == np.float64:
        met = [a.dtype for a in arrays if hasattr(a, "dtype") and is_float(a.dtype)]
        array = array.astype(np.result_type(*met) if met else default_dtype())
    there = next((a for a in arrays if on_gpu(a)), None)
    return array if there is None else to_device(array, device_of(there))


def _two_places(op: Op, arrays: list) -> str:
    """Say which argument is where, and the way out."""
    names = op.arrays or [f"arrays[{i}]" for i in range(len(arrays))]
    where = [
        f"{name} on {'cpu' if xp_of(a) is np else 'cuda'}"
        for name, a in zip(names, arrays, strict=False)
        if hasattr(a, "shape")
    ]
    told = ", ".join(where)
    return f"{op.name}: expected all arrays on one device, got {told}; use .to('cpu') or .to('cuda')"


def agree(op: Op, arrays: list) -> None:
    """Integers and booleans never widen a float: float32 * int64 stays float32 (NumPy: float64)."""
    taking_part = [
        i for i, a in enumerate(arrays) if hasattr(a, "dtype") and not (op.constant and op.constant[i])
    ]
    floats = {arrays[i].dtype for i in taking_part if is_float(arrays[i].dtype)}
    if floats:
        halves = len(floats) == 2 and all(map(is_half, floats))  # float16 and bfloat16: NumPy knows no way
        for i in taking_part:
            if arrays[i].dtype.kind in "biu" or (halves and is_half(arrays[i].dtype)):
                arrays[i] = arrays[i].astype(SINGLE if halves else np.result_type(*floats))


def carries(op: Op, y: Array) -> bool:
    """Gradients end where an op leaves the floats; into the complex plane they cannot go."""
    if is_float(y.dtype):
        return True
    if y.dtype.kind == "c":
        raise TypeError(
            f"{op.name}: gradients of complex results are not defined here; use real and imaginary parts"
        )
    return False
