"""Datasets, loaders and transforms: PyTorch's names."""

from . import transforms
from .characters import Omniglot, OneShotRuns, omniglot, omniglot_runs, read_strokes
from .cifar import CIFAR10_CLASSES, Cifar10, cifar10
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
from .files import MissingData
from .graphs import CORA_CLASSES, Cora, cora, planetoid_split
from .loader import DataLoader
from .pictures import Questions, Scenes, Thing, questions, scenes
from .png import read_png
from .prefetch import prefetch
from .proteins import AMINO_ACIDS, STRUCTURES, Chain, protein_structure, read_chains
from .signals import RHYTHMS, Ecgs, Series, cinc2017, ecg200, ecg5000, read_ucr, ucr
from .stories import BABI_TASKS, Question, babi, read_babi
from .synthetic import (
    Cells,
    Dates,
    Films,
    MarkovModel,
    MarkovSamples,
    Tones,
    ToneWords,
    best_cd4_cd45,
    cell_posterior,
    cytometry,
    dates,
    markov_nll,
    markov_samples,
    moving_digits,
    tone_words,
    tones,
)
from .text import Reviews, rt_polarity, tinyshakespeare
from .treebank import UPOS, Sentence, read_conllu, ud_english
from .vocabulary import Vocabulary, pad_batch, tokenise
from .wfdb import Record, read_wfdb, resample

__all__ = [
    "AMINO_ACIDS",
    "BABI_TASKS",
    "CIFAR10_CLASSES",
    "CORA_CLASSES",
    "Cells",
    "Chain",
    "Cifar10",
    "ConcatDataset",
    "Cora",
    "DataLoader",
    "Dataset",
    "Dates",
    "Digits",
    "Ecgs",
    "Films",
    "IterableDataset",
    "MNIST",
    "MarkovModel",
    "MarkovSamples",
    "MissingData",
    "Omniglot",
    "OneShotRuns",
    "Question",
    "Questions",
    "RHYTHMS",
    "Record",
    "Reviews",
    "STRUCTURES",
    "Scenes",
    "Sentence",
    "Series",
    "Subset",
    "TensorDataset",
    "Thing",
    "ToneWords",
    "Tones",
    "UPOS",
    "Vocabulary",
    "babi",
    "best_cd4_cd45",
    "cell_posterior",
    "check_finite",
    "cifar10",
    "cinc2017",
    "cora",
    "cytometry",
    "dates",
    "default_collate",
    "digits",
    "ecg200",
    "ecg5000",
    "markov_nll",
    "markov_samples",
    "mnist",
    "moving_digits",
    "omniglot",
    "omniglot_runs",
    "pad_batch",
    "planetoid_split",
    "prefetch",
    "protein_structure",
    "questions",
    "random_split",
    "read_babi",
    "read_chains",
    "read_conllu",
    "read_idx",
    "read_png",
    "read_strokes",
    "read_ucr",
    "read_wfdb",
    "resample",
    "rt_polarity",
    "scenes",
    "tinyshakespeare",
    "tokenise",
    "tone_words",
    "tones",
    "transforms",
    "ucr",
    "ud_english",
]
