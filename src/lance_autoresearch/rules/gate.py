"""The gate: a pure function from the pairs so far to the next step.

    pairs 1-3      continue            too few to say anything
    pairs 4-40     keep-candidate      mean e-value over the components >= 4,000 (pair 7 at best)
                   revert, slower      E >= 5 against 'gain >= margin', no component above it
                   revert, guard       one combo significantly more than 3 % slower
                   continue            otherwise
    pair 40        revert, not proven (later in a noisy session: `Policy.adapt_to_noise`)
    void pairs     more than max(2, 10 %): inconclusive, before all other rules

`run_gate(comparison, policy)` uses all pairs it is given; the caller asks after every pair and
stops at the first answer that is not `continue` (`replay_gate` does the same on a recorded
comparison). Same input, same bits, on any machine: see `stats`.

The error of the threshold. For one component E is a martingale under 'gain = margin', so P(E ever
reaches 4,000) <= 2.5e-4, and E+ grows with t, so a smaller gain only lowers it. The mean over K
components reaches the threshold only if one of them does; each E+ uses one of two symmetric
sides. The bound for normal values is therefore about K/2 x 2.5e-4. What clipping, heavy tails,
outliers and drift do to it was simulated: docs/results/simulation.md has the counts.
Confirmation comes on top of this.
"""

from __future__ import annotations

from dataclasses import replace

from lance_autoresearch.records import (
    ComboRow,
    Comparison,
    Component,
    GateResult,
    Guard,
    Outcome,
    Reason,
    ReasonKind,
)
from lance_autoresearch.rules import stats
from lance_autoresearch.rules.estimator import (
    ALL,
    Sample,
    Samples,
    call_ns,
    compute_samples,
    count_voids,
    has_too_many_void,
)
from lance_autoresearch.rules.policy import Policy


def run_gate(comparison: Comparison, policy: Policy) -> GateResult:
    """Judge a comparison. Raises UsageError if it contradicts itself."""
    data = compute_samples(comparison, policy)
    components = tuple(_build_component(s, policy) for s in data.components)
    combos = tuple(_build_row(comparison, i, s, policy) for i, s in enumerate(data.combos))
    proof = stats.mean([c.e for c in components])
    if has_too_many_void(comparison, policy):
        outcome = Outcome.INCONCLUSIVE
        reason = Reason(
            ReasonKind.VOID_PAIRS,
            count=data.void,
            total=len(comparison.pairs),
            voids=count_voids(comparison),
        )
    else:
        outcome, reason = _decide(data, components, combos, proof, policy)
    return GateResult(
        outcome=outcome,
        reason=reason,
        claim=max(components, key=lambda c: c.e).name,
        e=proof,
        threshold=policy.e_threshold,
        components=components,
        combos=combos,
        pairs=data.pairs,
        void=data.void,
    )


def replay_gate(comparison: Comparison, policy: Policy, before: int = 0) -> GateResult:
    """The answer after the first pair at which the gate stopped, or after the last pair.

    Args:
        before: pairs of an earlier, undecided trial that this one continued: they are seen at
            once, and as many more pairs are allowed.
    """
    policy = replace(policy, max_pairs=policy.max_pairs + before)
    for seen in range(before + 1, len(comparison.pairs)):
        result = run_gate(replace(comparison, pairs=comparison.pairs[:seen]), policy)
        if result.outcome is not Outcome.CONTINUE:
            return result
    return run_gate(comparison, policy)


def _decide(
    data: Samples,
    components: tuple[Component, ...],
    combos: tuple[ComboRow, ...],
    proof: float,
    policy: Policy,
) -> tuple[Outcome, Reason]:
    if data.pairs < policy.min_pairs:
        few = Reason(ReasonKind.TOO_FEW_PAIRS, count=data.pairs, total=policy.min_pairs)
        return Outcome.CONTINUE, few
    guarded = [c for c in combos if c.guard is not Guard.OK]
    if guarded:
        worst = min(guarded, key=lambda c: c.gain)
        slower = Reason(
            ReasonKind.COMBO_SLOWER, about=worst.combo.label, gain=worst.gain, bound=worst.high
        )
        return Outcome.REVERT, slower
    if proof >= policy.e_threshold:
        return Outcome.KEEP_CANDIDATE, Reason(ReasonKind.PROVEN)
    whole = components[0]
    below = all(s.compute_t(policy.margin) < 0 for s in data.components)
    if below and whole.e_below >= policy.futility_threshold:
        return Outcome.REVERT, Reason(_classify_below(data.components[0], policy))
    if data.pairs >= policy.max_pairs:
        return Outcome.REVERT, Reason(ReasonKind.NOT_PROVEN)
    return Outcome.CONTINUE, Reason(ReasonKind.UNDECIDED, count=data.pairs)


def _classify_below(whole: Sample, policy: Policy) -> ReasonKind:
    """Slower by the rule that reverts: E >= 5, here against 'gain >= 0'."""
    e = stats.compute_e_value(whole.compute_t(0.0), whole.n, policy.mixture_variance)
    slower = whole.mean < 0 and e >= policy.futility_threshold
    return ReasonKind.SLOWER if slower else ReasonKind.NO_GAIN


def _build_component(sample: Sample, policy: Policy) -> Component:
    bounds = _compute_any_stop_bounds(sample, policy)
    t = sample.compute_t(policy.margin)
    e = stats.compute_e_value(t, sample.n, policy.mixture_variance)
    return Component(
        name=sample.name,
        gain=stats.convert_to_percent(sample.mean),
        low=stats.convert_to_percent(bounds.low),
        high=stats.convert_to_percent(bounds.high),
        e=e if t > 0 else 0.0,
        e_below=e if t < 0 else 0.0,
    )


def _build_row(comparison: Comparison, index: int, sample: Sample, policy: Policy) -> ComboRow:
    bounds = _compute_any_stop_bounds(sample, policy)
    champion_ns, candidate_ns = call_ns(comparison, index)
    return ComboRow(
        combo=comparison.combos[index],
        champion_ns=champion_ns,
        candidate_ns=candidate_ns,
        gain=stats.convert_to_percent(sample.mean),
        low=stats.convert_to_percent(bounds.low),
        high=stats.convert_to_percent(bounds.high),
        guard=Guard.SLOWER if -bounds.high > policy.screen_guard else Guard.OK,
    )


def _compute_any_stop_bounds(sample: Sample, policy: Policy) -> stats.Bounds:
    return stats.compute_any_stop_bounds(
        sample.mean, sample.sd, sample.n, policy.mixture_variance, policy.stop_level
    )


__all__ = ["ALL", "replay_gate", "run_gate"]
