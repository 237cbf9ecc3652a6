"""What the page says, derived from a night: pure functions, one a section.

Each returns plain data for the template; nothing here knows HTML.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from lance_autoresearch.ledger import Row
from lance_autoresearch.records import FaultKind, TrialRecord, Verdict
from lance_autoresearch.report.night import Night
from lance_autoresearch.text.curve import overall
from lance_autoresearch.text.difference import Difference, difference
from lance_autoresearch.text.reasons import summarize_reason

EXAMPLES = 4
"""Ideas shown of one kind of failure."""


class Keep(NamedTuple):
    """One step of the lineage."""

    row: Row
    gain: float | None
    """Over all combos, %."""
    speed: float
    """Of the champion it became, against the starting kernel."""
    claim: str
    """The component that was proven, where it is not `all`: `hamming +92.0%`."""
    changed: Difference | None
    """None where a text is gone."""


class Failure(NamedTuple):
    """Trials that failed in the same way."""

    verdict: str
    why: str
    trials: int
    rows: list[Row]
    """The newest few."""


class Combo(NamedTuple):
    """One line of the quoted table; speeds are factors against Lance."""

    name: str
    theirs_ns: float
    ours_ns: float
    speed: float
    low: float | None
    high: float | None


class Quote(NamedTuple):
    """A quoted figure at one CPU tier."""

    row: Row
    tier: str
    speed: float
    low: float | None
    high: float | None
    combos: list[Combo]
    pairs: int
    current: bool
    """Whether it is about this campaign's champion."""


class Phase(NamedTuple):
    """Seconds of one phase over the trials that had it."""

    name: str
    median: float
    worst: float
    total: float
    trials: int


class Guess(NamedTuple):
    """One prediction with what was found, %."""

    row: Row
    predicted: float
    found: float


def counts(night: Night) -> dict[str, int]:
    """Trials per verdict, all five named."""
    found = Counter(str(record.verdict) for record in night.records)
    return {str(verdict): found[str(verdict)] for verdict in Verdict}


def seconds(record: TrialRecord) -> float:
    """How long a trial took."""
    return record.seconds


def hours(night: Night) -> float:
    """From the campaign's beginning (or the first trial) to the last trial."""
    if not night.rows:
        return 0.0
    first = night.campaign.created if night.campaign else night.rows[0].created
    return (_time(night.rows[-1].created) - _time(first)).total_seconds() / 3600


def _time(iso: str) -> datetime:
    return datetime.fromisoformat(iso)


def lineage(night: Night, line: Sequence[float]) -> list[Keep]:
    """The kept trials, oldest first, each with what it changed."""
    found = []
    for row, speed in zip(night.rows, line, strict=True):
        record = row.record
        if record.verdict is not Verdict.KEEP:
            continue
        before, after = (night.kernels.get(name) for name in (record.champion, record.kernel))
        gone = before is None or after is None
        changed = None if gone else difference(before or b"", after or b"")
        found.append(Keep(row, overall(record), speed, _claim(record), changed))
    return found


def _claim(record: TrialRecord) -> str:
    confirmed = record.results.confirmation
    if confirmed is None or confirmed.claim == "all":
        return ""
    return f"{confirmed.claim} {confirmed.claimed.gain:+.1f}%"


