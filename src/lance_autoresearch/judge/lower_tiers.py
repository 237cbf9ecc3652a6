"""Lower CPU tiers: a kernel that gains here must not lose on a processor that has less.

Before a keep, the judge times each lower tier that this processor can emulate, that the target
declares, and for which one of the two kernels has code of its own: champion against candidate,
on the confirmation's pools and layouts. The guard applies; no gain is required.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lance_autoresearch.bench import tiers
from lance_autoresearch.bench.bench import Bench
from lance_autoresearch.bench.meter import Sides, gather_pairs
from lance_autoresearch.bench.pools import Pool
from lance_autoresearch.judge.job import EarlyVerdict
from lance_autoresearch.records import Comparison, ReasonKind, TierResult, Verdict
from lance_autoresearch.rules.confirmation import judge_tier, plan_tier_pairs
from lance_autoresearch.rules.policy import Policy


@dataclass(frozen=True, slots=True)
class LowerTiers:
    """The measurement and decision of each tier, and the verdict if one forbids the keep."""

    pairs: tuple[tuple[str, Comparison], ...] = ()
    results: tuple[TierResult, ...] = ()
    end: EarlyVerdict | None = None


def time_lower_tiers(
    bench: Bench, layouts: Sequence[Sides], pools: Sequence[Pool], policy: Policy
) -> LowerTiers:
    """Time both kernels at each lower tier until one forbids the keep.

    Raises:
        KernelAtFault, MachineError: as `Meter.measure_pair`.
    """
    pairs: list[tuple[str, Comparison]] = []
    results: list[TierResult] = []
    for tier in list_lower_tiers(bench):
        bench.phases.say(f"tier {tier}: is it slower where a processor has less?")
        with bench.phases("tiers"), bench.hold_machine():
            measured = _measure(bench, layouts, pools, policy, tier)
        pairs.append((tier, measured))
        results.append(judge_tier(measured, tier, policy))
        if (end := _end_of(results[-1])) is not None:
            return LowerTiers(tuple(pairs), tuple(results), end)
    return LowerTiers(tuple(pairs), tuple(results))


def list_lower_tiers(bench: Bench) -> list[str]:
    """Tiers of the target below the timed one, without those that are equal here."""
    return tiers.list_distinct(bench.target.tiers, bench.opened.features)[1:]


def _measure(
    bench: Bench, layouts: Sequence[Sides], pools: Sequence[Pool], policy: Policy, tier: str
) -> Comparison:
    """Measure as many pairs as the spread of the first few requires."""
    meter = bench.make_meter(layouts, pools, policy, tier=tier, drawn=True)
    pairs = [meter.measure_pair() for _ in range(policy.tier_pairs)]
    wanted = plan_tier_pairs(gather_pairs(meter, pairs), policy)
    pairs += [meter.measure_pair() for _ in range(wanted - len(pairs))]
    return gather_pairs(meter, pairs)


def _end_of(result: TierResult) -> EarlyVerdict | None:
    if result.reason is None:
        return None
    few = result.reason.kind is ReasonKind.FEW_VALID_PAIRS
    return EarlyVerdict(Verdict.INCONCLUSIVE if few else Verdict.REVERT, result.reason)
