"""The ACP driver against an agent made with the protocol's own library: short campaigns."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from agent_parts import (
    TARGET,
    assert_whole,
    campaign_fixture,
    checkout_fixture,
    own_lock,  # noqa: F401
    rows,
    run_loop,
    spoiled,
    verdicts,
)

from lance_autoresearch.agents import Settings, load_agent, make_agent
from lance_autoresearch.campaign.campaign import Campaign
from lance_autoresearch.campaign.loop import Progress
from lance_autoresearch.errors import UsageError
from lance_autoresearch.records import Verdict

Drive = Callable[..., Progress]
PROGRAM = Path(__file__).parents[1] / "acp_agent.py"
SPOIL = ["pub fn scan8", "use std::fs;\npub fn scan8"]
"""An edit that is refused unbuilt: its trial takes no quiet machine and a moment."""
DONE = {"say": "HYPOTHESIS: a file\nPREDICTED GAIN: +2"}


root = checkout_fixture("acp")
mine = campaign_fixture(
    LAR_AGENT_READABLE=f"{Path(sys.executable).parent.parent}:{PROGRAM.parent}"
)


@pytest.fixture
def drive(mine: Campaign) -> Drive:
    def run(*script: list[dict[str, Any]], settings: dict[str, object] | None = None,
            options: dict[str, Any] | None = None, **more: object) -> Progress:
        words = [sys.executable, str(PROGRAM), json.dumps(script), json.dumps(options or {})]
        agent = make_agent(f"acp:{shlex.join(words)}", Settings(**(settings or {})))
        return run_loop(mine.root, agent, campaign=mine.name, **more)

    return run


def heard(mine: Campaign) -> list[dict[str, Any]]:
    """What the agent's program was answered."""
    (place,) = (mine.root / ".lar" / "loops" / mine.name).rglob("heard.jsonl")
    return [json.loads(line) for line in place.read_text().splitlines()]


def test_a_whole_file_is_judged_and_what_it_cost_is_booked(mine: Campaign, drive: Drive) -> None:
    path, wrong = str(mine.kernel_path), spoiled(mine)
    said = {"say": "HYPOTHESIS: eight at a time\nPREDICTED GAIN: +30"}
    progress = drive([{"read": path}, {"usd": 0.25}, {"write": [path, wrong]}, said])
    record = progress.done[0].record
    assert record.verdict is Verdict.INCORRECT
    assert record.agent.startswith("acp:python") and record.hypothesis == "eight at a time"
    assert record.results.predicted == 30.0
    assert record.tokens == 1200 and record.cost_usd == 0.25
    assert_whole(mine)


def test_refused_kernels_are_reverted_and_the_next_turn_reads_why(
    mine: Campaign, drive: Drive
) -> None:
    again = {"replace": ["pub fn scan8", "use std::env;\npub fn scan8"]}
    progress = drive([{"edit": SPOIL}, DONE], [again, DONE], trials=2,
                     settings={"price": (1.0, 10.0)})
    assert verdicts(progress) == [Verdict.REJECTED] * 2
    assert progress.done[0].record.cost_usd == pytest.approx(0.003)
    first, second = (row["prompt"] for row in heard(mine) if "prompt" in row)
    assert "The same bits as Lance" in first and str(mine.kernel_path) in first
    assert "| verdict rejected" in second and "a file" in second
    assert_whole(mine)


def test_other_files_cannot_be_written_and_the_judge_cannot_be_read(
    mine: Campaign, drive: Drive
) -> None:
    desk = mine.worktree / "targets" / TARGET
    before = (desk / "program.md").read_bytes()
    cheat = next((desk / "cheats").glob("*.rs"))
    beside = mine.kernel_path.with_name("new.rs")
    steps = [
        {"read": str(desk / "program.md")},
        {"write": [str(desk / "program.md"), "easy"]},
        {"write": [str(beside), "x"]},
        {"write": [f"{mine.kernel_path}/../../program.md", "easy"]},
        {"read": str(cheat)},
        {"read": str(mine.root / ".lar" / "ledger.sqlite")},
        {"read": "/etc/passwd"},
        {"poke": str(desk / "program.md")},
        {"look": str(mine.root / ".lar" / "ledger.sqlite")},
        {"terminal": "cargo bench"},
        {"edit": SPOIL}, DONE,
    ]
    progress = drive(steps)
    assert verdicts(progress) == [Verdict.REJECTED]
    assert (desk / "program.md").read_bytes() == before and not beside.exists()
    answers = heard(mine)
    assert answers[0] == {"terminal": False, "fs": True}
    assert [row["read"] for row in answers if "read" in row] == [str(desk / "program.md")]
    assert not [row for row in answers if "written" in row or "poked" in row]
    assert not next(row for row in answers if "look" in row)["there"]
    refusals = [row for row in answers if "refused" in row]
    assert [row["step"] for row in refusals] == ["write"] * 3 + ["read"] * 3 + ["terminal"]
    assert "only" in str(refusals[0]) and "program.md" in str(refusals[3])
    assert "refused: write" in progress.note and "refused: run cargo bench" in progress.note
    assert_whole(mine)


def test_permissions_are_given_once_for_what_the_box_allows(
    mine: Campaign, drive: Drive
) -> None:
    other = str(mine.worktree / "targets" / TARGET / "contract.rs")
    asks = [("read", other), ("search", ""), ("edit", str(mine.kernel_path)),
            ("edit", "kernel/kernels.rs"),
            ("edit", other), ("edit", ""), ("execute", ""), ("delete", str(mine.kernel_path)),
            ("fetch", ""), ("other", str(mine.kernel_path))]
    progress = drive([*({"ask": [kind, path]} for kind, path in asks), {"edit": SPOIL}, DONE])
    chosen = [row["chosen"] for row in heard(mine) if "asked" in row]
    assert chosen == ["once"] * 4 + ["never"] * 6 + ["once"]
    assert verdicts(progress) == [Verdict.REJECTED]
    assert "refused: edit" in progress.note and "contract.rs" in progress.note


