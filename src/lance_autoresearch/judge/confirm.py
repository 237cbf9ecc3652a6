"""Confirmation measures a would-be keep again on fresh data and layouts, then runs the defences.

    fresh pools at second sizes, one fresh layout a pair and side     `policy.confirm_pairs`
    long blocks of one side                                           `policy.long_block_pairs`
    distinct inputs, the opponent                                     `defences`
    as many pairs again if one combo or op is the only doubt
    each lower CPU tier for which a kernel has code                   `lower_tiers`

The measurements are returned with every verdict.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from lance_autoresearch.bench.bench import Bench
from lance_autoresearch.bench.layouts import link_layouts
from lance_autoresearch.bench.meter import Sides, gather_pairs
from lance_autoresearch.bench.pools import Pool
from lance_autoresearch.judge.defences import Defences, defend
from lance_autoresearch.judge.job import EarlyVerdict, Prepared
from lance_autoresearch.judge.lower_tiers import LowerTiers, time_lower_tiers
from lance_autoresearch.judge.screen import Screening
from lance_autoresearch.records import (
    Claim,
    Comparison,
    ConfirmResult,
    GateResult,
    PairTimes,
    Verdict,
)
from lance_autoresearch.rules.confirmation import confirm_claim as decide
from lance_autoresearch.rules.confirmation import is_worth_more_pairs
from lance_autoresearch.rules.policy import Policy

LONG_BLOCK_MS = 5


@dataclass(frozen=True, slots=True)
class Confirmation:
    """The measurements and the decision of the confirmation."""

    comparison: Comparison
    long_blocks: Comparison
    result: ConfirmResult
    seed: int
    """The seed of its pools; it is published and never used again."""
    defences: Defences = field(default_factory=Defences)
    tiers: LowerTiers = field(default_factory=LowerTiers)
    end: EarlyVerdict | None = None
    """A verdict against the keep, or None."""


def confirm(
    bench: Bench, prepared: Prepared, screening: Screening, policy: Policy,
    floor: Sequence[float],
) -> Confirmation:  # fmt: skip
    """Measure a would-be keep again.

    Args:
        policy: fitted to the noise of the session.
        floor: the session's spread, as `Comparison.aa_sd`.

    Raises:
        KernelAtFault, MachineError: as `Meter.measure_pair`.
    """
    champion, candidate = prepared.champion, prepared.built
    assert candidate is not None
    with bench.phases("fresh"):
        pools, seed = bench.inputs.make_fresh()
        count = policy.confirm_pairs + policy.long_block_pairs
        layouts = link_layouts(champion, candidate, count)
    with bench.phases("confirm"), bench.hold_machine():
        short = _measure(bench, layouts[: policy.confirm_pairs], pools, policy)
        with bench.phases("long"):
            long = _measure_long(
                bench, layouts[policy.confirm_pairs :], pools, policy, screening
            )
    first = _decide(bench, short, long, screening, policy, floor, seed)
    doubtful = is_worth_more_pairs(first.result, policy)
    if first.result.verdict is Verdict.KEEP or doubtful:
        claim = Claim.make_from_confirmation(first.result)
        found = defend(bench, first.comparison, layouts, pools, claim, policy)
        first = replace(first, defences=found, end=found.end or first.end)
        if found.end is not None:
            return first
    if not doubtful:
        return _check_tiers(bench, prepared, first, layouts, pools, policy)
    bench.phases.say("a combo may be slower: as many pairs again")
    with bench.phases("fresh"):
        layouts = link_layouts(champion, candidate, policy.confirm_pairs)
    with bench.phases("confirm"), bench.hold_machine():
        short += _measure(bench, layouts, pools, policy)
    more = _decide(bench, short, long, screening, policy, floor, seed)
    more = replace(more, defences=first.defences)
    return _check_tiers(bench, prepared, more, layouts, pools, policy)


def _check_tiers(
    bench: Bench, prepared: Prepared, found: Confirmation, layouts: Sequence[Sides],
    pools: Sequence[Pool], policy: Policy,
) -> Confirmation:  # fmt: skip
    """A keep that one of the lower tiers may forbid; other verdicts stay as they are."""
    if found.end is not None or not prepared.asks_features:
        return found
    seen = time_lower_tiers(bench, layouts, pools, policy)
    return replace(found, tiers=seen, end=seen.end)


def _measure(
    bench: Bench, layouts: Sequence[Sides], pools: Sequence[Pool], policy: Policy
) -> list[PairTimes]:
    meter = bench.make_meter(layouts, pools, policy, drawn=True)
    return [meter.measure_pair() for _ in layouts]


def _measure_long(
    bench: Bench, layouts: Sequence[Sides], pools: Sequence[Pool], policy: Policy,
    screening: Screening,
) -> list[PairTimes]:  # fmt: skip
    rounds = _count_long_rounds(screening.result, policy)
    meter = bench.make_meter(
        layouts, pools, policy, rounds=rounds, block_ms=LONG_BLOCK_MS, drawn=True
    )
    return [meter.measure_pair() for _ in layouts]


def _count_long_rounds(result: GateResult, policy: Policy) -> int:
    """Half the rounds if a combo is over twice as fast: the slow side's blocks last longer."""
    quick = any(row.gain > 100.0 for row in result.combos)
    return policy.long_block_rounds // 2 if quick else policy.long_block_rounds


def _decide(
    bench: Bench, short: Sequence[PairTimes], long: Sequence[PairTimes], screening: Screening,
    policy: Policy, floor: Sequence[float], seed: int,
) -> Confirmation:  # fmt: skip
    meter = bench.make_meter((), (), policy)
    comparison, long_blocks = gather_pairs(meter, short, floor), gather_pairs(meter, long, floor)
    result = decide(comparison, long_blocks, screening.result.claim, policy)
    end = None
    if result.verdict is not Verdict.KEEP:
        end = EarlyVerdict(result.verdict, result.reason)
    return Confirmation(comparison, long_blocks, result, seed, end=end)
