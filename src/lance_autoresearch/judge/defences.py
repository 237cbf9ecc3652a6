"""The defences: what a would-be keep must pass last, in the order of cost.

    floor             no call is faster than its outputs can be written
    distinct inputs   the gain exists on inputs that no process has met before
    opponent          the champion is not slower behind the candidate than behind other code
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from lance_autoresearch.bench.bench import Bench
from lance_autoresearch.bench.meter import Sides, measure_pairs
from lance_autoresearch.bench.pools import Pool, count_output_bytes
from lance_autoresearch.judge.job import EarlyVerdict
from lance_autoresearch.records import (
    Comparison,
    DistinctInputsResult,
    Estimate,
    OpponentResult,
    Reason,
    ReasonKind,
    Verdict,
)
from lance_autoresearch.rules.confirmation import (
    find_floor_flags,
    judge_distinct_inputs,
    judge_opponent,
)
from lance_autoresearch.rules.policy import Policy


@dataclass(frozen=True, slots=True)
class Defences:
    """What the defences measured and decided; None if one was not run."""

    distinct_pairs: Comparison | None = None
    distinct: DistinctInputsResult | None = None
    opponent_pairs: Comparison | None = None
    opponent: OpponentResult | None = None
    claim: float | None = None
    """Gain of the claim in %, the reference of the defences."""
    end: EarlyVerdict | None = None


def defend(
    bench: Bench,
    comparison: Comparison,
    layouts: Sequence[Sides],
    pools: Sequence[Pool],
    claimed: Estimate,
    policy: Policy,
) -> Defences:
    """Run the defences until one forbids the keep.

    Args:
        comparison: the confirmation's pairs.
        layouts: champion and candidate in fresh layouts; at least two.
        claimed: the claim as confirmed.

    Raises:
        KernelAtFault, MachineError: as `Meter.measure_pair`.
    """
    if (end := refuse_too_fast(comparison, pools, policy)) is not None:
        return Defences(end=end)
    found = _defend_distinct(bench, layouts[0], claimed, policy)
    if found.end is not None:
        return found
    return _defend_opponent(bench, layouts, pools, claimed, policy, found)


def _defend_distinct(
    bench: Bench, sides: Sides, claimed: Estimate, policy: Policy
) -> Defences:
    with bench.phases("fresh"):
        pools = bench.inputs.make_distinct()
    seen = measure_distinct(bench, sides, pools, policy)
    found = Defences(seen, claim=claimed.gain)
    if (end := _refuse_mostly_void(seen, "short pairs")) is not None:
        return replace(found, end=end)
    result = judge_distinct_inputs(seen, claimed.name, claimed.gain, policy)
    reason = Reason(ReasonKind.REPEATED_INPUTS, f"{claimed.name} {claimed.gain:+.1f}%",
                    result.gain, result.high, at_confirmation=True)  # fmt: skip
    end = EarlyVerdict(Verdict.REJECTED, reason) if result.rejected else None
    return replace(found, distinct=result, end=end)


def measure_distinct(
    bench: Bench, sides: Sides, pools: Sequence[Pool], policy: Policy
) -> Comparison:
    """Pairs of champion and candidate in which no process meets an input twice."""
    rounds, calls = policy.distinct_rounds, [1] * len(pools)
    meter = bench.make_meter([sides], pools, policy, rounds=rounds, calls=calls)
    with bench.phases("confirm"), bench.hold_machine():
        return measure_pairs(meter, policy.distinct_pairs)


def _defend_opponent(
    bench: Bench, layouts: Sequence[Sides], pools: Sequence[Pool], claimed: Estimate,
    policy: Policy, found: Defences,
) -> Defences:  # fmt: skip
    behind = measure_opponent(bench, layouts, pools, policy)
    found = replace(found, opponent_pairs=behind)
    if (end := _refuse_mostly_void(behind, "pairs behind another program")) is not None:
        return replace(found, end=end)
    result = judge_opponent(behind, claimed.name, claimed.gain, policy)
    reason = Reason(ReasonKind.SLOWED_OPPONENT, f"{claimed.name} {claimed.gain:+.1f}%",
                    result.slowdown, result.low, at_confirmation=True)  # fmt: skip
    end = EarlyVerdict(Verdict.REJECTED, reason) if result.rejected else None
    return replace(found, opponent=result, end=end)


def measure_opponent(
    bench: Bench, layouts: Sequence[Sides], pools: Sequence[Pool], policy: Policy
) -> Comparison:
    """Pairs of the champion behind another layout of itself, and behind the candidate."""
    turns = [
        replace(layouts[i % len(layouts)], opponent=layouts[i - 1].champion)
        for i in range(policy.opponent_pairs)
    ]
    meter = bench.make_meter(turns, pools, policy)
    with bench.phases("confirm"), bench.hold_machine():
        return measure_pairs(meter, policy.opponent_pairs)


def refuse_too_fast(
    comparison: Comparison, pools: Sequence[Pool], policy: Policy
) -> EarlyVerdict | None:
    """A verdict against a kernel that was faster than its outputs can be written."""
    written = zip(
        comparison.combos, map(count_output_bytes, (p.expected for p in pools)), strict=True
    )
    floors = {combo.label: size / policy.store_bytes_per_ns for combo, size in written}
    for flag in find_floor_flags(comparison, floors):
        reason = Reason(ReasonKind.TOO_FAST, flag.combo, flag.candidate_ns, flag.floor_ns,
                        at_confirmation=True)  # fmt: skip
        return EarlyVerdict(Verdict.REJECTED, reason)
    return None


def _refuse_mostly_void(seen: Comparison, what: str) -> EarlyVerdict | None:
    """Inconclusive if more than half of the pairs are void."""
    valid = sum(pair.void is None for pair in seen.pairs)
    if 2 * valid >= len(seen.pairs):
        return None
    reason = Reason(ReasonKind.FEW_VALID_PAIRS, what, count=valid, total=len(seen.pairs),
                    at_confirmation=True)  # fmt: skip
    return EarlyVerdict(Verdict.INCONCLUSIVE, reason)
