"""Judges whole queries: a pure function from pairs of processes to an effect per query class.

    judge_queries(comparison, policy, queries) -> one `ClassEffect` per class, in order

A class is a combo. The value of a pair and its clipping are those of every other decision
(`estimator`). Intervals hold at any stopping time (`stats.compute_any_stop_t`), and, by Bonferroni,
for all classes together: the number of pairs may follow what was seen.
"""

from __future__ import annotations

from lance_autoresearch.records import ClassEffect, Comparison, Effect
from lance_autoresearch.rules import stats
from lance_autoresearch.rules.estimator import Sample, call_ns, compute_samples
from lance_autoresearch.rules.policy import Policy, QueryPolicy


def judge_queries(
    comparison: Comparison, policy: Policy, queries: QueryPolicy
) -> tuple[ClassEffect, ...]:
    """The effect on each class. Raises UsageError if the comparison contradicts itself."""
    data = compute_samples(comparison, policy)
    level = 1.0 - (1.0 - queries.level) / len(data.combos)
    return tuple(
        _judge_class(comparison, index, sample, level, policy, queries)
        for index, sample in enumerate(data.combos)
    )


def _judge_class(
    comparison: Comparison, index: int, sample: Sample, level: float, policy: Policy,
    queries: QueryPolicy,
) -> ClassEffect:  # fmt: skip
    bounds = stats.compute_any_stop_bounds(
        sample.mean, sample.sd, sample.n, policy.mixture_variance, level
    )
    baseline_ns, candidate_ns = call_ns(comparison, index)
    return ClassEffect(
        name=comparison.combos[index].name,
        effect=_classify(bounds, sample.n, queries),
        gain=stats.convert_to_percent(sample.mean),
        low=stats.convert_to_percent(bounds.low),
        high=stats.convert_to_percent(bounds.high),
        baseline_ns=baseline_ns,
        candidate_ns=candidate_ns,
        pairs=sample.n,
    )


def _classify(bounds: stats.Bounds, pairs: int, queries: QueryPolicy) -> Effect:
    if pairs < queries.min_pairs:
        return Effect.NOT_RESOLVED
    if bounds.low > 0.0:
        return Effect.FASTER
    if bounds.high < 0.0:
        return Effect.SLOWER
    narrow = max(-bounds.low, bounds.high) <= queries.resolution
    return Effect.NO_CHANGE if narrow else Effect.NOT_RESOLVED


def is_neutral(control: ClassEffect, queries: QueryPolicy) -> bool:
    """Whether Lance's own code behind a hook is as fast as in its place, as far as one can see."""
    apart = control.effect in (Effect.FASTER, Effect.SLOWER)
    return not (apart and abs(control.gain) > 100.0 * queries.neutral)


def predict_gain(share: float, ratio: float) -> float:
    """Gain of a query, %, in which a kernel of this share takes `ratio` of its time (Amdahl)."""
    left = 1.0 - share * (1.0 - ratio)
    return 100.0 * (1.0 / left - 1.0) if left > 0.0 else float("inf")
