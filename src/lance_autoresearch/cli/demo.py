"""`lar demo`: a short real campaign on one target, from Lance's own code."""

from __future__ import annotations

import json as json_module
import sys
import time

from lance_autoresearch.host import checkout

REWRITES = 3
SECONDS, REWRITE_SECONDS = 140.0, 30.0
"""No idea is begun later: if others use the machine, a trial may wait for minutes."""


def run_demo(*, rewrites: int = REWRITES, json: bool = False) -> int:
    """Run real trials for two or three minutes; no account is needed.

    Recorded ideas are proposed one by one and judged here and now: genuine gains, a slower idea,
    wrong results and a cheat. Those that need an instruction this processor lacks are skipped.
    Then the agent `rewrite` changes the best kernel mechanically.

    Args:
        rewrites: trials of the agent `rewrite` after the recorded ideas.
        json: one object per trial, and one at the end.
    """
    from lance_autoresearch.agents.replay import ReplayAgent
    from lance_autoresearch.agents.rewrite import RewriteAgent
    from lance_autoresearch.campaign.beginning import begin_campaign
    from lance_autoresearch.campaign.campaign import repair_campaigns
    from lance_autoresearch.campaign.driving import drive_loop
    from lance_autoresearch.campaign.loop import Budget
    from lance_autoresearch.cli import demo_output
    from lance_autoresearch.cli.log import render_table
    from lance_autoresearch.targets import catalogue

    root = checkout.find_root()
    target = catalogue.find_demo(root)
    for line in repair_campaigns(root):
        print(line, file=sys.stderr)
    began = time.monotonic()
    replay = ReplayAgent(root / "records" / "ideas" / target)
    campaign = begin_campaign(root, target)
    if not json:
        print("\n".join([*demo_output.introduce(campaign.name), *replay.skipped, ""]))
    name = campaign.name
    ideas = Budget(hours=SECONDS / 3600)
    drive_loop(root, target, replay, ideas, campaign=name, kind="replay", json=json)
    turns = Budget(trials=rewrites, hours=REWRITE_SECONDS / 3600)
    drive_loop(root, target, RewriteAgent(), turns, campaign=name, json=json)
    night, exported, page = demo_output.write_results(root, target, campaign.name)
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
        print("\n" + render_table(list(night.rows)) + "\n")
        print("\n".join([*demo_output.summarise(night.rows, replay.usable), ""]))
        print("\n".join(f"{name:8} {value}" for name, value in ends.items()))
    return 0
