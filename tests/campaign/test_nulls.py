"""Hidden nulls: when one is due, what a kept one does, the way back, and who never sees them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from agent_parts import AT_ONCE, assert_whole, fresh, newest, own_lock, rows, run_loop  # noqa: F401
from agent_parts import checkout as real_checkout
from campaign_parts import FIRST, TARGET, checkout, kernel
from night_parts import screened, trial

from lance_autoresearch.agents import Settings, make_agent
from lance_autoresearch.campaign import campaign as campaigns
from lance_autoresearch.campaign import null_monitor as standings
from lance_autoresearch.campaign.briefing import collect_briefing
from lance_autoresearch.campaign.campaign import Campaign, create_campaign
from lance_autoresearch.campaign.null_monitor import NullMonitor, read_monitor
from lance_autoresearch.campaign.tally import Budget, Run, Tally
from lance_autoresearch.cli.log import show_log
from lance_autoresearch.cli.status import show_status
from lance_autoresearch.ledger import Ledger, hash_bytes
from lance_autoresearch.records import NoiseSession, Results, Verdict
from lance_autoresearch.report import gather_campaign
from lance_autoresearch.report.page import Card, render_page

WRONG = (
    "cmd:/bin/sh -c 'cat > \"$HOME/prompt\"; "
    "sed -i \"s/pub fn scan8/pub fn scan_$(date +%s%N)/\" kernels.rs; echo a name'"
)


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Campaign:
    monkeypatch.setenv("LAR_ROOT", str(checkout(tmp_path)))
    return create_campaign(tmp_path, TARGET, FIRST, origin="upstream", era="14.0.2")


def ideas(mine: Campaign, count: int, champion: bytes = FIRST, first: int = 100) -> None:
    """So many timed trials that were reverted."""
    with Ledger.open(mine.root) as ledger:
        for number in range(first, first + count):
            ledger.append(trial(kernel(number), champion, campaign=mine.name))


def null(
    mine: Campaign, verdict: Verdict = Verdict.REVERT, kind: str = "aa", gain: float = 0.0,
    pairs: int = 16, champion: bytes = FIRST,
) -> None:
    """A null's row, as `nulls` writes it."""
    text = champion + b"// null\n"
    results = Results(screening=screened((gain, gain, gain), pairs=pairs))
    found = trial(text, champion, verdict, None, campaign=mine.name, kind=kind, agent="null",
                  results=results, hypothesis="hidden null")
    with Ledger.open(mine.root) as ledger:
        ledger.append(found)


def session(mine: Campaign, percent: float, champion: bytes = FIRST) -> None:
    with Ledger.open(mine.root) as ledger:
        ledger.add_noise(
            NoiseSession(TARGET, hash_bytes(champion), "boot", (0.005,) * 6, percent / 100)
        )


def now(mine: Campaign) -> NullMonitor:
    with Ledger.open(mine.root) as ledger:
        row = ledger.find_campaign(mine.name)
        assert row is not None
        return read_monitor(ledger, row)


def test_every_tenth_timed_trial_is_a_null_and_the_kinds_take_turns(mine: Campaign) -> None:
    with Ledger.open(mine.root) as ledger:  # not timed: it could not have been kept falsely
        ledger.append(trial(kernel(1), FIRST, Verdict.REJECTED, None, campaign=mine.name))
    ideas(mine, 8)
    assert now(mine).due == ""
    ideas(mine, 1, first=200)
    assert now(mine).due == "aa"
    null(mine)
    assert now(mine).due == "" and now(mine).tried == 1
    ideas(mine, 9, first=300)
    assert now(mine).due == "padding"
    null(mine, Verdict.INCONCLUSIVE, "padding")
    found = now(mine)
    assert (found.due, found.tried, found.rows) == ("", 1, 2), "an undecided one says nothing"
    ideas(mine, 9, first=400)
    assert now(mine).due == "aa"


def test_a_kept_null_suspends_keeps_until_the_way_back_is_gone(mine: Campaign) -> None:
    null(mine, Verdict.KEEP, "padding", gain=2.0)
    found = now(mine)
    assert "null trial 1 (padding) was kept" in found.suspended and found.kept == 1
    assert "3 A/As of 16 pairs in a row within ±0.3 %" in found.way_back
    assert "then the padding null judged again and not kept" in found.way_back
    assert mine.find_champion().trial is None, "a kept null is no champion"
    for percent in (0.1, -0.2, 0.31, 0.1, 0.0):
        session(mine, percent)
    assert now(mine).suspended and now(mine).good == 2, "one was off: counted from the beginning"
    session(mine, 0.0, champion=kernel(7))
    assert now(mine).good == 2, "another kernel's A/A is no evidence"
    session(mine, -0.3)
    found = now(mine)
    assert not found.suspended and found.due == "padding" and "padding null" in found.way_back
    null(mine, kind="padding")
    found = now(mine)
    assert (found.suspended, found.owed, found.due, found.tried) == ("", "", "", 2)
    null(mine, Verdict.KEEP, "padding", gain=2.0)
    assert now(mine).suspended, "again"


