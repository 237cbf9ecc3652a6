"""topk-merge: the distances of probed partitions go into the top-k heap of a query.

One call is one query over `p` partitions of `n` rows each; `dist` is the heap's state at the
start (cold: empty, warm: as 40,000 earlier rows left it) and the distribution of the distances.
"""

from collections.abc import Iterator, Mapping

import numpy as np

from lance_autoresearch.fixtures.floats import MAX
from lance_autoresearch.fixtures.nearest import draw_bounds, draw_near, heap_of, kth_band
from lance_autoresearch.targets.space import Range, Shape, Space
from lance_autoresearch.targets.spec import DRAWN, Call, Combo, Maker, Op, Out, RowOrder, Target

from .fixtures import (
    DISTANCES,
    DRAWN_DISTANCES,
    bring_near,
    draw_ids,
    draw_odd_bounds,
    draw_room,
    drawn_gaussian,
    level_partition,
    row_addresses,
)

EARLIER = 40_000
BOUNDS = {  # kind: (kind of the distances, lower, upper)
    "bounded": ("gaussian", 12.0, 30.0), "above": ("gaussian", 25.0, None),
    "below": ("ties", None, 17.0), "open": ("specials", -np.inf, np.inf),
    "any": ("bits", -np.nan, np.nan), "nans": ("nans", -np.nan, np.nan),
    "none": ("gaussian", 9, 9), "unit": ("specials", 0, 1), "twins": ("gaussian", None, None),
}  # fmt: skip
DRAWN_BOUNDS = {"bounded": False, "cut": True, "any": True, "nans": True}
"""Kinds whose bounds are drawn from their own distances -> at any place of them."""
DRAWN_KINDS = {"cut": "gaussian", "odd": "mixed"} | {kind: row[0] for kind, row in BOUNDS.items()}


def inputs(
    op: str, shape: Mapping[str, int], dist: str, rng: np.random.Generator, calls: int,
    make: Maker | None,
) -> Iterator[Call]:  # fmt: skip
    """The calls of a pool score the same rows once more."""
    state, name = dist.removeprefix(DRAWN).split()
    rows = shape["n"] * shape["p"] + shape.get("rest", 0)
    if dist.startswith(DRAWN):
        every = draw_ids(rng, rows + min(shape["k"], EARLIER))
        for _ in range(calls):
            yield drawn_call(shape, state == "warm", name, rng, every)
        return
    kind, *limits = BOUNDS.get(name, (name, None, None))
    lower, upper = (np.array([] if b is None else [b], np.float32) for b in limits)
    ids = row_addresses(rng, rows)
    ids = ids % np.uint64(97) if name == "twins" else ids
    for _ in range(calls):
        heap = heap_of(DISTANCES[kind](rng, EARLIER if state == "warm" else 0), shape["k"], rng)
        heap_ids = np.uint64(1 << 40) + rng.permutation(heap.size).astype(np.uint64)
        dists = DISTANCES[kind](rng, rows)
        yield make_call(shape, rng, lower, upper, heap_ids, heap, ids, dists)


def drawn_call(
    shape: Shape, warm: bool, name: str, rng: np.random.Generator, every: np.ndarray
) -> Call:
    """Drawn distances, bounds and heap; `every` holds the ids, of the heap's rows as well.

    Rows behind the last partition are as near as the heap's own, so most go in by push and pop.
    """
    kind = DRAWN_KINDS.get(name, name)
    rows, rest = shape["n"] * shape["p"], shape.get("rest", 0)
    # One distribution for both: a heap of other distances would admit all rows or none.
    few = rng.random() < 0.25  # So few earlier rows that the heap is not full, or just so.
    before = min(EARLIER, max(0, shape["k"] + int(rng.integers(-2, 3)))) if few else EARLIER
    seen = DRAWN_DISTANCES[kind](rng, rows + (before if warm else 0))
    scored, earlier = seen[:rows], seen[rows:]
    if rng.random() < 0.5:
        scored, earlier = seen[seen.size - rows :], seen[: seen.size - rows]
    heap = heap_of(earlier, shape["k"], rng)
    lower = upper = np.array([], np.float32)
    if name in DRAWN_BOUNDS:
        lower, upper = draw_bounds(rng, scored, DRAWN_BOUNDS[name])
    elif name == "odd":
        lower, upper = draw_odd_bounds(rng, scored)
    near = draw_near(rng, rest, shape["k"], np.concatenate([heap, scored]), drawn_gaussian)
    heap_ids, ids = every[rows + rest :][: heap.size], every[: rows + rest]
    if scored.size and rng.random() < 0.15:
        scored = level_partition(rng, scored, shape["n"])
    elif scored.size and rng.random() < 0.5:
        scored = bring_near(rng, ids[:rows], scored, lower, upper)
    dists = np.concatenate([scored, near])
    return make_call(shape, rng, lower, upper, heap_ids, heap, ids, dists)


