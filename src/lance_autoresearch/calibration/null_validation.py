"""What a target's own noise is: the champion against its copy, and what a pair costs."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

from lance_autoresearch.bench.bench import Bench
from lance_autoresearch.bench.meter import Sides
from lance_autoresearch.records import Comparison, Outcome
from lance_autoresearch.rules import stats
from lance_autoresearch.rules.confirmation import measure_bias, measure_spread
from lance_autoresearch.rules.gate import run_gate
from lance_autoresearch.rules.policy import Policy

PAIR_LIMIT_S = 0.25
"""A target whose A/A pair takes longer makes every trial slow."""


@dataclass(frozen=True, slots=True)
class ProofLine:
    """One established fact."""

    ok: bool
    what: str
    detail: str


def prove_null(what: str, measured: Comparison, policy: Policy) -> ProofLine:
    """A comparison of a program with itself is not kept."""
    spread = measure_spread(measured, policy)
    result = run_gate(replace(measured, aa_sd=spread), policy)
    bias = measure_bias(measured, policy)
    detail = (
        f"{bias.gain:+.2f}% [{bias.low:+.2f} {bias.high:+.2f}] over {result.pairs} pairs, "
        f"SD {100 * spread[-1]:.2f}% a pair"
    )
    return ProofLine(result.outcome is not Outcome.KEEP_CANDIDATE, f"{what} is not kept", detail)


def measure_cost(bench: Bench, champion: Path, policy: Policy) -> ProofLine:
    """Seconds of one A/A pair: median of five."""
    meter = bench.make_meter([Sides(champion, champion)], bench.inputs.epoch.timed, policy)
    spent = []
    with bench.hold_machine():
        for _ in range(5):
            begun = time.perf_counter()
            meter.measure_pair()
            spent.append(time.perf_counter() - begun)
    median = stats.median(spent)
    return ProofLine(
        median <= PAIR_LIMIT_S, f"a pair takes at most {PAIR_LIMIT_S} s", f"{median:.3f} s"
    )
