"""Known mistakes in a backward pass, each with a name, a sentence, and the wrong answer it leads to.

`rule` says what a mistake on one edge is; `elementwise`, `arrays` and `places` list them; `rerun` makes them
on a trace; `search` gathers what they give.
"""

from .search import Mistake, Mistakes

__all__ = ["Mistake", "Mistakes"]
