"""Tables and rows of an index in fragments, masks over them, and their distances.

    rng = np.random.default_rng(7)
    table = TABLES["residual"](rng, m=16)                  # f32[16 * 256]
    rows = Rows.of_table(1_000_000, fragments=8)      # addresses of the rows of a table
    mask = MASKS["allow"](rng, rows, 0.1)                  # Mask: a tenth of them selected
    mask.serialize()                                       # u8[...]: what `prepare::mask` reads

A mask is Lance's `RowAddrMask`: a list of fragments, each full or a roaring bitmap of offsets.
TABLES: residual, ties, equal, zeros, signs, specials. MASKS: see there. The same generator state
gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lance_autoresearch.fixtures.drawn import draw_log, draw_log_integer

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    Bits = NDArray[np.bool_]
    Bytes = NDArray[np.uint8]
    Floats = NDArray[np.float32]
    Ids = NDArray[np.uint64]
    Offsets = NDArray[np.uint32]

CENTROIDS = 256
"""Centroids of one sub-vector of an 8-bit product quantizer."""
CONTAINER = 1 << 16
"""Offsets that one container of a roaring bitmap covers."""
ARRAY_LIMIT = 4096
"""Up to this number of offsets a container lists them; above, it has a bit for each."""


# ---- tables, codes, distances -----------------------------------------------------------


def residual_table(rng: Generator, m: int) -> Floats:
    """Squared distances of a residual to the centroids of 8 dimensions each. f32[m * 256]."""
    return rng.standard_gamma(4.0, m * CENTROIDS, dtype=np.float32)


def tied_table(rng: Generator, m: int) -> Floats:
    """Entries 0 to 3, so that distances at the k-th place tie. f32[m * 256]."""
    return rng.integers(0, 4, m * CENTROIDS).astype(np.float32)


def equal_table(rng: Generator, m: int) -> Floats:
    """One entry for all: every row ties. f32[m * 256]."""
    return np.full(m * CENTROIDS, rng.uniform(0.0, 9.0), np.float32)


def zero_table(rng: Generator, m: int) -> Floats:
    """-0.0, and +0.0 so rarely that about half of the rows sum to -0.0. f32[m * 256]."""
    plus = rng.random(m * CENTROIDS) < 0.7 / m
    return np.where(plus, np.float32(0.0), np.float32(-0.0))


def signed_table(rng: Generator, m: int) -> Floats:
    """Entries of both signs, as for inner products. f32[m * 256]."""
    return rng.standard_normal(m * CENTROIDS, dtype=np.float32)


def special_table(rng: Generator, m: int) -> Floats:
    """A residual's, with infinities, NaN, subnormal and huge entries among them. f32[m * 256]."""
    table = residual_table(rng, m)
    odd = np.array([np.inf, -np.inf, np.nan, 3e38, -3e38, 1e-42, -0.0], np.float32)
    places = rng.random(table.size) < 1 / (2 * m)
    table[places] = odd[rng.integers(0, odd.size, int(places.sum()))]
    return table


TABLES: Mapping[str, Callable[[Generator, int], Floats]] = {
    "residual": residual_table,
    "ties": tied_table,
    "equal": equal_table,
    "zeros": zero_table,
    "signs": signed_table,
    "specials": special_table,
}


def drawn_table(rng: Generator, m: int, kind: str) -> Floats:
    """A table of a kind; a residual's with drawn degrees of freedom, scale and shift."""
    if kind != "residual":
        return TABLES[kind](rng, m)
    table = rng.standard_gamma(draw_log(rng, 0.5, 64), m * CENTROIDS, dtype=np.float32)
    return np.float32(draw_log(rng, 1e-6, 1e6)) * (table + np.float32(rng.uniform(0, 4)))


def draw_codes(rng: Generator, m: int, n: int, skew: float = 1.0) -> Bytes:
    """Codes of `m` columns of `n` rows; a skew above 1 prefers some centroids. u8[m * n]."""
    codes = rng.integers(0, CENTROIDS, m * n, dtype=np.uint8)
    if skew == 1.0:
        return codes
    places = (CENTROIDS * ((np.arange(CENTROIDS) + 0.5) / CENTROIDS) ** skew).astype(np.uint8)
    return rng.permutation(CENTROIDS).astype(np.uint8)[places][codes]


def sum_distances(table: Floats, m: int, codes: Bytes) -> Floats:
    """Distances of the rows, as Lance adds them: from -0.0, sub-vector by sub-vector. f32[n]."""
    columns = codes.reshape(m, -1)
    dists = np.full(columns.shape[1], -0.0, np.float32)
    with np.errstate(all="ignore"):
        for part, column in zip(table.reshape(m, CENTROIDS), columns, strict=True):
            dists += np.take(part, column, mode="clip")
    return dists


