"""Pools of drawn cases: sizes from a target's spaces, data from families, all from one secret seed.

    pools = write_draw(target, directory, seed, maker, DrawKind.FULL)
    pools = list_draw(target, directory, seed, DrawKind.FULL)     # the same, already written
    hide_case(pools, fault)     # a fault of a drawn case names its family and size class only

A pool holds the cases of one op, one a call, at most `CHUNK` of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from enum import Enum
from pathlib import Path

from lance_autoresearch.bench.pools import Pool, write_pool
from lance_autoresearch.records import Fault
from lance_autoresearch.rules.policy import DRAWS
from lance_autoresearch.targets.space import describe_size_class, draw_combos
from lance_autoresearch.targets.spec import DRAWN, Call, Combo, Maker, Target

CHUNK = 50
"""Cases of a pool: the machine is held for one at a time while draws are made ahead."""
MIB = 1 << 20


class DrawKind(Enum):
    """How much is drawn; the numbers are those of `policy.DRAWS`."""

    SMALL = "small"
    """For an epoch: checked in every trial."""
    FULL = "full"
    """For one confirmation."""


def draw_cases(target: Target, seed: int, kind: DrawKind) -> list[Combo]:
    """The cases of every op. Pure."""
    import numpy as np

    out = []
    for i, op in enumerate(target.ops):
        count, size = DRAWS.small_cases, DRAWS.small_mib
        if kind is DrawKind.FULL:
            count, size = DRAWS.full_cases, DRAWS.full_mib / len(target.ops)
        rng = np.random.default_rng([seed, 1, i])
        out += draw_combos(target.find_space(op.name), rng, count, max_bytes=int(size * MIB))
    return out


def list_draw(target: Target, directory: Path, seed: int, kind: DrawKind) -> list[Pool]:
    """The pools of a draw, by op; nothing is written."""
    cases = draw_cases(target, seed, kind)
    pools: list[Pool] = []
    for op in target.ops:
        own = [case for case in cases if case.op == op.name]
        for first in range(0, len(own), CHUNK):
            number, some = len(pools), tuple(own[first : first + CHUNK])
            path = directory / f"{number:03d}.pool"
            combo = Combo(op.name, {}, f"{DRAWN}{number}", len(some))
            pools.append(Pool(combo, path, path.with_suffix(".expected"), some))
    return pools


def write_draw(
    target: Target,
    directory: Path,
    seed: int,
    maker: Maker | None,
    kind: DrawKind,
    *,
    public: bool = False,
    holding: Callable[[], AbstractContextManager[object]] = nullcontext,
) -> list[Pool]:
    """Write the inputs of a draw into a fresh directory (mode 0700).

    Args:
        holding: a context that is held while one case is made.
    """
    directory.mkdir(parents=True, mode=0o700)
    pools = list_draw(target, directory, seed, kind)
    for i, pool in enumerate(pools):
        calls = _yield_calls(target, pool.cases, (seed, 2, i), maker, holding)
        write_pool(pool.path, target, pool.combo, calls, public=public)
    return pools


def _yield_calls(
    target: Target, cases: Sequence[Combo], seed: Sequence[int], maker: Maker | None,
    holding: Callable[[], AbstractContextManager[object]],
) -> Iterator[Call]:  # fmt: skip
    import numpy as np

    for i, case in enumerate(cases):
        with holding():
            rng = np.random.default_rng([*seed, i])
            made = list(target.inputs(case.op, case.shape, case.dist, rng, 1, maker))
        yield from made


def hide_case(pools: Sequence[Pool], fault: Fault) -> Fault:
    """The fault; of a drawn case without values, places and sizes.

    An op's name stays in front of its combo: messages begin with it.
    """
    for pool in pools:
        if pool.cases and pool.label == fault.combo:
            case = pool.cases[min(fault.call, len(pool.cases) - 1)]
            place = f"{case.op} {case.drawn_dist}, {describe_size_class(case.shape)}"
            words = fault.note if fault.kind.note_is_kernels else None
            return replace(
                fault, combo=place, call=0, offset=0, differs=0, total=0, got=b"", want=b"",
                note=words,
            )  # fmt: skip
    return fault
