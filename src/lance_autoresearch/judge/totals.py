"""The defence of every input: a thousand distinct ones an op, slow ones again in other pairs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from lance_autoresearch.bench.bench import Bench
from lance_autoresearch.bench.meter import Sides
from lance_autoresearch.bench.pools import Pool
from lance_autoresearch.bench.totals import describe_inputs, list_all
from lance_autoresearch.bench.totals_pair import measure_totals
from lance_autoresearch.judge.job import EarlyVerdict
from lance_autoresearch.records import (
    Reason,
    ReasonKind,
    TotalsResult,
    TotalTimes,
    Verdict,
)
from lance_autoresearch.rules.policy import TOTALS, Policy
from lance_autoresearch.rules.totals import (
    explain_totals,
    judge_totals,
    plan_repeat,
)


@dataclass(frozen=True, slots=True)
class Totals:
    """What was measured and decided."""

    times: TotalTimes
    result: TotalsResult | None
    """None if no pair counts."""
    end: EarlyVerdict | None
    """A verdict against the keep, or None."""


def defend_totals(bench: Bench, layouts: Sequence[Sides], policy: Policy) -> Totals:
    """Time every distinct input once, and what looks slow again.

    Args:
        layouts: champion and candidate in fresh layouts, one a pair in turn.

    Raises:
        KernelAtFault, MachineError: as `Meter.measure_pair`.
    """
    with bench.inputs.take_totals() as pools, bench.phases("totals"):
        return defend_over(bench, layouts, pools, policy)


def defend_over(
    bench: Bench, layouts: Sequence[Sides], pools: Sequence[Pool], policy: Policy
) -> Totals:
    """The same over these inputs."""
    times = _measure(bench, layouts, pools, policy)
    result = judge_totals(times, policy)
    if result is None or plan_repeat(times, policy) is not None:
        return Totals(times, result, EarlyVerdict(Verdict.INCONCLUSIVE, _count_valid(times)))
    reason = explain_totals(result)
    end = None if reason is None else EarlyVerdict(Verdict.REVERT, reason)
    return Totals(times, result, end)


def _measure(
    bench: Bench, layouts: Sequence[Sides], pools: Sequence[Pool], policy: Policy
) -> TotalTimes:
    """Pairs until nothing is left to ask, or until `TOTALS.tries` of them in a row are void."""
    times = TotalTimes(describe_inputs(pools), (), bench.opened.ticks_per_ns)
    picks: tuple[tuple[int, ...], ...] | None = list_all(pools)
    void = 0
    while picks is not None and void < TOTALS.tries:
        sides = layouts[len(times.pairs) % len(layouts)]
        pair = measure_totals(bench, sides, pools, picks, policy)
        times = replace(times, pairs=(*times.pairs, pair))
        void = 0 if pair.times.void is None else void + 1
        if not void:
            picks = plan_repeat(times, policy)
            if picks is not None:
                bench.phases.say("some inputs look slow: the same ones in another process pair")
    return times


def _count_valid(times: TotalTimes) -> Reason:
    causes = Counter(str(p.times.void.cause) for p in times.pairs if p.times.void is not None)
    return Reason(
        ReasonKind.FEW_VALID_PAIRS, "over distinct inputs",
        count=len(times.pairs) - causes.total(), total=len(times.pairs),
        voids=tuple(causes.most_common()), at_confirmation=True,
    )  # fmt: skip
