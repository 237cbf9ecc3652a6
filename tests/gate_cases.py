"""Comparisons built from wanted pair values: what the tests of the decision feed it.

    comparison([[0.021, 0.019], [0.020, 0.022]], ops=("scan", "scan"), rng=rng)

is two pairs of two combos, 20 rounds each, whose medians come out near the wanted values.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.random import Generator

from lance_autoresearch.ledger.results_json import encode_gate
from lance_autoresearch.records import ComboId, Comparison, GateResult, PairTimes
from lance_autoresearch.text.reasons import describe_reason

TICKS = 3.7
"""Ticks per ns of the synthetic clock."""
EMPTY = (231, 229)


def combos(ops: Sequence[str], weights: Sequence[float] | None = None) -> tuple[ComboId, ...]:
    """One combo per entry, named by its place."""
    return tuple(
        ComboId(op, f"16x{256 << i} {'clustered' if i % 2 else 'sparse'}", weight)
        for i, (op, weight) in enumerate(zip(ops, weights or [1.0] * len(ops), strict=True))
    )


def pair(
    values: Sequence[float],
    rng: Generator,
    rounds: int = 20,
    noise: float = 0.01,
    size: float = 2e5,
) -> PairTimes:
    """A pair whose combos have these medians of ln(champion/candidate), up to rounding.

    Args:
        noise: SD of one slice, log; it is the same on both sides of a round, plus a tenth of it
            apart, which the median over rounds mostly removes.
        size: ticks of a candidate's slice.
    """
    champion, candidate = [], []
    for value in values:
        common = rng.normal(0.0, noise, rounds)
        apart = rng.normal(0.0, 0.1 * noise, rounds)
        apart -= np.median(apart)
        base = size * np.exp(common)
        candidate.append(tuple(int(x) + EMPTY[1] for x in base))
        champion.append(tuple(int(x) + EMPTY[0] for x in base * np.exp(value + apart)))
    return PairTimes((31,) * len(values), tuple(champion), tuple(candidate), EMPTY)


def comparison(
    values: Sequence[Sequence[float]],
    rng: Generator,
    ops: Sequence[str] | None = None,
    *,
    rounds: int = 20,
    size: float = 2e5,
    aa_sd: Sequence[float] = (),
) -> Comparison:
    """[pair][combo] of wanted values as a comparison."""
    ids = combos(ops or ["scan"] * len(values[0]))
    pairs = tuple(pair(row, rng, rounds, size=size) for row in values)
    return Comparison(ids, pairs, TICKS, tuple(aa_sd))


def gate_fields(result: GateResult) -> dict[str, Any]:
    """The gate's fields as recorded cases hold them: the reason as its sentence."""
    return {**encode_gate(result), "reason": describe_reason(result.reason)}
