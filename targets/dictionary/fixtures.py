"""Dictionary-encoded columns: items and the keys of batches, sound or broken on purpose.

items = join_items(rng, LENGTHS["words"].draw(rng, 1000))     # offsets i64[1001], data u8[...]
keys = draw_zipf_keys(rng, 1000, 8192)                        # u64[8192], each below 1,000
Batch(keys, 32, 1000, *items)

batch = hand_made(rng)                                        # 8 items, 16 rows
patched(batch, [("off", 4, 9), ("keys", 3, 8)])               # a falling offset, no such item
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lance_autoresearch.fixtures.drawn import draw_log_integer, rearrange

Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]
Keys = NDArray[np.uint64]
Patch = tuple[str, Any, Any]
"""(array, index, new value), (array, None, new length), or (number, ..., new value)."""

SLACK = 128
"""Room behind the last byte of a call (prelude.rs)."""
HAND = (0, 0, 3, 10, 11, 11, 43, 83, 83)
"""Offsets of the hand-made items: empty ones in front, between and at the end of the data."""
KEY_BITS = (8, 16, 32, 64)


class Batch(NamedTuple):
    """The rows of a batch and the page's dictionary."""

    keys: Keys
    """Key of each row."""
    bits: int
    """Width of a key."""
    count: int
    """Number of items, as the page says."""
    off: Ints
    """Item `i` is `data[off[i]:off[i + 1]]`."""
    data: Bytes


class Items(NamedTuple):
    """A dictionary."""

    off: Ints
    data: Bytes


def join_items(rng: np.random.Generator, lengths: Ints) -> Items:
    """Items of these lengths, of random letters."""
    off = np.append(0, np.cumsum(lengths)).astype(np.int64)
    return Items(off, rng.integers(97, 123, int(off[-1]), np.uint8))


class Lengths(NamedTuple):
    """Uniform lengths of items, bytes, and the share of empty ones among them."""

    low: int
    high: int
    empty: float = 0.0

    def draw(self, rng: np.random.Generator, n: int) -> Ints:
        """Lengths of `n` items. i64[n]."""
        return rng.integers(self.low, self.high + 1, n) * (rng.random(n) >= self.empty)

    def vary(self, rng: np.random.Generator) -> Lengths:
        """A part of this range, or a little beside it if it is one length alone."""
        if self.low == self.high:
            return Lengths(*[max(1, self.low + int(rng.integers(-4, 5)))] * 2)
        low, high = sorted(int(end) for end in rng.integers(self.low, self.high + 1, 2))
        return Lengths(low, high, self.empty * rng.uniform(0, 2))


LENGTHS: Mapping[str, Lengths] = {
    "equal": Lengths(12, 12),
    "short": Lengths(2, 14),
    "words": Lengths(4, 28),
    "empty": Lengths(1, 23, 0.1),
    "long": Lengths(40, 80),
    "many": Lengths(8, 40),
    "huge": Lengths(60_000, 70_000, 0.2),
}
"""Kinds of items, from country codes to addresses; huge ones are checked and not timed."""


def draw_zipf_keys(rng: np.random.Generator, items: int, rows: int) -> Keys:
    """Key k in proportion to 1/(k + 1), the frequent items anywhere in the dictionary."""
    ranks = np.minimum(np.exp(rng.random(rows) * np.log(items + 1)).astype(np.int64) - 1, items - 1)
    return rng.permutation(items)[ranks].astype(np.uint64)


def draw_uniform_keys(rng: np.random.Generator, items: int, rows: int) -> Keys:
    """Every key equally often."""
    return rng.integers(0, items, rows).astype(np.uint64)


def draw_any_lengths(rng: np.random.Generator, n: int, mean: int) -> Ints:
    """Lengths up to twice the mean: equal, uniform, few long ones, or many empty ones. i64[n]."""
    kind = rng.integers(0, 4)
    if kind == 0 or mean == 0:
        return np.full(n, mean, np.int64)
    if kind == 1:
        return rng.integers(0, 2 * mean + 1, n)
    if kind == 2:
        return np.where(rng.random(n) < rng.uniform(0.01, 0.3), 2 * mean, min(mean, 1))
    return rng.integers(1, 2 * mean + 1, n) * (rng.random(n) < rng.uniform(0.05, 0.95))