def test_a_pooled_bias_suspends_keeps_and_a_few_pairs_do_not(mine: Campaign) -> None:
    session(mine, 0.5)
    null(mine, gain=0.5, pairs=8)
    assert not now(mine).suspended and now(mine).pairs == 24
    null(mine, gain=3.0, kind="padding")
    assert now(mine).pairs == 24, "only A/A is pooled"
    null(mine, gain=0.4, pairs=24)
    assert now(mine).suspended == "A/A is off by +0.45% over 48 pairs"
    for _ in range(3):
        session(mine, 0.2)
    assert (now(mine).suspended, now(mine).pairs, now(mine).due) == ("", 0, "")


def test_no_list_count_curve_or_plateau_knows_a_null(
    mine: Campaign, capsys: pytest.CaptureFixture[str]
) -> None:
    ideas(mine, 2)
    null(mine, Verdict.KEEP, gain=9.0)
    with Ledger.open(mine.root) as ledger:
        assert ledger.count_verdicts(mine.name) == {"revert": 2} == ledger.count_verdicts()
        tally = Tally.count_run(ledger, mine.name, Run("x", Budget(plateau=2)))
        assert (tally.count, tally.misses, tally.gain) == (2, 2, 0.0) and tally.find_reached_limit()
        last = tally.history[-1]
        assert "null" not in json.dumps(collect_briefing(ledger, last, mine.name))
        night = gather_campaign(ledger, TARGET, mine.name)
    assert [row.record.kind for row in night.rows] == ["trial", "trial"]
    assert len(night.nulls) == 1
    assert show_log(TARGET) == 0
    assert "hidden null" not in capsys.readouterr().out
    assert show_log(TARGET, last=1, json=True) == 0
    assert json.loads(capsys.readouterr().out)["id"] == 2
    assert show_log(TARGET, nulls=True) == 0
    assert "hidden null" in capsys.readouterr().out


def test_status_and_report_count_and_say_what_must_be_true(
    mine: Campaign, capsys: pytest.CaptureFixture[str]
) -> None:
    ideas(mine, 2)
    for number in range(4):
        null(mine, kind="aa" if number % 2 else "padding", gain=0.1)
    assert show_status() == 0
    said = capsys.readouterr().out
    assert "nulls     4 tried, 0 kept (at most 73.41 % of nulls at 99 %); A/A +0.10 %" in said
    assert "suspended" not in said
    null(mine, Verdict.KEEP, gain=2.0)
    assert show_status(json=True) == 0
    (entry,) = json.loads(capsys.readouterr().out)["campaigns"]
    assert entry["nulls"]["kept"] == 1 and "3 A/As" in entry["nulls"]["way_back"]
    assert entry["last"]["id"] == 2, "a null is not the last trial"
    assert show_status() == 0
    assert "suspended nothing is kept: null trial 7 (aa) was kept" in capsys.readouterr().out
    with Ledger.open(mine.root) as ledger:
        page = render_page(gather_campaign(ledger, TARGET, mine.name), Card())
    assert "1 of 5 kept" in page and "Keeps are suspended" in page
    assert (
        campaigns.repair_campaigns(mine.root) == []
        and campaigns.verify_ledger(mine.root).fault is None
    )


# -- the real loop -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return real_checkout(tmp_path_factory.mktemp("nulls"))


@pytest.mark.deep
@pytest.mark.timing
def test_suspended_keeps_come_back_by_measuring_and_the_agent_hears_of_nothing(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standings, "BIAS", 50.0)  # this machine is busy: any A/A will do
    started = fresh(root)
    null(started, Verdict.KEEP, champion=started.read_champion())
    run_loop(root, make_agent(WRONG, Settings()), campaign=started.name)
    found = rows(started)
    kept, again, judged = found
    assert (again.record.kind, again.record.agent, again.commit) == ("aa", "null", None)
    assert again.record.verdict in (Verdict.REVERT, Verdict.INCONCLUSIVE)
    screening = again.record.results.screening
    assert screening is not None and screening.pairs > 0 and again.record.pairs_blob
    assert judged.record.verdict is Verdict.REJECTED and judged.record.kind == "trial"
    with Ledger.open(root) as ledger:
        sessions = ledger.list_sessions(TARGET)
        assert len([s for s in sessions if kept.seq < s.seq < again.seq]) == 3
    assert not now(started).suspended
    prompt = root / ".lar" / "loops" / started.name / "agent" / "cmd" / "prompt"
    assert "hidden null" not in prompt.read_text() and "0 trials so far" in prompt.read_text()
    assert_whole(started)


@pytest.mark.deep
@pytest.mark.timing
def test_while_keeps_stay_suspended_no_agent_is_asked_and_the_end_says_why(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standings, "BIAS", 0.0)  # no A/A is that good
    started = fresh(root)
    null(started, Verdict.KEEP, champion=started.read_champion())
    progress = run_loop(root, make_agent(WRONG, Settings()), campaign=started.name)
    assert progress.failed and progress.ended.startswith("keeps are suspended: null trial")
    assert "They come back with 3 A/As" in progress.ended
    assert len(rows(started)) == 1 and progress.unfair == AT_ONCE.tries
    assert newest(root).name == started.name
