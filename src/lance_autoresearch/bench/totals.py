"""A thousand secret inputs for each op, no two alike: what the total time is measured over.

    inputs = write_totals(target, directory, seed, maker)     one pool an op

Some are near the timed combos (a size within 10 %, drawn data), the rest are drawn from the op's
whole space. Both are in one random order.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lance_autoresearch.bench.pools import Pool, draw_near_shape, write_pool
from lance_autoresearch.records import InputClass, OpInputs
from lance_autoresearch.rules.policy import TOTALS
from lance_autoresearch.targets.space import describe_size_class, draw_combos
from lance_autoresearch.targets.spec import Combo, Maker, Target

MIB = 1 << 20


def draw_totals(target: Target, seed: int) -> list[tuple[Combo, ...]]:
    """The inputs of every op, one more than are timed: the first one warms up. Pure."""
    import numpy as np

    out = []
    for i, op in enumerate(target.ops):
        rng = np.random.default_rng([seed, 4, i])
        timed = [combo for combo in target.timed if combo.op == op.name]
        near = [timed[j % len(timed)] for j in range(TOTALS.near if timed else 0)]
        cases = [Combo(op.name, draw_near_shape(c, rng), c.drawn_dist, 1) for c in near]
        count = TOTALS.inputs + 1 - len(cases)
        size = int(TOTALS.drawn_mib / len(target.ops) * MIB)
        cases += draw_combos(target.find_space(op.name), rng, count, max_bytes=size)
        out.append(tuple(cases[j] for j in rng.permutation(len(cases))))
    return out


def write_totals(
    target: Target, directory: Path, seed: int, maker: Maker | None
) -> list[Pool]:
    """Write the pool of every op into a fresh directory (mode 0700)."""
    import numpy as np

    directory.mkdir(parents=True, mode=0o700)
    pools = []
    for i, (op, cases) in enumerate(zip(target.ops, draw_totals(target, seed), strict=True)):
        path = directory / f"{i:03d}.pool"
        window = max((c.window_kib for c in target.timed if c.op == op.name), default=512)
        combo = Combo(op.name, {}, "distinct inputs", len(cases), window_kib=window)
        calls = (
            call
            for j, case in enumerate(cases)
            for call in target.inputs(
                case.op, case.shape, case.dist, np.random.default_rng([seed, 5, i, j]), 1, maker
            )
        )
        write_pool(path, target, combo, calls)
        pools.append(Pool(combo, path, path.with_suffix(".expected"), cases))
    return pools


def describe_inputs(pools: Sequence[Pool]) -> tuple[OpInputs, ...]:
    """Family and size class of every input."""
    return tuple(
        OpInputs(
            pool.combo.op,
            tuple(InputClass(c.drawn_dist, describe_size_class(c.shape)) for c in pool.cases),
        )
        for pool in pools
    )


def list_all(pools: Sequence[Pool]) -> tuple[tuple[int, ...], ...]:
    """All inputs but each op's first one, which warms up."""
    return tuple(tuple(range(1, len(pool.cases))) for pool in pools)
