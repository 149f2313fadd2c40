"""A recorded step on a GPU: its calls made once into a CUDA graph, which a replay launches as a whole.

While a stream is captured, nothing runs: every launch is noted with the addresses of its arrays, and the
graph repeats the launches on these addresses. So all that the step allocates comes from a pool of its own,
which nothing else draws from and which lives as long as the graph; new inputs are copied to where the first
lay; and what Python makes anew for every step (`engine/live.py`) is written down by `Control`.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable, Iterator
from typing import Any

from minigrad_kernels.layout import on_gpu

from ..engine import backend, flags
from ..engine.live import kept
from ..engine.node import changed_since, mutated, tick
from .control import Control
from .recorder import Call, Recorder
from .structure import Slot, filler, is_array, leaves, raw

__all__: list[str] = []


class GraphProgram:
    """The calls of one step on a GPU, captured at the first replay and launched from then on."""

    def __init__(self, recorder: Recorder, result: Any) -> None:
        template = recorder.template(result)
        self.inputs, self.outside, self.result = recorder.inputs, recorder.outside, filler(template)
        self.learns = [getattr(x, "_node", None) is not None for x, _ in self.outside]
        self.wanted = [leaf.index for leaf in leaves(template) if isinstance(leaf, Slot)]
        self.calls = recorder.calls
        written = {slot for call in self.calls for slot in call.writes}
        passing = written | set(self.inputs)
        self.examples = [recorder.values[slot] for slot in self.inputs]
        self.values = [None if i in passing else value for i, value in enumerate(recorder.values)]
        self.passed = last_uses(self.calls, written - set(self.wanted))
        self.graph: Any = None
        recorder.done()
        recorder.values = []

    def __call__(self, inputs: list[Any]) -> Any:
        """One step: what Python makes anew, the new inputs, the launch."""
        if self.graph is None or any(
            raw(x) is not a for (x, _), a in zip(self.outside, self.bound, strict=True)
        ):
            self.capture()
        self.gradients.before()
        self.control.refresh()
        for x, static in zip(inputs, self.static, strict=True):
            static[...] = raw(x)
        self.graph.launch(backend.load_cupy().cuda.get_current_stream())
        flags.replayed()
        self.gradients.after()
        for array in self.changed:
            mutated(array)
        values = list(self.values)
        for slot, array in zip(self.wanted, self.results, strict=True):
            values[slot] = array.copy()  # the next replay writes over it
        return self.result(values)

    def fits(self) -> bool:
        """Whether what learned still learns, and nothing else does."""
        return all(
            (getattr(x, "_node", None) is not None) == b
            for (x, _), b in zip(self.outside, self.learns, strict=True)
        )

    # -- the capture

    def capture(self) -> None:
        """Make the graph. If it cannot be made, nothing has been changed."""
        self.graph = None
        lib = backend.load_cupy()
        self.bound = [raw(x) for x, _ in self.outside]
        refuse_other_places(self.bound + self.examples)
        self.pool, stream = lib.cuda.MemoryPool(), lib.cuda.Stream(non_blocking=True)
        self.gradients, began = Gradients([x for x, _ in self.outside]), tick()
        with lib.cuda.using_allocator(self.pool.malloc):
            self.control = Control(lib)
            self.static = [lib.empty_like(x) for x in self.examples]
            lib.cuda.get_current_stream().synchronize()  # what was queued before is done
            with workspace_for(lib, stream) as self.workspace:
                self.graph = captured(stream, self.run, self.gradients)
        self.gradients.keep()
        self.changed = [a for a in self.bound if changed_since(a, began)]

    def run(self) -> None:
        """All calls, on the arrays that the graph will use."""
        v = list(self.values)
        for slot, array in zip([at for _, at in self.outside], self.bound, strict=True):
            v[slot] = array
        for slot, array in zip(self.inputs, self.static, strict=True):
            v[slot] = array
        with kept(self.control.keep):
            for i, call in enumerate(self.calls):
                self.make(call, v)
                for slot in self.passed.get(i, ()):
                    v[slot] = None
        self.results = [v[slot] for slot in self.wanted]

    def make(self, call: Call, v: list) -> None:
        """One call; its error begins with its place in the step."""
        what = call.told[0]
        try:
            if what == "effect" and on_the_host(*call.told[1:], v):
                self.control.then(lambda: call.run(v))
            else:
                call.run(v)
        except Exception as error:
            if str(error).startswith("capture:"):
                raise
            told = " ".join(t for t in call.told[:2] if isinstance(t, str))
            raise ValueError(
                f"capture: '{told}' at {call.line} cannot be captured on a GPU: {error}"
            ) from error
        if what == "effect" and any(isinstance(v[slot], tuple) for slot in call.writes):
            raise ValueError(
                f"capture: numbers drawn at {call.line} would be the same in every launch of a graph; "
                "call what draws them outside the capture"
            )
        if any(v[slot] is not None and is_array(v[slot]) and not on_gpu(v[slot]) for slot in call.writes):
            raise ValueError(
                f"capture: {what} at {call.line} works on the CPU; the whole step has to be on the GPU"
            )


def on_the_host(f: Any, given: Any, v: list) -> bool:
    """Whether an effect is Python\'s own matter, or one of CPU arrays: to be called before each replay."""
    arrays = [v[x.index] if isinstance(x, Slot) else raw(x) for x in leaves(given)]
    places = {on_gpu(a) for a in arrays if is_array(a)}
    return getattr(f, "host", False) or places == {False}


