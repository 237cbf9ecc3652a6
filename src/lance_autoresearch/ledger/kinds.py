"""The kinds of rows.

A null inside a campaign is *hidden*: it is judged between the ideas, and the agent does not see
it.
"""

from __future__ import annotations

from lance_autoresearch.records import TrialKind, TrialRecord


def is_null(kind: str) -> bool:
    """A comparison of a program with itself."""
    return TrialKind.parse(kind).is_null


def is_idea(kind: str) -> bool:
    """A kernel that was proposed to be kept."""
    return TrialKind.parse(kind).is_idea


def is_hidden(record: TrialRecord) -> bool:
    """A null of a campaign's own, which no list of ideas shows."""
    return record.campaign is not None and is_null(record.kind)
