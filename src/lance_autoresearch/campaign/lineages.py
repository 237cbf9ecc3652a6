"""Lines of champions that are kept apart within one loop, and merged once they stand still.

    lines = open_lineages(campaign, run, 2)         the campaign, and one beside it: ham-a-line2
    with lines[1].enter(coordinator): ...           its champion is the one to beat
    find_due_merge(lines, tally, 3)                 each has a gain of its own and 3 misses since

A line of its own keeps its agents from following the first gain: two lines may find gains that
complement each other. Each line is a campaign with its own branch. A merge takes both changes
since the lines parted, line by line; it is a candidate like any other, judged against each line's
champion. Once both lines keep it, they are one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations, count
from typing import NamedTuple

from lance_autoresearch.agents import Agent
from lance_autoresearch.campaign.campaign import Campaign, create_campaign, load_campaign
from lance_autoresearch.campaign.coordinator import Coordinator
from lance_autoresearch.campaign.tally import Run, Tally
from lance_autoresearch.host.git import Git
from lance_autoresearch.ledger import Ledger
from lance_autoresearch.records import Verdict

MERGER = "merge"
"""Who proposed a merge, in its row."""


@dataclass(frozen=True, slots=True)
class TeamPlan:
    """Several agents of one loop, and how they work together."""

    agents: Sequence[Agent] = ()
    lineages: int = 1
    """Lines of champions that are kept apart; agents are assigned to them in turn."""
    merge_after: int = 3
    """Trials without a keep in each of two lines, then they are merged."""


@dataclass(slots=True)
class Lineage:
    """One line: its campaign and its champion."""

    campaign: Campaign
    champion: bytes
    start: bytes
    """Text of the champion that it parted with."""
    news: tuple[str, ...] = ()
    """What its agents read about a merge that could not be made."""
    tried: set[tuple[bytes, bytes]] = field(default_factory=set)
    """Champions whose merge was tried."""

    @contextlib.contextmanager
    def enter(self, coordinator: Coordinator) -> Iterator[None]:
        """Judge against this line's champion; what is kept meanwhile is its champion then."""
        coordinator.set_champion(self.champion)
        try:
            yield
        finally:
            self.champion = coordinator.champion_text


class DueMerge(NamedTuple):
    """Two lines to be merged."""

    first: Lineage
    second: Lineage


def open_lineages(campaign: Campaign, run: Run, wanted: int) -> list[Lineage]:
    """The campaign's own line and those beside it: the run's, or new ones that it then names.

    Raises:
        LedgerError: git cannot make a branch or worktree.
    """
    start = campaign.read_champion()
    if not run.lineages and wanted > 1:
        run.lineages = [_begin_line(campaign, start).name for _ in range(wanted - 1)]
    beside = [load_campaign(campaign.root, name) for name in run.lineages]
    lines = [Lineage(campaign, start, start)]
    for line in beside:
        parted = _read_start(line)
        lines[0].start = parted
        champion = line.read_champion()
        if champion != start or champion == parted:  # else they were merged in an earlier process
            lines.append(Lineage(line, champion, parted))
    return lines


def _begin_line(campaign: Campaign, start: bytes) -> Campaign:
    """A campaign beside another one, from its champion."""
    with Ledger.open(campaign.root) as ledger:
        taken = {row.name for row in ledger.list_campaigns()}
        row = ledger.find_campaign(campaign.name)
        champion = ledger.find_champion(campaign.name)
    assert row is not None
    names = (f"{campaign.name[:56]}-line{number}" for number in count(2))
    return create_campaign(
        campaign.root, campaign.target, start, origin=f"campaign {campaign.name}", era=row.era,
        parent=champion.trial, name=next(name for name in names if name not in taken),
        tier=campaign.read_tier(),
    )


def _read_start(line: Campaign) -> bytes:
    with Ledger.open(line.root) as ledger:
        row = ledger.find_campaign(line.name)
        assert row is not None
        return ledger.get_blob(row.start_kernel)


def find_due_merge(lines: Sequence[Lineage], tally: Tally, merge_after: int) -> DueMerge | None:
    """Two lines that each have a gain, stand still and whose merge was not tried; None: none."""
    for first, second in combinations(lines, 2):
        apart = first.champion != second.champion
        gained = first.champion != first.start and second.champion != second.start
        tried = (first.champion, second.champion) in first.tried
        if apart and gained and not tried and all(
            count_misses(line, tally) >= merge_after for line in (first, second)
        ):
            return DueMerge(first, second)
    return None


def count_misses(line: Lineage, tally: Tally) -> int:
    """Trials of a line in this run since its last keep."""
    own = [record for record in tally.trials if record.campaign == line.campaign.name]
    for back, record in enumerate(reversed(own)):
        if record.verdict is Verdict.KEEP:
            return back
    return len(own)


def merge_champions(due: DueMerge) -> bytes | None:
    """One text with the changes of both since they parted; None: they touch the same lines."""
    due.first.tried.add((due.first.champion, due.second.champion))
    git = Git(due.first.campaign.root)
    return git.merge_texts(due.second.start, due.first.champion, due.second.champion)
