"""Sequences of different lengths: padded to a rectangle, or packed without waste.

A packed sequence holds the elements of time step 0 of all sequences, longest first, then those of
step 1 of the sequences that are that long, and so on: of `abc` and `x` it holds `axbc` and the batch
sizes [2, 1, 1].
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ...engine.backend import Array, constant, to_numpy
from ...engine.tensor import Tensor, wrap
from ...ops.index import put, take_index
from ...ops.shape import concatenate, reshape

__all__ = [
    "PackedSequence",
    "invert_permutation",
    "pack_padded_sequence",
    "pack_sequence",
    "pad_packed_sequence",
    "pad_sequence",
    "unpack_sequence",
    "unpad_sequence",
]


class _Fields(NamedTuple):
    data: Tensor
    batch_sizes: Tensor
    sorted_indices: Tensor | None
    unsorted_indices: Tensor | None


class PackedSequence(_Fields):
    """data (sum of lengths, ...), batch_sizes (T,), and how the batch was sorted, if it was. Made by pack_*.

    `sorted_indices` puts the batch in order of falling length, `unsorted_indices` puts it back.
    """

    def __new__(
        cls,
        data: Any,
        batch_sizes: Tensor | None = None,
        sorted_indices: Tensor | None = None,
        unsorted_indices: Tensor | None = None,
    ) -> PackedSequence:
        if batch_sizes is None:
            if not isinstance(data, tuple | list) or len(data) != 2:
                raise TypeError(f"PackedSequence: expected (data, batch_sizes), got {type(data).__name__}")
            data, batch_sizes = data
        if batch_sizes.device.kind != "cpu":
            raise ValueError(f"PackedSequence: expected batch_sizes on the CPU, got {batch_sizes.device}")
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def to(self, *args: Any, **kw: Any) -> PackedSequence:
        """The data in another dtype or on another device; itself if nothing changes."""
        data = self.data.to(*args, **kw)
        if data is self.data:
            return self
        there = [
            None if t is None else t.to(data.device) for t in (self.sorted_indices, self.unsorted_indices)
        ]
        return PackedSequence(data, self.batch_sizes, *there)

    def cpu(self) -> PackedSequence:
        """to("cpu")."""
        return self.to("cpu")

    def cuda(self, device: Any = "cuda") -> PackedSequence:
        """to("cuda")."""
        return self.to(device=device)

    def double(self) -> PackedSequence:
        """to("float64")."""
        return self.to("float64")

    def float(self) -> PackedSequence:
        """to("float32")."""
        return self.to("float32")

    def half(self) -> PackedSequence:
        """to("float16")."""
        return self.to("float16")

    def long(self) -> PackedSequence:
        """to("int64")."""
        return self.to("int64")

    def int(self) -> PackedSequence:
        """to("int32")."""
        return self.to("int32")

    def short(self) -> PackedSequence:
        """to("int16")."""
        return self.to("int16")

    def char(self) -> PackedSequence:
        """to("int8")."""
        return self.to("int8")

    def byte(self) -> PackedSequence:
        """to("uint8")."""
        return self.to("uint8")

    @property
    def is_cuda(self) -> bool:
        """True if the data is on a GPU."""
        return self.data.device.kind == "cuda"


def invert_permutation(permutation: Tensor | None) -> Tensor | None:
    """The permutation that undoes this one; None of None.

    >>> import minigrad as mg
    >>> invert_permutation(mg.tensor([2, 0, 1]))
    tensor([1, 2, 0])
    """
    return None if permutation is None else wrap(permutation.device.xp.argsort(permutation._data), None)


# ---------------------------------------------------------------- rectangle <-> packed


def _lengths(name: str, lengths: Any) -> np.ndarray:
    """Lengths as whole numbers; TypeError for a tensor on a GPU, which would have to be waited for."""
    raw = lengths.cpu().numpy() if isinstance(lengths, Tensor) else np.asarray(lengths)
    if raw.ndim != 1 or raw.dtype.kind not in "iu":
        raise TypeError(
            f"{name}: expected one whole number per sequence, got lengths {raw.shape} of {raw.dtype}"
        )
    return raw.astype(np.int64)


def _places(batch_sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(time, sequence) of every element of a packed sequence."""
    time = np.repeat(np.arange(len(batch_sizes)), batch_sizes)
    return time, np.arange(len(time)) - np.repeat(np.cumsum(batch_sizes) - batch_sizes, batch_sizes)


def _flat(time: np.ndarray, sequence: np.ndarray, shape: tuple[int, int], batch_first: bool) -> np.ndarray:
    """Where (time, sequence) stands among the rows of a rectangle of (T, N), or of (N, T)."""
    steps, batch = shape
    return sequence * steps + time if batch_first else time * batch + sequence


def _fill(
    data: Tensor, rows: Array, shape: tuple[int, int], batch_first: bool, padding_value: float
) -> Tensor:
    """A rectangle full of padding, with data put into some rows."""
    steps, batch = shape
    xp = data.device.xp
    empty = wrap(xp.full((steps * batch, *data.shape[1:]), padding_value, data.dtype), None)
    lead = (batch, steps) if batch_first else (steps, batch)
    return reshape(put(empty, data, index=constant(xp, rows)), (*lead, *data.shape[1:]))


