"""What an agent reads about a champion that moved since its last turn, and about the others' work.

    describe_move(ledger, "hamming-20261122a", seen, after=17)
    # ["the champion moved ...: trial 18 by codex/2, +4.10%: wider loads", "from ..., +12 -4:", ...]
"""

from __future__ import annotations

from lance_autoresearch.ledger import Ledger
from lance_autoresearch.ledger.demotions import apply_demotions
from lance_autoresearch.records import TrialRecord, Verdict
from lance_autoresearch.text.difference import compute_difference
from lance_autoresearch.text.plain_text import strip_text

SHOWN_LINES = 120
"""Lines of a difference in a prompt: the whole champion lies in the agent's file."""


def describe_move(
    ledger: Ledger, campaign: str, before: bytes, now: bytes, after: int
) -> tuple[str, ...]:
    """The keeps that moved the champion, and the difference; empty if it is the same text.

    Args:
        before: text of the champion that the agent began its last turn with.
        now: text of today's champion.
        after: the ledger's newest trial when that turn began.
    """
    if before == now:
        return ()
    rows = apply_demotions(ledger.list_trials(campaign=campaign, after=after))
    keeps = [row for row in rows if row.record.verdict is Verdict.KEEP and row.commit]
    lines = [
        f"the champion moved since your last turn: trial {row.id} by {_describe_keep(row.record)}"
        for row in keeps
    ] or ["the champion moved since your last turn: a keep was taken back"]
    changed = compute_difference(before, now)
    lines.append(f"from the champion that you last read to the one in your file, {changed.size}:")
    lines += changed.lines[:SHOWN_LINES]
    if changed.cut or len(changed.lines) > SHOWN_LINES:
        lines.append("... the rest is in your file")
    return tuple(lines)


def _describe_keep(record: TrialRecord) -> str:
    gain = "" if record.gain is None else f", {record.gain:+.2f}%"
    return f"{strip_text(record.agent, 40)}{gain}: {strip_text(record.hypothesis, 160)}"


def order_history(
    history: tuple[TrialRecord, ...], author: str
) -> tuple[TrialRecord, ...]:
    """A campaign's trials with the author's own newest one last: the verdict to learn from."""
    own = next((n for n in reversed(range(len(history))) if history[n].agent == author), None)
    if own is None:
        return history
    return (*history[:own], *history[own + 1 :], history[own])
