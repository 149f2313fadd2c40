"""For the tests of data sets: small files, PNGs, and the mark of tests that need the real ones."""

import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest

real = pytest.mark.skipif(
    "MINIGRAD_DATA" not in os.environ or not Path(os.environ["MINIGRAD_DATA"], "cora").is_dir(),
    reason="needs the data sets in MINIGRAD_DATA",
)


def put(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def png(image: np.ndarray, bits: int, kinds: list[int]) -> bytes:
    """A grey PNG file, each line filtered in the way that `kinds` gives it in turn."""
    rows = (np.packbits(image, axis=1) if bits == 1 else image).astype(int)
    lines = b""
    for y, row in enumerate(rows):
        up = rows[y - 1] if y else np.zeros_like(row)
        left, corner = np.append(0, row[:-1]), np.append(0, up[:-1])
        p = left + up - corner
        near = np.array([abs(p - left), abs(p - up), abs(p - corner)]).argmin(0)
        kind = kinds[y % len(kinds)]
        guess = [0 * row, left, up, (left + up) // 2, np.choose(near, [left, up, corner])][kind]
        lines += bytes([kind]) + ((row - guess) % 256).astype(np.uint8).tobytes()
    pieces = [(b"IHDR", struct.pack(">IIBBBBB", *image.shape[::-1], bits, 0, 0, 0, 0)), (b"IDAT", zlib.compress(lines)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(struct.pack(">I", len(c)) + k + c + struct.pack(">I", zlib.crc32(k + c)) for k, c in pieces)