def pack_padded_sequence(
    input: Tensor, lengths: Any, batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """Pack (T, N, ...) (or (N, T, ...) if batch_first): of each sequence the first `length` elements.

    With enforce_sorted the lengths must not grow; without, the batch is sorted. Raises ValueError for
    lengths that do not fit the input, are not positive, or not in order.
    """
    name = "pack_padded_sequence"
    if input.ndim < 2:
        raise ValueError(f"{name}: expected input (T, N, ...), got shape {input.shape}")
    given, order = _lengths(name, lengths), None
    batch, steps = input.shape[:2] if batch_first else input.shape[1::-1]
    if len(given) != batch or batch == 0:
        raise ValueError(f"{name}: expected a length for each of {batch} sequences (>= 1), got {len(given)}")
    if given.min() < 1 or given.max() > steps:
        raise ValueError(f"{name}: expected lengths from 1 to {steps} (lengths={given.tolist()})")
    if not enforce_sorted:
        order = np.argsort(-given, kind="stable")
    elif (given[1:] > given[:-1]).any():
        raise ValueError(
            f"{name}: expected lengths that fall (lengths={given.tolist()}); or enforce_sorted=False"
        )
    sizes = (given[:, None] > np.arange(given.max())).sum(axis=0)
    time, sequence = _places(sizes)
    rows = _flat(time, sequence if order is None else order[sequence], (steps, batch), batch_first)
    xp = input.device.xp
    data = take_index(reshape(input, (steps * batch, *input.shape[2:])), index=constant(xp, rows))
    return PackedSequence(data, wrap(sizes, None), None if order is None else wrap(xp.asarray(order), None))


def pad_packed_sequence(
    sequence: PackedSequence,
    batch_first: bool = False,
    padding_value: float = 0.0,
    total_length: int | None = None,
) -> tuple[Tensor, Tensor]:
    """(padded, lengths): the rectangle that was packed, in the batch's first order.

    padded is (T, N, ...), or (N, T, ...) if batch_first, T the longest length or total_length. Raises
    ValueError for a total_length below the longest.
    """
    if not isinstance(sequence, PackedSequence):
        raise TypeError(f"pad_packed_sequence: expected a PackedSequence, got {type(sequence).__name__}")
    sizes = to_numpy(sequence.batch_sizes._data)
    steps = len(sizes) if total_length is None else total_length
    if steps < len(sizes):
        raise ValueError(
            f"pad_packed_sequence: expected at least the longest length, {len(sizes)} (total_length={steps})"
        )
    time, at = _places(sizes)
    lengths = (sizes[:, None] > np.arange(sizes[0])).sum(axis=0)
    if sequence.sorted_indices is not None:
        order = to_numpy(sequence.sorted_indices._data)
        at, lengths = order[at], lengths[np.argsort(order)]
    rows = _flat(time, at, (steps, int(sizes[0])), batch_first)
    padded = _fill(sequence.data, rows, (steps, int(sizes[0])), batch_first, padding_value)
    return padded, wrap(lengths, None)


def pad_sequence(
    sequences: Iterable[Tensor],
    batch_first: bool = False,
    padding_value: float = 0.0,
    padding_side: str = "right",
) -> Tensor:
    """Sequences (L_k, ...) side by side, padded to the longest: (T, N, ...), or (N, T, ...) if batch_first.

    >>> import minigrad as mg
    >>> pad_sequence([mg.tensor([1, 2, 3]), mg.tensor([4])], batch_first=True)
    tensor([[1, 2, 3],
            [4, 0, 0]])
    """
    found = list(sequences)
    if padding_side not in ("left", "right"):
        raise ValueError(f"pad_sequence: expected 'left' or 'right' (padding_side={padding_side!r})")
    if not found:
        raise ValueError("pad_sequence: expected at least one sequence, got none")
    rest = found[0].shape[1:]
    wrong = next((s for s in found if s.ndim == 0 or s.shape[1:] != rest), None)
    if wrong is not None:
        raise ValueError(
            f"pad_sequence: expected sequences (L, {str(rest)[1:]}, got one of shape {wrong.shape}"
        )
    lengths = np.array([len(s) for s in found])
    steps = int(lengths.max())
    sequence = np.repeat(np.arange(len(found)), lengths)
    time = np.concatenate([np.arange(n) + (steps - n if padding_side == "left" else 0) for n in lengths])
    rows = _flat(time, sequence, (steps, len(found)), batch_first)
    return _fill(concatenate(found), rows, (steps, len(found)), batch_first, padding_value)


def unpad_sequence(padded_sequences: Tensor, lengths: Any, batch_first: bool = False) -> list[Tensor]:
    """The first `length` elements of each sequence of (T, N, ...) (or (N, T, ...) if batch_first)."""
    given = _lengths("unpad_sequence", lengths)
    batch = padded_sequences.shape[0 if batch_first else 1]
    if len(given) != batch:
        raise ValueError(f"unpad_sequence: expected a length for each of {batch} sequences, got {len(given)}")
    return [padded_sequences[k, :n] if batch_first else padded_sequences[:n, k] for k, n in enumerate(given)]


def pack_sequence(sequences: Sequence[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """Pack a list of sequences (L_k, ...): longest first if enforce_sorted, else in any order.

    >>> import minigrad as mg
    >>> pack_sequence([mg.tensor([1, 2, 3]), mg.tensor([4])])[:2]
    (tensor([1, 4, 2, 3]), tensor([2, 1, 1]))
    """
    return pack_padded_sequence(pad_sequence(sequences), [len(s) for s in sequences], False, enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """The list of sequences that was packed."""
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)
