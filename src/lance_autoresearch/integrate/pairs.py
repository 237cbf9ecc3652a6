"""Pairs of processes until every query class is decided, or there may be no more.

    comparison = measure_until_decided(meter, say)
    judge_classes(comparison)                          one effect per class
"""

from __future__ import annotations

import time
from collections.abc import Callable

from lance_autoresearch.bench.meter import gather_pairs
from lance_autoresearch.integrate.meter import QueryMeter
from lance_autoresearch.records import ClassEffect, Comparison, PairTimes
from lance_autoresearch.rules.policy import DEFAULT, QUERIES
from lance_autoresearch.rules.queries import judge_queries


def measure_until_decided(meter: QueryMeter, say: Callable[[str], None]) -> Comparison:
    """At least `QUERIES.min_pairs`, then until all is decided or time or pairs are used up.

    Raises:
        CandidateAtFault: it answers otherwise, or ends.
        ServerFault: Lance itself failed.
    """
    begun, valid = time.monotonic(), 0
    pairs: list[PairTimes] = []
    allowed = QUERIES.main_seconds if len(meter.combos) == 1 else QUERIES.all_seconds
    while True:
        pairs.append(meter.measure_pair())
        valid += pairs[-1].void is None
        comparison = gather_pairs(meter, pairs)
        spent = time.monotonic() - begun
        say(f"pair {len(pairs)} of at most {QUERIES.max_pairs}, {spent:.0f} s")
        over = len(pairs) >= QUERIES.max_pairs or spent + spent / len(pairs) > allowed
        if over and len(pairs) >= QUERIES.min_pairs:
            return comparison
        if valid >= QUERIES.min_pairs and all(
            effect.effect.is_decided for effect in judge_classes(comparison)
        ):
            return comparison


def judge_classes(comparison: Comparison) -> tuple[ClassEffect, ...]:
    """The effect on each class under this project's policy."""
    return judge_queries(comparison, DEFAULT, QUERIES)
