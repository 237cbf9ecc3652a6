"""What a row of the ledger is about, by its kind: an idea, a null, something else.

    is_idea("trial"), is_idea("replay")         True: somebody thought it was faster
    is_null("aa"), is_null("aa +load measuring")  True: nothing to gain, must not be kept
    "delay 1.5", "regress 5", "quote", "cheat"  neither

A null inside a campaign is *hidden*: it is judged between the ideas and shown to nobody who
makes them.
"""

from __future__ import annotations

from lance_autoresearch.records import TrialRecord

NULLS = frozenset({"aa", "padding", "identity"})
OTHERS = frozenset({"delay", "regress", "quote", "cheat"})


def is_null(kind: str) -> bool:
    """A comparison of a program with itself."""
    return kind.partition(" ")[0] in NULLS


def is_idea(kind: str) -> bool:
    """A kernel that was proposed to be kept."""
    return kind.partition(" ")[0] not in NULLS | OTHERS


def is_hidden(record: TrialRecord) -> bool:
    """A null of a campaign's own, which no list of ideas shows."""
    return record.campaign is not None and is_null(record.kind)
