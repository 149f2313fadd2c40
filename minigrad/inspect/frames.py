"""A range of a trace's steps for slides: SVG frames, PDF pages or an animated GIF, all in one layout."""

from __future__ import annotations

import base64
import io
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from ..io import write_atomically
from .drawing.layout import lay_out
from .drawing.moments import caption, moments
from .drawing.picture import Picture
from .drawing.raster import figure, pixels
from .drawing.scene import CAPTION_CHAR
from .drawing.trace_graph import Board

__all__ = ["Animation", "animate", "export", "frames"]

WIDTH = 1100.0  # pixels after which a graph goes on below: a slide's width
DPI = 96  # of an animation: 4/3 of the SVG's pixels
FILES = (".svg", ".png")


def frames(trace: Any, start: int = 0, stop: int | None = None, width: float | None = WIDTH) -> list[Picture]:
    """The pictures of steps start, ..., stop - 1, counted as the stepper's slider does, all in one layout.

    Each shows what is known by then, the step itself highlighted, and below it the rule and the numbers.
    width: pixels after which the graph goes on below; None for no limit. Raises ValueError for no steps.

    >>> import minigrad as mg
    >>> from minigrad.inspect import frames
    >>> pictures = frames(mg.trace(lambda a, b: a * b, 2.0, 3.0))
    >>> len(pictures), pictures[2].scene.caption[1]
    (6, '∂L/∂a = ∂L/∂loss · b')
    """
    board = Board(trace)
    lay_out(board.scene, width)
    scenes = [board.at(i) for i in _range(len(board.moments), start, stop)]
    captions = [caption(moment, len(board.moments)) for moment in board.moments]
    for scene in scenes:  # room for what any step says, so that all have one size
        scene.least_width = CAPTION_CHAR * max(len(line) for lines in captions for line in lines) + 24
        scene.caption_rows = max(map(len, captions))
    return [Picture(scene) for scene in scenes]


def export(
    trace: Any,
    path: str | Path,
    start: int = 0,
    stop: int | None = None,
    seconds: float = 1.5,
    width: float | None = WIDTH,
) -> list[Path]:
    """Write steps start, ..., stop - 1 in the format that `path` says; returns the files written.

    'steps.gif': an animation, `seconds` a step. 'steps.pdf': a page a step. 'step-{:03}.svg' or '.png': a
    file a step, by number. A folder (no suffix): step-000.svg and so on in it. Everything is drawn before
    anything is written, and files appear together or not at all.

    Raises ValueError for another suffix, for one file name and many steps, and for a range without steps.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in (".gif", ".pdf", "", *FILES):
        raise ValueError(
            f"export: expected a name in .gif, .pdf, .svg or .png, or a folder (path={str(path)!r})"
        )
    if suffix == ".gif":
        write_atomically(path, animate(trace, start, stop, seconds, width).data)
        return [path]
    pictures = frames(trace, start, stop, width)
    if suffix == ".pdf":
        write_atomically(path, pdf_bytes(pictures))
        return [path]
    names = _names(path, _range(len(moments(trace)), start, stop))
    _write_together(names, [picture.data(names[0].suffix.lower()) for picture in pictures])
    return names


class Animation:
    """An animated GIF: a notebook shows it, `save(path)` writes it, `data` is its bytes."""

    def __init__(self, data: bytes, count: int) -> None:
        self.data = data
        self.count = count

    def __repr__(self) -> str:
        return f"<Animation: {self.count} steps, {len(self.data):,} bytes of GIF>"

    def _repr_html_(self) -> str:
        text = base64.b64encode(self.data).decode()
        return (
            f'<img alt="backprop, step by step" style="max-width: 100%" src="data:image/gif;base64,{text}">'
        )

    def save(self, path: str | Path) -> None:
        """Write it whole or not at all. Raises ValueError unless the name ends in .gif."""
        if Path(path).suffix.lower() != ".gif":
            raise ValueError(f"Animation.save: expected a file name that ends in .gif (path={str(path)!r})")
        write_atomically(path, self.data)


def animate(
    trace: Any, start: int = 0, stop: int | None = None, seconds: float = 1.5, width: float | None = WIDTH
) -> Animation:
    """Steps start, ..., stop - 1 as an animation, `seconds` a step and twice that at the end; it repeats.

    Needs Matplotlib and Pillow. Raises ValueError unless seconds > 0, and for a range without steps.
    """
    if not seconds > 0:
        raise ValueError(f"animate: expected seconds > 0 (seconds={seconds})")
    images = _images(frames(trace, start, stop, width))
    buffer = io.BytesIO()
    times = [round(1000 * seconds)] * (len(images) - 1) + [round(2000 * seconds)]
    images[0].save(
        buffer, format="GIF", save_all=True, append_images=images[1:], duration=times, loop=0, optimize=True
    )
    return Animation(buffer.getvalue(), len(images))


def pdf_bytes(pictures: list[Picture]) -> bytes:
    """A PDF file with a page for every picture."""
    from matplotlib.backends.backend_pdf import PdfPages

    buffer = io.BytesIO()
    with PdfPages(buffer) as pages:
        for picture in pictures:
            pages.savefig(figure(picture.scene))
    return buffer.getvalue()


# ---------------------------------------------------------------- one by one


def _range(count: int, start: int, stop: int | None) -> range:
    """The steps asked for, as a slice would have them."""
    found = range(count)[start:stop]
    if not found:
        raise ValueError(f"export: no steps between {start} and {stop}; the trace has {count}")
    return found


def _images(pictures: list[Picture]) -> list[Any]:
    """Pillow images at a slide's resolution, in the 128 colours of a few of them."""
    try:
        from PIL import Image
    except ImportError:
        raise ImportError("animate: Pillow is not installed; run: pip install 'minigrad[train]'") from None
    images = [Image.fromarray(pixels(picture.scene, DPI)) for picture in pictures]
    few = images[:: max(len(images) // 4, 1)] + images[-1:]
    sheet = Image.new("RGB", (images[0].width, sum(image.height for image in few)))
    for i, image in enumerate(few):
        sheet.paste(image, (0, i * image.height))
    palette = sheet.quantize(128, method=Image.Quantize.MEDIANCUT)
    return [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images]


def _names(path: Path, steps: range) -> list[Path]:
    """A file name per step, with its number."""
    if not path.suffix:
        path = path / "step-{:03}.svg"
    try:
        names = [path.with_name(path.name.format(step)) for step in steps]
    except (IndexError, KeyError, ValueError):
        raise ValueError(f"export: expected a name as in 'step-{{:03}}.svg' (path={str(path)!r})") from None
    if len(set(names)) < len(names):
        raise ValueError(
            f"export: expected a name with a number, as in 'step-{{:03}}.svg', for {len(names)} steps "
            f"(path={str(path)!r})"
        )
    return names


def _write_together(names: list[Path], contents: list[bytes]) -> None:
    """All files, or none: written to a hidden folder beside them first, then moved into place."""
    folder = names[0].parent
    made_here = [outer for outer in [folder, *folder.parents] if not outer.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    stage = Path(tempfile.mkdtemp(prefix=".frames-", dir=folder))
    try:
        for name, data in zip(names, contents):
            write_atomically(stage / name.name, data)
        for name in names:
            os.replace(stage / name.name, name)
    except OSError:
        for outer in made_here[-1:]:
            shutil.rmtree(outer, ignore_errors=True)
        raise
    finally:
        shutil.rmtree(stage, ignore_errors=True)
