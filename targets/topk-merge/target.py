"""topk-merge: the distances of probed partitions go into the top-k heap of a query.

One call is one query over `p` partitions of `n` rows each; `dist` is the heap's state at the
start (cold: empty, warm: as 40,000 earlier rows left it) and the distribution of the distances.
"""

from collections.abc import Iterator, Mapping

import numpy as np

from lance_autoresearch.fixtures.floats import MAX
from lance_autoresearch.targets.spec import Call, Combo, Maker, Op, Out, RowOrder, Target

from .fixtures import DISTANCES, heap_of, kth_band

EARLIER = 40_000
BOUNDS = {  # kind: (kind of the distances, lower, upper)
    "bounded": ("gaussian", 12.0, 30.0), "above": ("gaussian", 25.0, None),
    "below": ("ties", None, 17.0), "open": ("specials", -np.inf, np.inf),
    "any": ("bits", -np.nan, np.nan), "nans": ("nans", -np.nan, np.nan),
    "none": ("gaussian", 9, 9), "unit": ("specials", 0, 1), "twins": ("gaussian", None, None),
}  # fmt: skip


def inputs(
    op: str, shape: Mapping[str, int], dist: str, rng: np.random.Generator, calls: int,
    make: Maker | None,
) -> Iterator[Call]:  # fmt: skip
    """Row ids as Lance's row addresses; the calls of a pool score the same rows anew."""
    (state, name), k, rest = dist.split(), shape["k"], shape.get("rest", 0)
    rows = shape["n"] * shape["p"] + rest
    kind, *limits = BOUNDS.get(name, (name, None, None))
    lower, upper = (np.array([] if b is None else [b], np.float32) for b in limits)
    edges = [e if b is None else b for e, b in zip((-MAX, MAX), limits, strict=True)]
    ids = (rng.integers(0, 8, rows) << 32 | rng.permutation(rows)).astype(np.uint64)
    ids = ids % np.uint64(97) if name == "twins" else ids
    ends = np.arange(1, shape["p"] + 1, dtype=np.uint64) * np.uint64(shape["n"])
    first = np.array([k], np.uint64)
    for _ in range(calls):
        earlier = EARLIER if state == "warm" else 0
        heap = heap_of(DISTANCES[kind](rng, earlier), k, rng)
        heap_ids = np.uint64(1 << 40) + rng.permutation(heap.size).astype(np.uint64)
        dists = DISTANCES[kind](rng, rows)
        both = np.concatenate([heap_ids, ids]), np.concatenate([heap, dists])
        size = min(k, both[0].size)
        args = (first, lower, upper, heap_ids, heap, ends, ids, dists)
        yield Call(args, (4 * size, 8 * size), kth_band(k, *edges, heap.size, *both))


def combo(k: int, n: int, p: int, dist: str, calls=2, confirm: int | None = None, rest=0) -> Combo:
    second = {"k": k, "n": confirm, "p": p} if confirm else None
    shape = {"k": k, "n": n, "p": p} | ({"rest": rest} if rest else {})
    return Combo("accumulate", shape, dist, calls, second, window_kib=1024)


REST = ((10, 99, 50), (100, 333, 300), (1000, 777, 900), (7, 3, 20))  # by push and pop: a heap?
EDGES = ((1, 0), (10, 1), (10, 9), (3, 31), (1, 33), (100, 100), (64, 199), (65, 1000), (5000, 777))
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
)
