"""Distances of the rows of a partition, the heap of a query, and the ties at its k-th place.

    rng = np.random.default_rng(7)
    dists = DISTANCES["gaussian"](rng, 2048)           # f32[2048]

DISTANCES: gaussian, ascending, descending, equal, ties, zeros, nans, specials, bits.
DRAWN_DISTANCES: the same kinds with drawn parameters, and mixed. `draw_ids` draws row ids of the
full 64 bits, `draw_room` the capacity of a heap. The same generator state gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from lance_autoresearch.fixtures.drawn import (
    draw_log,
    draw_log_integer,
    mix,
    move_scale,
    rearrange,
)
from lance_autoresearch.fixtures.floats import VALUES, draw_bits, draw_specials
from lance_autoresearch.fixtures.nearest import draw_bounds, total_order

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Ids = NDArray[np.uint64]


MOST_ROOM = 80_000
"""Rows for which a heap has room at most, unless it holds more: memory ends there, not `k`."""
ODD_BOUNDS = (-0.0, 0.0, np.inf, -np.inf, np.nan, 1e-45, -1e-45, 3.4e38)
"""Bounds at which a comparison that is not `total_cmp` fails, or a screen of bits."""
ONE_VALUE = (np.inf, -np.inf, np.nan, -np.nan, 3.4e38, -3.4e38, 1e-45, -0.0, 0.0)
"""Distances that all rows of a partition may have."""


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


def drawn_gaussian(rng: Generator, n: int) -> Floats:
    """Chi-squared with 1 to 256 degrees of freedom, drawn scale and shift. f32[n]."""
    return move_scale(rng, rng.chisquare(draw_log(rng, 1, 256), n).astype(np.float32))


def drawn_ascending(rng: Generator, n: int) -> Floats:
    """Sorted upwards. f32[n]."""
    return np.sort(drawn_gaussian(rng, n))


def drawn_descending(rng: Generator, n: int) -> Floats:
    """Sorted downwards. f32[n]."""
    return drawn_ascending(rng, n)[::-1].copy()


def drawn_equal(rng: Generator, n: int) -> Floats:
    """One distance for all rows. f32[n]."""
    return np.full(n, drawn_gaussian(rng, 1)[0], np.float32)


def drawn_ties(rng: Generator, n: int) -> Floats:
    """Distances on 16 to 256 levels. f32[n]."""
    levels = np.sort(drawn_gaussian(rng, draw_log_integer(rng, 16, 256)))
    place = rng.chisquare(draw_log(rng, 4, 64), n)
    place *= levels.size / (1 + 3 * place.mean()) if n else 1.0
    return levels[np.minimum(place.astype(np.int64), levels.size - 1)]


def drawn_mixed(rng: Generator, n: int) -> Floats:
    """Two kinds in front of or among each other, sorted, half sorted, in runs or blocks. f32[n]."""
    return rearrange(rng, mix(rng, n, [drawn_gaussian, drawn_ties, drawn_equal, VALUES["wide"]]))


DRAWN_DISTANCES: Mapping[str, Callable[[Generator, int], Floats]] = DISTANCES | {
    "gaussian": drawn_gaussian,
    "ascending": drawn_ascending,
    "descending": drawn_descending,
    "equal": drawn_equal,
    "ties": drawn_ties,
    "mixed": drawn_mixed,
}


def row_addresses(rng: Generator, n: int) -> Ids:
    """Row addresses of 8 fragments: a fragment's number above 32 bits, a row's below. u64[n]."""
    return (rng.integers(0, 8, n) << 32 | rng.permutation(n)).astype(np.uint64)


def draw_ids(rng: Generator, n: int) -> Ids:
    """Ids from all 64 bits, different or not, in any order; see ID_KINDS. u64[n]."""
    ids = rng.choice(ID_KINDS)(rng, n)
    if n > 1 and rng.random() < 1 / 3:  # Where does not matter: `bring_near` finds them.
        ids[rng.choice(n, 2, replace=False)] = 0, 2**64 - 1
    return ids


def draw_addresses(rng: Generator, n: int) -> Ids:
    """Row addresses of any fragment. u64[n]."""
    fragments = rng.integers(0, 2**32, n, dtype=np.uint64)
    return fragments << np.uint64(32) | rng.permutation(n).astype(np.uint64)


def draw_numbers(rng: Generator, n: int) -> Ids:
    """Any numbers: two alike are as rare as 1 in 2^40. u64[n]."""
    return rng.integers(0, 2**64, n, dtype=np.uint64)


def draw_shifted(rng: Generator, n: int) -> Ids:
    """Different above a border only. u64[n]."""
    return rng.permutation(n).astype(np.uint64) << np.uint64(rng.integers(16, 64 - n.bit_length()))


def draw_start(rng: Generator, n: int) -> int:
    """The first of `n` neighbours, around a border of integer widths or in a drawn fragment."""
    if rng.random() < 0.5:
        return int(rng.integers(0, 2**32)) << 32
    return (1 << int(rng.choice((31, 32, 40, 48, 53, 63, 64)))) - int(rng.integers(0, n + 1))


def draw_consecutive(rng: Generator, n: int) -> Ids:
    """Rising by one, as the rows of a fragment. u64[n]."""
    return np.arange(n, dtype=np.uint64) + np.uint64(draw_start(rng, n) % 2**64)


def draw_falling(rng: Generator, n: int) -> Ids:
    """Falling by one. u64[n]."""
    return draw_consecutive(rng, n)[::-1].copy()


def draw_neighbours(rng: Generator, n: int) -> Ids:
    """Neighbours in random order. u64[n]."""
    return rng.permutation(draw_consecutive(rng, n))


def draw_equal_ids(rng: Generator, n: int) -> Ids:
    """One id for all rows. u64[n]."""
    return np.full(n, draw_numbers(rng, 1)[0])


def draw_few_ids(rng: Generator, n: int) -> Ids:
    """2 to 100 ids. u64[n]."""
    few = draw_numbers(rng, int(rng.integers(2, 101)))
    return few[rng.integers(0, few.size, n)]


ID_KINDS = (
    draw_addresses, draw_numbers, draw_shifted, draw_neighbours, draw_consecutive, draw_falling,
    draw_equal_ids, draw_few_ids,
)  # fmt: skip


def bring_near(rng: Generator, ids: Ids, dists: Floats, lower: Floats, upper: Floats) -> Floats:
    """The distances, those of the least and the largest id swapped with two that must enter a heap.

    Args:
        ids, dists: all rows, u64[n] and f32[n].
        lower, upper: the bounds, f32[0] or f32[1].
    """
    order, near = total_order(dists), dists.copy()
    for bound, sign in ((lower, 1), (upper, -1)):
        if bound.size:
            order = np.where(
                sign * order.astype(np.int64) < sign * int(total_order(bound)[0]),
                np.int32(2**31 - 1), order,
            )  # fmt: skip
    for extreme, nearest in zip((ids.argmin(), ids.argmax()), order.argsort()[:2], strict=False):
        near[[extreme, nearest]] = near[[nearest, extreme]]
    return near


def level_partition(rng: Generator, dists: Floats, n: int) -> Floats:
    """The distances, one of ONE_VALUE for all `n` rows of a drawn partition. f32[rows]."""
    start = n * int(rng.integers(dists.size // n))
    level = dists.copy()
    level[start : start + n] = np.float32(rng.choice(ONE_VALUE))
    return level


def draw_room(rng: Generator, k: int, held: int) -> int:
    """Rows for which a heap that holds `held` has room: just those, k, twice k, or up to 8 k."""
    once, twice, most = (max(held, min(times * k, MOST_ROOM)) for times in (1, 2, 8))
    return int(rng.choice((held, once, twice, rng.integers(held, most + 1))))


def draw_odd_bounds(rng: Generator, dists: Floats) -> tuple[Floats, Floats]:
    """Bounds the wrong way round, or an extreme float and another one or none. As `draw_bounds`."""
    lower, upper = draw_bounds(rng, dists, False)
    if rng.random() < 0.5:
        return upper, lower
    odd = rng.permutation(ODD_BOUNDS)[:2].astype(np.float32)
    if rng.random() < 0.4:
        odd[0] = -0.0
    return odd[:1], odd[1 : 1 + int(rng.random() < 0.5)]
