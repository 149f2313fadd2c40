"""Planetoid's files (ind.cora.x, ...): Python 2 pickles, read without letting them do anything.

A pickle names functions to call, which is why a strange one is dangerous. These name six, and each is
answered by a stand-in below that keeps what it is given; any other name is refused.
"""

from __future__ import annotations

import pickle
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from .files import read, read_text

PARTS = ("x", "tx", "allx", "y", "ty", "ally", "graph", "test.index")


class _Kept:
    """An object that only keeps what the pickle says of it."""

    def __init__(self, *args: Any) -> None:
        self.args: tuple[Any, ...] = args
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Array(_Kept):
    """NumPy's array: version, shape, kind, order, bytes."""


class _Kind(_Kept):
    """NumPy's dtype: its args begin with a name such as "f4"."""


class _Rows(_Kept):
    """SciPy's matrix of sparse rows: data, indices, indptr, _shape."""

    def __new__(cls, *args: Any) -> _Rows:
        made = super().__new__(cls)
        _Kept.__init__(made, *args)
        return made


STAND_INS = {
    "numpy.core.multiarray._reconstruct": _Array,
    "numpy.ndarray": _Array,
    "numpy.dtype": _Kind,
    "scipy.sparse.csr.csr_matrix": _Rows,
    "collections.defaultdict": lambda *_: {},
    "__builtin__.list": list,
}


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """The stand-in of that name; pickle asks this of every name in the file."""
        if f"{module}.{name}" not in STAND_INS:
            raise ValueError(f"it names {module}.{name}, which a file of Planetoid does not need; not opened")
        return STAND_INS[f"{module}.{name}"]


def read_planetoid(path: Path, what: str, verify: bool = True) -> Any:
    """What one of the files holds: an array, a matrix (N, C) of 0 and 1, or {node: [its neighbours]}."""
    raw = read(path, what, verify)
    if path.name.endswith("test.index"):
        return np.array(read_text(path, what, verify).split(), np.int64)
    try:
        found = _Reader(BytesIO(raw), encoding="latin1").load()
        if isinstance(found, _Rows):
            return _dense(found)
        return _array(found) if isinstance(found, _Array) else found
    except Exception as error:  # a damaged pickle raises anything
        raise ValueError(f"{what}: {path} is no file of Planetoid ({error}); get it again") from None


def _array(kept: _Array) -> np.ndarray:
    """The array that a kept one stands for: plain numbers only."""
    _, shape, kind, column_major, raw = kept.state
    if kind.args[0][0] not in "bfiu":
        raise ValueError(f"it has an array of kind {kind.args[0]!r}, expected numbers")
    kind = np.dtype(kind.args[0]).newbyteorder(kind.state[1])
    values = np.frombuffer(raw.encode("latin1"), kind)
    return values.reshape(shape, order="F" if column_major else "C")


def _dense(kept: _Rows) -> np.ndarray:
    """Rows of 0 and what the sparse matrix holds."""
    data, indices, ends = (_array(kept.state[key]) for key in ("data", "indices", "indptr"))
    whole = np.zeros(kept.state["_shape"], np.float32)
    whole[np.repeat(np.arange(len(whole)), np.diff(ends)), indices] = data
    return whole


def planetoid(folder: Path, name: str = "cora", verify: bool = True) -> dict[str, np.ndarray]:
    """features, labels, edges, train, validation, test of the published split, from its eight files.

    Nodes from len(allx) on stand in the files in the order of test.index; here each stands at its number.
    """
    parts = {part: read_planetoid(folder / f"ind.{name}.{part}", name, verify) for part in PARTS}
    order, trained = parts["test.index"], len(parts["y"])
    features = np.concatenate([parts["allx"], parts["tx"]])
    labels = np.concatenate([parts["ally"], parts["ty"]]).argmax(1)
    features[order], labels[order] = features[np.sort(order)], labels[np.sort(order)]
    pairs = {(min(a, b), max(a, b)) for a, near in parts["graph"].items() for b in near if a != b}
    return {
        "features": features.astype(np.float32),
        "labels": labels.astype(np.int64),
        "edges": np.array(sorted(pairs), np.int64).reshape(-1, 2),
        "train": np.arange(trained),
        "validation": np.arange(trained, trained + 500),
        "test": np.sort(order),
    }
