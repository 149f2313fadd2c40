"""Checkpoints: safetensors files (arrays, and plain data as JSON in the header), written crash-safely.

A file is written under another name, forced to the disk, and then takes the place of the old one in a
single step. So whatever happens, and whenever, the name holds the old checkpoint or the new one, whole.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..engine.backend import to_numpy
from ..engine.tensor import Tensor

PART = ".part"  # how unfinished files end


def _safetensors() -> Any:
    try:
        import safetensors
        import safetensors.numpy
    except ImportError:
        raise ImportError("checkpoint: needs safetensors; pip install 'minigrad[train]'") from None
    return safetensors


def write_atomically(path: str | Path, data: bytes) -> None:
    """Put `data` at `path`, whole or not at all; OSError in one line says what is left."""
    path = Path(path)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=PART)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except OSError as error:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
        left = "the old file is untouched" if path.exists() else "nothing was left behind"
        reason = "the disk is full" if error.errno == errno.ENOSPC else error.strerror or str(error)
        raise OSError(error.errno, f"cannot write {path}: {reason}; {left}") from None


def sweep(folder: str | Path) -> None:
    """Remove the unfinished files that a killed process left in a folder that nobody is writing to."""
    for path in Path(folder).glob(f".*.*{PART}"):
        path.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Make the renaming itself durable, where the system can."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _digest(arrays: Mapping[str, np.ndarray]) -> str:
    """A fingerprint of every name, dtype, shape and byte."""
    h = hashlib.sha256()
    for name in sorted(arrays):
        a = np.ascontiguousarray(arrays[name])
        h.update(f"{name}|{a.dtype.str}|{a.shape}".encode())
        h.update(a.tobytes())
    return h.hexdigest()


def save_checkpoint(
    path: str | Path, tensors: Mapping[str, Any], data: Mapping[str, Any] | None = None
) -> None:
    """Write arrays and JSON-able data; the file at `path` is replaced in one step, or left as it was."""
    safetensors = _safetensors()
    raw = {n: np.ascontiguousarray(to_numpy(getattr(t, "_data", t))) for n, t in tensors.items()}
    # 0-d arrays come back from ascontiguousarray with an axis.
    raw = {n: a.reshape(np.shape(getattr(tensors[n], "_data", tensors[n]))) for n, a in raw.items()}
    header = {"minigrad": json.dumps(data or {}), "sha256": _digest(raw)}
    write_atomically(path, safetensors.numpy.save(raw, metadata=header))


def load_checkpoint(path: str | Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """(tensors, data) of a checkpoint.

    Raises FileNotFoundError where there is none, ValueError where the file is damaged or is no checkpoint.
    """
    safetensors = _safetensors()
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"checkpoint: there is no file {path}")
    try:
        with safetensors.safe_open(str(path), framework="numpy") as file:
            header = file.metadata() or {}
            raw = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except Exception as error:  # the library's own exception, and what damaged headers provoke in it
        raise ValueError(f"checkpoint: {path} is damaged or no safetensors file ({error})") from None
    if "sha256" in header and header["sha256"] != _digest(raw):
        raise ValueError(f"checkpoint: {path} is damaged: its contents do not match their fingerprint")
    try:
        data = json.loads(header.get("minigrad", "{}"))
    except json.JSONDecodeError:
        raise ValueError(f"checkpoint: {path} is damaged: its header cannot be read") from None
    return {name: Tensor(array) for name, array in raw.items()}, data
