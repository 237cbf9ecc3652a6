"""A keep that makes whole queries slower is taken back, everywhere at once."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
from campaign_parts import FIRST, TARGET, begin_campaign, kept, kernel, record, tip

from lance_autoresearch.campaign import campaign
from lance_autoresearch.campaign.dead_ends import list_dead_ends
from lance_autoresearch.campaign.recording import FinishedTrial
from lance_autoresearch.campaign.tally import Budget, Run, Tally
from lance_autoresearch.campaign.whole_queries import follow_keep
from lance_autoresearch.errors import MachineError
from lance_autoresearch.integrate.class_report import ClassReport, IntegrationReport
from lance_autoresearch.ledger import Ledger, hash_bytes
from lance_autoresearch.ledger.export import export_campaign
from lance_autoresearch.records import ClassEffect, Effect, TrialRecord, Verdict
from lance_autoresearch.report import gather_campaign

Measure = Callable[[bytes], IntegrationReport]


def answer(effect: Effect, gain: float = -3.0, pairs: int = 12) -> Measure:
    """A measurement of one class with a known outcome."""
    one = ClassEffect("scan-names", effect, gain, gain - 1, gain + 1, 1e6, 1.03e6, pairs)
    report = IntegrationReport(
        (ClassReport(one, (), (), None, ()),), None, "ab" * 32, (1, 1), 100,
    )  # fmt: skip
    return lambda _: report


@pytest.fixture
def mine(tmp_path: Path) -> campaign.Campaign:
    """A campaign whose first kernel was kept."""
    begun = begin_campaign(tmp_path / "r")
    kept(begun, 1)
    return begun


def keep(mine: campaign.Campaign, n: int) -> FinishedTrial:
    """Kernel n, kept over the champion, with a memory key."""
    found = record(kernel(n), mine.read_champion(), Verdict.KEEP, hypothesis="gather twice")
    return FinishedTrial(mine.record_trial(found, kernel(n), judged="key"), found)


def follow(mine: campaign.Campaign, done: FinishedTrial, n: int, measure: Measure) -> TrialRecord:
    with Ledger.open(mine.root) as ledger:
        return follow_keep(ledger, mine, done, kernel(n), kernel(1), measure).record


@pytest.mark.parametrize("effect", [Effect.SLOWER, Effect.DIFFERS, Effect.FAILED])
def test_a_harmful_keep_is_taken_back(mine: campaign.Campaign, effect: Effect) -> None:
    done = keep(mine, 2)
    assert mine.read_champion() == kernel(2)
    stands = follow(mine, done, 2, answer(effect))
    assert stands.verdict is Verdict.REVERT
    assert stands.reason.startswith("demoted: whole queries of scan-names")
    assert mine.read_champion() == tip(mine) == mine.read_kernel() == kernel(1)
    assert mine.find_champion().trial == 1
    found = campaign.verify_ledger(mine.root)
    assert (found.fault, found.keeps, found.witnessed) == (None, 4, 4)
    text = kernel(3)
    mine.record_trial(record(text, kernel(1), Verdict.KEEP), text)
    assert mine.read_champion() == kernel(3)


def test_counters_memory_dead_ends_and_report_know_it(mine: campaign.Campaign) -> None:
    done = keep(mine, 2)
    follow(mine, done, 2, answer(Effect.SLOWER))
    with Ledger.open(mine.root) as ledger:
        assert ledger.count_verdicts(mine.name) == {"keep": 1, "revert": 1}
        known = ledger.find_judged("key")
        assert known is not None and known.record.verdict is Verdict.REVERT
        (end,) = list_dead_ends(ledger, TARGET)
        assert (end.hypothesis, end.kernel) == ("gather twice", hash_bytes(kernel(2)))
        assert "scan-names" in end.reason
        tally = Tally.count_run(ledger, mine.name, Run("cmd", Budget(), 0, begun=0.0))
        assert (tally.count, tally.misses) == (2, 1) and math.isclose(tally.gain, 2.5)
        night = gather_campaign(ledger, TARGET)
        assert [row.record.verdict for row in night.rows] == [Verdict.KEEP, Verdict.REVERT]
        assert len(night.keeps) == 1 and night.champion == hash_bytes(kernel(1))


@pytest.mark.parametrize("effect", [Effect.FASTER, Effect.NO_CHANGE, Effect.NOT_RESOLVED])
def test_any_other_outcome_leaves_the_keep_with_a_row_beside_it(
    mine: campaign.Campaign, effect: Effect
) -> None:
    done = keep(mine, 2)
    assert follow(mine, done, 2, answer(effect, 3.0)).verdict is Verdict.KEEP
    assert mine.read_champion() == tip(mine) == kernel(2)
    with Ledger.open(mine.root) as ledger:
        beside = ledger.list_trials(campaign=mine.name, kind="queries")[-1].record
        assert ledger.count_verdicts(mine.name) == {"keep": 2}
    shown = effect is not Effect.NOT_RESOLVED
    assert beside.verdict is (Verdict.KEEP if shown else Verdict.INCONCLUSIVE)
    assert "scan-names +3.0 % (+2.0 to +4.0)" in beside.reason
    assert beside.kernel == hash_bytes(kernel(2)) and beside.campaign == mine.name


def test_a_machine_that_cannot_measure_queries_leaves_the_keep_marked(
    mine: campaign.Campaign,
) -> None:
    def fail(_: bytes) -> IntegrationReport:
        raise MachineError("the disk is full")

    done = keep(mine, 2)
    assert follow(mine, done, 2, fail).verdict is Verdict.KEEP
    with Ledger.open(mine.root) as ledger:
        beside = ledger.list_trials(campaign=mine.name, kind="queries")[-1].record
    assert beside.verdict is Verdict.INCONCLUSIVE and "the disk is full" in beside.reason
    assert mine.read_champion() == kernel(2)


def test_a_process_killed_after_the_row_is_followed_by_branch_and_worktree(
    mine: campaign.Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = keep(mine, 2)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(campaign, "settle_campaign", die)
        with pytest.raises(KeyboardInterrupt):
            follow(mine, done, 2, answer(Effect.SLOWER))
    assert tip(mine) == kernel(2)
    assert campaign.repair_campaigns(mine.root)
    assert tip(mine) == mine.read_kernel() == kernel(1)
    assert campaign.verify_ledger(mine.root).fault is None


def test_an_export_holds_the_demotion(mine: campaign.Campaign, tmp_path: Path) -> None:
    done = keep(mine, 2)
    follow(mine, done, 2, answer(Effect.SLOWER))
    with Ledger.open(mine.root) as ledger:
        export_campaign(ledger, mine.name, tmp_path / "record", FIRST)
    rows = (tmp_path / "record" / "trials.tsv").read_text().splitlines()
    assert sum("demoted: whole queries" in row for row in rows) == 1
