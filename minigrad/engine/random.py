"""Randomness: one counter-based stream, the same bits on every device.

Word i of a stream is a pure function of (key, i): Philox4x64 with 10 rounds (Salmon et al. 2011,
"Parallel Random Numbers: As Easy as 1, 2, 3"). So a stream's state is its key and a position; it can be
saved, replayed, entered anywhere, and split by keys, and no order of evaluation can change it.

`philox()` below is the definition, in array arithmetic for either device. On the CPU the words
come from NumPy's own Philox, on a GPU from a kernel; tests hold both to the same bits.
"""

from __future__ import annotations

import math
import secrets
import threading
from typing import Any

import numpy as np

from . import backend
from .backend import Array, as_dtype
from .kernels import kernel
from .live import live

__all__ = ["Generator", "get_state", "initial_seed", "manual_seed", "set_state"]

MULTIPLIERS = (0xD2E7470EE14C6C93, 0xCA5A826395121157)  # Salmon et al., table 2
WEYL = (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)  # key schedule: golden ratio, sqrt(3) - 1
ROUNDS = 10
MASK64 = (1 << 64) - 1


def _mul_high_low(xp: Any, a: int, b: Array) -> tuple[Array, Array]:
    """High and low 64 bits of the 128-bit product a * b, from 32-bit halves."""
    low = xp.uint64(0xFFFFFFFF)
    half = xp.uint64(32)
    a0, a1 = xp.uint64(a & 0xFFFFFFFF), xp.uint64(a >> 32)
    b0, b1 = b & low, b >> half
    middle = a1 * b0 + (a0 * b0 >> half)
    other = a0 * b1 + (middle & low)
    return a1 * b1 + (middle >> half) + (other >> half), xp.uint64(a) * b


def philox(xp: Any, counter: Array, key: tuple[int, int]) -> Array:
    """The four words of each block: counter (n,) uint64 -> (n, 4) uint64."""
    zero = xp.zeros_like(counter)
    c0, c1, c2, c3 = counter, zero, zero, zero
    k0, k1 = key
    for _ in range(ROUNDS):
        high0, low0 = _mul_high_low(xp, MULTIPLIERS[0], c0)
        high1, low1 = _mul_high_low(xp, MULTIPLIERS[1], c2)
        c0, c1, c2, c3 = high1 ^ c1 ^ xp.uint64(k0), low1, high0 ^ c3 ^ xp.uint64(k1), low0
        k0, k1 = (k0 + WEYL[0]) & MASK64, (k1 + WEYL[1]) & MASK64
    return xp.stack([c0, c1, c2, c3], axis=-1)


