"""pq-l2: the scan of 8-bit product-quantized rows and the L2 table it looks up.

A scan adds, for each of `n` rows, one table entry per sub-vector (m of them); a table holds the
squared distances of `m` parts of the query to 256 centroids of `dsub` dimensions each.
"""

from collections.abc import Iterator, Mapping

import numpy as np

from lance_autoresearch.fixtures.floats import VALUES, draw_gaussian
from lance_autoresearch.targets.spec import Call, Combo, Maker, Op, Out, Target

from .fixtures import CENTROIDS, CODES, residual_codebook, residual_table, uniform_codes


def inputs(
    op: str, shape: Mapping[str, int], dist: str, rng: np.random.Generator, calls: int,
    make: Maker | None,
) -> Iterator[Call]:  # fmt: skip
    """Scan: a fresh query and partition per call. Table: one codebook, a fresh query per call."""
    m = np.array([shape["m"]], np.uint64)
    cells = shape["m"] * CENTROIDS
    if op == "scan8":
        codes = CODES.get(dist, uniform_codes)
        for _ in range(calls):
            hard = VALUES.get(dist)
            table = hard(rng, cells) if hard else residual_table(rng, shape["m"])
            yield Call((table, m, codes(rng, shape["m"], shape["n"])), (4 * shape["n"],))
        return
    dsub = shape["dsub"]
    floats = VALUES.get(dist)
    for i in range(calls):
        if i % 16 == 0:  # another index has another codebook
            residual = residual_codebook(rng, shape["m"], dsub)
            codebook = floats(rng, cells * dsub) if floats else residual
        size = shape["m"] * dsub + shape.get("tail", 0)
        query = floats(rng, size) if floats else np.float32(0.14) * draw_gaussian(rng, size)
        yield Call((codebook, m, query), (4 * cells,))


def scan(m: int, n: int, dist: str, calls: int, confirm: int | None = None) -> Combo:
    second = {"m": m, "n": confirm} if confirm else None
    return Combo("scan8", {"m": m, "n": n}, dist, calls, second)


def table(
    m: int, dsub: int, dist: str, calls: int, confirm: int | None = None, tail: int = 0
) -> Combo:
    second = {"m": confirm, "dsub": dsub} if confirm else None
    shape = {"m": m, "dsub": dsub} | ({"tail": tail} if tail else {})
    # 96 x 8 dimensions: the codebook alone is 768 KiB, and stays in the second-level cache.
    return Combo("table_l2", shape, dist, calls, second, window_kib=1024 if m > 16 else 512)


HARD = ("wide", "specials", "subnormal", "minus-zero", "huge", "bits")
TARGET = Target(
    name="pq-l2",
    summary="8-bit product quantization: scanning a partition and building the L2 table",
    call_site="lance-index/src/vector/pq/distance.rs:131",
    cost="61-63 % of an IVF_PQ query's wall time is scan and top-k (analyze_plan, 2 data sets)",
    ops=(Op("scan8", (Out("f32", "bits32"),)), Op("table_l2", (Out("f32", "bits32"),))),
    timed=(
        scan(16, 256, "uniform", 64, 250),
        scan(16, 2048, "skewed", 16, 2111),
        scan(16, 8000, "uniform", 6, 8330),
        scan(16, 23600, "clustered", 3, 22030),
        scan(48, 2048, "clustered", 6, 1999),
        scan(96, 1024, "skewed", 6, 1069),
        scan(96, 4000, "uniform", 3, 3907),
        table(16, 8, "residual", 32, 17),
        table(96, 8, "residual", 8, 101),
        table(48, 16, "residual", 8, 51),
    ),
    checks=(
        *(scan(m, n, "uniform", 2) for m, n in ((1, 1), (1, 63), (3, 64), (16, 65), (2, 127))),
        *(scan(m, n, "skewed", 2) for m, n in ((16, 0), (7, 200), (255, 70), (192, 2000))),
        *(scan(m, n, "clustered", 1) for m, n in ((16, 8191), (16, 8192), (3, 140001), (96, 1023))),
        *(scan(m, n, dist, 1) for dist in HARD for m, n in ((1, 70), (16, 333), (33, 129))),
        *(table(m, dsub, "residual", 2) for m in (1, 6) for dsub in (1, 4, 8, 12, 16, 17, 32, 128)),
        *(table(m, dsub, "residual", 1) for m, dsub in ((192, 8), (24, 32), (16, 24), (8, 7))),
        *(table(5, dsub, dist, 1) for dist in HARD for dsub in (4, 8, 16, 19, 32)),
        table(7, 9, "residual", 1, tail=1),
        table(20, 1, "residual", 1, tail=19),
        table(4, 16, "residual", 1, tail=3),
        table(6, 8, "specials", 1, tail=5),
    ),
    inputs=inputs,
    demo=True,
)