# ---- rows and masks ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a table: runs of offsets, one in each fragment."""

    fragments: Offsets
    """Numbers of the fragments, ascending. u32[f]."""
    first: NDArray[np.uint64]
    """Offset of the first row of each fragment. u64[f]."""
    size: int
    """Rows of each fragment."""

    @classmethod
    def of_table(cls, count: int, fragments: int) -> Rows:
        """At least `count` rows from offset 0 in fragments 0, 1, ..."""
        size = -(-count // fragments)
        return cls(np.arange(fragments, dtype=np.uint32), np.zeros(fragments, np.uint64), size)

    @classmethod
    def drawn(cls, rng: Generator, count: int, most: int) -> Rows:
        """At least `count` rows in up to `most` fragments of any number, at any offsets."""
        many = draw_log_integer(rng, 1, max(1, min(count, most)))
        size = max(1, -(-count // many))
        last = 2**32 - size
        numbers = rng.integers(0, 2**32, 2 * many + 8, dtype=np.uint64)
        near = rng.integers(0, 3)
        if near < 2:  # neighbours, at the least or the greatest number
            numbers = np.arange(many, dtype=np.uint64) + np.uint64(near * (2**32 - many))
        chosen = np.unique(numbers)[:many].astype(np.uint32)
        border = CONTAINER * int(rng.integers(1, 2**16)) - size // 2
        starts = (0, last, min(max(0, border), last), int(rng.integers(0, last + 1)))
        first = np.full(chosen.size, starts[rng.integers(0, 4)], np.uint64)
        return cls(chosen, first, size)

    @property
    def count(self) -> int:
        return self.fragments.size * self.size

    def locate(self, places: NDArray[np.int64]) -> Ids:
        """Addresses of the rows at some places: the fragment above 32 bits, the offset below."""
        part, offset = np.divmod(places, self.size)
        high = self.fragments[part].astype(np.uint64) << np.uint64(32)
        return high | (self.first[part] + offset.astype(np.uint64))


@dataclass(frozen=True, slots=True)
class Mask:
    """A list of rows, and whether it allows or blocks them."""

    rows: Rows
    blocks: bool
    listed: Bits
    """Rows on the list, by their place. bool[count]."""
    full: Bits
    """Fragments that are on the list as a whole. bool[f]."""
    absent: Bits
    """Fragments that the list does not name; the others have a bitmap, which may be empty."""
    runs: bool = False
    """Bitmaps consist of runs."""

    def select(self) -> Bits:
        """Which rows the mask selects, by their place."""
        return self.listed ^ self.blocks

    def serialize(self) -> Bytes:
        """One byte, then `RowAddrTreeMap::serialize_into`'s format. u8[...]."""
        named = np.flatnonzero(~self.absent)
        out = [bytes([self.blocks]), np.uint32(named.size).tobytes()]
        listed = self.listed.reshape(-1, self.rows.size)
        for i in named:
            bitmap = b""
            if not self.full[i]:
                offsets = np.flatnonzero(listed[i]).astype(np.uint64) + self.rows.first[i]
                bitmap = serialize_bitmap(offsets.astype(np.uint32), runs=self.runs)
            out += [self.rows.fragments[i].tobytes(), np.uint32(len(bitmap)).tobytes(), bitmap]
        return np.frombuffer(b"".join(out), np.uint8)


def serialize_bitmap(offsets: Offsets, *, runs: bool = False) -> bytes:
    """Sorted different offsets in the roaring format (RoaringFormatSpec, little-endian).

    Without runs: cookie 12346, number of containers, key and size of each, its place, the
    containers. With runs: cookie 12347 and a bit for each container; places from four on.
    """
    keys, starts = np.unique(offsets >> 16, return_index=True)
    parts = [part.astype(np.uint16) for part in np.split(offsets, starts[1:])] if keys.size else []
    runs = runs and bool(parts)
    bodies = [_serialize_runs(part) if runs else _serialize_container(part) for part in parts]
    sizes = np.array([part.size - 1 for part in parts], np.uint16)
    heads = np.stack([keys.astype(np.uint16), sizes], axis=1).tobytes()
    if runs:
        marks = np.packbits(np.ones(len(parts), np.bool_), bitorder="little").tobytes()
        begin = np.uint32(12347 | (len(parts) - 1) << 16).tobytes() + marks + heads
    else:
        begin = np.array([12346, len(parts)], np.uint32).tobytes() + heads
    if runs and len(parts) < 4:
        return begin + b"".join(bodies)
    lengths = np.array([0, *(len(body) for body in bodies)], np.uint32)
    places = np.cumsum(lengths, dtype=np.uint32)[:-1] + np.uint32(len(begin) + 4 * len(parts))
    return begin + places.astype(np.uint32).tobytes() + b"".join(bodies)


def _serialize_container(low: NDArray[np.uint16]) -> bytes:
    if low.size <= ARRAY_LIMIT:
        return low.tobytes()
    bits = np.zeros(CONTAINER, np.bool_)
    bits[low] = True
    return np.packbits(bits, bitorder="little").tobytes()


def _serialize_runs(low: NDArray[np.uint16]) -> bytes:
    breaks = np.flatnonzero(np.diff(low.astype(np.int64)) != 1)
    first = low[np.concatenate([[0], breaks + 1])]
    last = low[np.concatenate([breaks, [low.size - 1]])]
    pairs = np.stack([first, last - first], axis=1).astype(np.uint16)
    return np.uint16(len(pairs)).tobytes() + pairs.tobytes()


def _list_rows(rows: Rows, listed: Bits, *, blocks: bool, runs: bool = False) -> Mask:
    """A mask with a bitmap for each fragment."""
    none = np.zeros(rows.fragments.size, np.bool_)
    return Mask(rows, blocks, listed, none, none, runs)


def allow(rng: Generator, rows: Rows, share: float) -> Mask:
    """An allow list of this share of the rows."""
    return _list_rows(rows, rng.random(rows.count) < share, blocks=False)


def block(rng: Generator, rows: Rows, share: float) -> Mask:
    """A block list of all but this share of the rows: deletions where the share is near 1."""
    return _list_rows(rows, rng.random(rows.count) >= share, blocks=True)


def _draw_runs(rng: Generator, count: int, share: float) -> Bits:
    """Runs of about 40 rows on the list, this share of all rows."""
    flips = rng.random(count // 40 + 1) < share
    shift = int(rng.integers(0, 40))
    return np.repeat(flips, 40)[shift:][:count] if count > 40 else np.repeat(flips, 40)[:count]


def allow_runs(rng: Generator, rows: Rows, share: float) -> Mask:
    """An allow list in runs, as of a filter on a sorted column."""
    listed = _draw_runs(rng, rows.count + 40, share)[: rows.count]
    return _list_rows(rows, listed, blocks=False, runs=True)


def block_runs(rng: Generator, rows: Rows, share: float) -> Mask:
    """A block list in runs, as of deleted ranges."""
    listed = ~_draw_runs(rng, rows.count + 40, share)[: rows.count]
    return _list_rows(rows, listed, blocks=True, runs=True)


def _list_fragments(rng: Generator, rows: Rows, share: float, *, blocks: bool) -> Mask:
    """Fragments full or absent, one in four with a bitmap, which is empty in three of ten."""
    count = rows.fragments.size
    place = rng.permutation(count)
    listed_share = 1 - share if blocks else share
    partial = place < count // 4
    full = ~partial & (place < count // 4 + round(listed_share * (count - count // 4)))
    thin = rng.random(count) * (rng.random(count) < 0.7)
    listed = rng.random((count, rows.size)) < np.where(partial, thin, full)[:, None]
    return Mask(rows, blocks, listed.reshape(-1), full, ~partial & ~full)


def full(rng: Generator, rows: Rows, share: float) -> Mask:
    """An allow list that names this share of the fragments as a whole."""
    return _list_fragments(rng, rows, share, blocks=False)


def dropped(rng: Generator, rows: Rows, share: float) -> Mask:
    """A block list that names the other fragments as a whole."""
    return _list_fragments(rng, rows, share, blocks=True)


def everything(rng: Generator, rows: Rows, share: float) -> Mask:
    """An empty block list: all rows are selected."""
    many = rows.fragments.size
    nothing = np.zeros(rows.count, np.bool_)
    return Mask(rows, True, nothing, np.zeros(many, np.bool_), np.ones(many, np.bool_))


def nothing(rng: Generator, rows: Rows, share: float) -> Mask:
    """An allow list of empty fragments: no row is selected."""
    return _list_rows(rows, np.zeros(rows.count, np.bool_), blocks=False)


MASKS: Mapping[str, Callable[[Generator, Rows, float], Mask]] = {
    "allow": allow,
    "block": block,
    "runs": allow_runs,
    "ranges": block_runs,
    "full": full,
    "dropped": dropped,
    "everything": everything,
    "nothing": nothing,
}
"""Kind -> mask of some rows of which about a share is selected; the last two ignore the share."""


def block_row(rows: Rows, place: int) -> Mask:
    """A block list of one row."""
    listed = np.zeros(rows.count, np.bool_)
    listed[place] = True
    absent = np.arange(rows.fragments.size) != place // rows.size
    return Mask(rows, True, listed, np.zeros(rows.fragments.size, np.bool_), absent)
