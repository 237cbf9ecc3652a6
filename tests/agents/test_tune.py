"""The embedded agents: `tune` turns knobs, `replay` proposes a record."""

from __future__ import annotations

from pathlib import Path

import pytest
from agent_parts import ROOT, TARGET, checkout
from campaign_parts import record
from cpu_texts import RECORDED, below
from injected_delays import injected_gain

from lance_autoresearch.agents import Turn, replay
from lance_autoresearch.agents.replay import ReplayAgent, read_ideas
from lance_autoresearch.agents.tune import TuneAgent, find_knobs
from lance_autoresearch.campaign import campaign as campaigns
from lance_autoresearch.campaign.driving import drive_loop
from lance_autoresearch.campaign.loop import Budget
from lance_autoresearch.errors import UsageError
from lance_autoresearch.host.cpu_kinds import read_processor
from lance_autoresearch.ledger import hash_bytes
from lance_autoresearch.ledger.export import load_records
from lance_autoresearch.records import Verdict

RECORD = ROOT / "records" / "ideas" / TARGET
KNOBS = b"""
const A: usize = 4; // tune: 1 2 4 8
pub const DEEP: i32 = -1; // tune: -1 0
    const INNER: usize = 64;   //   tune:  32 64
const PLAIN: usize = 3; // a constant, no tune
"""


def turn(text: bytes, *history: bytes) -> Turn:
    rows = tuple(record(kernel, text) for kernel in history)
    return Turn(TARGET, text, Path("kernels.rs"), rows)


def test_knobs_are_read_with_their_choices() -> None:
    found = find_knobs(KNOBS)
    assert [(k.name, k.value, k.choices) for k in found] == [
        ("A", "4", ("1", "2", "4", "8")), ("DEEP", "-1", ("-1", "0")), ("INNER", "64", ("32", "64"))
    ]
    assert found[0].list_others() == ["2", "8", "1"], "the nearest values first"
    assert found[0].set(KNOBS, "16") == KNOBS.replace(b"A: usize = 4;", b"A: usize = 16;")


def test_every_single_change_is_proposed_once_and_then_no_more() -> None:
    agent, seen = TuneAgent(), []
    while (proposal := agent.propose(turn(KNOBS))) is not None:
        seen.append(proposal.hypothesis)
    assert seen == ["tune A: 4 -> 2", "tune A: 4 -> 8", "tune A: 4 -> 1",
                    "tune DEEP: -1 -> 0", "tune INNER: 64 -> 32"]


def test_what_an_earlier_process_tried_is_not_tried_again() -> None:
    tried = find_knobs(KNOBS)[0].set(KNOBS, "2")
    proposal = TuneAgent().propose(turn(KNOBS, tried))
    assert proposal is not None and proposal.hypothesis == "tune A: 4 -> 8"


def test_a_kernel_without_knobs_says_how_to_write_one() -> None:
    with pytest.raises(UsageError) as caught:
        TuneAgent().propose(turn(b"const A: usize = 4;\n"))
    assert "// tune: 16 32 64 128" in str(caught.value) and caught.value.next


def test_a_record_is_proposed_in_order_and_a_broken_one_is_named(tmp_path: Path) -> None:
    agent = ReplayAgent(RECORD)
    usable = [idea.proposal for idea in agent.usable]
    count = (RECORD / "lineage.toml").read_text().count("[[kernel]]")
    assert len(usable) + len(agent.skipped) == count
    assert [agent.propose(turn(b"")) for _ in usable] == usable
    assert agent.propose(turn(b"")) is None
    (tmp_path / "lineage.toml").write_text('[[kernel]]\nfile = "gone.rs"\nhypothesis = "x"\n')
    with pytest.raises(UsageError, match="not a record"):
        ReplayAgent(tmp_path)


def test_a_kernel_comes_from_an_exported_campaign_with_its_hypothesis() -> None:
    campaign = load_records(ROOT / "records" / "fsst-2026-11-22")
    recorded = campaign.trials[0].record
    first = read_ideas(ROOT / "records" / "ideas" / "fsst")[0].proposal
    assert first.hypothesis == recorded.hypothesis
    assert hash_bytes(first.text) == recorded.kernel


def test_ideas_that_need_more_than_the_processor_has_are_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What each machine is shown of the demo: three gains and every kind of refusal."""
    seen = {}
    for kind in ("zen4", "zen3", "zen4-avx2"):
        (tmp_path / kind).mkdir()
        processor = read_processor(below(tmp_path / kind, RECORDED[kind]))
        monkeypatch.setattr(replay, "read_processor", lambda core, p=processor: p)
        monkeypatch.delenv("LAR_TIER", raising=False)
        agent = ReplayAgent(RECORD)
        seen[kind] = [idea.expect for idea in agent.usable]
        assert all("lacks avx512" in line for line in agent.skipped)
    assert len(seen["zen4"]) == len(seen["zen3"]) + 2 == len(seen["zen4-avx2"]) + 2
    for expected in seen.values():
        assert expected.count(Verdict.KEEP) >= 3
        assert {Verdict.REVERT, Verdict.INCORRECT, Verdict.REJECTED} <= {*expected}
    monkeypatch.setenv("LAR_TIER", "scalar")
    assert [idea.expect for idea in ReplayAgent(RECORD).usable] == seen["zen3"]
    (tmp_path / "arm").mkdir()
    arm = read_processor(below(tmp_path / "arm", RECORDED["neoverse-n1"]))
    monkeypatch.setattr(replay, "read_processor", lambda core: arm)
    assert any("lacks x86_64" in line for line in ReplayAgent(RECORD).skipped)


def test_needs_that_are_no_list_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.rs").write_text("fn a() {}")
    (tmp_path / "lineage.toml").write_text(
        '[[kernel]]\nfile = "a.rs"\nhypothesis = "x"\nneeds = "avx2"\n'
    )
    with pytest.raises(UsageError, match="no list of CPU features"):
        ReplayAgent(tmp_path)


@pytest.mark.cpu
@pytest.mark.deep
@pytest.mark.timing
def test_tune_improves_a_knob_that_was_set_badly(tmp_path: Path) -> None:
    root = checkout(tmp_path)
    text = injected_gain(TARGET).with_knob(3)
    (knob,) = find_knobs(text)
    mine = campaigns.create_campaign(root, TARGET, text, origin="upstream", era="14.0.2")
    progress = drive_loop(root, TARGET, TuneAgent(), Budget(trials=3), campaign=mine.name)
    verdicts = [done.record.verdict for done in progress.done]
    if Verdict.KEEP not in verdicts and verdicts.count(Verdict.INCONCLUSIVE) * 2 > len(verdicts):
        pytest.skip("the machine is too busy to measure")
    assert Verdict.KEEP in verdicts
    (now,) = find_knobs(mine.read_champion())
    assert int(now.value) < int(knob.value)
