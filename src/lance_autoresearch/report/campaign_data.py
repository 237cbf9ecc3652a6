"""The data of a report, read from the ledger once.

    night = gather_campaign(ledger, "hamming")         # the newest campaign on the target
    night.rows, night.quotes, night.kernels          # trials, quoted figures, texts of keeps
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lance_autoresearch.campaign.ablation import select_held
from lance_autoresearch.campaign.null_monitor import NullMonitor, read_monitor
from lance_autoresearch.campaign.settle import CampaignWorkspace
from lance_autoresearch.campaign.tally import Run, load_run
from lance_autoresearch.errors import UsageError
from lance_autoresearch.explain.headroom import Headroom
from lance_autoresearch.explain.headroom_store import find_headroom
from lance_autoresearch.ledger import CampaignRow, EpochRow, Ledger, Row, SessionRow
from lance_autoresearch.ledger.demotions import apply_demotions
from lance_autoresearch.ledger.kinds import is_idea, is_null
from lance_autoresearch.records import TrialRecord, Verdict
from lance_autoresearch.records.kind import ABLATION
from lance_autoresearch.text.curve import compute_curve
from lance_autoresearch.text.difference import Difference, compute_difference

QUOTE = "quote"
SESSIONS = 12
"""Sessions shown, the newest."""


@dataclass(frozen=True, slots=True)
class CampaignSummary:
    """Another campaign on the target, in one line."""

    name: str
    created: str
    trials: int
    kept: int
    speed: float
    """Against its starting kernel; see `curve`."""


@dataclass(frozen=True, slots=True)
class AblationResult:
    """What is left of one trial's change."""

    trial: int
    rows: tuple[Row, ...]
    """All trials of the ablation, oldest first."""
    held: Row
    """The trial of the smallest kernel that holds the gain."""
    before: Difference | None
    """The whole change; None: a text is gone."""
    after: Difference | None


@dataclass(frozen=True, slots=True)
class CampaignData:
    """One campaign, or the trials of a target that were made outside campaigns."""

    target: str
    campaign: CampaignRow | None
    rows: tuple[Row, ...]
    """Its trials, oldest first; nulls and quoted figures are not among them."""
    champion: str
    """sha256 of its last kept kernel, or of its first kernel; empty without a campaign."""
    quotes: tuple[Row, ...]
    """Rows of `lar bench` on the target, newest first."""
    nulls: tuple[Row, ...]
    """Null trials on the target: comparisons in which nothing may be kept."""
    sessions: tuple[SessionRow, ...]
    """A/A measurements of the target, newest first."""
    epochs: tuple[EpochRow, ...]
    """Of these trials."""
    kernels: dict[str, bytes]
    """Texts of kept kernels and of the champion that each was compared with, by sha256."""
    others: tuple[CampaignSummary, ...]
    standing: NullMonitor | None = None
    """Its hidden nulls counted; None outside campaigns."""
    run: Run | None = None
    """Its newest loop, if an agent drove it: why it ended, the cost of lost turns."""
    ablations: tuple[AblationResult, ...] = ()
    """What `lar ablate` left of its trials' changes."""
    headroom: tuple[Headroom, ...] = ()
    """What `lar explain` measured last for its champion."""

    @property
    def records(self) -> list[TrialRecord]:
        """The trials without their place in the chain."""
        return [row.record for row in self.rows]

    @property
    def keeps(self) -> list[Row]:
        """The kept ones, oldest first."""
        return [row for row in self.rows if row.record.verdict is Verdict.KEEP]


def gather_campaign(
    ledger: Ledger, target: str, campaign: str | None = None, *, root: Path | None = None
) -> CampaignData:
    """Read one campaign; by default the newest on the target that has a trial.

    Args:
        root: the checkout, where the campaign's loop keeps its file.

    Raises:
        UsageError: no such campaign on this target.
    """
    everything = apply_demotions(ledger.list_trials(target=target))
    by_campaign: dict[str | None, list[Row]] = {}
    for row in everything:
        if is_idea(row.record.kind):
            by_campaign.setdefault(row.record.campaign, []).append(row)
    mine = _choose_campaign(ledger, target, campaign, by_campaign)
    champion = ledger.find_champion(mine.name).kernel if mine else ""
    name = mine.name if mine else None
    rows = tuple(by_campaign.get(name, ()))
    used = {row.record.epoch for row in rows}
    nulls = [r for r in everything if is_null(r.record.kind)]
    return CampaignData(
        target=target,
        campaign=mine,
        rows=rows,
        champion=champion,
        quotes=tuple(r for r in reversed(everything) if r.record.kind == QUOTE),
        nulls=tuple(nulls),
        sessions=tuple(reversed(ledger.list_sessions(target, SESSIONS))),
        epochs=tuple(epoch for epoch in ledger.list_epochs(target) if epoch.name in used),
        kernels=_load_kernels(ledger, rows),
        others=tuple(
            _summarize_campaign(row, by_campaign.get(row.name, []))
            for row in reversed(ledger.list_campaigns(target))
            if row.name != name
        ),
        standing=read_monitor(ledger, mine) if mine else None,
        run=load_run(CampaignWorkspace(root, mine.name, target)) if root and mine else None,
        ablations=_collect_ablations(ledger, everything, {row.id for row in rows}),
        headroom=find_headroom(root, target, champion) if root else (),
    )


def _collect_ablations(
    ledger: Ledger, everything: list[Row], mine: set[int]
) -> tuple[AblationResult, ...]:
    """One for each trial of the campaign and base that `lar ablate` judged."""
    groups: dict[tuple[int, str], list[Row]] = {}
    for row in everything:
        parent = row.record.parent
        if row.record.kind == ABLATION and parent in mine and parent is not None:
            groups.setdefault((parent, row.record.champion), []).append(row)
    found = []
    for (trial, base), rows in groups.items():
        held = select_held(rows)
        if held is not None:
            before, after = (_compare(ledger, base, row.record.kernel) for row in (rows[0], held))
            found.append(AblationResult(trial, tuple(rows), held, before, after))
    return tuple(found)


def _compare(ledger: Ledger, base: str, kernel: str) -> Difference | None:
    old, new = ledger.find_blob(base), ledger.find_blob(kernel)
    return None if old is None or new is None else compute_difference(old, new)


def _choose_campaign(
    ledger: Ledger, target: str, campaign: str | None, rows: dict[str | None, list[Row]]
) -> CampaignRow | None:
    known = ledger.list_campaigns(target)
    if campaign is not None:
        for row in known:
            if row.name == campaign:
                return row
        names = [row.name for row in known]
        raise UsageError(
            f"no campaign '{campaign}' on {target}", allowed=names, next=f"./lar report {target}"
        )
    if not known:
        return None
    return next((row for row in reversed(known) if row.name in rows), known[-1])


def _load_kernels(ledger: Ledger, rows: tuple[Row, ...]) -> dict[str, bytes]:
    kept = [row.record for row in rows if row.record.verdict is Verdict.KEEP]
    names = {name for record in kept for name in (record.kernel, record.champion)}
    texts = {name: ledger.find_blob(name) for name in names}
    return {name: text for name, text in texts.items() if text is not None}


def _summarize_campaign(campaign: CampaignRow, rows: list[Row]) -> CampaignSummary:
    records = [row.record for row in rows]
    kept = sum(record.verdict is Verdict.KEEP for record in records)
    line = compute_curve(records).line
    speed = line[-1] if line else 1.0
    return CampaignSummary(campaign.name, campaign.created, len(rows), kept, speed)
