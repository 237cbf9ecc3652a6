"""What an agent reads before its next turn: feedback, hints, lessons, ideas that failed."""

from __future__ import annotations

from pathlib import Path

from lance_autoresearch.campaign import lessons
from lance_autoresearch.campaign.briefing import collect_briefing
from lance_autoresearch.campaign.dead_ends import list_dead_ends
from lance_autoresearch.ledger import Ledger
from lance_autoresearch.records import TrialRecord

LESSONS = 8
"""Lessons, and dead ends of other campaigns, in a prompt."""


def find_advice(
    root: Path, ledger: Ledger, target: str, last: TrialRecord | None, campaign: str
) -> tuple[str, ...]:
    """Feedback on the last trial, hints, and the lessons of earlier campaigns, a line each.

    Args:
        last: the campaign's newest trial, if there is one.
        campaign: its own dead ends are left out: the prompt lists its trials.
    """
    lines: list[str] = []
    if last is not None:
        taught = collect_briefing(ledger, last, campaign)
        lines += [*taught["feedback"], *(f"hint: {hint}" for hint in taught["hints"])]
    learnt = lessons.read_lessons(root, target)[-LESSONS:]
    lines += [f"lesson: {text}" for text in learnt]
    ends = list_dead_ends(ledger, target, limit=LESSONS, without=campaign)
    return (*lines, *(f"failed before: {end.format_line()}" for end in ends))
