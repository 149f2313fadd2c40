"""Look inside a computation: `draw(y)` is a picture of its graph; four plots show how a training run went."""

from .draw import Picture, draw
from .plots import confusion_matrix, filters, learning_curves, worst_mistakes
from .verdict import Verdict, check_answer

__all__ = [
    "Picture",
    "confusion_matrix",
    "draw",
    "filters",
    "learning_curves",
    "Verdict",
    "check_answer",
    "worst_mistakes",
]
