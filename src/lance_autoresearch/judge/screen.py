"""Screening: pairs of candidate and champion on the epoch's pools until the gate decides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

from lance_autoresearch.bench.meter import Meter, gather_pairs
from lance_autoresearch.judge.job import EarlyVerdict
from lance_autoresearch.records import (
    Comparison,
    GateResult,
    Outcome,
    PairTimes,
    Reason,
    ReasonKind,
    Verdict,
    VoidCause,
)
from lance_autoresearch.rules.gate import run_gate
from lance_autoresearch.rules.policy import Policy


@dataclass(frozen=True, slots=True)
class Screening:
    """Screening's results: raw pairs, the gate's decision, a verdict unless it may be a keep."""

    comparison: Comparison
    result: GateResult
    before: int
    """Pairs of an earlier trial that this one continued."""
    end: EarlyVerdict | None


def screen(
    meter: Meter,
    policy: Policy,
    floor: Sequence[float],
    earlier: Sequence[PairTimes] = (),
    *,
    show: Callable[[str], None] = lambda _: None,
    holding: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Screening:
    """Run pairs until the gate decides.

    Args:
        policy: fitted to the noise of the session.
        floor: the session's spread, as `Comparison.aa_sd`.
        earlier: valid pairs of an undecided trial of the same kernel.
        holding: a context that is held while pairs are measured: the machine's lock.

    Raises:
        KernelAtFault, MachineError: as `Meter.measure_pair`.
    """
    pairs = list(earlier)
    allowed = replace(policy, max_pairs=policy.max_pairs + len(earlier))
    with holding():
        while True:
            pairs.append(meter.measure_pair())
            comparison = gather_pairs(meter, pairs, floor)
            result = run_gate(comparison, allowed)
            show(f"pair {len(pairs)}  {_describe(result)}")
            end = _refuse_slow_arming(pairs, policy) or _end_of(result)
            if end is not None or result.outcome is not Outcome.CONTINUE:
                return Screening(comparison, result, len(earlier), end)


def _end_of(result: GateResult) -> EarlyVerdict | None:
    """The verdict that follows from the gate, or None."""
    ends = {Outcome.INCONCLUSIVE: Verdict.INCONCLUSIVE, Outcome.REVERT: Verdict.REVERT}
    verdict = ends.get(result.outcome)
    return None if verdict is None else EarlyVerdict(verdict, result.reason)


def _refuse_slow_arming(pairs: Sequence[PairTimes], policy: Policy) -> EarlyVerdict | None:
    """A candidate that is often slow to get ready is rejected: it works before the clock starts."""
    causes = [pair.void.cause for pair in pairs if pair.void is not None]
    slow = causes.count(VoidCause.CANDIDATE_SLOW_TO_ARM)
    if slow <= policy.max_slow_arms + causes.count(VoidCause.CHAMPION_SLOW_TO_ARM):
        return None
    return EarlyVerdict(Verdict.REJECTED, Reason(ReasonKind.SLOW_ARMING, count=slow))


def _describe(result: GateResult) -> str:
    overall = result.components[0]
    return f"gain {overall.gain:+.2f}%  e={result.e:.3g} (need {result.threshold:.3g})"
