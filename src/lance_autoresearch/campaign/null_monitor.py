"""Where a campaign's own error stands: its hidden nulls counted, and whether it may keep.

    now = read_monitor(ledger, campaign_row)
    now.tried, now.kept, now.most     # 12 nulls, 0 kept: at most 36 % at 99 %
    now.due                           # "aa" or "padding": the next slot is a null; or ""
    now.suspended                     # why nothing may be kept; or ""

Everything follows from rows of the ledger, so a kill between any two of them changes nothing:

    null row, not kept     counted; an A/A's pairs go into the pool
    null row, kept         keeps are suspended; the same kind of null is owed
    session (16-pair A/A)  into the pool; while suspended, three good ones in a row allow keeps
    pool beyond the limit  keeps are suspended
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lance_autoresearch.ledger import CampaignRow, Ledger, Row, SessionRow
from lance_autoresearch.ledger.kinds import is_idea
from lance_autoresearch.records import Verdict
from lance_autoresearch.rules.stats import compute_exact_bounds

EVERY = 10
"""One timed trial in this number is a null trial, which costs a tenth of the measuring time."""
KINDS = ("aa", "padding")
"""In turn: the champion rebuilt; its functions in another order and layout."""
BIAS = 0.3
"""Allowed bias, %, of the pooled A/A and of each A/A that ends a suspension."""
POOLED = 48
"""Pairs the pool must hold before it can suspend: fewer are noise."""
BACK = 3
"""This number of A/A tests in a row within `BIAS` allow keeps again."""
SESSION_PAIRS = 16
"""Pairs of a session's A/A."""


@dataclass(slots=True)
class NullMonitor:
    """A campaign's counters."""

    tried: int = 0
    """Nulls that reached a verdict."""
    kept: int = 0
    """...and were kept, each of them falsely."""
    slots: int = 0
    """Timed trials since the last null."""
    rows: int = 0
    """Null rows, undecided ones too."""
    pairs: int = 0
    """Pairs of A/A in the pool: since the campaign began, or since a suspension ended."""
    total: float = 0.0
    suspended: str = ""
    """Why nothing may be kept; empty: all is well."""
    good: int = 0
    """While suspended: A/As in a row within `BIAS`."""
    owed: str = ""
    """Kind of the null that was kept and has not been refused since."""

    @property
    def bias(self) -> float:
        """Mean gain of the pooled A/A, %: what a comparison with itself seems to win."""
        return self.total / self.pairs if self.pairs else 0.0

    @property
    def most(self) -> float | None:
        """Upper end of the exact 99 % interval of the share of nulls that are kept."""
        return compute_exact_bounds(self.kept, self.tried).high if self.tried else None

    @property
    def due(self) -> str:
        """The kind of null the next slot must be, or an empty string."""
        if self.owed:
            return self.owed
        return KINDS[self.rows % len(KINDS)] if self.slots >= EVERY - 1 else ""

    @property
    def way_back(self) -> str:
        """The conditions that end a suspension, in words."""
        found = f"{BACK} A/As of {SESSION_PAIRS} pairs in a row within ±{BIAS} %"
        if self.owed:
            found += f", then the {self.owed} null judged again and not kept"
        return found

    def add_null(self, row: Row) -> None:
        """One null's row."""
        record, self.slots = row.record, 0
        self.rows += 1
        if record.verdict is Verdict.INCONCLUSIVE:
            return
        self.tried += 1
        if record.verdict is Verdict.KEEP:
            self.kept += 1
            self.owed = record.kind
            gain = "" if record.gain is None else f" with {record.gain:+.2f}%"
            self._suspend(f"null trial {row.id} ({record.kind}) was kept{gain}")
            return
        if record.kind == self.owed:
            self.owed = ""
        gate = record.results.screening
        if record.kind == "aa" and gate is not None and gate.pairs:
            self._add_bias(gate.components[0].gain, gate.pairs)

    def add_session(self, bias: float) -> None:
        """One 16-pair A/A of a champion of the campaign, in %."""
        if not self.suspended:
            self._add_bias(bias, SESSION_PAIRS)
            return
        self.good = self.good + 1 if abs(bias) <= BIAS else 0
        if self.good >= BACK:
            self.suspended, self.good, self.pairs, self.total = "", 0, 0, 0.0

    def _add_bias(self, bias: float, pairs: int) -> None:
        self.pairs, self.total = self.pairs + pairs, self.total + bias * pairs
        if self.pairs >= POOLED and abs(self.bias) > BIAS and not self.suspended:
            self._suspend(f"A/A is off by {self.bias:+.2f}% over {self.pairs} pairs")

    def _suspend(self, why: str) -> None:
        self.suspended, self.good = why, 0


def read_monitor(ledger: Ledger, campaign: CampaignRow) -> NullMonitor:
    """Read a campaign's counters; reads a few rows, however long the run was."""
    nulls = [row for kind in KINDS for row in ledger.list_trials(campaign=campaign.name, kind=kind)]
    now = rebuild_monitor(nulls, _list_sessions(ledger, campaign))
    last = max((row.id for row in nulls), default=0)
    since = ledger.list_trials(campaign=campaign.name, after=last)
    now.slots = sum(is_idea(r.record.kind) and r.record.results.measured is not None for r in since)
    return now


def rebuild_monitor(nulls: Iterable[Row], sessions: Iterable[SessionRow]) -> NullMonitor:
    """The counters after these rows, in the order of the ledger's chain."""
    now = NullMonitor()
    events: list[Row | SessionRow] = [*nulls, *sessions]
    for event in sorted(events, key=lambda event: event.seq):
        if isinstance(event, SessionRow):
            now.add_session(100 * event.noise.bias)
        else:
            now.add_null(event)
    return now


def _list_sessions(ledger: Ledger, campaign: CampaignRow) -> list[SessionRow]:
    """A/As of this campaign's champions since it began."""
    kept = ledger.list_trials(campaign=campaign.name, verdict=Verdict.KEEP)
    champions = {campaign.start_kernel, *(row.record.kernel for row in kept if row.commit)}
    found = ledger.list_sessions(campaign.target)
    return [s for s in found if s.seq > campaign.seq and s.noise.champion in champions]
