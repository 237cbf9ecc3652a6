"""The defences' decisions: what a would-be keep must still show, of the claim and of every combo.

    judge_distinct_inputs(comparison, claim, ...)  is the gain there on inputs never met before?
    judge_opponent(comparison, claim, ...)         did the candidate slow its opponent down?
    find_floor_flags(comparison, ...)              times too short to be true
    explain_distinct, explain_opponent             why a result forbids the keep

The claim is judged at a level of its own; the combos at `Policy.defence_level`, which holds for all
of them together (Bonferroni, as in the guard of confirmation).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from lance_autoresearch.records import (
    Claim,
    ComboId,
    Comparison,
    DefenceRow,
    DistinctInputsResult,
    FloorFlag,
    OpponentResult,
    Reason,
    ReasonKind,
)
from lance_autoresearch.rules import stats
from lance_autoresearch.rules.estimator import (
    Sample,
    Samples,
    call_ns,
    compute_samples,
    count_unmeasurable_rounds,
    select_valid_pairs,
)
from lance_autoresearch.rules.policy import Policy


def judge_distinct_inputs(
    comparison: Comparison, claim: Claim, policy: Policy
) -> DistinctInputsResult:
    """Does the gain exist on inputs that the process never met before?

    A kernel that finds its earlier answers in memory it has freed is right and fast, and no
    output reveals it. It must compute only the inputs that it meets for the first time.

    Args:
        comparison: pairs of fresh processes in which no window repeats.
        claim: the gains if windows do repeat.
    """
    data = compute_samples(comparison, policy)
    sample = _find_claimed(data, claim.name)
    high = sample.compute_fixed_bounds(policy.confirm_level).high
    return DistinctInputsResult(
        gain=stats.convert_to_percent(sample.mean),
        high=stats.convert_to_percent(high),
        claim_rejected=_is_gone(claim.gain, high, policy.distinct_slack, policy),
        combos=_judge_combos(comparison, data, claim, policy, _judge_distinct_combo),
    )


def _judge_distinct_combo(
    combo: ComboId, sample: Sample, claimed: float, level: float, policy: Policy
) -> DefenceRow:
    high = sample.compute_fixed_bounds(level).high
    return DefenceRow(
        combo=combo,
        claimed=claimed,
        seen=stats.convert_to_percent(sample.mean),
        bound=stats.convert_to_percent(high),
        rejected=_is_gone(claimed, high, policy.distinct_combo_slack, policy),
    )


def _is_gone(claimed: float, high: float, slack: float, policy: Policy) -> bool:
    """Whether a gain of `claimed` % is gone where it is at most `high` (natural logarithm).

    What never gained may not lose more than the slack either.
    """
    claimed_log = math.log1p(claimed / 100.0)
    return claimed_log - high > max(slack, (1.0 - policy.distinct_share) * claimed_log)


def judge_opponent(comparison: Comparison, claim: Claim, policy: Policy) -> OpponentResult:
    """Is the champion slower behind the candidate than behind another layout of it?

    Args:
        comparison: pairs whose times are both the champion's, of one process: `champion` those
            behind that, `candidate` those behind the candidate.
        claim: the gains of the candidate.
    Rejected if the one-sided lower bound of the slowdown exceeds `opponent_slack` and
    `opponent_share` of the claim; or that of one combo `opponent_combo_slack` and the same share
    of its own gain.
    """
    data = compute_samples(comparison, policy)
    sample = _find_claimed(data, claim.name)
    low = _find_least_slowdown(sample, policy.opponent_level)
    return OpponentResult(
        slowdown=stats.convert_to_percent(-sample.mean),
        low=stats.convert_to_percent(low),
        claim_rejected=_is_slowed(claim.gain, low, policy.opponent_slack, policy),
        combos=_judge_combos(comparison, data, claim, policy, _judge_opponent_combo),
    )


def _judge_opponent_combo(
    combo: ComboId, sample: Sample, claimed: float, level: float, policy: Policy
) -> DefenceRow:
    low = _find_least_slowdown(sample, level)
    return DefenceRow(
        combo=combo,
        claimed=claimed,
        seen=stats.convert_to_percent(-sample.mean),
        bound=stats.convert_to_percent(low),
        rejected=_is_slowed(claimed, low, policy.opponent_combo_slack, policy),
    )


def _find_least_slowdown(sample: Sample, level: float) -> float:
    """One-sided lower bound of a slowdown, natural logarithm."""
    return -sample.compute_fixed_bounds(2.0 * level - 1.0).high


def _is_slowed(claimed: float, low: float, slack: float, policy: Policy) -> bool:
    return low > max(slack, policy.opponent_share * math.log1p(claimed / 100.0))


JudgeCombo = Callable[[ComboId, Sample, float, float, Policy], DefenceRow]
"""combo, its sample, its claimed gain in %, level of its bound, policy -> its row."""


def _judge_combos(
    comparison: Comparison, data: Samples, claim: Claim, policy: Policy, judge_combo: JudgeCombo
) -> tuple[DefenceRow, ...]:
    """A row for each combo, or none if the policy or the claim has no combos."""
    if not claim.combos or policy.defence_level <= 0.0:
        return ()
    level = 1.0 - (1.0 - policy.defence_level) / len(data.combos)
    each = zip(comparison.combos, data.combos, claim.combos, strict=True)
    return tuple(judge_combo(*one, level, policy) for one in each)


def explain_distinct(result: DistinctInputsResult, claim: Claim) -> Reason | None:
    """Why the pairs with distinct inputs forbid the keep; None: they do not."""
    row = min((row for row in result.combos if row.rejected), key=_read_seen, default=None)
    if result.claim_rejected:
        return _make_reason(
            ReasonKind.REPEATED_INPUTS, claim.name, claim.gain, result.gain, result.high
        )
    return None if row is None else _make_combo_reason(ReasonKind.REPEATED_INPUTS, row)


def explain_opponent(result: OpponentResult, claim: Claim) -> Reason | None:
    """Why the pairs of the champion behind the candidate forbid the keep; None: they do not."""
    row = max((row for row in result.combos if row.rejected), key=_read_seen, default=None)
    if result.claim_rejected:
        return _make_reason(
            ReasonKind.SLOWED_OPPONENT, claim.name, claim.gain, result.slowdown, result.low
        )
    return None if row is None else _make_combo_reason(ReasonKind.SLOWED_OPPONENT, row)


def _read_seen(row: DefenceRow) -> float:
    return row.seen


def _make_combo_reason(kind: ReasonKind, row: DefenceRow) -> Reason:
    return _make_reason(kind, row.combo.label, row.claimed, row.seen, row.bound)


def _make_reason(
    kind: ReasonKind, about: str, claimed: float, seen: float, bound: float
) -> Reason:
    return Reason(kind, f"{about} {claimed:+.1f}%", seen, bound, at_confirmation=True)


def explain_floor(flags: Sequence[FloorFlag]) -> Reason | None:
    """Why times that are too short forbid the keep; None: there are none."""
    for flag in flags:
        return Reason(ReasonKind.TOO_FAST, flag.combo, flag.candidate_ns, flag.floor_ns,
                      at_confirmation=True)  # fmt: skip
    return None


def find_floor_flags(
    comparison: Comparison, floors_ns: Mapping[str, float]
) -> tuple[FloorFlag, ...]:
    """Combos whose candidate is faster than possible.

    Args:
        floors_ns: least time of one call by combo label: the bytes that it must write over the
            most a core can store. A missing label has no such floor.
    A combo is flagged at any floor if half of its rounds took no longer than an empty slice.
    """
    flags = []
    for i, combo in enumerate(comparison.combos):
        floor = floors_ns.get(combo.label, 0.0)
        _, candidate_ns = call_ns(comparison, i)
        short = count_unmeasurable_rounds(comparison, i)
        rounds = sum(len(p.candidate[i]) for p in select_valid_pairs(comparison))
        if candidate_ns < floor or 0 < rounds <= 2 * short:
            flags.append(FloorFlag(combo.label, candidate_ns, floor, short))
    return tuple(flags)


def _find_claimed(data: Samples, claim: str) -> Sample:
    return next(s for s in data.components if s.name == claim)