def words(xp: Any, key: tuple[int, int], start: int, n: int) -> Array:
    """Words start .. start + n - 1 of the stream of `key`."""
    first, skip = divmod(start, 4)
    if xp is np:  # NumPy's generator steps its 256-bit counter before each block
        before = (first - 1) % (1 << 256)
        state = np.array([before >> 64 * i & MASK64 for i in range(4)], dtype=np.uint64)
        source = np.random.Philox(counter=state, key=np.array(key, dtype=np.uint64))
        return source.random_raw(n + skip)[skip:]
    if hasattr(key, "dtype"):  # on the device, in a graph: a kernel reads it there
        place = xp.concatenate([key, xp.full(1, start, np.uint64)])
        return kernel("random_words", "cuda")(xp.empty(n, np.uint64), place=place)
    blocks = -(-(n + skip) // 4)
    counter = xp.arange(first, first + blocks, dtype=xp.uint64)
    return philox(xp, counter, key).reshape(-1)[skip : skip + n]


def _whole(value: Any) -> bool:
    """True for a whole number, Python's or NumPy's; booleans are none."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _lengths(op: str, shape: Any) -> tuple[int, ...]:
    """A shape as a tuple; refused before the stream moves."""
    given = (shape,) if isinstance(shape, int | float | np.number) else tuple(shape)
    if not all(_whole(n) and n >= 0 for n in given):
        raise ValueError(f"{op}: expected whole lengths >= 0 (shape={given})")
    return tuple(int(n) for n in given)


class Generator:
    """A stream of random numbers: a key (from the seed) and a position.

    >>> from minigrad.engine.random import Generator
    >>> g = Generator(0)
    >>> state = g.state_dict()
    >>> first = g.random((2,))
    >>> g.load_state_dict(state)
    >>> bool((g.random((2,)) == first).all())
    True
    """

    def __init__(self, seed: int | None = None) -> None:
        self._lock = threading.Lock()
        self.manual_seed(secrets.randbits(63) if seed is None else seed)

    def manual_seed(self, seed: int) -> Generator:
        """Start the stream of `seed` from its beginning."""
        if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed < 1 << 128:
            raise ValueError(f"manual_seed: expected an integer in [0, 2^128) (seed={seed!r})")
        self.key = (int(seed) & MASK64, int(seed) >> 64)
        self.position = 0
        return self

    def initial_seed(self) -> int:
        """The seed this stream began with."""
        return self.key[0] | self.key[1] << 64

    def fork(self, *key: int) -> Generator:
        """An independent stream named by (seed, *key), whatever this one has already drawn.

        Keyed by epoch and sample, for instance, it makes order and number of workers irrelevant.
        """
        k = self.key
        for part in key:
            if not _whole(part):
                raise TypeError(f"fork: expected whole numbers (key={key!r})")
            first, second = words(np, k, 4 * (int(part) & MASK64), 2)  # of block `part`
            k = (int(first), int(second))
        child = Generator(0)
        child.key = k
        return child

    def state_dict(self) -> dict[str, int]:
        """Key and position as plain integers."""
        return {"key0": self.key[0], "key1": self.key[1], "position": self.position}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Continue exactly where `state` was taken."""
        wanted = {"key0", "key1", "position"}
        if not isinstance(state, dict) or set(state) != wanted:
            raise ValueError(
                f"load_state_dict: expected the keys {sorted(wanted)} of a random state, got {state!r}"
            )
        if not all(_whole(v) and 0 <= v <= MASK64 for v in state.values()):
            raise ValueError(f"load_state_dict: expected whole numbers in [0, 2^64) (random state={state!r})")
        self.key, self.position = (int(state["key0"]), int(state["key1"])), int(state["position"])

    # -- draws

    def _advance(self, n: int) -> int:
        """The place of the next n words; the stream moves on behind them."""
        with self._lock:
            start = self.position
            self.position += int(n)
        return start

    def place(self, n: int) -> Array:
        """(key0, key1, the number of the first of the next n words), for a kernel that makes them.

        NumPy's uint64; while a CUDA graph is captured, on the device, anew for every replay.
        """
        return live(lambda: np.array((*self.key, self._advance(n) & MASK64), np.uint64), (3,), np.uint64)

    def bits(self, n: int, xp: Any = np) -> Array:
        """The next n words, uint64."""
        if not _whole(n) or n < 0:  # first of all: a refused draw must not move the stream
            raise ValueError(f"bits: expected a whole number >= 0 (n={n!r})")
        return self._bits(int(n), xp, None)

    def _bits(self, n: int, xp: Any, y: Array | None, name: str = "random_words") -> Array:
        """The next n words; or y, on a GPU, if the kernel of that name fills it from them."""
        if xp is np:
            return words(np, self.key, self._advance(n), n)
        place, run = self.place(n), kernel(name, "cuda")
        y = xp.empty(n, np.uint64) if y is None else y
        if run is not None and run(y, place=place) is not NotImplemented:
            return y
        return words(xp, (int(place[0]), int(place[1])), int(place[2]), n)

    def random(self, shape: Any = (), dtype: Any = np.float64, xp: Any = np) -> Array:
        """Uniform in [0, 1): 53 random bits for float64, 24 for float32 (two from a word)."""
        shape = _lengths("random", shape)
        dtype, n = as_dtype(dtype), math.prod(shape)
        if not backend.is_float(dtype):
            raise TypeError(f"random: expected a floating dtype (dtype={dtype})")
        y = xp.empty(shape, dtype) if xp is not np else None
        bits = self._bits(n if dtype == np.float64 else (n + 1) // 2, xp, y, "random_uniform")
        if bits is y:  # a kernel made the numbers at once
            return y
        if dtype == np.float64:
            return ((bits >> xp.uint64(11)).astype(np.float64) * 2.0**-53).reshape(shape)
        halves = bits.view(np.uint32)[:n]  # low half first: little-endian, as on GPUs
        uniform = (halves >> xp.uint32(8)).astype(np.float32) * np.float32(2.0**-24)
        return (uniform if dtype == np.float32 else _narrow(xp, uniform, dtype)).reshape(shape)

    def uniform(self, low: float, high: float, shape: Any, dtype: Any = np.float64, xp: Any = np) -> Array:
        """Uniform in [low, high)."""
        return xp.asarray(self.random(shape, dtype, xp) * (high - low) + low)

    def standard_normal(self, shape: Any = (), dtype: Any = np.float64, xp: Any = np) -> Array:
        """Mean 0, variance 1, by Box and Muller (1958); log, cos and sin are the device's own."""
        shape = _lengths("standard_normal", shape)
        n = math.prod(shape)
        pairs = (n + 1) // 2
        u = self.random((2, pairs), np.float64, xp)
        radius = xp.sqrt(-2.0 * xp.log(1.0 - u[0]))  # 1 - u is never 0
        angle = (2.0 * math.pi) * u[1]
        both = xp.concatenate([radius * xp.cos(angle), radius * xp.sin(angle)])
        return both[:n].reshape(shape).astype(as_dtype(dtype), copy=False)

    def integers(self, low: int, high: int, shape: Any = (), xp: Any = np) -> Array:
        """Integers in [low, high), by multiplying 53-bit uniforms: bias below (high - low) 2^-53."""
        if not (_whole(low) and _whole(high)):
            raise TypeError(f"randint: expected whole numbers (low={low!r}, high={high!r})")
        low, high = int(low), int(high)
        if not low < high:
            raise ValueError(f"randint: expected low < high (low={low}, high={high})")
        if high - low > 1 << 53:
            raise ValueError(f"randint: expected a range of at most 2^53 (low={low}, high={high})")
        return xp.floor(self.random(shape, np.float64, xp) * float(high - low)).astype(np.int64) + low

    def permutation(self, n: int) -> np.ndarray:
        """The integers 0 .. n - 1 in random order: the order that sorts n words."""
        if not _whole(n) or n < 0:
            raise ValueError(f"randperm: expected a whole number n >= 0 (n={n!r})")
        return np.argsort(self.bits(n), kind="stable")

    def bernoulli(self, p: float, shape: Any, xp: Any = np) -> Array:
        """True with probability p, by comparing 24-bit uniforms with p."""
        if not 0.0 <= p <= 1.0:
            raise ValueError(f"bernoulli: expected a probability in [0, 1] (p={p})")
        return self.random(shape, np.float32, xp) < p


def _narrow(xp: Any, uniform: Array, dtype: np.dtype) -> Array:
    """float16 and bfloat16 round 1 - 2^-24 up to 1; keep such draws below it."""
    y = uniform.astype(dtype)
    most = 1.0 - (2.0**-11 if dtype == np.float16 else 2.0**-8)
    return xp.where(y >= 1, xp.full((), most, dtype), y).astype(dtype, copy=False)  # CuPy's gives float32


default_generator = Generator()


def manual_seed(seed: int) -> Generator:
    """Start the default stream at `seed`; dropout, initialisers and rand() draw from it."""
    return default_generator.manual_seed(seed)


def seed() -> int:
    """Start the default stream at a seed from the operating system, and say which."""
    return default_generator.manual_seed(secrets.randbits(63)).initial_seed()


def initial_seed() -> int:
    """The seed of the default stream."""
    return default_generator.initial_seed()


def get_state() -> dict[str, int]:
    """Where the default stream stands."""
    return default_generator.state_dict()


def set_state(state: dict[str, int]) -> None:
    """Put the default stream back to where `get_state` found it."""
    default_generator.load_state_dict(state)