@contextlib.contextmanager
def workspace_for(lib: Any, stream: Any) -> Iterator[list[Any]]:
    """What cuBLAS needs on a stream, made before the capture; the workspace is the graph's from then on."""
    handle = importlib.import_module("minigrad_kernels.cuda.handle")
    kept: list[Any] = []
    device = lib.cuda.runtime.getDevice()
    with stream, contextlib.suppress(ImportError):  # no cuBLAS of ours: products say so themselves
        handle.warm_up(lib, device)
    try:
        yield kept
    finally:
        kept.append(handle.hand_over(device, stream.ptr))


def captured(stream: Any, run: Callable[[], None], gradients: Gradients) -> Any:
    """The graph of what run() launches; after an error the stream is as before, and so are the gradients."""
    with stream:
        stream.begin_capture()
        try:
            run()
        except BaseException:
            gradients.restore()
            with contextlib.suppress(Exception):  # spoilt by what failed, whose own error tells more
                stream.end_capture()
            raise
        graph = stream.end_capture()
    graph.upload(stream)
    return graph


def refuse_other_places(arrays: list[Any]) -> None:
    """What comes from the CPU would have to be sent over inside the graph."""
    for a in arrays:
        if is_array(a) and not on_gpu(a):
            raise ValueError(
                f"capture: an array of shape {a.shape} is on the CPU in a step on a GPU; "
                'send it over before the step: x.to("cuda")'
            )


def last_uses(calls: list[Call], passing: set[int]) -> dict[int, list[int]]:
    """After which call nothing reads or writes a slot any more: {number of the call: slots}."""
    last = {
        slot: i for i, call in enumerate(calls) for slot in (*call.reads, *call.writes) if slot in passing
    }
    found: dict[int, list[int]] = {}
    for slot, i in last.items():
        found.setdefault(i, []).append(slot)
    return found


class Gradients:
    """The .grad of the leaves: what a replay finds there, and what it leaves."""

    def __init__(self, leaves_: list[Any]) -> None:
        nodes = [x._node for x in leaves_ if getattr(x, "_node", None) is not None]
        self.sinks = [node.sink for node in nodes if node.sink is not None]
        self.found = [sink.grad for sink in self.sinks]
        self.numbers = [None if g is None else g._data for g in self.found]

    def keep(self) -> None:
        """After the capture: what lies in .grad now is where the graph puts gradients."""
        self.left = [sink.grad for sink in self.sinks]

    def restore(self) -> None:
        """The capture failed: as it was."""
        for sink, g in zip(self.sinks, self.found, strict=True):
            sink.grad = g

    def before(self) -> None:
        """A gradient that the graph adds to lies where it lay then."""
        for sink, found, left in zip(self.sinks, self.found, self.left, strict=True):
            if found is None or found is not left or sink.grad is found:
                continue
            found._data[...] = 0 if sink.grad is None else sink.grad._data

    def after(self) -> None:
        """The gradients that the graph made are the leaves'."""
        for sink, left in zip(self.sinks, self.left, strict=True):
            sink.grad = left
