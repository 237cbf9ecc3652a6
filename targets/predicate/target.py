"""predicate: the rows of a partition that a filter selects go into the top-k heap of a query.

One call is one partition of `n` rows of `m` codes each; `sel` of a thousand rows are selected.
`dist` is the state of the heap (cold: empty, warm: as earlier partitions left it), the kind of the
mask, and what the distances look like.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from lance_autoresearch.fixtures.drawn import draw_log
from lance_autoresearch.fixtures.floats import MAX
from lance_autoresearch.fixtures.nearest import draw_bounds, draw_near, heap_of, kth_band
from lance_autoresearch.targets.space import Range, Shape, Space
from lance_autoresearch.targets.spec import DRAWN, Call, Combo, Maker, Op, Out, RowOrder, Target

from .fixtures import (
    CENTROIDS,
    MASKS,
    TABLES,
    Mask,
    Rows,
    block_row,
    draw_codes,
    drawn_table,
    residual_table,
    sum_distances,
)

EARLIER = 8192
"""Selected rows that the partitions before held, at most."""
TABLE_ROWS, FRAGMENTS = 1_000_000, 8
"""Of the table whose partitions are timed."""
MOST_FRAGMENTS = 300
NO_BOUND = np.array([], np.float32)


@dataclass(frozen=True, slots=True)
class Family:
    """A distribution in its parts."""

    warm: bool
    mask: str
    kind: str
    """Of the table, or `bounded`, `shuffled`, `twins`: a residual's with bounds, rows in any order,
    ids that occur more than once."""
    drawn: bool

    @classmethod
    def read(cls, dist: str) -> "Family":
        state, mask, *kind = dist.removeprefix(DRAWN).split()
        return cls(state == "warm", mask, *(kind or ["residual"]), dist.startswith(DRAWN))

    def make_table(self, rng: np.random.Generator, m: int) -> np.ndarray:
        kind = self.kind if self.kind in TABLES else "residual"
        return drawn_table(rng, m, kind) if self.drawn else TABLES[kind](rng, m)


def inputs(
    op: str, shape: Mapping[str, int], dist: str, rng: np.random.Generator, calls: int,
    make: Maker | None,
) -> Iterator[Call]:  # fmt: skip
    """Calls of a pool are partitions of one table under one mask; each has its own query."""
    family, n = Family.read(dist), shape["n"]
    if family.drawn or n < 900:
        rows = Rows.drawn(rng, max(1, n + int(rng.integers(0, n + 64))), MOST_FRAGMENTS)
    else:
        rows = Rows.of_table(max(TABLE_ROWS, n), FRAGMENTS)
    mask = MASKS[family.mask](rng, rows, shape["sel"] / 1000) if family.mask in MASKS else None
    listed = mask.serialize() if mask else None
    for _ in range(calls):
        places = rng.choice(rows.count, n, replace=False)
        if family.kind not in ("shuffled", "twins"):
            places = np.sort(places)
        yield make_call(shape, family, rng, rows, places, mask, listed)


def make_call(
    shape: Shape, family: Family, rng: np.random.Generator, rows: Rows, places: np.ndarray,
    mask: Mask | None, listed: np.ndarray | None,
) -> Call:  # fmt: skip
    """The arguments in the contract's order, and the rows tied at the k-th place.

    Args:
        places: of the partition's rows in the table.
        mask, listed: the pool's; None: a block list of the nearest row of this partition.
    """
    k, m, n, rest = shape["k"], shape["m"], shape["n"], shape.get("rest", 0)
    skew = draw_log(rng, 1, 6) if family.drawn else 1.0
    table, codes = family.make_table(rng, m), draw_codes(rng, m, n, skew)
    dists = sum_distances(table, m, codes)
    if family.kind == "twins":
        places = places % max(1, n // 3)
    if mask is None or listed is None:
        nearest = int(places[np.argmin(dists)]) if n else 0
        mask = block_row(rows, nearest)
        listed = mask.serialize()
    earlier = np.zeros(0, np.float32)
    if family.warm:
        count = min(EARLIER, max(64, (1 << 18) // m))
        earlier = sum_distances(table, m, draw_codes(rng, m, count, skew))
    heap = heap_of(earlier, k, rng)
    ids = rows.locate(places)
    chosen = mask.select()[places]
    lower = upper = NO_BOUND
    if family.kind == "bounded":
        lower, upper = draw_bounds(rng, dists[chosen], wide=family.drawn)
    edges = [b[0] if b.size else e for e, b in ((-MAX, lower), (MAX, upper))]
    near = draw_near(rng, rest, k, np.concatenate([heap, dists[chosen]]), residual_table)[:rest]
    # Of all 64 bits: that two are alike, or one is the partition's, is as rare as 1 in 2^30.
    other = rng.integers(0, 2**64, heap.size + rest, dtype=np.uint64)
    heap_ids, near_ids = other[: heap.size], other[heap.size :]
    every = np.concatenate([heap_ids, ids[chosen], near_ids])
    sizes = min(k, every.size)
    band = kth_band(
        k, *edges, heap.size, every, np.concatenate([heap, dists[chosen], near]), rest=rest
    )
    numbers = np.array([k], np.uint64)
    args = (numbers, lower, upper, heap_ids, heap, table, codes, ids, listed, near_ids, near)
    return Call(args, (4 * sizes, 8 * sizes), band)


def combo(
    k: int, m: int, n: int, sel: int, dist: str, calls: int = 1, confirm: int | None = None,
    rest: int = 0,
) -> Combo:  # fmt: skip
    second = {"k": k, "m": m, "n": confirm, "sel": sel} if confirm else None
    shape = {"k": k, "m": m, "n": n, "sel": sel} | ({"rest": rest} if rest else {})
    return Combo("filtered_topk", shape, dist, calls, second, window_kib=1024)


def count_bytes(shape: Shape) -> int:
    """Bytes of a call: table, codes, ids, mask, heap before and after, further rows."""
    k, m, n, rest = (shape[name] for name in ("k", "m", "n", "rest"))
    mask = 5 * n + 32 * MOST_FRAGMENTS + 2_000  # at most 3.4 bytes a row were seen beside the rest
    held = min(k, EARLIER) + rest + min(k, EARLIER + n + rest)
    return mask + 4 * CENTROIDS * m + n * (m + 8) + held * 12


DENSITIES = (1, 10, 100, 500, 900, 1000)
KINDS = ("residual", "ties", "equal", "zeros", "signs", "specials", "bounded", "shuffled")
LARGE_K = tuple(2**bits + near for bits in (16, 31, 32) for near in (-1, 0, 1))
STATES = ("cold", "warm")
FAMILIES = (
    *(f"{state} {mask} {kind}"
      for mask in ("allow", "block") for kind in KINDS for state in STATES),
    *(f"{state} {mask} {kind}" for mask in ("runs", "ranges", "full", "dropped")
      for state, kind in (("cold", "residual"), ("warm", "residual"), ("cold", "ties"),
                          ("warm", "shuffled"), ("warm", "zeros"), ("cold", "bounded"))),
    *(f"{state} {mask}" for mask in ("everything", "nothing", "one") for state in STATES),
)  # fmt: skip
PARTITIONS = Space(
    "filtered_topk",
    {
        "k": Range(0, 20_000, borders=(*LARGE_K, 2**64 - 1)),
        "m": Range(1, 2048),
        "n": Range(0, 1 << 19),
        "sel": Range(0, 1000),
        "rest": Range(0, 3000),
    },
    tuple(DRAWN + family for family in FAMILIES),
    max_bytes=16 << 20,
    bound="rows of a partition, fragments and offsets are counted in 32 bits in Lance, k in 64; "
    "here rows end at 2^19 and a call at 16 MiB, since memory does; fragments and offsets are "
    "drawn from all 32 bits",
    call_bytes=count_bytes,
)
TARGET = Target(
    name="predicate",
    summary="filtered search of a partition: mask, product-quantized distance, top-k heap",
    call_site="lance-index/src/vector/storage.rs:174",
    cost="12.9 of 16.8 ms of a filtered IVF_PQ query with 90 % selected (analyze_plan)",
    ops=(
        Op("filtered_topk", (Out("f32", "bits32"), Out("u64", "tieband")), RowOrder.HEAP),
    ),
    timed=(
        combo(10, 16, 4000, 1, "warm allow", 24, 4111),
        combo(10, 16, 4000, 10, "warm allow", 24, 3907),
        combo(10, 16, 4000, 100, "warm allow", 20, 4111),
        combo(10, 16, 4000, 500, "warm allow", 16, 3907),
        combo(10, 16, 4000, 900, "warm block", 16, 4111),
        combo(10, 16, 4000, 1000, "cold everything", 16, 3907),
        combo(10, 96, 1000, 10, "cold allow", 66, 1069),
        combo(10, 96, 1000, 500, "warm full", 66, 931),
        combo(10, 96, 1000, 999, "warm block", 66, 1069),
        combo(10, 48, 2000, 100, "cold block", 33, 2111),
        combo(10, 48, 2000, 500, "warm runs", 33, 1950),
        combo(100, 16, 4000, 500, "cold allow", 16, 4111),
    ),
    checks=(
        *(combo(10, 16, 700, sel, f"{state} {mask}", 2)
          for sel in DENSITIES for mask in ("allow", "block") for state in STATES),
        *(combo(10, 48, 300, 500, f"warm {mask}", 4) for mask in MASKS),
        *(combo(k, m, n, 500, f"{state} {mask} {kind}")
          for kind in KINDS for mask, state in (("allow", "cold"), ("block", "warm"))
          for k, m, n in ((1, 1, 70), (7, 5, 333), (100, 3, 129))),
        *(combo(10, 16, n, 600, "cold allow") for n in (0, 1, 2, 31, 32, 33, 63, 64, 65, 255, 257)),
        *(combo(k, 4, 500, 300, f"{state} block") for k in (0, 1, 2, 64, 1000, 1 << 40)
          for state in STATES),
        *(combo(10, 8, 400, 900, f"{state} one", 2) for state in STATES),
        *(combo(10, 8, 400, 700, f"{state} allow twins", 2) for state in STATES),
        *(combo(10, 1, 70_001, sel, f"{state} block") for sel in (1, 999) for state in STATES),
        combo(10, 2, 140_001, 500, "cold allow"),
        combo(300, 1, 140_001, 1000, "warm everything shuffled"),
        *(combo(10, 96, n, 500, "warm allow") for n in (8000, 8191, 8192)),
        combo(10, 192, 999, 100, "cold dropped"),
        *(combo(k, 4, n, 500, f"{state} allow", 2, rest=rest) for state in STATES
          for k, n, rest in ((10, 99, 50), (100, 333, 300), (1000, 777, 900), (7, 3, 20))),
    ),
    inputs=inputs,
    spaces=(PARTITIONS,),
)  # fmt: skip
