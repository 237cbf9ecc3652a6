"""What each kind of mechanical rewrite gained in a campaign.

    for row in sum_kind_gains(records):
        print(format_kind_gain(row))        unroll      12 trials, 2 kept: 1.31x; 3 not proven
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from lance_autoresearch.records import ReasonKind, TrialRecord, Verdict
from lance_autoresearch.text.curve import compute_factor, find_overall_gain


@dataclass(frozen=True, slots=True)
class KindGain:
    """The trials of one kind, or of several kinds combined in one candidate."""

    kind: str
    """`unroll`, or `bounds + unroll`."""
    trials: int
    kept: int
    not_proven: int
    wrong: int
    """Other bits than Lance's, or refused."""
    factor: float
    """Kept gains multiplied, over all combos; 1.0: nothing was kept."""


def sum_kind_gains(records: Iterable[TrialRecord]) -> list[KindGain]:
    """One row a kind, the largest gain first; empty if no trial was a mechanical rewrite."""
    groups: dict[str, list[TrialRecord]] = {}
    for record in records:
        kinds = sorted({step.kind for step in record.results.rewrites})
        if kinds:
            groups.setdefault(" + ".join(kinds), []).append(record)
    rows = [_sum_group(kind, group) for kind, group in groups.items()]
    return sorted(rows, key=lambda row: (-row.factor, -row.kept, -row.trials, row.kind))


def _sum_group(kind: str, group: list[TrialRecord]) -> KindGain:
    kept = [record for record in group if record.verdict is Verdict.KEEP]
    unproven = sum(
        record.results.reason is not None
        and record.results.reason.kind in (ReasonKind.NOT_PROVEN, ReasonKind.UNDECIDED)
        for record in group
    )
    wrong = sum(r.verdict in (Verdict.INCORRECT, Verdict.REJECTED) for r in group)
    gains = [find_overall_gain(record) for record in kept]
    factor = math.prod(compute_factor(gain) for gain in gains if gain is not None)
    return KindGain(kind, len(group), len(kept), unproven, wrong, factor)


def format_kind_gain(row: KindGain) -> str:
    """One line for people."""
    gain = f": {row.factor:.3f}x" if row.kept else ""
    rest = [f"{row.not_proven} not proven"] if row.not_proven else []
    rest += [f"{row.wrong} wrong or refused"] if row.wrong else []
    trials = "trial" if row.trials == 1 else "trials"
    return "; ".join([f"{row.kind:<18} {row.trials} {trials}, {row.kept} kept{gain}", *rest])
