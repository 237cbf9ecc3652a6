"""A recorded trial again: from the ledger, and from an export as a clone would have it.

The trial is recorded from given pairs, so that it was kept whatever this machine is and does.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from agent_parts import TARGET, begin_delayed, checkout
from gate_cases import comparison

from lance_autoresearch.build import builder
from lance_autoresearch.campaign.campaign import Campaign
from lance_autoresearch.campaign.coordinator import Coordinator, FinishedTrial, Story
from lance_autoresearch.campaign.replaying import (
    compare_measurements,
    decide_again,
    load_from_ledger,
    load_from_records,
    replay_trial,
    verify_record,
)
from lance_autoresearch.judge.job import JudgedTrial
from lance_autoresearch.ledger import Ledger, hash_bytes
from lance_autoresearch.ledger.export import export_campaign
from lance_autoresearch.records import Comparison, Reason, ReasonKind, TrialPairs, Verdict
from lance_autoresearch.rules.policy import DEFAULT
from lance_autoresearch.rules.rejudge import rejudge

pytestmark = [pytest.mark.timing, pytest.mark.cpu]


def made(gain: float, pairs: int) -> Comparison:
    """Pairs of a candidate that is so much faster (natural log ratio), with a little noise."""
    rng = np.random.default_rng(pairs)
    return comparison((rng.normal(0, 0.004, (pairs, 3)) + gain).tolist(), rng)


KEPT = TrialPairs(made(0.3, 8), made(0.3, 16), made(0.3, 4), made(0.3, 24), made(0.0, 8))
"""All stages of a trial that was kept."""


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Campaign, FinishedTrial]:
    """A campaign with one kept trial: a delayed champion, and the same code without the delay."""
    campaign, better = begin_delayed(checkout(tmp_path_factory.mktemp("replay")))
    kernel, champion = better.encode(), campaign.read_champion()
    judged = JudgedTrial(
        Verdict.KEEP, Reason(ReasonKind.CONFIRMED), rejudge(KEPT, DEFAULT), KEPT, DEFAULT,
        kernel_digest=hash_bytes(kernel), champion_digest=hash_bytes(champion),
    )  # fmt: skip
    story = Story("replay me", kind="replay", campaign=campaign.name)
    with Coordinator(campaign.root, TARGET, champion=champion) as coordinator:
        done = coordinator.record(kernel, judged, story, campaign)
    assert campaign.read_champion() == kernel
    return campaign, done


@pytest.fixture(scope="module")
def exported(
    kept: tuple[Campaign, FinishedTrial], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """That campaign as plain files."""
    campaign, _ = kept
    with Ledger.open(campaign.root) as ledger:
        lance = builder.compose_first_kernel(campaign.root, TARGET)
        directory = tmp_path_factory.mktemp("export") / campaign.name
        return export_campaign(ledger, campaign.name, directory, lance)


def test_an_export_replays_from_a_clone(
    kept: tuple[Campaign, FinishedTrial], exported: Path
) -> None:
    campaign, done = kept
    recorded = load_from_records(campaign.root, exported, done.number)
    assert recorded.kernel == campaign.read_champion()
    assert hash_bytes(recorded.champion) == done.record.champion
    parts = {part.what: part for part in replay_trial(campaign.root, recorded, lambda _: None)}
    assert parts["gate"].ok and "identical" in parts["gate"].detail
    assert parts["kernel"].ok, parts["kernel"].detail
    assert set(parts) == {"gate", "kernel", "gain"}


def test_an_export_is_verified_as_a_whole(
    kept: tuple[Campaign, FinishedTrial], exported: Path
) -> None:
    found = verify_record(kept[0].root, exported)
    assert (found.campaign, found.trials, found.decided) == (kept[0].name, 1, 1)


def test_one_changed_tick_is_noticed(kept: tuple[Campaign, FinishedTrial]) -> None:
    recorded = load_from_ledger(kept[0].root, kept[1].number)
    assert recorded.pairs is not None
    assert decide_again(recorded).ok
    pairs = json.loads(recorded.pairs)
    sides = pairs["parts"]["screening"]["pairs"][0]
    sides["candidate"][0] = [2 * ticks for ticks in sides["candidate"][0]]
    forged = replace(recorded, pairs=json.dumps(pairs).encode())
    assert not decide_again(forged).ok


def test_a_gain_that_does_not_come_back_is_said_so(kept: tuple[Campaign, FinishedTrial]) -> None:
    was = kept[1].record
    elsewhere = replace(was, gain=1.0, low=0.8, high=1.2)
    kernel, gain = compare_measurements(was, elsewhere)
    assert kernel.ok
    assert not gain.ok and "not reproduced" in gain.detail
    wrong = replace(was, verdict=Verdict.INCORRECT, gain=None, low=None, high=None)
    assert not next(iter(compare_measurements(was, wrong))).ok