def failures(night: Night) -> list[Failure]:
    """Trials that were not kept, grouped by the reason, the most frequent first."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in night.rows:
        if row.record.verdict is not Verdict.KEEP:
            groups.setdefault((str(row.record.verdict), why(row.record)), []).append(row)
    ordered = sorted(groups.items(), key=lambda item: -len(item[1]))
    return [Failure(v, text, len(rows), rows[: -EXAMPLES - 1 : -1]) for (v, text), rows in ordered]


def why(record: TrialRecord) -> str:
    """The kind of failure, without the figures that make every reason different."""
    fault, reason = record.results.fault, record.results.reason
    if fault is not None:
        return FAULTS[fault.kind]
    if reason is None:
        return "no reason given"
    return summarize_reason(reason)


FAULTS: Mapping[FaultKind, str] = {
    FaultKind.MISMATCH: "another result than Lance's",
    FaultKind.POISON: "left output unwritten",
    FaultKind.SLACK: "wrote outside its output",
    FaultKind.LATE_WRITE: "wrote after it was done",
    FaultKind.PANIC: "panicked",
    FaultKind.SIGNAL: "crashed",
    FaultKind.TIMEOUT: "took far too long",
    FaultKind.SANDBOX: "used a system call",
    FaultKind.MEMORY: "used too much memory",
    FaultKind.ARM: "worked before its call began",
}


def quotes(night: Night) -> list[Quote]:
    """The newest quoted figure of each tier: of the champion, else of another kernel of the night.

    Figures of kernels that this campaign never kept are left out.
    """
    mine = {night.champion, *(row.record.kernel for row in night.keeps)}
    found: dict[str, Quote] = {}
    for row in night.quotes:
        tier = row.record.results.tier
        current = row.record.kernel == night.champion
        if row.record.kernel not in mine or row.record.results.measured is None:
            continue
        if tier not in found or (current and not found[tier].current):
            found[tier] = _quote(row, tier, current)
    return sorted(found.values(), key=lambda quote: (quote.tier != "native", quote.tier))


def _quote(row: Row, tier: str, current: bool) -> Quote:
    stage = row.record.results.measured
    assert stage is not None
    head = next(part for part in stage.components if part.name == "all")
    combos = [
        Combo(
            c.combo.label, c.champion_ns, c.candidate_ns,
            1 + c.gain / 100, _speed(c.low), _speed(c.high),
        )
        for c in stage.combos
    ]  # fmt: skip
    low, high = _speed(head.low), _speed(head.high)
    return Quote(row, tier, 1 + head.gain / 100, low, high, combos, stage.pairs, current)


def _speed(gain: float) -> float | None:
    """A gain in % as a factor; None where the interval is open."""
    return 1 + gain / 100 if math.isfinite(gain) else None


def phases(night: Night) -> list[Phase]:
    """Median time per phase, the longest first."""
    laps: dict[str, list[float]] = {}
    for record in night.records:
        for name, value in record.phases.items():
            if name != "python_cpu":
                laps.setdefault(name, []).append(value)
    found = [Phase(n, statistics.median(v), max(v), sum(v), len(v)) for n, v in laps.items()]
    return sorted(found, key=lambda phase: -phase.total)


def guesses(night: Night) -> list[Guess]:
    """Predictions that a measurement can answer."""
    found = []
    for row in night.rows:
        predicted, gain = row.record.results.predicted, overall(row.record)
        if predicted is not None and gain is not None:
            found.append(Guess(row, predicted, gain))
    return found


def score(guessed: Sequence[Guess]) -> dict[str, float]:
    """How good the predictions were: right sign (share), median error and median excess, points."""
    errors = [g.predicted - g.found for g in guessed]
    return {
        "sign": sum((g.predicted > 0) == (g.found > 0) for g in guessed) / len(guessed),
        "error": statistics.median(abs(e) for e in errors),
        "excess": statistics.median(errors),
    }


def money(night: Night) -> dict[str, Any]:
    """Tokens and dollars, turns without a candidate included; None where none were reported."""
    tokens = [r.tokens for r in night.records if r.tokens is not None]
    dollars = [r.cost_usd for r in night.records if r.cost_usd is not None]
    kept = len(night.keeps)
    if night.run is not None and night.run.lost_usd:
        dollars.append(night.run.lost_usd)
    if night.run is not None and night.run.lost_tokens:
        tokens.append(night.run.lost_tokens)
    spent = sum(dollars) if dollars else None
    each = spent / kept if spent is not None and kept else None
    return {"tokens": sum(tokens) if tokens else None, "usd": spent, "usd_per_keep": each}
