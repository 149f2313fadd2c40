"""Functions of labels and indices."""

from __future__ import annotations

import numpy as np

from ...engine.tensor import Tensor, wrap
from ...ops.loss import check_labels

__all__ = [
    "one_hot",
]


def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """int64 rows with a 1 at each label."""
    labels = tensor._data
    if labels.dtype.kind not in "iu":
        raise TypeError(f"one_hot: expected integer labels, got {labels.dtype}")
    classes = int(labels.max()) + 1 if num_classes == -1 else num_classes
    check_labels("one_hot", labels, classes)
    xp = tensor.device.xp
    return wrap(xp.eye(classes, dtype=np.int64)[labels], None)
