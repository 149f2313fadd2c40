"""draw(y) and draw(trace): a graph as a picture, with values, gradients and local derivatives."""

from __future__ import annotations

from typing import Any

from ...engine.tensor import Tensor
from .dot import lay_out_by_dot
from .layout import lay_out
from .picture import Picture
from .scene import Scene
from .tensor_graph import tensor_scene
from .trace_graph import Board

__all__ = ["draw"]

WIDTH = 1600.0  # pixels; a longer graph goes on below, like text
LAYOUTS = ("layers", "dot")


def draw(
    graph: Any,
    /,
    step: Any = None,
    *,
    layout: Any = "layers",
    width: Any = WIDTH,
    **names: Tensor,
) -> Picture:
    """The graph of a computed tensor, or of a trace, inputs on the left, as a picture.

    Each box shows an array: its name, its value where that is known (for a tensor: named, or saved for the
    backward pass) and the gradient of the result with respect to it. An edge into a scalar carries the
    local derivative of that one op, so a gradient is the product of the edges on the way to the
    result, summed over the ways. `names` gives tensors their names: draw(loss, w=w, x=x).

    Of a trace, `step` draws one moment: what is known by then, the step itself highlighted. It counts as the
    stepper's slider does (each op forward, the seed, each edge backward; -1 is the last), or is a step or an
    edge of the trace. A trace of more than 120 boxes folds its modules.

    layout: 'layers', in plain Python, or 'dot', by the Graphviz program of that name, if you have it.
    width: pixels after which a graph goes on below; None for no limit. Only 'layers' wraps.

    Raises ValueError if the tensor was not computed, its graph was already freed by backward() or has more
    than 200 nodes; TypeError for a name that is no tensor; IndexError for a step that there is not.

    >>> import minigrad as mg
    >>> from minigrad.inspect import draw
    >>> a = mg.tensor(3.0, requires_grad=True)
    >>> picture = draw(a * a, a=a)
    >>> picture[:4], "gradient 6" in picture
    ('<svg', True)
    """
    options = {"step": (step, None), "layout": (layout, "layers"), "width": (width, WIDTH)}
    names |= {key: given for key, (given, _) in options.items() if isinstance(given, Tensor)}
    step, layout, width = (default if isinstance(x, Tensor) else x for x, default in options.values())
    if layout not in LAYOUTS:
        raise ValueError(f"draw: expected 'layers' or 'dot' (layout={layout!r})")
    if isinstance(graph, Tensor):
        return Picture(_placed(_tensor(graph, step, names), layout, width))
    if not hasattr(graph, "backward") or not hasattr(graph, "steps"):
        raise TypeError(f"draw: expected a tensor or a trace, got {type(graph).__name__}")
    if names:
        raise ValueError(f"draw: a trace has its own names ({next(iter(names))}=...); leave it out")
    board = Board(graph)
    _placed(board.scene, layout, width)
    return Picture(board.at(step))


def _tensor(y: Tensor, step: Any, names: dict[str, Tensor]) -> Scene:
    """The scene of a tensor's graph, after a look at the arguments."""
    for name, given in names.items():
        if not isinstance(given, Tensor):
            raise TypeError(f"draw: expected a tensor by this name ({name}=...), got {type(given).__name__}")
    if step is not None:
        raise ValueError("draw: a tensor's graph has no steps (step=...); draw mg.trace(f, x) instead")
    if y.is_leaf:
        raise ValueError("draw: expected a tensor computed from tensors that require grad, got no such graph")
    return tensor_scene(y, names)


def _placed(scene: Scene, layout: str, width: float | None) -> Scene:
    return lay_out_by_dot(scene) if layout == "dot" else lay_out(scene, width)
