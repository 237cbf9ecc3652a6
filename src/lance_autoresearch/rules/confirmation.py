"""Confirmation: what a would-be keep must still show, on fresh pools, sizes and layouts.

    confirm_claim(comparison, long_blocks, ...)  16 pairs or more, 4 with long blocks: keep, revert
    judge_tier(comparison, tier, ...)            is it slower on a processor that has less?
    measure_spread, measure_bias                 the session's noise: champion against its copy

Here n is fixed beforehand, so the intervals are Student's t, not the wider ones of the gate;
they are 99 % intervals of data that screening never used. The ledger holds this estimate: that
of screening was selected for its size, and therefore overstates the gain.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from lance_autoresearch.errors import UsageError
from lance_autoresearch.records import (
    ComboRow,
    Comparison,
    ConfirmResult,
    Estimate,
    Guard,
    Reason,
    ReasonKind,
    TierResult,
    Verdict,
)
from lance_autoresearch.rules import stats
from lance_autoresearch.rules.estimator import (
    Sample,
    Samples,
    call_ns,
    compute_samples,
    count_voids,
    has_too_many_void,
)
from lance_autoresearch.rules.policy import Policy


def confirm_claim(
    comparison: Comparison,
    long_blocks: Comparison | None,
    claim: str,
    policy: Policy,
) -> ConfirmResult:
    """Judge a would-be keep on its confirmation pairs.

    Args:
        comparison: `policy.confirm_pairs` pairs, a fresh layout per pair and side.
        long_blocks: `policy.long_block_pairs` pairs with long blocks; None skips that check.
        claim: the component the gate named, `all` or an op.
    Raises UsageError for a claim or comparison that does not fit.
    """
    data = compute_samples(comparison, policy)
    names = [s.name for s in data.components]
    if claim not in names:
        raise UsageError(f"no component named {claim!r}", where="confirmation", allowed=names)
    long_claim = (
        _find_claimed(compute_samples(long_blocks, policy), claim)
        if long_blocks is not None
        else None
    )
    rows = _build_guard_rows(comparison, data, policy)
    slow = _find_claimed(compute_samples(comparison, policy, slow_counts=True), claim)
    failure = _find_machine_failure(comparison, long_blocks, data, policy)
    fault = None if failure else _find_fault(data, rows, slow, long_claim, policy)
    verdict = Verdict.INCONCLUSIVE if failure else Verdict.REVERT if fault else Verdict.KEEP
    return ConfirmResult(
        verdict=verdict,
        reason=failure or fault or Reason(ReasonKind.CONFIRMED, at_confirmation=True),
        claim=claim,
        components=tuple(_estimate_gain(s, policy.confirm_level) for s in data.components),
        combos=rows,
        long_blocks=None
        if long_claim is None
        else _estimate_gain(long_claim, policy.confirm_level),
        pairs=data.pairs,
        void=data.void,
    )


DOUBTS = (
    ReasonKind.COMBO_SLOWER,
    ReasonKind.COMBO_MAY_BE_SLOWER,
    ReasonKind.OTHER_OP_SLOWER,
    ReasonKind.OTHER_OP_MAY_BE_SLOWER,
)
"""Reasons that more pairs may remove."""


def is_worth_more_pairs(result: ConfirmResult, policy: Policy) -> bool:
    """Only combos or ops whose slowdown is possible, but not significant, stand against the keep.

    Layout moves a small call by several percent, and 16 layouts may leave its interval too wide
    to exclude a loss of 5 %. The claim itself is not looked at again.
    """
    others = [c for c in result.components if c.name != result.claim]
    return (
        result.verdict is Verdict.REVERT
        and result.reason.kind in DOUBTS
        and all(row.guard is not Guard.SLOWER for row in result.combos)
        and all(c.high >= 0.0 for c in others)
        and result.pairs + result.void <= policy.confirm_pairs
    )


def _find_machine_failure(
    comparison: Comparison, long_blocks: Comparison | None, data: Samples, policy: Policy
) -> Reason | None:
    """Why the pairs allow no decision, or None."""
    if has_too_many_void(comparison, policy) or data.pairs < policy.confirm_pairs - policy.max_void:
        wanted = max(policy.confirm_pairs, len(comparison.pairs))
        return Reason(
            ReasonKind.FEW_VALID_PAIRS, count=data.pairs, total=wanted,
            voids=count_voids(comparison), at_confirmation=True,
        )  # fmt: skip
    if long_blocks is not None:
        valid = sum(p.void is None for p in long_blocks.pairs)
        if has_too_many_void(long_blocks, policy) or valid < 2:
            return Reason(
                ReasonKind.FEW_VALID_PAIRS, about="long blocks", count=valid,
                total=policy.long_block_pairs, voids=count_voids(long_blocks), at_confirmation=True,
            )  # fmt: skip
    return None


def _find_fault(
    data: Samples,
    rows: Sequence[ComboRow],
    slow: Sample,
    long_blocks: Sample | None,
    policy: Policy,
) -> Reason | None:
    """The first reason not to keep, or None.

    Args:
        slow: the claim, with processes in which the candidate was slow counted in full.
    """
    claim, claimed = slow.name, _find_claimed(data, slow.name)
    low = claimed.compute_fixed_bounds(policy.confirm_level).low
    if not low > policy.margin:
        return _make_reason(ReasonKind.CLAIM_TOO_SMALL, claim, claimed.mean, low)
    least = slow.compute_fixed_bounds(policy.confirm_level).low
    if not least > policy.slow_floor:
        return _make_reason(ReasonKind.SLOW_PROCESSES, claim, slow.mean, least)
    for other in data.components:
        bounds = other.compute_fixed_bounds(policy.confirm_level)
        if other.name != claim and bounds.low < policy.others_floor:
            if bounds.high < 0.0:
                return _make_reason(
                    ReasonKind.OTHER_OP_SLOWER, other.name, other.mean, bounds.high
                )
            return _make_reason(
                ReasonKind.OTHER_OP_MAY_BE_SLOWER, other.name, other.mean, bounds.low
            )
    for row in rows:
        if row.guard is not Guard.OK:
            return _make_guard_reason(row)
    if long_blocks is not None:
        drop = claimed.mean - long_blocks.mean
        error = math.hypot(claimed.error, long_blocks.error)
        share = policy.long_block_share * claimed.mean
        if drop > max(policy.long_block_slack, policy.long_block_errors * error, share):
            return _make_reason(ReasonKind.LONG_BLOCKS, claim, long_blocks.mean)
    return None


def _make_reason(kind: ReasonKind, about: str, gain: float, bound: float | None = None) -> Reason:
    """A reason of the confirmation from natural-log ratios."""
    end = None if bound is None else stats.convert_to_percent(bound)
    return Reason(kind, about, stats.convert_to_percent(gain), end, at_confirmation=True)


def _make_guard_reason(row: ComboRow) -> Reason:
    """The guard's reason against one combo."""
    slower = row.guard is Guard.SLOWER
    kind = ReasonKind.COMBO_SLOWER if slower else ReasonKind.COMBO_MAY_BE_SLOWER
    bound = row.high if slower else row.low
    return Reason(kind, row.combo.label, row.gain, bound, at_confirmation=True)


