"""Failed ideas of earlier trials, to be searched before an idea is tried again.

    for end in list_dead_ends(ledger, "hamming", grep="gather", limit=5):
        print(end.format_line())  # 13 revert -27.45%  +31 -12  "scan with AVX2 gathers" | slower
        ...

The record is the ledger itself; nothing is stored twice. Texts in it are agents' own words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

from lance_autoresearch.ledger import Ledger, Row
from lance_autoresearch.ledger.demotions import is_demotion
from lance_autoresearch.ledger.kinds import is_idea
from lance_autoresearch.records import Verdict
from lance_autoresearch.text.curve import find_overall_gain
from lance_autoresearch.text.difference import compute_difference
from lance_autoresearch.text.plain_text import strip_text

BATCH = 200
"""Rows read at a time: most callers want the newest few of a long ledger."""
FAILED = (Verdict.REVERT, Verdict.INCORRECT, Verdict.REJECTED)
COMMON = frozenset({"the", "and", "for", "with", "into", "from", "that", "this", "one", "per"})
"""Words that do not count when two ideas are compared."""


@dataclass(frozen=True, slots=True)
class DeadEnd:
    """One failed idea. Texts are stripped of control characters, not escaped."""

    trial: int
    created: str
    campaign: str | None
    verdict: str
    hypothesis: str
    reason: str
    gain: float | None
    """Over all combos, %; None: not measured."""
    profile: dict[str, float]
    """Gain of each combo, %."""
    diff: str | None
    """`+12 -4` lines against its champion; None if a text was dropped by `lar gc`."""
    kernel: str

    def format_line(self) -> str:
        """One line for people and prompts."""
        gain = "" if self.gain is None else f" {self.gain:+.2f}%"
        size = f"  {self.diff}" if self.diff else ""
        why = " | ".join(filter(None, (self.reason, self.format_spread())))
        return f"{self.trial} {self.verdict}{gain}{size}  \"{self.hypothesis}\" | {why}"

    def format_spread(self) -> str:
        """Worst and best combo; empty if nothing was measured."""
        ordered = sorted(self.profile.items(), key=lambda item: item[1])
        return ", ".join(f"{name} {gain:+.1f}%" for name, gain in ordered[:1] + ordered[1:][-1:])

    def as_json(self) -> dict[str, Any]:
        """All fields."""
        return asdict(self)


def list_dead_ends(
    ledger: Ledger, target: str, *, grep: str = "", limit: int | None = 20,
    without: str | None = None,
) -> list[DeadEnd]:
    """Failed ideas on a target, newest first.

    Args:
        grep: only those whose hypothesis, reason or a losing combo contains this, in any case.
        limit: the largest number returned; None: all.
        without: leave out this campaign's.
    """
    wanted = grep.casefold()
    found = (
        row for row in _read_newest_first(ledger, target)
        if is_failed(row) and wanted in _join_text(row)
        and (without is None or row.record.campaign != without)
    )
    return [make_dead_end(ledger, row) for row in islice(found, limit)]


def _read_newest_first(ledger: Ledger, target: str) -> Iterator[Row]:
    """A target's trials, a batch at a time: a long ledger is not held in memory."""
    before = None
    while rows := ledger.list_trials(target=target, before=before, limit=BATCH):
        yield from reversed(rows)
        before = rows[0].id


def find_related(ledger: Ledger, target: str, idea: str, *, limit: int = 5) -> list[DeadEnd]:
    """Failed ideas that share most words with this one; the newer of equals first."""
    mine = _split_words(idea)
    rows = [row for row in reversed(ledger.list_trials(target=target)) if is_failed(row)]
    ranked = sorted(rows, key=lambda row: -len(mine & _split_words(row.record.hypothesis)))
    near = [row for row in ranked[:limit] if mine & _split_words(row.record.hypothesis)]
    return [make_dead_end(ledger, row) for row in near]


def is_failed(row: Row) -> bool:
    """Whether a row is an idea that was judged and not kept, or a keep's demotion."""
    failed = row.record.verdict in FAILED and is_idea(row.record.kind)
    return failed or is_demotion(row)


def make_dead_end(ledger: Ledger, row: Row) -> DeadEnd:
    """The dead end of one row."""
    record = row.record
    stage = record.results.measured
    failed, better = record.kernel, record.champion
    if is_demotion(row):
        failed, better = better, failed
    before, after = ledger.find_blob(better), ledger.find_blob(failed)
    return DeadEnd(
        trial=row.id,
        created=row.created,
        campaign=record.campaign,
        verdict=str(record.verdict),
        hypothesis=strip_text(record.hypothesis, 300),
        reason=strip_text(record.reason, 300),
        gain=find_overall_gain(record),
        profile={c.combo.label: c.gain for c in stage.combos} if stage else {},
        diff=None if before is None or after is None else compute_difference(before, after).size,
        kernel=failed,
    )


def _join_text(row: Row) -> str:
    record = row.record
    stage = record.results.measured
    lost = [c.combo.label for c in stage.combos if c.gain < 0] if stage else []
    return "\n".join((record.hypothesis, record.reason, *lost)).casefold()


def _split_words(text: str) -> set[str]:
    return {w for w in re.findall(r"[a-z0-9_]{3,}", text.casefold()) if w not in COMMON}
