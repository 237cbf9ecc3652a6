"""The defences: what a would-be keep must pass last, in the order of cost.

    floor             no call is faster than its outputs can be written
    distinct inputs   the gain exists on inputs that no process has met before
    total times       no input, family, size class or op is slower
    opponent          the champion is not slower behind the candidate than behind other code

Each judges the claim and every combo, and returns its results with its pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from lance_autoresearch.bench.bench import Bench
from lance_autoresearch.bench.meter import Sides, measure_pairs
from lance_autoresearch.bench.pools import Pool, count_output_bytes
from lance_autoresearch.judge.job import EarlyVerdict
from lance_autoresearch.judge.totals import Totals, defend_totals
from lance_autoresearch.records import (
    Claim,
    Comparison,
    DistinctInputsResult,
    OpponentResult,
    Reason,
    ReasonKind,
    Verdict,
)
from lance_autoresearch.rules.defences import (
    explain_distinct,
    explain_floor,
    explain_opponent,
    find_floor_flags,
    judge_distinct_inputs,
    judge_opponent,
)
from lance_autoresearch.rules.policy import Policy


@dataclass(frozen=True, slots=True)
class Defences:
    """What the defences measured and decided; None if one was not run."""

    claim: Claim | None = None
    """The gains by which they judged; None: none was run."""
    distinct_pairs: Comparison | None = None
    distinct: DistinctInputsResult | None = None
    opponent_pairs: Comparison | None = None
    opponent: OpponentResult | None = None
    totals: Totals | None = None
    end: EarlyVerdict | None = None


def defend(
    bench: Bench,
    comparison: Comparison,
    layouts: Sequence[Sides],
    pools: Sequence[Pool],
    claim: Claim,
    policy: Policy,
) -> Defences:
    """Run the defences until one forbids the keep.

    Args:
        comparison: the confirmation's pairs.
        layouts: champion and candidate in fresh layouts; at least two.
        claim: the gains as confirmed by these pairs.

    Raises:
        KernelAtFault, MachineError: as `Meter.measure_pair`.
    """
    found = Defences(claim, end=refuse_too_fast(comparison, pools, policy))
    if found.end is None:
        found = _defend_distinct(bench, layouts[0], claim, policy, found)
    if found.end is None:
        totals = defend_totals(bench, layouts, policy)
        found = replace(found, totals=totals, end=totals.end)
    if found.end is None:
        found = _defend_opponent(bench, layouts, pools, claim, policy, found)
    return found


def _defend_distinct(
    bench: Bench, sides: Sides, claim: Claim, policy: Policy, found: Defences
) -> Defences:
    with bench.phases("fresh"):
        pools = bench.inputs.make_distinct()
    pairs = measure_distinct(bench, sides, pools, policy)
    result = judge_distinct_inputs(pairs, claim, policy)
    end = _end_with(pairs, "short pairs", explain_distinct(result, claim))
    return replace(found, distinct_pairs=pairs, distinct=result, end=end)


def measure_distinct(
    bench: Bench, sides: Sides, pools: Sequence[Pool], policy: Policy
) -> Comparison:
    """Pairs of champion and candidate in which no process meets an input twice."""
    rounds, calls = policy.distinct_rounds, [1] * len(pools)
    meter = bench.make_meter([sides], pools, policy, rounds=rounds, calls=calls, drawn=True)
    with bench.phases("distinct"), bench.hold_machine():
        return measure_pairs(meter, policy.distinct_pairs)


def _defend_opponent(
    bench: Bench, layouts: Sequence[Sides], pools: Sequence[Pool], claim: Claim,
    policy: Policy, found: Defences,
) -> Defences:  # fmt: skip
    pairs = measure_opponent(bench, layouts, pools, policy)
    result = judge_opponent(pairs, claim, policy)
    end = _end_with(pairs, "pairs behind another program", explain_opponent(result, claim))
    return replace(found, opponent_pairs=pairs, opponent=result, end=end)


def measure_opponent(
    bench: Bench, layouts: Sequence[Sides], pools: Sequence[Pool], policy: Policy
) -> Comparison:
    """Pairs of the champion behind another layout of itself, and behind the candidate."""
    turns = [
        replace(layouts[i % len(layouts)], opponent=layouts[i - 1].champion)
        for i in range(policy.opponent_pairs)
    ]
    meter = bench.make_meter(turns, pools, policy)
    with bench.phases("opponent"), bench.hold_machine():
        return measure_pairs(meter, policy.opponent_pairs)


def refuse_too_fast(
    comparison: Comparison, pools: Sequence[Pool], policy: Policy
) -> EarlyVerdict | None:
    """A verdict against a kernel that was faster than its outputs can be written."""
    written = zip(
        comparison.combos, map(count_output_bytes, (p.expected for p in pools)), strict=True
    )
    floors = {combo.label: size / policy.store_bytes_per_ns for combo, size in written}
    return _reject(explain_floor(find_floor_flags(comparison, floors)))


def _end_with(pairs: Comparison, what: str, reason: Reason | None) -> EarlyVerdict | None:
    """The verdict against a keep, if there is one.

    Args:
        what: which pairs they are.
        reason: why these pairs forbid it, or None.
    """
    valid = sum(pair.void is None for pair in pairs.pairs)
    if 2 * valid >= len(pairs.pairs):
        return _reject(reason)
    few = Reason(ReasonKind.FEW_VALID_PAIRS, what, count=valid, total=len(pairs.pairs),
                 at_confirmation=True)  # fmt: skip
    return EarlyVerdict(Verdict.INCONCLUSIVE, few)


def _reject(reason: Reason | None) -> EarlyVerdict | None:
    return None if reason is None else EarlyVerdict(Verdict.REJECTED, reason)
