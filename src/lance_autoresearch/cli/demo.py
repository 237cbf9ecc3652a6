"""`lar demo`: a short real campaign from Lance's own code, on the target declared for it."""

from __future__ import annotations

import json as json_module
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from lance_autoresearch.host import checkout

if TYPE_CHECKING:
    from lance_autoresearch.report import Night

TUNE_TRIALS = 4


def demo(*, tune: int = TUNE_TRIALS, json: bool = False) -> int:
    """Run real trials in a minute or two; no account is needed.

    Recorded ideas are proposed one by one and judged here and now: two or more genuine gains, a
    slower idea, a wrong result and a cheat. Then `tune` turns the knobs of what was kept.

    Args:
        tune: trials of the `tune` agent after the recorded ideas.
        json: one object per trial, and one at the end.
    """
    from lance_autoresearch.agents.replay import ReplayAgent
    from lance_autoresearch.agents.tune import TuneAgent, knobs
    from lance_autoresearch.campaign.campaign import repair
    from lance_autoresearch.campaign.driving import begin, drive
    from lance_autoresearch.campaign.loop import Budget
    from lance_autoresearch.cli.log import table
    from lance_autoresearch.records import Verdict
    from lance_autoresearch.targets import catalogue

    root = checkout.find_root()
    target = catalogue.find_demo(root)
    for line in repair(root):
        print(line, file=sys.stderr)
    began = time.monotonic()
    campaign = begin(root, target)
    if not json:
        print(f"campaign {campaign.name}: from Lance's own {target}; recorded ideas, then `tune`\n")
    record = root / "records" / "ideas" / target
    name = campaign.name
    drive(root, target, ReplayAgent(record), Budget(), campaign=name, kind="replay", json=json)
    if knobs(campaign.kernel_path.read_bytes()):
        drive(root, target, TuneAgent(), Budget(trials=tune), campaign=name, json=json)
    elif not json:
        print("nothing with a knob was kept, so there is nothing for `tune` to turn")
    night, exported, page = _written(root, target, campaign.name)
    ends = {
        "took": f"{time.monotonic() - began:.0f} s",
        "report": str(page.relative_to(root)),
        "picture": str(page.with_name("progress.png").relative_to(root)),
        "ledger": str(exported.relative_to(root)),
        "edit": str(campaign.kernel_path.relative_to(root)),
        "next": f'./lar try {target} -m "what you changed and why"',
    }
    if json:
        print(json_module.dumps({"v": 1, "campaign": campaign.name, **ends}))
    else:
        print("\n" + table(list(night.rows)) + "\n")
        unclear = sum(r.record.verdict is Verdict.INCONCLUSIVE for r in night.rows)
        if unclear:
            print(f"{unclear} inconclusive: other work disturbed the measuring; try again later\n")
        print("\n".join(f"{name:8} {value}" for name, value in ends.items()))
    return 0


def _written(root: Path, target: str, campaign: str) -> tuple[Night, Path, Path]:
    """The campaign as `lar log --export` and `lar report` leave it: night, records, page."""
    from lance_autoresearch.build.builder import first_kernel
    from lance_autoresearch.cli.report import card_of
    from lance_autoresearch.ledger import Ledger
    from lance_autoresearch.ledger.export import export_campaign
    from lance_autoresearch.report import gather, write_report

    out = checkout.lar_dir(root, "demo", campaign)
    with Ledger.open(root) as ledger:
        night = gather(ledger, target, campaign, root=root)
        exported = export_campaign(ledger, campaign, out / "records", first_kernel(root, target))
    return night, exported, write_report(night, card_of(root, target), out)