def _build_guard_rows(
    comparison: Comparison, data: Samples, policy: Policy
) -> tuple[ComboRow, ...]:
    """Every combo with an interval that holds for all of them together.

    Bonferroni: each interval has level 1 - (1 - guard_level)/K. It needs nothing but the t
    interval of each combo and holds whatever their correlation; a max-t quantile would have to
    be estimated by resampling from 16 pairs, would not be the same bits everywhere, and would
    gain little: combos of one process pair are nearly independent (at K = 12, 4.163 against
    4.160 standard errors under independence).
    """
    again = len(comparison.pairs) > policy.confirm_pairs
    family = policy.guard_again_level if again else policy.guard_level
    level = 1.0 - (1.0 - family) / len(data.combos)
    rows = []
    for i, sample in enumerate(data.combos):
        bounds = sample.compute_fixed_bounds(level)
        champion_ns, candidate_ns = call_ns(comparison, i)
        rows.append(
            ComboRow(
                combo=comparison.combos[i],
                champion_ns=champion_ns,
                candidate_ns=candidate_ns,
                gain=stats.convert_to_percent(sample.mean),
                low=stats.convert_to_percent(bounds.low),
                high=stats.convert_to_percent(bounds.high),
                guard=_classify_guard(bounds, policy),
            )
        )
    return tuple(rows)


