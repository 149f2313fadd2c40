"""Datasets, loaders and transforms: PyTorch's names."""

from . import transforms
from .dataset import (
    ConcatDataset,
    Dataset,
    IterableDataset,
    Subset,
    TensorDataset,
    check_finite,
    random_split,
)
from .dataset import stack_items as default_collate
from .datasets import MNIST, Digits, digits, mnist, read_idx
from .loader import DataLoader
from .prefetch import prefetch

__all__ = [
    "MNIST",
    "ConcatDataset",
    "DataLoader",
    "Dataset",
    "Digits",
    "IterableDataset",
    "Subset",
    "TensorDataset",
    "check_finite",
    "default_collate",
    "digits",
    "mnist",
    "prefetch",
    "random_split",
    "read_idx",
    "transforms",
]
