"""From ticks to one number a pair: the part that gate, confirmation and A/A test share.

    PairTimes        champion[c][r], candidate[c][r]: ticks         e.g. 61 000, 59 800
      - empty slice  on each side                                       60 850, 59 652
      ln, median     over the rounds of a pair, per combo               +0.0199
      clip           per combo, at median +- 3 x 1.4826 x MAD over pairs, an eighth of them
      mean           over the combos of an op (weights), then over ops (equal): "all"

All values are natural logarithms of champion / candidate: positive is faster. Void pairs are
left out. Nothing here decides; nothing here reads a clock, a file or a seed.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from lance_autoresearch.errors import UsageError
from lance_autoresearch.records import ComboId, Comparison, PairTimes
from lance_autoresearch.rules import stats
from lance_autoresearch.rules.policy import Policy

ALL = "all"
"""Name of the component that averages every op."""


@dataclass(frozen=True)
class Sample:
    """One value a pair of one combo or component, with the floor of the SD."""

    name: str
    values: tuple[float, ...]
    """Clipped, natural log ratio, in the order of the pairs."""
    least_sd: float
    clipped: float = 0.0
    """How many of the values were clipped; of a component the mean over its combos."""

    @property
    def n(self) -> int:
        """Number of pairs."""
        return len(self.values)

    @cached_property
    def mean(self) -> float:
        """Mean over the pairs; 0 without pairs."""
        return stats.mean(self.values) if self.values else 0.0

    @cached_property
    def sd(self) -> float:
        """SD of one pair's value, floored."""
        return max(stats.sd(self.values), self.least_sd)

    @property
    def error(self) -> float:
        """Standard error of the mean; inf for fewer than two pairs."""
        return self.sd / math.sqrt(self.n) if self.n > 1 else math.inf

    def compute_fixed_bounds(self, level: float) -> stats.Bounds:
        """Student's interval of the mean for an n fixed beforehand, true to its level.

        Clipping shrinks the SD: the plain interval of 16 normal values at 99 % covers 98.7 %.
        Dixon and Tukey (Technometrics 10, 1968): with h = n - clipped, take h - 1 degrees of
        freedom and widen by (n-1)/(h-1); simulated coverage is then 99.0 %.
        """
        left = self.n - self.clipped - 1.0
        if left <= 0.0:
            return stats.Bounds(-math.inf, math.inf)
        return stats.compute_t_bounds(self.mean, self.error * (self.n - 1) / left, left, level)

    def compute_t(self, null: float) -> float:
        """(mean - null) / standard error; 0 for fewer than two pairs."""
        return (self.mean - null) / self.error


@dataclass(frozen=True)
class Samples:
    """The decision's data: a sample per combo, and per component."""

    combos: tuple[Sample, ...]
    """In the order of Comparison.combos."""
    components: tuple[Sample, ...]
    """`all` first, then each op in order of first appearance, if there are several."""
    pairs: int
    void: int


def select_valid_pairs(comparison: Comparison) -> tuple[PairTimes, ...]:
    """The pairs that count."""
    return tuple(p for p in comparison.pairs if p.void is None)


def has_too_many_void(comparison: Comparison, policy: Policy) -> bool:
    """More than max(2, 10 %) of the pairs run were void."""
    void = sum(p.void is not None for p in comparison.pairs)
    return void > max(policy.max_void, policy.max_void_share * len(comparison.pairs))


def count_voids(comparison: Comparison) -> tuple[tuple[str, int], ...]:
    """Causes of the void pairs with their counts, most frequent first."""
    seen = Counter(str(p.void.cause) for p in comparison.pairs if p.void is not None)
    return tuple(seen.most_common())


def compute_samples(
    comparison: Comparison, policy: Policy, *, slow_counts: bool = False
) -> Samples:
    """Every value of the decision. Raises UsageError for a comparison that contradicts itself.

    Args:
        slow_counts: clip from above only, so that no process in which the candidate was slow is
            taken for an outlier.
    """
    check_comparison(comparison)
    pairs = select_valid_pairs(comparison)
    floors = [max(policy.sd_floor * s, policy.sd_least) for s in _read_aa_sd(comparison)]
    combos = tuple(
        _build_combo_sample(
            c.label, [compute_pair_value(p, i) for p in pairs], floors[i], policy, slow_counts
        )
        for i, c in enumerate(comparison.combos)
    )
    ops = list_ops(comparison.combos)
    op_floors = floors[len(combos) : -1]
    each = tuple(
        _build_op_sample(op, comparison.combos, combos, least)
        for op, least in zip(ops, op_floors, strict=True)
    )
    whole = Sample(
        ALL,
        tuple(stats.mean(column) for column in zip(*(s.values for s in each), strict=True)),
        floors[-1],
        stats.mean([s.clipped for s in each]),
    )
    components = (whole, *each) if len(ops) > 1 else (whole,)
    return Samples(combos, components, len(pairs), len(comparison.pairs) - len(pairs))


