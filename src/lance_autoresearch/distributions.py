"""Numbers that targets are measured and checked on: named, pure, from a seed.

Every function takes a NumPy generator first and returns fresh C-contiguous arrays; the same
generator state gives the same bytes. Nothing is downloaded and nothing is fixed, so each epoch
has data that no kernel has seen.

    rng = np.random.default_rng(7)
    table = residual_table(rng, m=16, dsub=8)          # f32[16 * 256], squared distances
    codes = zipf_codes(rng, m=16, n=2048)              # u8[16 * 2048], column-major
    dists = DISTANCES["gaussian"](rng, 2048)           # f32[2048]

| kind | names |
|---|---|
| CODES, u8[m * n], column-major | uniform, skewed, clustered |
| VALUES, f32[n], hard to sum | gaussian, wide, specials, subnormal, minus-zero, huge, bits |
| DISTANCES, f32[n] | gaussian, ascending, descending, equal, ties, zeros, nans, specials, bits |
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    Bytes = NDArray[np.uint8]
    Floats = NDArray[np.float32]
    Ints = NDArray[np.int32]
    Ids = NDArray[np.uint64]

CENTROIDS = 256
"""Centroids of one sub-vector of an 8-bit product quantizer."""

MAX = float(np.finfo(np.float32).max)
"""Rust's f32::MAX."""

SPECIAL_BITS = (
    0x7FC00000, 0xFFC00000, 0x7FC12345, 0x7F800001, 0xFF800123,  # NaN: quiet, negative, payloads
    0x7F800000, 0xFF800000, 0x00000000, 0x80000000,              # +-infinity, +-0
    0x00000001, 0x80000001, 0x007FFFFF, 0x00800000,              # subnormals, least normal
    0x7F7FFFFF, 0xFF7FFFFF, 0x3F800000, 0xBF800000,              # +-largest, +-1
)  # fmt: skip
"""IEEE 754 single-precision patterns that comparisons and sums treat differently."""


# ---- codes of a product quantizer --------------------------------------------------------


def uniform_codes(rng: Generator, m: int, n: int) -> Bytes:
    """Codes of `m` sub-vectors x `n` rows, every centroid equally likely. u8[m * n]."""
    return rng.integers(0, CENTROIDS, m * n, dtype=np.uint8)


def zipf_codes(rng: Generator, m: int, n: int) -> Bytes:
    """Centroid ranks follow Zipf's law (exponent 1), ranked anew in each sub-vector. u8[m * n].

    Real codebooks are used unevenly: some centroids stand for dense regions.
    """
    ranks = np.arange(1, CENTROIDS + 1)
    weights = 1.0 / ranks / (1.0 / ranks).sum()
    columns = [rng.permutation(CENTROIDS)[rng.choice(CENTROIDS, n, p=weights)] for _ in range(m)]
    return np.concatenate(columns).astype(np.uint8) if m else np.zeros(0, np.uint8)


def clustered_codes(rng: Generator, m: int, n: int) -> Bytes:
    """Rows belong to one of 32 clusters whose code they share with probability 0.7. u8[m * n].

    Rows of one IVF partition resemble one another, so their codes are correlated across
    sub-vectors; cluster sizes follow Zipf's law.
    """
    sizes = 1.0 / np.arange(1, 33)
    member = rng.choice(32, n, p=sizes / sizes.sum())
    centres = rng.integers(0, CENTROIDS, (m, 32), dtype=np.uint8)
    free = rng.integers(0, CENTROIDS, (m, n), dtype=np.uint8)
    return np.where(rng.random((m, n)) < 0.7, centres[:, member], free).reshape(-1)


CODES: Mapping[str, Callable[[Generator, int, int], Bytes]] = {
    "uniform": uniform_codes,
    "skewed": zipf_codes,
    "clustered": clustered_codes,
}


# ---- floats ------------------------------------------------------------------------------


def residual_codebook(rng: Generator, m: int, dsub: int) -> Floats:
    """Centroids of `m` sub-vectors in `dsub` dimensions. f32[m * 256 * dsub].

    Residuals of an embedding (vector minus its IVF centroid) are close to Gaussian with one
    scale per dimension; k-means centroids keep about 0.8 of that scale.
    """
    scale = rng.lognormal(-2.0, 0.3, (m, 1, dsub))
    return (0.8 * scale * rng.standard_normal((m, CENTROIDS, dsub))).astype(np.float32).reshape(-1)


def residual_table(rng: Generator, m: int, dsub: int = 8) -> Floats:
    """L2 table of one query: squared distances to the centroids. f32[m * 256]."""
    centroids = residual_codebook(rng, m, dsub).reshape(m, CENTROIDS, dsub)
    query = np.float32(np.exp(-2.0)) * rng.standard_normal((m, 1, dsub), dtype=np.float32)
    table: Floats = np.square(query - centroids).sum(axis=2, dtype=np.float32)
    return table.reshape(-1)


def gaussian(rng: Generator, n: int) -> Floats:
    """Standard normal numbers. f32[n]."""
    return rng.standard_normal(n, dtype=np.float32)


def wide(rng: Generator, n: int) -> Floats:
    """Both signs, magnitudes from 1e-12 to 1e12: any other order of additions shows. f32[n]."""
    return (rng.standard_normal(n) * 10.0 ** rng.uniform(-12, 12, n)).astype(np.float32)


