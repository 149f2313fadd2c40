"""Small pictures of coloured shapes, with captions, questions and their answers: for VQA and captions."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..engine.random import Generator

COLOURS = {"red": (220, 40, 40), "green": (40, 180, 60), "blue": (50, 80, 230), "yellow": (235, 215, 40)}
SHAPES = ("circle", "square", "triangle", "cross")
RELATIONS = ("left of", "right of", "above", "below")


class Thing(NamedTuple):
    """A shape of a colour, in a box of the picture: rows top..bottom - 1, columns left..right - 1."""

    colour: str
    shape: str
    top: int
    left: int
    bottom: int
    right: int


class Scenes(NamedTuple):
    """images (N, 3, S, S) uint8; things: two a picture, unlike in colour and in shape; captions."""

    images: np.ndarray
    things: list[tuple[Thing, Thing]]
    captions: list[str]


class Questions(NamedTuple):
    """Question i is about picture scene[i]."""

    scene: np.ndarray
    questions: list[str]
    answers: list[str]


def scenes(n: int, size: int = 32, seed: int = 0) -> Scenes:
    """n pictures with two things each; captions such as "a red circle left of a blue square".

    One thing is in each of two different quarters of a 2 x 2 grid, side by side or one above the other, so
    that one relation holds and the caption, which names the left or upper one first in half of the cases,
    is a fact.

    >>> scenes(2, seed=0).captions[0].count("a ")
    2
    """
    if n < 1 or size < 16:
        raise ValueError(f"scenes: expected n >= 1 and a size of at least 16 (n={n}, size={size})")
    images, things, captions = np.zeros((n, 3, size, size), np.uint8), [], []
    for i in range(n):
        generator = Generator(seed).fork(i)
        colours = np.array(list(COLOURS))[generator.permutation(len(COLOURS))[:2]]
        shapes = np.array(SHAPES)[generator.permutation(len(SHAPES))[:2]]
        relation = RELATIONS[int(generator.integers(0, 4))]
        quarters = _quarters(relation, int(generator.integers(0, 2)))
        pair = tuple(
            _place(str(c), str(s), quarter, size, generator.fork(k))
            for k, (c, s, quarter) in enumerate(zip(colours, shapes, quarters))
        )
        for thing in pair:
            _draw(images[i], thing)
        things.append(pair)
        a, b = pair
        captions.append(f"a {a.colour} {a.shape} {relation} a {b.colour} {b.shape}")
    return Scenes(images, things, captions)


def _quarters(relation: str, other: int) -> list[tuple[int, int]]:
    """(row, column) of the quarters, 0 or 1, of the first and the second thing."""
    first = 0 if relation in ("left of", "above") else 1
    if relation in ("left of", "right of"):
        return [(other, first), (other, 1 - first)]
    return [(first, other), (1 - first, other)]


def _place(colour: str, shape: str, quarter: tuple[int, int], size: int, generator: Generator) -> Thing:
    """Somewhere inside the quarter, of more than half its size."""
    half = size // 2
    side = int(generator.integers(half // 2 + 1, half - 1))  # over half: neighbours overlap
    top, left = (int(q) * half + int(generator.integers(0, half - side + 1)) for q in quarter)
    return Thing(colour, shape, top, left, top + side, left + side)


def _draw(image: np.ndarray, thing: Thing) -> None:
    """Colour the pixels of the thing's box that belong to its shape."""
    side = thing.bottom - thing.top
    y, x = ((np.arange(side) + 0.5) / side * 2 - 1)[:, None], ((np.arange(side) + 0.5) / side * 2 - 1)
    mask = {
        "circle": x**2 + y**2 <= 1,
        "square": np.maximum(abs(x), abs(y)) <= 0.85,
        "triangle": abs(x) <= (y + 1) / 2,
        "cross": np.minimum(abs(x), abs(y)) <= 0.3,
    }[thing.shape]
    box = image[:, thing.top : thing.bottom, thing.left : thing.right]
    box[:, mask] = np.array(COLOURS[thing.colour], np.uint8)[:, None]


def relation_holds(a: Thing, relation: str, b: Thing) -> bool:
    """Whether a is left of (right of, above, below) b: their boxes do not overlap in that direction."""
    return {
        "left of": a.right <= b.left,
        "right of": b.right <= a.left,
        "above": a.bottom <= b.top,
        "below": b.bottom <= a.top,
    }[relation]


def questions(made: Scenes, per_scene: int = 4, seed: int = 0) -> Questions:
    """Questions about scenes, of four kinds in turn, whose answers cannot be guessed from the words.

    What colour is the circle, what shape is the red thing (each answer a quarter of the time), is there a
    red circle, is the circle left of the square (yes half of the time).
    """
    if per_scene < 1:
        raise ValueError(f"questions: expected at least one a scene (per_scene={per_scene})")
    where, asked, answers = [], [], []
    for i, pair in enumerate(made.things):
        for k in range(per_scene):
            question, answer = _ask((i + k) % 4, pair, Generator(seed).fork(i, k))
            where.append(i)
            asked.append(question)
            answers.append(answer)
    return Questions(np.array(where), asked, answers)


def _ask(kind: int, pair: tuple[Thing, Thing], generator: Generator) -> tuple[str, str]:
    """One question of the kind, and its answer."""
    first, yes = (int(v) for v in generator.integers(0, 2, (2,)))
    a, b = pair[first], pair[1 - first]
    if kind == 0:
        return f"what colour is the {a.shape}", a.colour
    if kind == 1:
        return f"what shape is the {a.colour} thing", a.shape
    if kind == 2:  # the wrong pairing is of what there is: both words must be looked at together
        return f"is there a {a.colour} {a.shape if yes else b.shape}", "yes" if yes else "no"
    true = next(r for r in RELATIONS if relation_holds(a, r, b))
    opposite = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}[true]
    return f"is the {a.shape} {true if yes else opposite} the {b.shape}", "yes" if yes else "no"
