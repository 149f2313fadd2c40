"""Where people go wrong: backward passes that are really proposed, run beside the right one, with the truth.

Each exhibit runs its wrong code on the smallest graph where it fails. The misconceptions are those of the
questions and pull requests that teaching engines receive.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..io import write_atomically
from .exhibits import view, wrong
from .exhibits.exhibit import Exhibit, WrongEdge

__all__ = ["Exhibit", "Gallery", "WrongEdge", "gallery"]


def gallery() -> Gallery:
    """The wrong backward passes that people really propose, each beside the right one and the engine's.

    >>> from minigrad.inspect import gallery
    >>> exhibit = gallery()["assignment"]
    >>> exhibit.wrong["a"].item(), exhibit.right["a"].item(), exhibit.engine["a"].item()
    (1.0, 2.0, 2.0)
    >>> str(exhibit.first_wrong_edge)
    'b → a'
    """
    return Gallery(EXHIBITS)


class Gallery(list[Exhibit]):
    """All exhibits, in order: gallery()[0], gallery()['assignment'], print(), .save('gallery.html')."""

    def __getitem__(self, key: Any) -> Any:
        if not isinstance(key, str):
            return super().__getitem__(key)
        found = next((exhibit for exhibit in self if exhibit.name == key), None)
        if found is None:
            raise KeyError(f"gallery: no exhibit {key!r}; there are {', '.join(e.name for e in self)}")
        return found

    def __str__(self) -> str:
        return "\n\n".join(str(exhibit) for exhibit in self)

    def __repr__(self) -> str:
        rows = (f"  {exhibit.name:22} {exhibit.claim}" for exhibit in self)
        return "\n".join([f"<Gallery of {len(self)} exhibits", *rows, ">"])

    def _repr_html_(self) -> str:
        return view.with_style("\n".join(view.as_html(exhibit) for exhibit in self))

    def save(self, path: str | Path) -> Path:
        """Write all exhibits as one HTML page that needs no network, whole or not at all; returns its path.

        Raises ValueError unless the name ends in .html.
        """
        if Path(path).suffix.lower() not in (".html", ".htm"):
            raise ValueError(f"gallery: expected a file name that ends in .html (path={str(path)!r})")
        write_atomically(path, view.page(self).encode())
        return Path(path)


EXHIBITS = [
    Exhibit(
        "breadth_first",
        "Call _backward level by level, from the result outwards.",
        "b is two edges from d on one path and one on the other: it is reached before c has sent its "
        "part, so a gets only what came the short way. A value may send only when all its users "
        "have. (On the expression of micrograd's own test this happens to be right, which is how it "
        "gets proposed.)",
        wrong.shortcut,
        walk=wrong.breadth_first,
    ),
    Exhibit(
        "depth_first",
        "Call _backward on a value, then visit its inputs: each value once, so it must be right.",
        "Visiting a value before its inputs is not a topological order: b sends before c has reached "
        "it. The order that works is a depth-first search's finishing order, reversed. (Written as c "
        "+ b instead of b + c it is right here; on the expression of micrograd's own test it gives "
        "-30 instead of 46.)",
        wrong.shortcut,
        walk=wrong.depth_first,
    ),
    Exhibit(
        "runs_on_at_once",
        "No order is needed: every input goes on with its own _backward as soon as gradient reaches it.",
        "b goes on twice, first with 1 and then with all of 2, so the first part is counted again: 2 "
        "+ 4 instead of 4. What goes on must be what is new, or wait until all of it is there.",
        wrong.doubled_twice,
        walk=wrong.call_the_root,
        kind=wrong.RunsOnAtOnce,
    ),
    Exhibit(
        "recursive_sort",
        "A recursive function sorts any graph.",
        "Every step of depth is a call of Python's, and 1,000 of them are allowed: a loop over 5,000 "
        "steps of a sequence is deeper. A stack of one's own, or a heap of creation numbers as in "
        "the engine, has no limit.",
        wrong.chain,
        walk=wrong.recursive_sort,
        runs=wrong.with_the_usual_limit,
        shown=("a", "step", "h1", "h2", "h4999", "h5000"),
    ),
    Exhibit(
        "no_zeroing",
        "Each training step calls backward; the gradients are set anew.",
        "Gradients are added, and the second pass adds to what the first has left. Zero them before "
        "each pass (or leave them on purpose, to gather over several batches).",
        wrong.doubled,
        walk=wrong.no_zeroing,
    ),
    Exhibit(
        "zeroes_only_leaves",
        "Zero the parameters before each pass: only they are trained.",
        "b still holds its gradient of the first pass, gathers the second on top, and sends on both. "
        "Everything that gathers must start at zero, the values in between as well.",
        wrong.doubled_twice,
        walk=wrong.zeroes_the_parameters_only,
    ),
    Exhibit(
        "no_seed",
        "Start with all gradients at zero and walk back from the result.",
        "Every edge multiplies what it receives, and the result has received nothing. The derivative "
        "of the result with respect to itself is 1: that is the seed.",
        wrong.doubled,
        walk=wrong.no_seed,
    ),
    Exhibit(
        "assignment",
        "The gradient of an input is what its user sends: self.grad = ...",
        "a is used twice and each use has a derivative; the second assignment wipes out the first. "
        "Where paths meet, gradients add up.",
        wrong.doubled,
        kind=wrong.Assigns,
        writes="=",
    ),
    Exhibit(
        "no_unbroadcast",
        "The derivative of a sum is 1, so both inputs get the gradient as it is.",
        "b is one number that was copied to three places; three gradients come back and must be "
        "added up to one. A gradient has the shape of what it belongs to, always.",
        wrong.bias,
        kind=wrong.KeepsTheShape,
    ),
    Exhibit(
        "power_rule_for_exp",
        "The derivative of e^x is x e^(x-1).",
        "That is the rule for x^n, where the base varies. Here the exponent does, and e^x is its own "
        "derivative: the result itself, already computed.",
        wrong.exponential,
        kind=wrong.PowerRule,
    ),
    Exhibit(
        "no_chain_rule",
        "The gradient of x in e = exp(x) is e.",
        "That is the local derivative, right only if e is the result. What e itself receives, here "
        "w, has to be multiplied in: an op never knows what comes after it.",
        wrong.scaled_exponential,
        kind=wrong.ForgetsTheChain,
    ),
    Exhibit(
        "both_win_at_a_tie",
        "max passes the gradient to whichever input equals the result.",
        "At a tie both do, and 1 becomes 2: a step of h in both moves the result by h, not by 2 h. "
        "The shares must add up to 1; the engine gives each a half.",
        wrong.tie,
        kind=wrong.BothWin,
    ),
    Exhibit(
        "changed_before_backward",
        "Update the weights as soon as the loss is known, then call backward.",
        "The derivative of w x with respect to x is w, and by now w is another. Keep what the "
        "forward pass saw; the engine refuses: 'mul' saved a, which was changed in place since.",
        wrong.product,
        walk=wrong.update_before_backward,
    ),
    Exhibit(
        "detached",
        "Take the number out and put it in again: the value is the same, so the gradient is.",
        "A new Value has no inputs, so the path through exp is cut and its part is missing; nothing "
        "complains. The same happens with .item(), .detach() and a trip through NumPy.",
        wrong.times_its_exponential,
        wrong_graph=wrong.detached,
    ),
]
