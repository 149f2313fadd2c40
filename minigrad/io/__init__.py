"""Saving and loading."""

from .checkpoint import load_checkpoint, save_checkpoint, sweep, write_atomically

__all__ = ["load_checkpoint", "save_checkpoint", "sweep", "write_atomically"]
