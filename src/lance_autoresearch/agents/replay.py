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
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from lance_autoresearch.agents import Proposal, Turn
from lance_autoresearch.build.builder import first_kernel
from lance_autoresearch.errors import LedgerError, UsageError
from lance_autoresearch.host.checkout import find_root
from lance_autoresearch.ledger.export import load_records


class ReplayAgent:
    """Proposes the kernels of one record in order."""

    name = "replay"

    def __init__(self, record: Path) -> None:
        """Args:
            record: directory that holds `lineage.toml`.

        Raises:
            UsageError: not a record, or a kernel named in it is missing.
        """
        self._left = list(reversed(read_lineage(record)))

    def propose(self, turn: Turn) -> Proposal | None:
        """The next recorded kernel; None at the end of the record."""
        return self._left.pop() if self._left else None


def read_lineage(record: Path) -> list[Proposal]:
    """All proposals of a record, oldest first.

    Raises:
        UsageError: no `lineage.toml`, or what it names is missing or damaged.
    """
    listing = record / "lineage.toml"
    try:
        rows = tomllib.loads(listing.read_text(encoding="utf-8"))["kernel"]
        return [_proposal(record, row) for row in rows]
    except (OSError, KeyError, TypeError, ValueError, AttributeError, RecursionError,
            LedgerError) as error:
        raise UsageError(f"not a record of kernels: {error}", where=str(listing),
                         next="ls records/") from error


def _proposal(record: Path, row: dict[str, Any]) -> Proposal:
    """A kernel of our own writing, from a file or from a trial of an exported campaign."""
    if "trial" not in row:
        return Proposal((record / row["file"]).read_bytes(), str(row["hypothesis"]))
    campaign = load_records(record / row["record"])
    found = {trial.id: trial.record for trial in campaign.trials}[row["trial"]]
    if found.kernel not in campaign.kernels:  # stored as a difference from Lance's text
        first = first_kernel(find_root(), campaign.campaign.target)
        campaign = load_records(record / row["record"], first)
    return Proposal(campaign.kernels[found.kernel], row.get("hypothesis", found.hypothesis))
