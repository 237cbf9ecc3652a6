"""Secret cases before a keep: hundreds of drawn sizes and families, compared with Lance once.

    drawn = check_secret_cases(bench, candidate)
    drawn.calls, drawn.seed, drawn.end

They are drawn from the target's spaces for this confirmation alone, so no kernel can have met them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lance_autoresearch.bench.bench import Bench
from lance_autoresearch.bench.pools import Pool
from lance_autoresearch.build.builder import Built
from lance_autoresearch.judge.job import EarlyVerdict


@dataclass(frozen=True, slots=True)
class SecretCases:
    """What the check of a full draw found."""

    calls: int
    """Calls compared."""
    seed: int
    """The draw's seed: it is published and never used again."""
    mib: float
    """Size of the draw, with Lance's outputs."""
    end: EarlyVerdict | None
    """The verdict if one was at fault."""


def check_secret_cases(bench: Bench, candidate: Built) -> SecretCases:
    """Compare every case of a full draw, at every tier that differs on this processor.

    Raises:
        LarError: the machine or Lance's own code failed.
    """
    with bench.inputs.take_draw() as (pools, seed), bench.phases("drawn"):
        files = [file for pool in pools for file in (pool.path, pool.expected)]
        mib = sum(file.stat().st_size for file in files) / (1 << 20)
        calls, end = check_draw(bench, candidate, pools)
    return SecretCases(calls, seed, mib, end)


def check_draw(
    bench: Bench, candidate: Built, pools: Sequence[Pool]
) -> tuple[int, EarlyVerdict | None]:
    """The number of compared calls of one draw, and the verdict if one was at fault."""
    calls = 0
    for tier in bench.list_tiers():
        result = bench.check_library(candidate.so, tier, pools)
        calls += result.calls
        if result.fault is not None:
            return calls, EarlyVerdict.make_from_fault(result.fault)
    return calls, None