def specials(rng: Generator, n: int) -> Floats:
    """A third SPECIAL_BITS (NaN payloads, infinities, zeros, subnormals), else normal. f32[n]."""
    special = np.array(SPECIAL_BITS, np.uint32)[rng.integers(0, len(SPECIAL_BITS), n)]
    return np.where(rng.random(n) < 0.33, special, gaussian(rng, n).view(np.uint32)).view(
        np.float32
    )


def subnormal(rng: Generator, n: int) -> Floats:
    """Below the least normal number: flushing them to zero shows. f32[n]."""
    return rng.integers(1, 0x00800000, n, dtype=np.uint32).view(np.float32)


def minus_zero(rng: Generator, n: int) -> Floats:
    """-0.0 everywhere: tells a sum that starts at +0.0 from one at -0.0. f32[n]."""
    del rng
    return np.full(n, -0.0, np.float32)


def huge(rng: Generator, n: int) -> Floats:
    """Of the order of the largest float, so that sums overflow on the way. f32[n]."""
    return (rng.choice([-1.0, 1.0], n) * rng.uniform(1e37, 3e38, n)).astype(np.float32)


def bits(rng: Generator, n: int) -> Floats:
    """Any bit pattern. f32[n]."""
    return rng.integers(0, 2**32, n, dtype=np.uint32).view(np.float32)


VALUES: Mapping[str, Callable[[Generator, int], Floats]] = {
    "gaussian": gaussian,
    "wide": wide,
    "specials": specials,
    "subnormal": subnormal,
    "minus-zero": minus_zero,
    "huge": huge,
    "bits": bits,
}


# ---- distances of the rows of a partition ------------------------------------------------


def squared_gaussian(rng: Generator, n: int) -> Floats:
    """Squared distances of rows to a query: chi-squared, 16 degrees, shifted by 4. f32[n].

    What a product quantizer yields for a partition: a sum of squared near-Gaussian terms, with
    few rows much nearer than the rest.
    """
    return (4.0 + rng.chisquare(16, n)).astype(np.float32)


def ascending(rng: Generator, n: int) -> Floats:
    """Sorted upwards: after the first k rows nothing enters a top-k heap. f32[n]."""
    return np.sort(squared_gaussian(rng, n))


def descending(rng: Generator, n: int) -> Floats:
    """Sorted downwards, a top-k heap's worst case: every row enters. f32[n]."""
    return ascending(rng, n)[::-1].copy()


def equal(rng: Generator, n: int) -> Floats:
    """One distance for all rows: the whole partition ties. f32[n]."""
    return np.full(n, squared_gaussian(rng, 1)[0], np.float32)


def ties(rng: Generator, n: int) -> Floats:
    """Distances on 64 levels, so that ties at the k-th place are certain. f32[n]."""
    return np.minimum(np.floor(squared_gaussian(rng, n)), np.float32(63.0))


def zeros(rng: Generator, n: int) -> Floats:
    """+0.0, one in 40 -0.0: less by `total_cmp`, equal by `<`. f32[n]."""
    return np.where(rng.random(n) < 1 / 40, np.float32(-0.0), np.float32(0.0))


def nans(rng: Generator, n: int) -> Floats:
    """One positive NaN, one row in 40 a lesser NaN: ordered by `total_cmp` alone. f32[n]."""
    return np.where(rng.random(n) < 1 / 40, np.uint32(0x7FA00001), np.uint32(0x7FA00002)).view(
        np.float32
    )


DISTANCES: Mapping[str, Callable[[Generator, int], Floats]] = {
    "gaussian": squared_gaussian,
    "ascending": ascending,
    "descending": descending,
    "equal": equal,
    "ties": ties,
    "zeros": zeros,
    "nans": nans,
    "specials": specials,
    "bits": bits,
}


def total_order(values: Floats) -> Ints:
    """Integers in the order of Rust's `f32::total_cmp` (IEEE 754 totalOrder). i32[n].

    -NaN < -inf < ... < -0.0 < +0.0 < ... < +inf < +NaN. The same map turns them back into bits.
    """
    raw = values.view(np.int32)
    return raw ^ ((raw >> 31) & np.int32(0x7FFFFFFF))


def from_total_order(order: Ints) -> Floats:
    """The floats whose `total_order` is given. f32[n]."""
    return (order ^ ((order >> 31) & np.int32(0x7FFFFFFF))).view(np.float32)


def heap_of(seen: Floats, k: int, rng: Generator) -> Floats:
    """The `k` least finite distances, in the order of a binary max-heap's array. f32[<= k].

    What a top-k heap may hold after a scan of `seen`: which of the valid arrays is random.
    """
    least = np.sort(total_order(seen[np.isfinite(seen)]))[:k]
    heap = rng.permutation(-least.astype(np.int64)).tolist()
    heapq.heapify(heap)
    return from_total_order((-np.array(heap, np.int64)).astype(np.int32))


def kth_band(k: int, lower: float, upper: float, held: int, ids: Ids, dists: Floats) -> Ids:
    """Sorted ids of all rows at the k-th distance: any of them may take the last places.

    Args:
        k: places; fewer rows than places make the farthest row the k-th.
        lower, upper: rows in `[lower, upper)` by `total_cmp` are admitted.
        held: so many rows at the front are in the heap already, whatever the bounds.
        ids, dists: all rows, u64[n] and f32[n].
    """
    order = total_order(dists)
    low, high = total_order(np.array([lower, upper], np.float32))
    admitted = (order >= low) & (order < high)
    admitted[:held] = True
    order, ids = order[admitted], ids[admitted]
    if k == 0 or not order.size:
        return ids[:0]
    place = min(k, order.size) - 1
    return np.sort(ids[order == np.partition(order, place)[place]])
