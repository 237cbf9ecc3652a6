"""The agent that proposes recorded kernels, one after the other, in their recorded order.

It serves demonstrations and tests: every trial is real (compiled, checked, measured and
decided here, now), only the ideas come from a record. A record is a directory with
`lineage.toml`:

    [[kernel]]
    file = "01-blocked.rs"
    hypothesis = "keep 2 KiB of sums in L1 while walking the sub-vectors"
"""

from __future__ import annotations

import tomllib
from pathlib import Path

from lance_autoresearch.campaigns.agents import Proposal, Turn
from lance_autoresearch.errors import UsageError


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
    """All proposals of a record, oldest first."""
    listing = record / "lineage.toml"
    try:
        rows = tomllib.loads(listing.read_text(encoding="utf-8"))["kernel"]
        return [Proposal((record / row["file"]).read_bytes(), str(row["hypothesis"]))
                for row in rows]
    except (OSError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise UsageError(f"not a record of kernels: {error}", where=str(listing),
                         next="ls records/") from error
