"""One decision over several CPU kinds: the claim on the mean e-value, the guard on each kind. Pure.

    decide_over_kinds([KindResult("zen3", ...), KindResult("zen4", ...)], threshold=4000.0)

The mean of e-values is an e-value, whatever their dependence, against "no gain on any of these
kinds". So a keep needs a mean of at least the threshold, a kind on which the gain was confirmed,
and no kind on which the kernel loses. A kind on which nothing is significant does not block it; a
kind that could not decide does: there is no keep on half of the kinds.

It decides nothing on one machine, so it is no part of the ruleset's digest; a fleet's row holds
this file's own digest beside it (`measure_fleet_rules`).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from lance_autoresearch.records import Guard, KindResult, Reason, ReasonKind, Results, Verdict

NEUTRAL: Final = frozenset({
    ReasonKind.NO_GAIN, ReasonKind.NOT_PROVEN, ReasonKind.CLAIM_TOO_SMALL, ReasonKind.SAME_PROGRAM,
})  # fmt: skip
"""Reasons of a revert that is no loss."""


def measure_fleet_rules(rules: Mapping[str, str]) -> dict[str, str]:
    """The digests of a verdict's rules with this file's: `fleet`, and `all` over both."""
    own = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
    both = hashlib.sha256(f"{rules['all']} {own}".encode()).hexdigest()
    return {**rules, "fleet": own, "all": both}


class KindsDecision(NamedTuple):
    """The verdict over all kinds."""

    verdict: Verdict
    reason: Reason
    deciding: str
    """The kind whose trial stands for the whole: the loss, or the largest gain."""
    e: float
    """Mean e-value."""


def summarize_kind(kind: str, job: str, verdict: Verdict, results: Results) -> KindResult:
    """What counts of one kind's trial."""
    stage, screening = results.measured, results.screening
    whole = None if stage is None else stage.components[0]
    slower = whole is not None and whole.high < 0.0
    if stage is not None:
        slower = slower or any(row.guard is Guard.SLOWER for row in stage.combos)
    return KindResult(
        kind, job, verdict, results.reason, 0.0 if screening is None else screening.e,
        gain=None if whole is None else whole.gain,
        low=None if whole is None else _drop_infinite(whole.low),
        high=None if whole is None else _drop_infinite(whole.high),
        slower=slower,
    )


def is_loss(found: KindResult) -> bool:
    """Whether this kind alone forbids a keep, whatever the others show."""
    if found.verdict in (Verdict.INCORRECT, Verdict.REJECTED) or found.slower:
        return True
    neutral = found.reason is not None and found.reason.kind in NEUTRAL
    return found.verdict is Verdict.REVERT and not neutral


def decide_over_kinds(found: Sequence[KindResult], threshold: float) -> KindsDecision:
    """The verdict; `found` has every kind that was asked for unless one of them is a loss.

    Args:
        threshold: for the mean e-value: at least the number of trials planned.

    Raises:
        ValueError: no kind was judged.
    """
    if not found:
        raise ValueError("no kind was judged")
    mean = math.fsum(one.e for one in found) / len(found)
    best = max(found, key=lambda one: (one.verdict is Verdict.KEEP, one.e))
    for one in found:
        if is_loss(one):
            verdict = Verdict.REVERT if one.verdict is Verdict.KEEP else one.verdict
            return KindsDecision(verdict, _explain(one), one.kind, mean)
    for one in found:
        if one.verdict is Verdict.INCONCLUSIVE:
            return KindsDecision(one.verdict, _explain(one), one.kind, mean)
    if mean >= threshold and best.verdict is Verdict.KEEP:
        return KindsDecision(Verdict.KEEP, _explain(best), best.kind, mean)
    return KindsDecision(Verdict.REVERT, Reason(ReasonKind.NOT_PROVEN), best.kind, mean)


def _explain(one: KindResult) -> Reason:
    return one.reason if one.reason is not None else Reason(ReasonKind.NOT_PROVEN)


def _drop_infinite(end: float) -> float | None:
    return end if math.isfinite(end) else None
