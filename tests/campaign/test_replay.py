"""A recorded trial again: from the ledger, and from an export as a clone would have it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from agent_parts import TARGET, begin_delayed, checkout

from lance_autoresearch.bench.rig import Rig
from lance_autoresearch.build import builder
from lance_autoresearch.campaign.attempt import Done, attempt
from lance_autoresearch.campaign.campaign import Campaign
from lance_autoresearch.campaign.replaying import (
    decided_again,
    from_ledger,
    from_records,
    measured_again,
    replay,
)
from lance_autoresearch.judge.trial import Story
from lance_autoresearch.ledger import Ledger, digest_of
from lance_autoresearch.ledger.export import export_campaign
from lance_autoresearch.records import Verdict

pytestmark = pytest.mark.timing


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Campaign, Done]:
    """A campaign with a kept trial, recorded here: what gains does not depend on the CPU."""
    campaign, better = begin_delayed(checkout(tmp_path_factory.mktemp("replay")))
    for _ in range(4):
        with Rig(campaign.root, TARGET, champion=campaign.champion_text()) as rig:
            done = attempt(rig, better.encode(), Story("replay me", kind="replay"), campaign)
        if done.record.verdict is not Verdict.INCONCLUSIVE:
            break
    assert done.record.verdict is Verdict.KEEP, done.record.reason
    return campaign, done


def test_an_export_replays_from_a_clone(kept: tuple[Campaign, Done], tmp_path: Path) -> None:
    campaign, done = kept
    root = campaign.root
    with Ledger.open(root) as ledger:
        lance = builder.first_kernel(root, TARGET)
        place = export_campaign(ledger, campaign.name, tmp_path / campaign.name, lance)
    recorded = from_records(root, place, done.number)
    assert recorded.kernel == campaign.champion_text()
    assert digest_of(recorded.champion) == done.record.champion
    parts = {part.what: part for part in replay(root, recorded, lambda _: None)}
    assert parts["gate"].ok and "identical" in parts["gate"].detail
    assert set(parts) == {"gate", "kernel", "gain"}


def test_one_changed_tick_is_noticed(kept: tuple[Campaign, Done]) -> None:
    recorded = from_ledger(kept[0].root, kept[1].number)
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
