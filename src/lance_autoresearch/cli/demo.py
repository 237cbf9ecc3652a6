"""`lar demo`: a short real campaign on one target, from Lance's own code."""

from __future__ import annotations

import json as json_module
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from lance_autoresearch.host import checkout

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lance_autoresearch.agents.replay import Idea
    from lance_autoresearch.ledger import Row
    from lance_autoresearch.report import CampaignData

TUNE_TRIALS = 3
SECONDS, TUNE_SECONDS = 140.0, 30.0
"""No idea is begun later: if others use the machine, a trial may wait for minutes."""


def run_demo(*, tune: int = TUNE_TRIALS, json: bool = False) -> int:
    """Run real trials for two or three minutes; no account is needed.

    Recorded ideas are proposed one by one and judged here and now: genuine gains, a slower idea,
    wrong results and a cheat. Those that need an instruction this processor lacks are skipped.
    Then `tune` varies the constants of the best kernel.

    Args:
        tune: trials of the `tune` agent after the recorded ideas.
        json: one object per trial, and one at the end.
    """
    from lance_autoresearch.agents.replay import ReplayAgent
    from lance_autoresearch.agents.tune import TuneAgent, find_knobs
    from lance_autoresearch.campaign.beginning import begin_campaign
    from lance_autoresearch.campaign.campaign import repair_campaigns
    from lance_autoresearch.campaign.driving import drive_loop
    from lance_autoresearch.campaign.loop import Budget
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
        print("\n".join([*introduce(campaign.name), *replay.skipped, ""]))
    name = campaign.name
    ideas = Budget(hours=SECONDS / 3600)
    drive_loop(root, target, replay, ideas, campaign=name, kind="replay", json=json)
    if find_knobs(campaign.kernel_path.read_bytes()):
        turns = Budget(trials=tune, hours=TUNE_SECONDS / 3600)
        drive_loop(root, target, TuneAgent(), turns, campaign=name, json=json)
    elif not json:
        print("nothing with a knob was kept, so there is nothing for `tune` to turn")
    night, exported, page = _write_results(root, target, campaign.name)
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
        print("\n".join([*summarise(night.rows, replay.usable), ""]))
        print("\n".join(f"{name:8} {value}" for name, value in ends.items()))
    return 0


def introduce(campaign: str) -> list[str]:
    """The introduction of the demo."""
    from lance_autoresearch.host.machine import describe_machine

    here = describe_machine()
    return [
        f"campaign {campaign} on {here['cpu_kind']} ({here['cpu']}), from Lance's own code.",
        "Ideas that were recorded earlier are judged here and now, one by one; then the embedded",
        "agent `tune` changes constants of what was kept. Every trial is compiled, compared with",
        "Lance bit for bit, and timed against the best kernel so far.",
    ]


def summarise(rows: Sequence[Row], ideas: Sequence[Idea]) -> list[str]:
    """The summary in plain words; one sentence if noise hid a gain."""
    from lance_autoresearch.ledger import hash_bytes
    from lance_autoresearch.records import Verdict

    by_kernel = {row.record.kernel: row.record.verdict for row in rows}
    ended = [(idea.expect, by_kernel.get(hash_bytes(idea.proposal.text))) for idea in ideas]
    counts = {verdict: sum(found is verdict for _, found in ended) for verdict in Verdict}
    tuned = [row.record for row in rows if row.record.agent == "tune"]
    better = sum(record.verdict is Verdict.KEEP for record in tuned)
    lines = [
        f"kept          {counts[Verdict.KEEP]} ideas: the same bits as Lance, and proven faster",
        f"reverted      {counts[Verdict.REVERT]}: the same bits, but slower or not proven faster",
        f"wrong         {counts[Verdict.INCORRECT]}: other bits than Lance's, found before timing",
        f"refused       {counts[Verdict.REJECTED]}: reached for what a kernel may not have",
        f"tune          {len(tuned)} settings of a constant judged, {better} kept",
    ]
    gains = [found for want, found in ended if want is Verdict.KEEP]
    if hidden := sum(found in (None, Verdict.REVERT, Verdict.INCONCLUSIVE) for found in gains):
        lines.append(f"This machine is too noisy now to prove {hidden} of {len(gains)} gains: "
                     "run it again when it is quiet.")
    return lines


def _write_results(root: Path, target: str, campaign: str) -> tuple[CampaignData, Path, Path]:
    """The campaign as `lar log --export` and `lar report` write it: campaign, records, page."""
    from lance_autoresearch.build.builder import compose_first_kernel
    from lance_autoresearch.cli.report import read_card
    from lance_autoresearch.ledger import Ledger
    from lance_autoresearch.ledger.export import export_campaign
    from lance_autoresearch.report import gather_campaign, write_report

    out = checkout.ensure_lar_dir(root, "demo", campaign)
    with Ledger.open(root) as ledger:
        night = gather_campaign(ledger, target, campaign, root=root)
        exported = export_campaign(
            ledger, campaign, out / "records", compose_first_kernel(root, target)
        )
    return night, exported, write_report(night, read_card(root, target), out)
