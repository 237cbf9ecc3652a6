"""Distances of the rows of a partition, the heap of a query, and the ties at its k-th place.

    rng = np.random.default_rng(7)
    dists = DISTANCES["gaussian"](rng, 2048)           # f32[2048]
    heap = heap_of(dists, 10, rng)                     # f32[10], the array of a max-heap

DISTANCES: gaussian, ascending, descending, equal, ties, zeros, nans, specials, bits. The same
generator state gives the same bytes.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from lance_autoresearch.fixtures.floats import draw_bits, draw_specials

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Ints = NDArray[np.int32]
    Ids = NDArray[np.uint64]


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
    "specials": draw_specials,
    "bits": draw_bits,
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
