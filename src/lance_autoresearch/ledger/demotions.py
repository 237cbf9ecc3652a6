"""Keeps that whole queries took back.

A demotion is a row of its own (kind `queries`, with the commit that restores the champion before
it). The row of the keep stays as it was written; code that counts or lists keeps reads rows through
`apply_demotions`, in which a demoted keep is a kernel that was not kept.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from lance_autoresearch.ledger.schema import Row
from lance_autoresearch.records import Verdict
from lance_autoresearch.records.kind import QUERIES


def is_demotion(row: Row) -> bool:
    """Whether the row takes a keep back: its `champion` is the kernel that was demoted."""
    return row.record.kind == QUERIES and row.commit is not None


def apply_demotions(rows: Iterable[Row]) -> list[Row]:
    """The same rows in the same order; a demoted keep has the verdict and reason of its demotion.

    Args:
        rows: in order of id, of any campaigns.
    """
    found = list(rows)
    for demotion in filter(is_demotion, found):
        at = _find_keep(found, demotion)
        if at is not None:
            found[at] = demote(found[at], demotion)
    return found


def _find_keep(rows: list[Row], demotion: Row) -> int | None:
    """The place of the keep that a demotion is about."""
    wanted = (demotion.record.campaign, demotion.record.champion, Verdict.KEEP)
    for at in reversed(range(len(rows))):
        row = rows[at]
        seen = (row.record.campaign, row.record.kernel, row.record.verdict)
        if row.id < demotion.id and row.commit is not None and seen == wanted:
            return at
    return None


def demote(keep: Row, demotion: Row) -> Row:
    """The row of a keep as one that was not kept."""
    why = demotion.record
    results = replace(keep.record.results, reason=why.results.reason)
    record = replace(keep.record, verdict=why.verdict, reason=why.reason, results=results)
    return replace(keep, record=record)
