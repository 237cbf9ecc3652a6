"""`lar status`: the campaigns of this checkout, and how far each is."""

from __future__ import annotations

import json as json_module
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lance_autoresearch.world.ledger import CampaignRow, Ledger


def status(target: str | None = None, *, json: bool = False) -> int:
    """What runs now, and how far it is.

    Finishes first what a killed process left half-way, and says so.

    Args:
        target: only campaigns on this target.
        json: one JSON object instead of text.
    """
    from lance_autoresearch.campaigns.campaign import repair
    from lance_autoresearch.world.host import find_root
    from lance_autoresearch.world.ledger import Ledger, ledger_path

    root = find_root()
    repaired = repair(root)
    found: list[dict[str, Any]] = []
    trials: dict[str, int] = {}
    if ledger_path(root).exists():
        with Ledger.open(root) as ledger:
            found = [about(root, ledger, row) for row in ledger.campaigns(target)]
            trials = ledger.counts()
    if json:
        body = {"v": 1, "campaigns": found, "trials": trials, "repaired": repaired}
        print(json_module.dumps(body))
        return 0
    for line in repaired:
        print(line, file=sys.stderr)
    for entry in found:
        print("\n".join(lines(entry)))
    counted = ", ".join(f"{count} {verdict}" for verdict, count in trials.items())
    print(f"trials   {counted}" if counted else "no trial yet")
    if not found:
        print("next     ./lar start TARGET")
    return 0


def about(root: Path, ledger: Ledger, row: CampaignRow) -> dict[str, Any]:
    """One campaign: its champion, its counts, its last trial, whether somebody works in it."""
    from lance_autoresearch.campaigns.campaign import Campaign

    campaign = Campaign(root, row.name, row.target)
    champion = ledger.champion(row.name)
    last = ledger.trials(campaign=row.name, limit=1)
    return {
        "name": row.name,
        "target": row.target,
        "branch": row.branch,
        "origin": row.origin,
        "era": row.era,
        "created": row.created,
        "kernel": str(campaign.kernel_path) if campaign.kernel_path.exists() else None,
        "champion": champion.kernel,
        "champion_trial": champion.trial,
        "edited": campaign.desk.read() != champion.kernel,
        "trials": ledger.counts(row.name),
        "last": _last(last[-1]) if last else None,
    }


def _last(row: Any) -> dict[str, Any]:
    from lance_autoresearch.rules.plain_text import stripped

    record = row.record
    return {
        "id": row.id,
        "created": row.created,
        "verdict": str(record.verdict),
        "gain": record.gain,
        "reason": stripped(record.reason, 200),
    }


def lines(entry: dict[str, Any]) -> list[str]:
    """One campaign in a few lines."""
    counts = ", ".join(f"{count} {verdict}" for verdict, count in entry["trials"].items())
    champion = entry["champion_trial"]
    said = [
        f"{entry['name']}  from {entry['origin']} ({entry['era']}), begun {entry['created']}",
        f"  trials    {counts or 'none yet'}",
        f"  champion  {entry['champion'][:12]} "
        + (f"(trial {champion})" if champion else f"({entry['origin']})"),
    ]
    if entry["last"]:
        last = entry["last"]
        gain = "" if last["gain"] is None else f" {last['gain']:+.2f}%"
        said.append(f"  last      {last['id']} {last['verdict']}{gain}: {last['reason']}")
    if entry["kernel"] is None:
        said.append("  worktree  removed")
    else:
        edited = "  (edited, not judged yet)" if entry["edited"] else ""
        said.append(f"  kernel    {entry['kernel']}{edited}")
    return said
