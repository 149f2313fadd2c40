"""capture(): what users call."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

from minigrad_kernels.layout import on_gpu

from ..engine import autocast
from ..engine.kernels import mode as kernel_mode
from ..engine.node import mode
from ..engine.recording import version
from ..engine.tensor import Tensor
from .graph import GraphProgram
from .program import Program
from .recorder import Recorder
from .structure import alike, is_array, leaves, raw

__all__ = ["Captured", "capture"]


class Captured:
    """A step that is recorded at its first two calls (for every shape anew) and replayed from then on."""

    def __init__(self, step: Callable) -> None:
        if not callable(step):
            raise TypeError(f"capture: expected a function (step), got {type(step).__name__}")
        self.step = step
        self.recordings: dict[Any, Any] = {}  # by kinds of arguments: a Recorder (seen once) or a Program
        self.version = version[0]
        functools.update_wrapper(self, step, updated=())

    def __call__(self, *args: Any, **kw: Any) -> Any:
        """step(*args, **kw), replayed if its like was recorded."""
        if self.version != version[0]:  # train() or eval() was called: all recordings are old
            self.recordings, self.version = {}, version[0]
        inputs = [x for x in leaves((args, kw)) if is_input(x)]
        key = (bool(mode.recording), kernel_mode.reference, *autocast.state(), *kinds((args, kw)))
        found = self.recordings.get(key)
        if isinstance(found, Program | GraphProgram) and found.fits():
            return found(inputs)
        if mode.recording not in (True, False):  # inside another watcher or another capture: as it is
            return self.step(*args, **kw)
        recorder = Recorder(inputs)
        former = mode.recording
        mode.recording = recorder.loud if former else recorder.silent
        try:
            result = self.step(*args, **kw)
        finally:
            mode.recording = former
        if self.version != version[0]:
            return result
        if not isinstance(found, Recorder):
            recorder.done()
            recorder.values = []  # the second call is compared by what the first one says, not by its numbers
            self.recordings[key] = recorder
        else:
            compare(found, recorder)
            self.recordings[key] = programmed(recorder, result)
        return result

    def __repr__(self) -> str:
        ready = [p for p in self.recordings.values() if not isinstance(p, Recorder)]
        calls = ", ".join(str(len(p.calls)) + " in a graph" * isinstance(p, GraphProgram) for p in ready)
        name = getattr(self.step, "__name__", self.step)
        return f"capture({name}): {len(ready)} recorded ({calls or 'no'} calls)"


def programmed(recorder: Recorder, result: Any) -> Program | GraphProgram:
    """What replays the record: a graph of launches if it worked on a GPU, else a list of calls."""
    return (GraphProgram if any(map(on_gpu, recorder.values)) else Program)(recorder, result)


def is_input(x: Any) -> bool:
    """Tensors and arrays among the arguments; a leaf that learns is known by itself, as parameters are."""
    return is_array(x) or (isinstance(x, Tensor) and x._node is None)


def kinds(x: Any) -> Iterator[Any]:
    """What must be the same for a recording to fit: structure, shapes, dtypes, and all that is no array."""
    if isinstance(x, dict):
        yield from ("{", *x.keys())
        x = list(x.values())
    if isinstance(x, tuple | list):
        yield from (type(x), len(x))
        for item in x:
            yield from kinds(item)
    elif is_input(x):
        yield from (type(x), x.shape, x.dtype, str(getattr(x, "device", "")))
    else:
        yield x


def compare(first: Recorder, second: Recorder) -> None:
    """The second call must have done what the first did; ValueError says where it did not."""
    for a, b in zip(first.calls, second.calls, strict=False):
        if not alike(a.told, b.told):
            what, before = (
                " ".join(str(part) for part in c.told[:2] if isinstance(part, str)) for c in (b, a)
            )
            if what == before:
                raise ValueError(
                    f"capture: '{what}' at {b.line} got another number or object at the second call than at "
                    "the first; what changes from step to step has to be an argument of the step, as a tensor"
                )
            raise ValueError(
                f"capture: the second call of the step made '{what}' at {b.line}, the first '{before}' at "
                f"{a.line}; a step that takes different ways cannot be captured"
            )
    if len(first.calls) != len(second.calls):
        raise ValueError(
            f"capture: the step made {len(first.calls)} calls at first and {len(second.calls)} then; "
            "a step that takes different ways cannot be captured"
        )
    for (a, _), (b, at) in zip(first.outside, second.outside, strict=True):
        if a is not b and raw(a) is not raw(b):
            line = next((c.line for c in second.calls if at in c.reads), "the step")
            raise ValueError(
                f"capture: an array of shape {raw(b).shape} used at {line} is another one at every call, "
                "and no minigrad op made it; pass it as an argument of the step"
            )


def capture(step: Callable) -> Captured:
    """A function like `step` that replays it: the same numbers bit for bit, without making the graph.

    The first two calls run `step` itself and record it, once for every combination of shapes, dtypes and
    other arguments. From then on its calls are made as a flat list: forwards, VJPs, and effects
    (optimiser and schedule, random draws, running statistics, checks of labels and indices). What
    changes from step to step is an argument, a Tensor or NumPy array; numbers are recorded by value.
    Results carry no history. Raises ValueError, with the line, where the step reads a number out of a
    tensor (item, bool, print), takes another way at its second call, or uses an array that is made anew
    outside minigrad.

    On a GPU the third call makes a CUDA graph of the record, and from then on a replay is one launch, with
    one small copy of what Python makes anew (rates, counts, places in the random stream). The whole step has
    to be on the GPU; optimisers with a kernel can be in it (Adam, AdamW, SGD). .grad holds the same arrays
    after every replay.

    >>> import minigrad as mg
    >>> w = mg.tensor([1.0, 2.0], requires_grad=True)
    >>> opt = mg.optim.SGD([w], lr=0.1)
    >>> @mg.capture
    ... def step(x):
    ...     opt.zero_grad()
    ...     loss = (w * x).sum()
    ...     loss.backward()
    ...     opt.step()
    ...     return loss
    >>> [round(step(mg.tensor([1.0, k])).item(), 4) for k in (1.0, 2.0, 3.0)]
    [3.0, 4.7, 5.9]
    >>> w.grad
    tensor([1., 3.])
    """
    return Captured(step)
