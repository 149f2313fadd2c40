"""Grey PNG files, by NumPy and zlib alone: what Omniglot's drawings come as."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np


def read_png(path: str | Path) -> np.ndarray:
    """(H, W) uint8, 0..1 or 0..255: a grey PNG of 1 or 8 bits a pixel, not interlaced; nothing else.

    Raises ValueError for any other image and for a damaged one.
    """
    raw = Path(path).read_bytes()
    if raw[:8] != b"\x89PNG\r\n\x1a\n":
        raise ValueError(f"read_png: {path} is no PNG file")
    header, data, at = b"", b"", 8
    try:
        while at < len(raw):  # pieces: length, kind, content, check sum
            length, kind = struct.unpack_from(">I4s", raw, at)
            piece = raw[at + 8 : at + 8 + length]
            if struct.unpack_from(">I", raw, at + 8 + length)[0] != zlib.crc32(kind + piece):
                raise ValueError("a check sum is wrong")
            header, data = piece if kind == b"IHDR" else header, data + piece if kind == b"IDAT" else data
            at += 12 + length
        width, height, bits, colour, _, _, interlaced = struct.unpack(">IIBBBBB", header)
        lines = np.frombuffer(zlib.decompress(data), np.uint8)
        if bits not in (1, 8) or colour != 0 or interlaced:
            raise ValueError(f"{bits} bits, colour type {colour}: expected grey, 1 or 8 bits, not interlaced")
        rows = _unfilter(lines.reshape(height, 1 + -(-width * bits // 8)))
    except (struct.error, zlib.error, ValueError) as error:
        raise ValueError(f"read_png: {path} cannot be read ({error})") from None
    return np.unpackbits(rows, axis=1)[:, :width] if bits == 1 else rows


def _unfilter(lines: np.ndarray) -> np.ndarray:
    """Undo what each line's first byte names: its bytes are differences from neighbours, modulo 256."""
    rows = np.zeros((len(lines) + 1, lines.shape[1]), np.int64)  # row -1 and column -1 are 0
    for above, row, line in zip(rows, rows[1:], lines.astype(np.int64)):
        kind, row[1:] = line[0], line[1:]
        if kind == 1:  # from the left
            row[1:] = np.cumsum(row[1:]) % 256
        elif kind == 2:  # from above
            row[1:] = (row[1:] + above[1:]) % 256
        elif kind in (3, 4):  # their mean, or Paeth's choice among left, above and corner
            for i in range(1, len(row)):
                left, up, corner = int(row[i - 1]), int(above[i]), int(above[i - 1])
                guess = (left + up) // 2 if kind == 3 else _paeth(left, up, corner)
                row[i] = (row[i] + guess) % 256
        elif kind != 0:
            raise ValueError(f"line filter {kind}")
    return rows[1:, 1:].astype(np.uint8)


def _paeth(left: int, up: int, corner: int) -> int:
    """The one of the three that is nearest to left + up - corner; ties in this order."""
    guess = left + up - corner
    return min((left, up, corner), key=lambda value: abs(guess - value))
