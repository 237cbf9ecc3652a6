"""A recorded trial again: from the ledger, and from an export as a clone would have it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from lance_autoresearch.bench.rig import Rig
from lance_autoresearch.campaign.attempt import Done, attempt
from lance_autoresearch.judge.trial import Story

from lance_autoresearch.build import builder
from lance_autoresearch.campaign.campaign import Campaign
from lance_autoresearch.campaign.driving import begin
from lance_autoresearch.campaign.replaying import (
    decided_again,
    from_ledger,
    from_records,
    measured_again,
    replay,
)
from lance_autoresearch.ledger import Ledger
from lance_autoresearch.ledger.export import export_campaign
from lance_autoresearch.records import Verdict

ROOT = Path(__file__).resolve().parents[2]
IDEA = ROOT / "targets" / "pq-l2" / "kernel" / "kernels.rs"
"""The champion: faster on every machine and in every cache."""

pytestmark = pytest.mark.timing


@pytest.fixture(scope="module")
def kept() -> tuple[Campaign, Done]:
    campaign = begin(ROOT, "pq-l2")
    for _ in range(4):
        with Rig(ROOT, "pq-l2", champion=campaign.champion_text()) as rig:
            done = attempt(rig, IDEA.read_bytes(), Story("replay me", kind="replay"), campaign)
        if done.record.verdict is not Verdict.INCONCLUSIVE:
            break
    assert done.record.verdict is Verdict.KEEP, done.record.reason
    return campaign, done


def test_an_export_replays_from_a_clone(kept: tuple[Campaign, Done], tmp_path: Path) -> None:
    campaign, done = kept
    with Ledger.open(ROOT) as ledger:
        lance = builder.first_kernel(ROOT, "pq-l2")
        place = export_campaign(ledger, campaign.name, tmp_path / campaign.name, lance)
    recorded = from_records(ROOT, place, done.number)
    assert recorded.kernel == IDEA.read_bytes()
    assert recorded.champion == lance
    parts = {part.what: part for part in replay(ROOT, recorded, lambda _: None)}
    assert parts["gate"].ok and "identical" in parts["gate"].detail
    assert set(parts) == {"gate", "kernel", "gain"}


def test_one_changed_tick_is_noticed(kept: tuple[Campaign, Done]) -> None:
    recorded = from_ledger(ROOT, kept[1].number)
    assert recorded.pairs is not None
    assert decided_again(recorded).ok
    pairs = json.loads(recorded.pairs)
    sides = next(pair for pair in pairs["parts"][0]["pairs"] if pair["void"] is None)
    sides["candidate"][0] = [2 * ticks for ticks in sides["candidate"][0]]
    forged = replace(recorded, pairs=json.dumps(pairs).encode())
    assert not decided_again(forged).ok


def test_a_gain_that_does_not_come_back_is_said_so(kept: tuple[Campaign, Done]) -> None:
    was = kept[1].record
    elsewhere = replace(was, gain=1.0, low=0.8, high=1.2)
    kernel, gain = measured_again(was, elsewhere)
    assert kernel.ok
    assert not gain.ok and "not reproduced" in gain.detail
    wrong = replace(was, verdict=Verdict.INCORRECT, gain=None, low=None, high=None)
    assert not next(iter(measured_again(was, wrong))).ok
