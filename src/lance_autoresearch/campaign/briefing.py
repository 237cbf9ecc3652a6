"""Feedback and hints of a finished trial together, from the ledger: what `lar try` prints last.

collect_briefing(ledger, record, "hamming-20261122a")  {"feedback": ["lost ..."], "hints": ["refine
..."]}
"""

from __future__ import annotations

from lance_autoresearch.campaign.feedback import write_feedback
from lance_autoresearch.campaign.hints import advise
from lance_autoresearch.ledger import Ledger
from lance_autoresearch.ledger.demotions import apply_demotions
from lance_autoresearch.ledger.kinds import is_idea
from lance_autoresearch.records import TrialRecord, Verdict

RECENT = 100
"""Number of newest trials from which hints follow."""


def collect_briefing(
    ledger: Ledger, record: TrialRecord, campaign: str | None
) -> dict[str, list[str]]:
    """Feedback and hints for the next kernel.

    Args:
        record: the trial that just ended, as it was judged.
        campaign: the campaign whose history the hints use; None: no hints.
    """
    rows = kept_rows = []
    if campaign is not None:
        rows = apply_demotions(ledger.list_trials(campaign=campaign, limit=RECENT))
        kept_rows = ledger.list_trials(campaign=campaign, verdict=Verdict.KEEP)
    kept = {row.record.kernel: row.record for row in kept_rows if is_idea(row.record.kind)}
    hints = advise([row.record for row in rows if is_idea(row.record.kind)])
    return {
        "feedback": write_feedback(record, kept.get(record.champion)),
        "hints": [f"{hint.kind}: {hint.text}" for hint in hints],
    }


def render_briefing(taught: dict[str, list[str]]) -> str:
    """One line each behind an empty line; empty if there is nothing to say."""
    lines = [*taught["feedback"], *(f"hint    {hint}" for hint in taught["hints"])]
    return "\n\n" + "\n".join(lines) if lines else ""
