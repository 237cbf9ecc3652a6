"""The agent that proposes recorded kernels, one after the other, in their recorded order.

It serves demonstrations and tests: every trial is real (compiled, checked, measured and
decided here, now), only the ideas come from a record. A record is a directory with
`lineage.toml`:

    [[kernel]]
    file = "01-blocked.rs"
    hypothesis = "keep 2 KiB of sums in L1 while walking the sub-vectors"

    [[kernel]]
    record = "../../hamming-2026-11-22"     # an exported campaign
    trial = 6                             # its kernel and its hypothesis
    needs = ["avx512vbmi"]                # skipped if kernels may not use that
    expect = "keep"                       # the verdict on a quiet machine; a note, decides nothing
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lance_autoresearch.agents import Proposal, Turn
from lance_autoresearch.build.builder import compose_first_kernel
from lance_autoresearch.errors import LedgerError, UsageError
from lance_autoresearch.host import machine
from lance_autoresearch.host.checkout import find_root
from lance_autoresearch.host.cpu_kinds import read_processor
from lance_autoresearch.host.tier import list_missing_features
from lance_autoresearch.ledger.export import load_records
from lance_autoresearch.records import Verdict


@dataclass(frozen=True, slots=True)
class Idea:
    """One entry of a record."""

    proposal: Proposal
    needs: tuple[str, ...] = ()
    """Architecture or CPU features without which it is skipped."""
    expect: Verdict | None = None
    """The verdict on a quiet machine, if the record says one."""


class ReplayAgent:
    """Proposes the kernels of one record in order, without those that need another processor."""

    name = "replay"

    def __init__(self, record: Path) -> None:
        """Args:
            record: directory that holds `lineage.toml`.

        Raises:
            UsageError: not a record, or a kernel named in it is missing.
        """
        self._ideas = read_ideas(record)
        self._left = list(reversed(self._ideas))

    @property
    def usable(self) -> list[Idea]:
        """Entries that this processor can judge at the tier in force, oldest first."""
        return [idea for idea in self._ideas if not _list_missing(idea)]

    @property
    def skipped(self) -> list[str]:
        """A sentence for each idea that needs another processor."""
        kind = machine.describe_machine()["cpu_kind"]
        return [
            f"skipped, as {kind} lacks {', '.join(missing)}: {idea.proposal.hypothesis}"
            for idea in self._ideas if (missing := _list_missing(idea))
        ]  # fmt: skip

    def propose(self, turn: Turn) -> Proposal | None:
        """The next recorded kernel that can be judged here; None at the end of the record."""
        while self._left:
            idea = self._left.pop()
            if not _list_missing(idea):
                return idea.proposal
        return None


def _list_missing(idea: Idea) -> list[str]:
    return list_missing_features(idea.needs, read_processor(core=machine.list_cores()[-1]))


def read_ideas(record: Path) -> list[Idea]:
    """All entries of a record, oldest first.

    Raises:
        UsageError: no `lineage.toml`, or a file that it names is missing or damaged.
    """
    listing = record / "lineage.toml"
    try:
        rows = tomllib.loads(listing.read_text(encoding="utf-8"))["kernel"]
        return [_read_idea(record, row) for row in rows]
    except (OSError, KeyError, TypeError, ValueError, AttributeError, RecursionError,
            LedgerError) as error:
        raise UsageError(f"not a record of kernels: {error}", where=str(listing),
                         next="ls records/") from error


def _read_idea(record: Path, row: dict[str, Any]) -> Idea:
    expect = Verdict(row["expect"]) if "expect" in row else None
    needs = row.get("needs", [])
    if isinstance(needs, str) or not all(isinstance(name, str) for name in needs):
        raise TypeError("`needs` is no list of CPU features")
    return Idea(_load_proposal(record, row), tuple(needs), expect)


def _load_proposal(record: Path, row: dict[str, Any]) -> Proposal:
    """A kernel of our own writing, from a file or from a trial of an exported campaign."""
    if "trial" not in row:
        return Proposal((record / row["file"]).read_bytes(), str(row["hypothesis"]))
    campaign = load_records(record / row["record"])
    found = {trial.id: trial.record for trial in campaign.trials}[row["trial"]]
    if found.kernel not in campaign.kernels:  # stored as a difference from Lance's text
        first = compose_first_kernel(find_root(), campaign.campaign.target)
        campaign = load_records(record / row["record"], first)
    return Proposal(campaign.kernels[found.kernel], row.get("hypothesis", found.hypothesis))