@pytest.mark.deep
def test_a_turn_that_takes_too_long_is_cancelled(mine: Campaign, drive: Drive) -> None:
    progress = drive([{"sleep": 60}, DONE], [{"edit": SPOIL}, {"sleep": 60}],
                     settings={"minutes": 0.04})
    assert "did not end within 0.04 minutes" in progress.complaints[0]
    assert verdicts(progress) == [Verdict.REJECTED], "what was written by then is judged"
    assert [row for row in heard(mine) if "cancelled" in row]
    assert_whole(mine)


def test_rounds_and_money_end_a_turn(mine: Campaign, drive: Drive) -> None:
    progress = drive([{"calls": 500}], [{"usd": 0.2}, {"usd": 0.6}, {"sleep": 60}],
                     settings={"rounds": 5}, trials=9, limits={"usd": 0.5, "failures": 5})
    assert progress.complaints == ["it used up its rounds", "it used up its money"]
    assert "0.5 USD are spent" in progress.ended, progress.ended
    assert progress.tally.usd == pytest.approx(0.6) and not rows(mine)
    assert len([row for row in heard(mine) if "cancelled" in row]) == 2


def test_a_crash_in_mid_turn_loses_the_half_written_file_only(
    mine: Campaign, drive: Drive
) -> None:
    progress = drive([{"edit": ["pub fn scan8", "pub fn half"]}, {"crash": 7}],
                     limits={"failures": 1})
    assert not progress.done
    assert "ended in mid-turn with exit status 7: scripted crash" in progress.complaints[0]
    assert mine.read_kernel() == mine.read_champion()
    assert_whole(mine)


@pytest.mark.deep
def test_nonsense_is_no_candidate(mine: Campaign, drive: Drive) -> None:
    junk = [{"print": "\x1b[2J not json"}, {"print": "[1]"}, {"print": '{"id": 99, "result": 1}'},
            {"print": '{"jsonrpc": "2.0", "method": "session/update", "params": {"x": 1}}'}]
    progress = drive([*junk, {"say": "May I go on?"}],
                     [*junk, {"print": '{"id": 2, "result": {"stopReason": "because"}}'}],
                     [*junk, {"edit": SPOIL}, DONE], limits={"failures": 3})
    assert "without changing the file, saying 'May I go on?'" in progress.complaints[0]
    assert "answered with nonsense" in progress.complaints[1]
    assert verdicts(progress) == [Verdict.REJECTED]
    prompts = [row["prompt"] for row in heard(mine) if "prompt" in row]
    assert "your last turn brought no candidate" in prompts[1], "an early end is continued"
    assert_whole(mine)


@pytest.mark.deep
def test_trouble_on_the_models_side_is_asked_again(mine: Campaign, drive: Drive) -> None:
    progress = drive([{"error": [-32603, "429 rate limit"]}], [{"error": [-32603, "overloaded"]}],
                     [{"stop": "refusal"}], [{"edit": SPOIL}, DONE])
    assert "429 rate limit" in progress.complaints[0] and "overload" in progress.complaints[1]
    assert "refused to go on" in progress.complaints[2]
    assert verdicts(progress) == [Verdict.REJECTED]


@pytest.mark.deep
def test_signing_in_by_a_variable_or_not_at_all(
    mine: Campaign, drive: Drive, monkeypatch: pytest.MonkeyPatch
) -> None:
    progress = drive([DONE], options={"sign_in": True})
    assert "cannot go on: Authentication required" in progress.ended
    assert "sign in with the program itself" in progress.ended and len(progress.complaints) == 1
    monkeypatch.setenv("SCRIPTED_KEY", "x")
    progress = drive([{"edit": SPOIL}, DONE], options={"sign_in": True})
    assert {"signed_in_by": "scripted-key"} in heard(mine)
    assert verdicts(progress) == [Verdict.REJECTED]


@pytest.mark.deep
def test_a_model_is_chosen_or_the_choice_is_named(mine: Campaign, drive: Drive) -> None:
    progress = drive([{"edit": SPOIL}, DONE], settings={"model": "large"})
    assert {"model": "large"} in heard(mine) and len(progress.done) == 1
    progress = drive([DONE], settings={"model": "huge"})
    assert "has no model 'huge'; it has: small, large" in progress.ended


def test_a_program_that_does_not_speak_the_protocol_says_so(mine: Campaign, drive: Drive) -> None:
    progress = drive([], options={"early_exit": True}, limits={"failures": 1})
    assert "ended in mid-turn with exit status 64: wrong option" in progress.ended
    progress = run_loop(mine.root, make_agent("acp:echo hello", Settings()), campaign=mine.name,
                        limits={"failures": 1})
    assert "exit status 0, after 'hello'" in progress.ended


def test_a_missing_program_or_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="no command behind acp:"):
        make_agent("acp:", Settings())
    with pytest.raises(UsageError, match="no program 'no-such-agent'"):
        make_agent("acp:no-such-agent --acp", Settings())
    agent = load_agent("lance_autoresearch.agents.acp:AcpAgent")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UsageError) as caught:
        agent("echo", Settings())
    assert caught.value.next == "make extras"
    assert os.environ.get("SCRIPTED_KEY") is None