def draw_any_keys(rng: np.random.Generator, items: int, rows: int) -> Keys:
    """Keys of some of the items, even or skewed, in a drawn order."""
    used = draw_log_integer(rng, 1, items)
    draw = (draw_zipf_keys, draw_uniform_keys)[int(rng.integers(0, 2))]
    keys = rng.permutation(items)[draw(rng, used, rows).astype(np.int64)]
    return rearrange(rng, keys.astype(np.uint64))


def draw_bits(rng: np.random.Generator, items: int) -> int:
    """A key width that has a key for every item."""
    return int(rng.choice([bits for bits in KEY_BITS if items <= 1 << bits]))


def hand_made(rng: np.random.Generator) -> Batch:
    """8 items, 16 rows: small enough to know each index of. The last row's item is empty."""
    keys = np.append(np.arange(8), rng.integers(0, 8, 8)).astype(np.uint64)
    keys[-1] = 7
    return Batch(keys, 32, 8, np.array(HAND, np.int64), rng.integers(97, 123, HAND[-1], np.uint8))


def patched(batch: Batch, patches: Iterable[Patch]) -> Batch:
    """A copy with single places of its arrays changed, an array cut short, or a number replaced."""
    parts: dict[str, Any] = batch._asdict()
    for name, index, value in patches:
        if index is ...:
            parts[name] = value
        elif index is None:
            parts[name] = parts[name][:value]
        else:
            parts[name] = parts[name].copy()
            parts[name][index] = value
    return Batch(**parts)


def mutated(rng: np.random.Generator, batch: Batch) -> Batch:
    """A copy with one or two random places changed; Lance refuses most of the results."""
    patches: list[Patch] = []
    for kind in rng.integers(0, 4, rng.integers(1, 3)):
        if kind == 0 and batch.keys.size:
            least = min(batch.count, (1 << batch.bits) - 1)
            key = rng.integers(least, (1 << batch.bits) - 1, dtype=np.uint64, endpoint=True)
            patches.append(("keys", rng.integers(0, batch.keys.size), key))
        elif kind == 1:
            patches.append(("count", ..., max(1, batch.count + int(rng.integers(-1, 2)))))
        elif kind == 2:
            at = rng.integers(0, batch.off.size)
            anywhere, near = (
                rng.integers(-1, batch.data.size + 2),
                batch.off[at] + rng.integers(-2, 3),
            )
            patches.append(("off", at, anywhere if rng.random() < 0.3 else near))
        else:
            patches.append(("data", None, int(rng.integers(0, batch.data.size + 1))))
    return patched(batch, patches)


WIDE = (8, 15, 16, 24, 31, 32, 33, 40, 48, 62, 63)
"""Bits whose addition to an offset a kernel with narrower offsets would not notice."""


def widened(rng: np.random.Generator, batch: Batch) -> Batch:
    """A copy with a power of two added to one offset, to all behind it, or to every one.

    Lance refuses it unless all of them stay inside the data.
    """
    step = np.uint64(1 << int(rng.choice(WIDE)))
    first = int(rng.integers(0, len(batch.off)))
    spans = (slice(first, first + 1), slice(first, None), slice(None))
    off = batch.off.view(np.uint64).copy()
    off[spans[int(rng.integers(0, 3))]] += step
    return batch._replace(off=off.view(np.int64))


def count_bytes(batch: Batch, most: int) -> int:
    """Bytes that the rows of a batch need until one cannot be decoded, at most 2^31 - 1; `most`
    bytes an item if offsets are broken."""
    ends = batch.off
    sound = len(ends) > batch.count and bool((np.diff(ends[: batch.count + 1]) >= 0).all())
    if not sound or ends[0] < 0 or ends[batch.count] > batch.data.size:
        return most
    valid = batch.keys < np.uint64(batch.count)
    rows = batch.keys[: batch.keys.size if valid.all() else int(np.argmin(valid))].astype(np.int64)
    return int(np.sum(np.diff(ends)[rows]))
