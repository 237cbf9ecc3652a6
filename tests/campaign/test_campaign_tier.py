"""A campaign remembers the CPU tier it is optimised at, and every trial of it is judged there."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from agent_parts import ROOT, TARGET
from agent_parts import checkout as whole_checkout
from campaign_parts import FIRST, checkout

from lance_autoresearch.agents.replay import ReplayAgent
from lance_autoresearch.campaign import campaign
from lance_autoresearch.campaign.driving import drive_loop
from lance_autoresearch.campaign.loop import Budget
from lance_autoresearch.errors import UsageError
from lance_autoresearch.host.tier import read_requested_tier
from lance_autoresearch.ledger import Ledger

LAR = Path(sys.executable).parent / "lar"


@pytest.fixture(autouse=True)
def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAR_TIER", "")  # so that whatever a test puts there is taken back


def begin(root: Path, tier: str | None) -> campaign.Campaign:
    return campaign.create_campaign(root, TARGET, FIRST, origin="upstream", era="14.0.2", tier=tier)


@pytest.mark.parametrize("tier", [None, "avx2", "scalar"])
def test_the_tier_outlives_the_process_and_the_worktree(tier: str | None, tmp_path: Path) -> None:
    mine = begin(checkout(tmp_path / "r"), tier)
    shutil.rmtree(mine.worktree)
    shutil.rmtree(mine.desk.private)
    again = campaign.load_campaign(mine.root, mine.name)
    assert again.read_tier() == tier
    campaign.enter_tier(again)
    assert read_requested_tier() == tier
    assert campaign.verify_ledger(mine.root).fault is None


def test_a_campaign_is_not_judged_at_two_tiers(tmp_path: Path) -> None:
    root = checkout(tmp_path / "r")
    whole, narrow = begin(root, None), begin(root, "avx2")
    with pytest.raises(UsageError, match="optimised at all that") as caught:
        campaign.enter_tier(whole, "scalar")
    assert caught.value.next == f"./lar start {TARGET} --tier scalar"
    with pytest.raises(UsageError, match="optimised at avx2"):
        campaign.enter_tier(narrow, "scalar")
    assert read_requested_tier() is None
    campaign.enter_tier(narrow, "avx2")
    assert read_requested_tier() == "avx2"


def test_a_narrower_machine_cannot_serve_a_wider_campaign(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = begin(checkout(tmp_path / "r"), "avx2")
    monkeypatch.setenv("LAR_TIER", "scalar")
    with pytest.raises(UsageError, match="LAR_TIER=scalar"):
        campaign.enter_tier(mine)


@pytest.mark.parametrize("verb", ["start", "try", "loop"])
def test_an_unknown_tier_names_those_that_exist(verb: str, tmp_path: Path) -> None:
    root = whole_checkout(tmp_path)
    done = subprocess.run(
        [LAR, verb, TARGET, "--tier", "avx1024"], capture_output=True, text=True, cwd=root
    )
    assert done.returncode == 64
    assert '"avx1024"' in done.stderr and "avx2" in done.stderr and "scalar" in done.stderr


def test_trials_of_a_narrow_campaign_are_recorded_as_such(tmp_path: Path) -> None:
    root = whole_checkout(tmp_path)
    done = subprocess.run(
        [LAR, "start", TARGET, "--tier", "scalar"], capture_output=True, text=True, cwd=root
    )
    assert done.returncode == 0 and "optimised at tier scalar" in done.stdout
    wrong = ROOT / "records" / "ideas" / TARGET / "fused-everywhere.rs"
    record = tmp_path / "record"
    record.mkdir()
    (record / "lineage.toml").write_text(f'[[kernel]]\nfile = "{wrong}"\nhypothesis = "fuse"\n')
    drive_loop(root, TARGET, ReplayAgent(record), Budget(trials=1), kind="replay", json=True)
    with Ledger.open(root) as ledger:
        (row,) = ledger.list_trials(target=TARGET)
    assert row.record.machine["cpu_kind"].endswith("@scalar")
    assert row.record.machine["kind"].endswith("@scalar")
