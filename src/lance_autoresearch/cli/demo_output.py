"""What `lar demo` prints before and after its trials, and the files it writes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lance_autoresearch.agents.replay import Idea
from lance_autoresearch.build.builder import compose_first_kernel
from lance_autoresearch.cli.report import read_card
from lance_autoresearch.host import checkout
from lance_autoresearch.host.machine import describe_machine
from lance_autoresearch.ledger import Ledger, Row, hash_bytes
from lance_autoresearch.ledger.export import export_campaign
from lance_autoresearch.records import Verdict
from lance_autoresearch.report import CampaignData, gather_campaign, write_report


def introduce(campaign: str) -> list[str]:
    """The introduction of the demo."""
    here = describe_machine()
    return [
        f"campaign {campaign} on {here['cpu_kind']} ({here['cpu']}), from Lance's own code.",
        "Ideas that were recorded earlier are judged here and now, one by one; then the embedded",
        "agent `rewrite` changes what was kept mechanically. Every trial is compiled, compared",
        "with Lance bit for bit, and timed against the best kernel so far.",
    ]


def summarise(rows: Sequence[Row], ideas: Sequence[Idea]) -> list[str]:
    """The summary in plain words; one sentence if noise hid a gain."""
    by_kernel = {row.record.kernel: row.record.verdict for row in rows}
    ended = [(idea.expect, by_kernel.get(hash_bytes(idea.proposal.text))) for idea in ideas]
    counts = {verdict: sum(found is verdict for _, found in ended) for verdict in Verdict}
    rewritten = [row.record for row in rows if row.record.agent == "rewrite"]
    better = sum(record.verdict is Verdict.KEEP for record in rewritten)
    lines = [
        f"kept          {counts[Verdict.KEEP]} ideas: the same bits as Lance, and proven faster",
        f"reverted      {counts[Verdict.REVERT]}: the same bits, but slower or not proven faster",
        f"wrong         {counts[Verdict.INCORRECT]}: other bits than Lance's, found before timing",
        f"refused       {counts[Verdict.REJECTED]}: reached for what a kernel may not have",
        f"rewrite       {len(rewritten)} mechanical rewrites judged, {better} kept",
    ]
    gains = [found for want, found in ended if want is Verdict.KEEP]
    if hidden := sum(found in (None, Verdict.REVERT, Verdict.INCONCLUSIVE) for found in gains):
        lines.append(f"This machine is too noisy now to prove {hidden} of {len(gains)} gains: "
                     "run it again when it is quiet.")
    return lines


def write_results(root: Path, target: str, campaign: str) -> tuple[CampaignData, Path, Path]:
    """The campaign as `lar log --export` and `lar report` write it: campaign, records, page."""
    out = checkout.ensure_lar_dir(root, "demo", campaign)
    with Ledger.open(root) as ledger:
        night = gather_campaign(ledger, target, campaign, root=root)
        exported = export_campaign(
            ledger, campaign, out / "records", compose_first_kernel(root, target)
        )
    return night, exported, write_report(night, read_card(root, target), out)
