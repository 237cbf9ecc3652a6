"""`lar status`: campaigns, their loops, and the live view."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from campaign_parts import TARGET, checkout, kernel
from checkout_parts import interruptible
from night_parts import small_night, trial

from lance_autoresearch.campaign.campaign import Campaign
from lance_autoresearch.campaign.tally import Budget, Run, lock_loop, save_run
from lance_autoresearch.cli.status import show_status
from lance_autoresearch.ledger import Ledger
from lance_autoresearch.report import gather_campaign
from lance_autoresearch.report.page import Card, render_page
from lance_autoresearch.report.sections import sum_costs

LAR = Path(sys.executable).parent / "lar"


@pytest.fixture
def night(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Campaign:
    monkeypatch.setenv("LAR_ROOT", str(checkout(tmp_path)))
    return small_night(tmp_path)


def said(capsys: pytest.CaptureFixture[str]) -> str:
    assert show_status() == 0
    return capsys.readouterr().out


def test_a_campaign_by_hand_has_no_loop(
    night: Campaign, capsys: pytest.CaptureFixture[str]
) -> None:
    text = said(capsys)
    assert f"{night.name}  from upstream" in text and "loop" not in text
    assert "1 keep, 2 revert, 1 incorrect, 1 rejected" in text


def test_a_loop_that_runs_shows_counts_limits_and_phase(
    night: Campaign, capsys: pytest.CaptureFixture[str]
) -> None:
    save_run(night.desk, Run("claude", Budget(trials=50, usd=5.0), lost_usd=1.2, phase="agent"))
    with lock_loop(night.desk):
        text = said(capsys)
    assert "claude: 5 of 50 trials, 1.20 of 5 USD, 4 since the last keep; now: agent" in text


def test_a_loop_that_ended_says_why_and_a_killed_one_how_to_go_on(
    night: Campaign, capsys: pytest.CaptureFixture[str]
) -> None:
    save_run(night.desk, Run("tune", ended="tune has nothing left to try"))
    assert "tune: 5 trials, 4 since the last keep; ended: tune has nothing left" in said(capsys)
    gone = subprocess.Popen(["true"])
    gone.wait()
    save_run(night.desk, Run("tune", pid=gone.pid))
    assert f"./lar loop {TARGET} --resume --campaign {night.name}" in said(capsys)


def test_watch_looks_again_until_it_is_interrupted(night: Campaign) -> None:
    env = {**os.environ, "LAR_ROOT": str(night.root)}
    command = [LAR, "status", "--watch", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env,
                          preexec_fn=interruptible) as watching:  # fmt: skip
        assert watching.stdout is not None
        first = json.loads(watching.stdout.readline())
        with Ledger.open(night.root) as ledger:
            ledger.append(trial(kernel(9), kernel(8), campaign=night.name))
        second = json.loads(watching.stdout.readline())
        watching.send_signal(signal.SIGINT)
        assert watching.wait(20) == 0
    assert (first["trials"]["revert"], second["trials"]["revert"]) == (2, 3)


def test_the_report_says_why_the_loop_ended_and_counts_lost_turns(night: Campaign) -> None:
    run = Run("claude", ended="plateau: 15 trials without a keep", lost_usd=0.5, lost_tokens=900)
    save_run(night.desk, run)
    with Ledger.open(night.root) as ledger:
        ledger.append(trial(kernel(9), kernel(8), campaign=night.name, tokens=100, cost_usd=0.25))
        found = gather_campaign(ledger, TARGET, root=night.root)
    assert sum_costs(found) == {"tokens": 1000, "usd": 0.75, "usd_per_keep": 0.75}
    assert "ended: plateau: 15 trials without a keep" in render_page(found, Card())