def make_call(
    shape: Shape, rng: np.random.Generator, lower: np.ndarray, upper: np.ndarray,
    heap_ids: np.ndarray, heap: np.ndarray, ids: np.ndarray, dists: np.ndarray,
) -> Call:  # fmt: skip
    """The arguments in the contract's order, and the rows tied at the k-th place."""
    k, ends = shape["k"], np.arange(1, shape["p"] + 1, dtype=np.uint64) * np.uint64(shape["n"])
    edges = [b[0] if b.size else e for e, b in ((-MAX, lower), (MAX, upper))]
    both = np.concatenate([heap_ids, ids]), np.concatenate([heap, dists])
    size = min(k, both[0].size)
    room = np.array([draw_room(rng, k, heap.size)], np.uint64)
    args = (np.array([k], np.uint64), lower, upper, heap_ids, heap, ends, ids, dists, room)
    band = kth_band(k, *edges, heap.size, *both, rest=shape.get("rest", 0))
    return Call(args, (4 * size, 8 * size), band)


def combo(k: int, n: int, p: int, dist: str, calls=2, confirm: int | None = None, rest=0) -> Combo:
    second = {"k": k, "n": confirm, "p": p} if confirm else None
    shape = {"k": k, "n": n, "p": p} | ({"rest": rest} if rest else {})
    return Combo("accumulate", shape, dist, calls, second, window_kib=1024)


REST = ((10, 99, 50), (100, 333, 300), (1000, 777, 900), (7, 3, 20))  # by push and pop: a heap?
EDGES = ((1, 0), (10, 1), (10, 9), (3, 31), (1, 33), (100, 100), (64, 199), (65, 1000), (5000, 777))
LARGE_K = tuple(2**bits + near for bits in (16, 31, 32) for near in (-1, 0, 1))
DRAWN_NAMES = ("gaussian", "ties", "bounded", "descending", "mixed", "cut", "ascending", "mixed",
               "specials", "bits", "any", "nans", "zeros", "equal", "odd", "odd")  # fmt: skip


def count_bytes(shape: Shape) -> int:
    """Bytes of a call: ids and distances of all rows, of the earlier heap, of the result."""
    rows, k = shape["n"] * shape["p"] + shape["rest"], shape["k"]
    return 72 + 8 * shape["p"] + 12 * (rows + min(k, EARLIER) + min(k, rows + EARLIER))


QUERIES = Space(
    "accumulate",
    {
        "k": Range(0, 20_000, borders=(*LARGE_K, 2**64 - 1)),
        "n": Range(0, 1 << 19),
        "p": Range(1, 256),
        "rest": Range(0, 3000),
    },
    tuple(f"{DRAWN}{state} {kind}" for kind in DRAWN_NAMES for state in ("cold", "warm")),
    max_bytes=16 << 20,
    bound="rows of a partition are counted in 32 bits in Lance, k in 64; here rows end at 2^19 and "
    "a call at 16 MiB, since memory does; row ids are drawn from all 64 bits",
    call_bytes=count_bytes,
)
KINDS = ("gaussian", "ascending", "descending", "equal", "ties", "zeros", "specials", *BOUNDS)
TARGET = Target(
    name="topk-merge",
    summary="merging the distances of partitions into the top-k heap of a query",
    call_site="lance-index/src/vector/storage.rs:219",
    cost="5 % of the scan's time at 96 sub-vectors, 22 % at 16; twice that after pq-l2's gains",
    ops=(Op("accumulate", (Out("f32", "bits32"), Out("u64", "tieband")), RowOrder.HEAP),),
    timed=(
        combo(10, 256, 16, "cold gaussian", 24, 243),
        combo(10, 2048, 1, "cold gaussian", 48, 1950),
        combo(10, 2048, 8, "warm gaussian", 16, 2111),
        combo(10, 8000, 1, "warm ties", 16, 8330),
        combo(10, 23600, 1, "cold gaussian", 8, 22030),
        combo(1, 8192, 1, "cold gaussian", 16, 7801),
        combo(100, 8000, 1, "cold gaussian", 16, 8330),
        combo(100, 2048, 4, "warm gaussian", 16, 1950),
        combo(1000, 4096, 1, "cold gaussian", 20, 3907),
        combo(1000, 8000, 1, "warm gaussian", 16, 8330),
        combo(10, 2048, 1, "cold descending", 40, 2111),
        combo(10, 2048, 4, "cold bounded", 16, 1950),
    ),
    checks=(
        *(combo(k, n, 2, f"cold {kind}") for kind in KINDS for k, n in EDGES[1::2]),
        *(combo(k, n, 3, f"warm {x}", 1) for x in ("gaussian", "ties", "open") for k, n in EDGES),
        *(combo(k, n, 1, "cold twins") for k, n in EDGES),
        combo(0, 100, 2, "cold gaussian"),
        combo(1 << 40, 300, 3, "cold ties"),
        combo(2, 60_001, 1, "cold gaussian", 1),
        *(combo(k, 140_001, 1, f"{x} descending", 1) for k in (10, 300) for x in ("cold", "warm")),
        combo(300, 5, 40, "cold gaussian"),
        *(combo(k, n, 2, f"{x} gaussian", 4, rest=r) for x in ("cold", "warm") for k, n, r in REST),
    ),
    inputs=inputs,
    spaces=(QUERIES,),
)
