"""Protein secondary structure: helix, sheet or coil for each amino acid (Qian & Sejnowski 1988)."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from .files import choose, locate, read_text

AMINO_ACIDS = "ACDEFGHIKLMNPQRSTVWY"
STRUCTURES = "_he"  # coil, helix, sheet: their numbers are 0, 1, 2
ADDRESS = (
    "https://archive.ics.uci.edu/dataset/68/molecular+biology+protein+secondary+structure "
    "(protein-secondary-structure.train and .test)"
)


class Chain(NamedTuple):
    """One protein: letters of its amino acids, and as many letters of STRUCTURES."""

    residues: str
    structure: str

    def numbers(self) -> tuple[np.ndarray, np.ndarray]:
        """Places in AMINO_ACIDS (20 for any other letter) and in STRUCTURES, both int64 (T,)."""
        residues = [AMINO_ACIDS.find(r) % 21 for r in self.residues]  # -1 becomes 20
        return np.array(residues), np.array([STRUCTURES.index(s) for s in self.structure])


def protein_structure(
    split: str = "train", data_dir: str | Path | None = None, verify: bool = True, download: bool = False
) -> list[Chain]:
    """Chains of globular proteins: "train" has 111 of them, 18,105 residues; "test" 17 and 3,520.

    Calling everything coil is right for 54.6 % of test; the paper reached 64.3 %. Reads
    protein-secondary-structure.{train,test}, plain or gzip; download=True fetches them.

    Licence: **non-commercial research only**. Copyright (C) 1988 by Terrence J. Sejnowski, who permits
    non-commercial research use of the data; whoever passes the data on must keep that notice.
    """
    choose("protein_structure", split, ("train", "test"))
    name, folders = f"protein-secondary-structure.{split}", ["protein_ss_qian_sejnowski"]
    names = [f"{name}.gz", name]
    path = locate(f"protein_structure({split!r})", names, folders, data_dir, ADDRESS, download)
    return read_chains(path, verify)


def read_chains(path: str | Path, verify: bool = True) -> list[Chain]:
    """Chains between "<>" and "end" (or "<end>"), a line "residue structure" each; # begins a comment."""
    chains: list[Chain] = []
    pairs: list[list[str]] = []
    for number, line in enumerate(read_text(Path(path), "read_chains", verify).split("\n"), 1):
        words = line.partition("#")[0].split()
        if words in (["<>"], ["end"], ["<end>"]):
            if pairs:
                chains.append(Chain(*map("".join, zip(*pairs))))
                pairs = []
        elif len(words) == 2 and len(words[0]) == 1 and words[1] in tuple(STRUCTURES):
            pairs.append(words)
        elif words:
            raise ValueError(
                f"read_chains: line {number} of {path} is {line!r}, expected a residue and one of h, e, _"
            )
    if pairs:
        raise ValueError(f"read_chains: the last chain of {path} does not end; get the file again")
    if not chains:
        raise ValueError(f"read_chains: {path} has no chains; is it the right file?")
    return chains