def compute_pair_value(pair: PairTimes, combo: int) -> float:
    """Median over double rounds of the mean ln(champion/candidate), empty slices subtracted.

    A double round is AB and its complement BA. If the two programs are alike, the second side
    finds the branch predictor trained on the very same window: up to 20 % in one slice
    (upstream's heap loop, its sign alternating with the order). The mean of the two cancels it;
    a median over single rounds would pick one of two states. A last round without its
    complement does not count, unless it is the only one.

    The logarithm keeps the order, so double rounds are ranked by the plain ratio of products (a
    correctly rounded division of integers) and only the middle ones are converted.
    """
    rounds = [_subtract_empty(*ticks, pair.empty) for ticks in _list_rounds(pair, combo)]
    if len(rounds) == 1:
        return stats.compute_ln_ratio(*rounds[0])
    doubles = [(a[0] * b[0], a[1] * b[1]) for a, b in zip(rounds[::2], rounds[1::2], strict=False)]
    ranked = sorted(doubles, key=lambda r: r[0] / r[1])
    half = len(ranked) // 2
    if len(ranked) % 2:
        return 0.5 * stats.compute_ln_ratio(*ranked[half])
    return 0.25 * (
        stats.compute_ln_ratio(*ranked[half - 1]) + stats.compute_ln_ratio(*ranked[half])
    )


def call_ns(comparison: Comparison, combo: int) -> tuple[float, float]:
    """Median time of one call, champion and candidate, ns: over rounds, then over pairs."""
    sides: tuple[list[float], list[float]] = ([], [])
    for pair in select_valid_pairs(comparison):
        net = [_subtract_empty(*ticks, pair.empty) for ticks in _list_rounds(pair, combo)]
        for side, kept in enumerate(sides):
            ticks = stats.median([float(n[side]) for n in net])
            kept.append(ticks / pair.calls[combo] / comparison.ticks_per_ns)
    champion, candidate = (stats.median(s) if s else 0.0 for s in sides)
    return champion, candidate


def count_unmeasurable_rounds(comparison: Comparison, combo: int) -> int:
    """Rounds whose candidate took no longer than an empty slice."""
    return sum(
        candidate <= pair.empty[1]
        for pair in select_valid_pairs(comparison)
        for candidate in pair.candidate[combo]
    )


def list_ops(combos: Sequence[ComboId]) -> tuple[str, ...]:
    """Ops in order of first appearance."""
    return tuple(dict.fromkeys(c.op for c in combos))


def check_comparison(comparison: Comparison) -> None:
    """Raise UsageError, naming all faults, if a comparison contradicts itself."""
    faults = [] if comparison.combos else ["no combos"]
    faults += [f"weight of {c.label} not positive" for c in comparison.combos if not c.weight > 0]
    if len({c.label for c in comparison.combos}) < len(comparison.combos):
        faults.append("two combos of one name")
    if not 0 < comparison.ticks_per_ns < math.inf:
        faults.append("ticks_per_ns not positive")
    ops = len(list_ops(comparison.combos))
    if len(comparison.aa_sd) not in (0, len(comparison.combos) + ops + 1):
        faults.append(f"aa_sd has {len(comparison.aa_sd)} values, not one per combo, op and all")
    if not all(0 <= s < math.inf for s in comparison.aa_sd):
        faults.append("aa_sd holds a value that is no SD")
    for i, pair in enumerate(comparison.pairs):
        if pair.void is None and (fault := _find_pair_fault(pair, len(comparison.combos))):
            faults.append(f"pair {i}: {fault}")
    if faults:
        raise UsageError("; ".join(faults[:8]), where="comparison")


def _find_pair_fault(pair: PairTimes, combos: int) -> str | None:
    if not len(pair.calls) == len(pair.champion) == len(pair.candidate) == combos:
        return f"does not have {combos} combos"
    for calls, champion, candidate in zip(pair.calls, pair.champion, pair.candidate, strict=True):
        if len(champion) != len(candidate) or not champion:
            return "sides differ in rounds, or have none"
        if min(champion) <= 0 or min(candidate) <= 0 or calls <= 0:
            return "a time or a number of calls is not positive"
    return "an empty slice is negative" if min(pair.empty) < 0 else None


def _list_rounds(pair: PairTimes, combo: int) -> list[tuple[int, int]]:
    return list(zip(pair.champion[combo], pair.candidate[combo], strict=True))


def _subtract_empty(champion: int, candidate: int, empty: tuple[int, int]) -> tuple[int, int]:
    """Both times without their empty slice; if one would not be positive, both with it.

    The second case draws the ratio towards 1, so that a slice too short to measure never
    looks like a large gain; `confirmation.find_floor_flags` names such combos.
    """
    net = champion - empty[0], candidate - empty[1]
    return net if min(net) > 0 else (champion, candidate)


def _build_combo_sample(
    label: str, values: Sequence[float], least: float, policy: Policy, slow_counts: bool
) -> Sample:
    most = max(1, int(policy.clip_share * len(values)))
    clipped = stats.clip(values, policy.clip, most) if values else ()
    if slow_counts:
        clipped = tuple(map(min, values, clipped))
    changed = sum(a != b for a, b in zip(values, clipped, strict=True))
    return Sample(label, clipped, least, float(changed))


def _build_op_sample(
    op: str, ids: Sequence[ComboId], combos: Sequence[Sample], least: float
) -> Sample:
    """Weighted mean over the combos of one op, per pair."""
    rows = [(c.weight, s) for c, s in zip(ids, combos, strict=True) if c.op == op]
    total = math.fsum(w for w, _ in rows)
    values = tuple(math.fsum(w * s.values[p] for w, s in rows) / total for p in range(rows[0][1].n))
    return Sample(op, values, least, math.fsum(w * s.clipped for w, s in rows) / total)


def _read_aa_sd(comparison: Comparison) -> Sequence[float]:
    if comparison.aa_sd:
        return comparison.aa_sd
    return [0.0] * (len(comparison.combos) + len(list_ops(comparison.combos)) + 1)
