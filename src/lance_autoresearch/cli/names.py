"""Names on the command line that must exist: a wrong one is an error, not an empty answer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lance_autoresearch.ledger import Ledger


def check_names(
    root: Path, ledger: Ledger | None, target: str | None, campaign: str | None = None
) -> None:
    """Raise UsageError for a target or campaign that is nowhere; a removed target has its rows."""
    from lance_autoresearch.errors import UsageError
    from lance_autoresearch.targets.catalogue import find_target_dir

    rows = ledger.list_campaigns() if ledger else []
    recorded = ledger is not None and target is not None and (
        target in {row.target for row in rows} or ledger.list_trials(target=target, limit=1)
    )
    if target is not None and not recorded:
        find_target_dir(root, target)
    if campaign is not None and campaign not in {row.name for row in rows}:
        raise UsageError(
            f"no campaign '{campaign}'", allowed=[row.name for row in rows], next="lar status"
        )
