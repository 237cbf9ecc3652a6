"""pq-l2: the scan of 8-bit product-quantized rows and the L2 table it looks up.

A scan adds, for each of `n` rows, one table entry per sub-vector (m of them); a table holds the
squared distances of `m` parts of the query to 256 centroids of `dsub` dimensions each.
"""

from collections.abc import Iterator, Mapping

import numpy as np

from lance_autoresearch.fixtures.drawn import mix
from lance_autoresearch.fixtures.floats import VALUES, draw_gaussian
from lance_autoresearch.targets.space import Range, Shape, Space
from lance_autoresearch.targets.spec import DRAWN, Call, Combo, Maker, Op, Out, Target

from .fixtures import (
    CENTROIDS,
    CODES,
    DRAWN_CODES,
    drawn_codebook,
    drawn_table,
    residual_codebook,
    residual_table,
    uniform_codes,
)

HARD = {name: VALUES[name] for name in VALUES if name != "gaussian"} | {
    "hard": lambda rng, n: mix(rng, n, list(VALUES.values()))
}
"""Floats that are hard to sum; `hard` are two kinds of them in one array."""


def inputs(
    op: str, shape: Mapping[str, int], dist: str, rng: np.random.Generator, calls: int,
    make: Maker | None,
) -> Iterator[Call]:  # fmt: skip
    """Scan: a fresh query and partition per call. Table: one codebook, a fresh query per call."""
    make_calls = scan_calls if op == "scan8" else table_calls
    yield from make_calls(shape, dist.removeprefix(DRAWN), dist.startswith(DRAWN), rng, calls)


def scan_calls(
    shape: Shape, kind: str, drawn: bool, rng: np.random.Generator, calls: int
) -> Iterator[Call]:
    """Codes of a kind, or hard floats in the table; `drawn`: with drawn parameters."""
    m, n = shape["m"], shape["n"]
    codes = DRAWN_CODES.get(kind, DRAWN_CODES["mixed"]) if drawn else CODES.get(kind, uniform_codes)
    for _ in range(calls):
        if hard := HARD.get(kind):
            table = hard(rng, m * CENTROIDS)
        else:
            table = drawn_table(rng, m) if drawn else residual_table(rng, m)
        yield Call((table, np.array([m], np.uint64), codes(rng, m, n)), (4 * n,))


def table_calls(
    shape: Shape, kind: str, drawn: bool, rng: np.random.Generator, calls: int
) -> Iterator[Call]:
    """A codebook and queries; dimensions beyond the last sub-vector are not read (`tail`)."""
    m, dsub, tail = shape["m"], shape["dsub"], shape.get("tail", 0) % shape["m"]
    size, floats = m * dsub + tail, HARD.get(kind)
    for i in range(calls):
        if i % 16 == 0:  # another index has another codebook
            scale = 1.0
            if floats:
                codebook = floats(rng, m * CENTROIDS * dsub)
            elif drawn:
                codebook, scale = drawn_codebook(rng, m, dsub)
            else:
                codebook = residual_codebook(rng, m, dsub)
        query = floats(rng, size) if floats else np.float32(0.14 * scale) * draw_gaussian(rng, size)
        yield Call((codebook, np.array([m], np.uint64), query), (4 * m * CENTROIDS,))


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


HARD_CHECKS = ("wide", "specials", "subnormal", "minus-zero", "huge", "bits")
SCANS = Space(
    "scan8",
    {"m": Range(1, 2048), "n": Range(0, 1 << 20)},
    tuple(DRAWN + kind for kind in (*DRAWN_CODES, *HARD)),
    max_bytes=16 << 20,
    bound="rows of a partition and sub-vectors are 32-bit numbers in Lance; here they end at 2^20 "
    "and 2,048, and a call at 16 MiB, since memory and time do",
    call_bytes=lambda shape: 8 + shape["m"] * (4 * CENTROIDS + shape["n"]) + 4 * shape["n"],
)
TABLES = Space(
    "table_l2",
    {"m": Range(1, 2048), "dsub": Range(1, 4096), "tail": Range(0, 300)},
    (DRAWN + "residual", *HARD),
    max_bytes=16 << 20,
    bound="dimensions of a vector are a 32-bit number in Lance; here a codebook of 256 centroids "
    "for 2,048 sub-vectors or 4,096 dimensions each, at most 16 MiB, since memory ends there",
    call_bytes=lambda shape: (
        8
        + 4 * (CENTROIDS + 1) * shape["m"] * shape["dsub"]
        + 4 * (CENTROIDS * shape["m"] + shape["tail"])
    ),
)
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
        *(scan(m, n, dist, 1) for dist in HARD_CHECKS for m, n in ((1, 70), (16, 333), (33, 129))),
        *(table(m, dsub, "residual", 2) for m in (1, 6) for dsub in (1, 4, 8, 12, 16, 17, 32, 128)),
        *(table(m, dsub, "residual", 1) for m, dsub in ((192, 8), (24, 32), (16, 24), (8, 7))),
        *(table(5, dsub, dist, 1) for dist in HARD_CHECKS for dsub in (4, 8, 16, 19, 32)),
        table(7, 9, "residual", 1, tail=1),
        table(20, 1, "residual", 1, tail=19),
        table(4, 16, "residual", 1, tail=3),
        table(6, 8, "specials", 1, tail=5),
    ),
    inputs=inputs,
    spaces=(SCANS, TABLES),
    demo=True,
)
