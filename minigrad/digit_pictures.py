"""A picture of one digit from anywhere, as the classifiers of digits take it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .recipes.digits import as_input

# How a data set's pictures were made: their side, the longest side of the ink in them, their largest value.
PICTURES = {"digits": (8, 8, 16.0), "mnist": (28, 20, 255.0)}


def read_image(path: str | Path, data: str = "digits") -> np.ndarray:
    """A picture of one digit as the recipes' (1, 1, 32, 32): dark on light or light on dark, any size.

    One that has the size of the data's own is taken as it is; others are cut to their ink and scaled to
    what the network has seen.
    """
    pixels = _grey(Path(path))
    low, high = float(pixels.min()), float(pixels.max())
    if high == low:
        raise ValueError(f"predict: {path} is blank (every value is {low:g})")
    pixels = (pixels - low) / (high - low)
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    if border.mean() > 0.5:  # dark ink on light paper; the recipes know ink as the large values
        pixels = 1.0 - pixels
    side, ink, top = PICTURES[data]
    if pixels.shape != (side, side):
        pixels = _cut(pixels, side, ink)
    return as_input(top * pixels[None], data)


def _grey(path: Path) -> np.ndarray:
    """The file's pixels (H, W) as float64."""
    if not path.is_file():
        raise FileNotFoundError(f"predict: there is no file {path}")
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError:
        raise ImportError("predict: needs Pillow; pip install 'minigrad[train]'") from None
    try:
        if path.suffix == ".npy":
            pixels = np.load(path)
        else:  # what shows through a transparent picture is white paper
            picture = Image.open(path).convert("RGBA")
            paper = Image.new("RGBA", picture.size, "white")
            pixels = np.asarray(Image.alpha_composite(paper, picture).convert("L"))
        pixels = np.asarray(pixels, np.float64).squeeze()
    except (UnidentifiedImageError, OSError, ValueError, EOFError, SyntaxError, TypeError) as error:
        raise ValueError(f"predict: {path} cannot be read as an image ({error})") from None
    if pixels.ndim != 2 or min(pixels.shape) < 2:
        raise ValueError(f"predict: expected one grey image (H, W), got shape {pixels.shape}")
    if not np.isfinite(pixels).all():
        raise ValueError("predict: the image holds NaN or infinite values")
    return pixels


def _cut(pixels: np.ndarray, side: int, ink: int) -> np.ndarray:
    """Cut to the ink, which is scaled to `ink` and set into (side, side) by its centre of mass."""
    from PIL import Image

    rows, columns = np.nonzero(pixels.max(1) > 0.25)[0], np.nonzero(pixels.max(0) > 0.25)[0]
    pixels = pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    size = [max(1, round(n * ink / max(pixels.shape))) for n in pixels.shape]
    picture = Image.fromarray(np.round(255 * pixels).astype(np.uint8))
    small = np.asarray(picture.resize(size[::-1], Image.Resampling.BOX), np.float64) / 255
    at = []
    for axis, n in enumerate(size):
        centre = small.sum(1 - axis) @ (np.arange(n) + 0.5) / small.sum()
        at.append(min(max(0, round(side / 2 - centre)), side - n))
    frame = np.zeros((side, side))
    frame[at[0] : at[0] + size[0], at[1] : at[1] + size[1]] = small
    return frame
