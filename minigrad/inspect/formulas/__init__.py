"""Every op in mathematics: its result, its local derivatives, and what its backward sends to each input.

One row an op, by topic, in the op's own argument names; the elementwise rows are held to the engine's VJPs.
"""

from .row import Formula
from .table import edge_text, formula_of, forward_text, local_text, numbers_text

__all__ = ["Formula", "edge_text", "formula_of", "forward_text", "local_text", "numbers_text"]