def _classify_guard(gain: stats.Bounds, policy: Policy) -> Guard:
    if -gain.high > policy.guard_low:
        return Guard.SLOWER
    return Guard.MAY_BE_SLOWER if -gain.low >= policy.guard_high else Guard.OK


def plan_tier_pairs(comparison: Comparison, policy: Policy) -> int:
    """How many pairs a lower tier needs after the first `policy.tier_pairs`, by their spread.

    Stein's two-stage plan (Annals of Mathematical Statistics 16, 1945): the second stage depends
    on the standard deviation of the first and not on its mean, so the interval keeps its level.
    """
    data = compute_samples(comparison, policy)
    ops = data.components[1:] or data.components
    widest = max(_compute_half_width(sample, policy) for sample in ops)
    if not math.isfinite(widest) or widest <= policy.tier_width:
        return data.pairs
    needed = math.ceil(data.pairs * (widest / policy.tier_width) ** 2)
    return min(policy.tier_most_pairs, needed)


def _compute_half_width(sample: Sample, policy: Policy) -> float:
    bounds = sample.compute_fixed_bounds(policy.guard_level)
    return 0.5 * (bounds.high - bounds.low)


def judge_tier(comparison: Comparison, tier: str, policy: Policy) -> TierResult:
    """May a kernel be kept that does this at a lower CPU tier?

    It is forbidden if the interval of a combo lies below -`guard_low`, or that of an op (of all
    combos, if there is one op) reaches -`guard_high`. The kernel claims nothing here, so no gain
    is required.
    """
    data = compute_samples(comparison, policy)
    rows = _build_guard_rows(comparison, data, policy)
    return TierResult(
        tier=tier,
        reason=_find_tier_fault(rows, data, tier, policy),
        components=tuple(_estimate_gain(s, policy.guard_level) for s in data.components),
        combos=rows,
        pairs=data.pairs,
        void=data.void,
    )


def _find_tier_fault(
    rows: Sequence[ComboRow], data: Samples, tier: str, policy: Policy
) -> Reason | None:
    if 2 * data.pairs < data.pairs + data.void or data.pairs < 2:
        return Reason(
            ReasonKind.FEW_VALID_PAIRS, f"at tier {tier}", count=data.pairs,
            total=data.pairs + data.void, at_confirmation=True,
        )  # fmt: skip
    for row in rows:
        if row.guard is Guard.SLOWER:
            about = f"{row.combo.label} at tier {tier}"
            return Reason(
                ReasonKind.TIER_SLOWER, about, row.gain, row.high, at_confirmation=True
            )
    for op in data.components[1:] or data.components:
        bounds = op.compute_fixed_bounds(policy.guard_level)
        if -bounds.low >= policy.guard_high:
            return _make_reason(
                ReasonKind.TIER_MAY_BE_SLOWER, f"{op.name} at tier {tier}", op.mean, bounds.low
            )
    return None


def measure_spread(comparison: Comparison, policy: Policy) -> tuple[float, ...]:
    """SDs of one pair's value in an A/A, in the layout of `Comparison.aa_sd`.

    Of the clipped values, like every other number: one process in 200 is off by up to 6 times,
    and unclipped it would lift the floor so far that nothing is proven for the session.
    """
    data = compute_samples(comparison, policy)
    whole, *ops = data.components
    per_op = ops or [whole]
    return tuple(stats.sd(s.values) for s in (*data.combos, *per_op, whole))


def measure_bias(comparison: Comparison, policy: Policy) -> Estimate:
    """Gain of the champion over its own copy, all combos, with its fixed-n interval."""
    return _estimate_gain(compute_samples(comparison, policy).components[0], policy.confirm_level)


def _find_claimed(data: Samples, claim: str) -> Sample:
    return next(s for s in data.components if s.name == claim)


def _estimate_gain(sample: Sample, level: float) -> Estimate:
    low, high = (stats.convert_to_percent(b) for b in sample.compute_fixed_bounds(level))
    return Estimate(sample.name, stats.convert_to_percent(sample.mean), low, high, sample.n)
