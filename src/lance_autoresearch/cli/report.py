"""`lar report`: a campaign as one page and one picture."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import TYPE_CHECKING

from lance_autoresearch.host import checkout

if TYPE_CHECKING:
    from lance_autoresearch.report.page import Card


def report_campaign(
    target: str | None = None,
    *,
    campaign: str | None = None,
    all: bool = False,
    out: Path | None = None,
    json: bool = False,
) -> int:
    """Write a page and a picture of a campaign.

    Writes index.html (one file that loads nothing, for phone and desktop, light and dark),
    progress.png and results.tsv: best so far, champion against Lance, the kept ideas, the failed
    ones with reasons, noise, time, cost, digests, how to replay.

    Args:
        target: name of the target, see `lar targets`.
        campaign: this campaign; by default the newest on the target that has a trial.
        all: one page for every target, and an index over them.
        out: write there; by default .lar/report/<target>/, with --all .lar/report/.
        json: print one object with the paths.
    """
    from lance_autoresearch.campaign.campaign import repair_campaigns
    from lance_autoresearch.errors import UsageError
    from lance_autoresearch.ledger import Ledger
    from lance_autoresearch.report import gather_campaign, write_index, write_report
    from lance_autoresearch.targets import catalogue

    root = checkout.find_root()
    if (target is None) != all or (all and campaign):
        raise UsageError(
            "give one target, or --all (without --campaign)",
            allowed=catalogue.list_targets(root), next="./lar report --all",
        )
    repair_campaigns(root)
    wanted = catalogue.list_targets(root) if target is None else [target]
    cards = {name: read_card(root, name) for name in wanted}
    with Ledger.open(root) as ledger:
        nights = [
            (gather_campaign(ledger, name, campaign, root=root), cards[name]) for name in wanted
        ]
    base = out or checkout.ensure_lar_dir(root, "report")
    pages = []
    for night, card in nights:
        place = base if out and not all else base / night.target
        pages.append(write_report(night, card, place))
    if all:
        pages.insert(0, write_index(nights, base))
    shown = [_shorten_path(page, root) for page in pages]
    print(json_module.dumps({"v": 1, "pages": shown}) if json else "\n".join(shown))
    return 0


def read_card(root: Path, name: str) -> Card:
    """A target's description of itself."""
    from lance_autoresearch.report.page import Card
    from lance_autoresearch.targets import catalogue

    target = catalogue.load_target(root, name)
    return Card(target.summary, target.call_site, target.cost)


def _shorten_path(path: Path, root: Path) -> str:
    """Relative to the checkout if it lies inside."""
    return str(path.relative_to(root) if path.is_relative_to(root) else path)
