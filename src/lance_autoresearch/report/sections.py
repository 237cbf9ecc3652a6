"""What the page says, derived from a campaign: pure functions, one a section.

Each returns plain data for the template; nothing here knows HTML.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from lance_autoresearch.explain.headroom import Headroom
from lance_autoresearch.ledger import Row
from lance_autoresearch.records import FaultKind, TrialRecord, Verdict
from lance_autoresearch.report.campaign_data import CampaignData
from lance_autoresearch.text.curve import Curve, find_overall_gain
from lance_autoresearch.text.defence_text import print_defences
from lance_autoresearch.text.difference import Difference, compute_difference
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
    """The component that was proven, if it is not `all`: `hamming +92.0%`."""
    changed: Difference | None
    """None if a text is gone."""
    defences: str
    """The lines of `lar log` about the defences; empty if none was run."""


class Failure(NamedTuple):
    """Trials that failed in the same way."""

    verdict: str
    why: str
    trials: int
    rows: list[Row]
    """The newest few."""


class QuotedCombo(NamedTuple):
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
    combos: list[QuotedCombo]
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


class Room(NamedTuple):
    """What memory leaves to gain."""

    left: list[Headroom]
    done: list[Headroom]
    """At these combos nothing worthwhile."""


class Guess(NamedTuple):
    """One prediction with the measured gain, %."""

    row: Row
    predicted: float
    found: float


def count_verdicts(night: CampaignData) -> dict[str, int]:
    """Trials per verdict, all five named."""
    found = Counter(str(record.verdict) for record in night.records)
    return {str(verdict): found[str(verdict)] for verdict in Verdict}


def count_run(night: CampaignData) -> int:
    """Trials of the newest loop; a campaign may have several loops, and trials without one."""
    after = night.run.after if night.run else 0
    return sum(row.id > after for row in night.rows)


def explain_unkept(night: CampaignData, curve: Curve) -> str:
    """Why marks above the line were not kept: `4 slower at confirmation, 1 ...`; empty: none."""
    best = (1.0, *curve.line)
    above = (
        row.record
        for i, row in enumerate(night.rows)
        if row.record.verdict is not Verdict.KEEP
        and (dot := curve.dots[i]) is not None
        and dot > best[i]
    )
    counts = Counter(classify_failure(record) for record in above)
    return ", ".join(f"{count} {words}" for words, count in counts.most_common())


def read_seconds(record: TrialRecord) -> float:
    """How long a trial took."""
    return record.seconds


def measure_hours(night: CampaignData) -> float:
    """From the campaign's beginning (or the first trial) to the last trial."""
    if not night.rows:
        return 0.0
    first = night.campaign.created if night.campaign else night.rows[0].created
    return (_parse_time(night.rows[-1].created) - _parse_time(first)).total_seconds() / 3600


def _parse_time(iso: str) -> datetime:
    return datetime.fromisoformat(iso)


def list_keeps(night: CampaignData, line: Sequence[float]) -> list[Keep]:
    """The kept trials, oldest first, each with its change."""
    found = []
    for row, speed in zip(night.rows, line, strict=True):
        record = row.record
        if record.verdict is not Verdict.KEEP:
            continue
        before, after = (night.kernels.get(name) for name in (record.champion, record.kernel))
        gone = before is None or after is None
        changed = None if gone else compute_difference(before or b"", after or b"")
        claim, defences = _format_claim(record), print_defences(record.results)
        found.append(Keep(row, find_overall_gain(record), speed, claim, changed, defences))
    return found


def _format_claim(record: TrialRecord) -> str:
    confirmed = record.results.confirmation
    if confirmed is None or confirmed.claim == "all":
        return ""
    return f"{confirmed.claim} {confirmed.claimed.gain:+.1f}%"


def group_failures(night: CampaignData) -> list[Failure]:
    """Trials that were not kept, grouped by the reason, the most frequent first."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in night.rows:
        if row.record.verdict is not Verdict.KEEP:
            groups.setdefault((str(row.record.verdict), classify_failure(row.record)), []).append(
                row
            )
    ordered = sorted(groups.items(), key=lambda item: -len(item[1]))
    return [Failure(v, text, len(rows), rows[: -EXAMPLES - 1 : -1]) for (v, text), rows in ordered]


def classify_failure(record: TrialRecord) -> str:
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
    FaultKind.STACK: "overflowed its stack",
    FaultKind.PROCESSOR_STATE: "left the processor's state changed",
}


def select_quotes(night: CampaignData) -> list[Quote]:
    """The newest quoted figure of each tier: of the champion, else of another kernel.

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
            found[tier] = _build_quote(row, tier, current)
    return sorted(found.values(), key=lambda quote: (quote.tier != "native", quote.tier))


def _build_quote(row: Row, tier: str, current: bool) -> Quote:
    stage = row.record.results.measured
    assert stage is not None
    head = next(part for part in stage.components if part.name == "all")
    combos = [
        QuotedCombo(
            c.combo.label, c.champion_ns, c.candidate_ns,
            1 + c.gain / 100, _convert_gain(c.low), _convert_gain(c.high),
        )
        for c in stage.combos
    ]  # fmt: skip
    low, high = _convert_gain(head.low), _convert_gain(head.high)
    return Quote(row, tier, 1 + head.gain / 100, low, high, combos, stage.pairs, current)


def _convert_gain(gain: float) -> float | None:
    """A gain in % as a factor; None if the interval is open."""
    return 1 + gain / 100 if math.isfinite(gain) else None


def summarize_phases(night: CampaignData) -> list[Phase]:
    """Median time per phase, the longest first."""
    laps: dict[str, list[float]] = {}
    for record in night.records:
        for name, value in record.phases.items():
            if name != "python_cpu":
                laps.setdefault(name, []).append(value)
    found = [Phase(n, statistics.median(v), max(v), sum(v), len(v)) for n, v in laps.items()]
    return sorted(found, key=lambda phase: -phase.total)


def split_headroom(rows: Sequence[Headroom]) -> Room:
    """Combos that another idea can make faster, the slowest against memory first, and the rest."""
    ordered = sorted(rows, key=lambda row: -row.factor)
    return Room([row for row in ordered if not row.little_left],
                [row for row in ordered if row.little_left])


def list_guesses(night: CampaignData) -> list[Guess]:
    """Predictions that a measurement tests."""
    found = []
    for row in night.rows:
        predicted, gain = row.record.results.predicted, find_overall_gain(row.record)
        if predicted is not None and gain is not None:
            found.append(Guess(row, predicted, gain))
    return found


def score_guesses(guessed: Sequence[Guess]) -> dict[str, float]:
    """How good the predictions were: right sign (share), median error and median excess, points."""
    errors = [g.predicted - g.found for g in guessed]
    return {
        "sign": sum((g.predicted > 0) == (g.found > 0) for g in guessed) / len(guessed),
        "error": statistics.median(abs(e) for e in errors),
        "excess": statistics.median(errors),
    }


def sum_costs(night: CampaignData) -> dict[str, Any]:
    """Tokens and dollars, turns without a candidate included; None if none were reported."""
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
