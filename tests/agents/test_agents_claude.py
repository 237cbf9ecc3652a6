"""The real Claude Code, turn by turn, against a scripted model: whole short campaigns."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from agent_parts import (
    SLOWER_MARK,
    TARGET,
    assert_half_a_file_is_lost,
    assert_kept_then_reverted,
    assert_whole,
    begin_delayed,
    campaign_fixture,
    checkout_fixture,
    dying_program,
    own_lock,  # noqa: F401
    program,
    rows,
    run_loop,
)
from model_servers import Step, anthropic, fail, say, use

from lance_autoresearch.agents import Settings
from lance_autoresearch.agents.claude import ClaudeAgent
from lance_autoresearch.campaign.campaign import Campaign
from lance_autoresearch.campaign.loop import Progress
from lance_autoresearch.records import Verdict

Drive = Callable[..., Progress]
pytestmark = pytest.mark.deep
BAD = {"old_string": "pub fn scan8", "new_string": "pub fn scan_eight"}
"""An edit that does not compile: its trial takes a second and no quiet machine."""


root = checkout_fixture("claude")
mine = campaign_fixture(ANTHROPIC_API_KEY="sk-scripted")


@pytest.fixture
def drive(mine: Campaign, monkeypatch: pytest.MonkeyPatch) -> Drive:
    def run(server: anthropic.Server, settings: dict[str, object] | None = None, **more: object):
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        monkeypatch.setenv("CLAUDE_CODE_MAX_RETRIES", "1")
        agent = ClaudeAgent(Settings(**{"program": program("claude"), **(settings or {})}))
        return run_loop(mine.root, agent, **{"campaign": mine.name, **more})

    return run


def read(mine: Campaign) -> Step:
    return use("Read", file_path=str(mine.kernel_path))


def edit(mine: Campaign, **change: str) -> Step:
    return use("Edit", file_path=str(mine.kernel_path), **change)


def heard(server: anthropic.Server) -> str:
    """Everything the model was sent."""
    return "\n".join(map(repr, server.seen))


@pytest.mark.timing
def test_a_better_kernel_is_kept_and_a_slower_one_reverted(root: Path, drive: Drive) -> None:
    mine, better = begin_delayed(root)
    said = "Done.\n\n**HYPOTHESIS:** eight centroids at a time\nPREDICTED GAIN: +30%"
    slower = mine.read_champion().decode() + SLOWER_MARK
    path = str(mine.kernel_path)
    steps = [read(mine), use("Write", file_path=path, content=better), say(said),
             read(mine), use("Write", file_path=path, content=slower), say("HYPOTHESIS: back")]
    with anthropic.Server(steps) as server:
        progress = drive(server, trials=2, campaign=mine.name)
    record = progress.done[0].record
    assert record.agent == "claude" and record.hypothesis == "eight centroids at a time"
    assert record.results.predicted == 30.0
    assert record.tokens == 3300 and record.cost_usd is not None and record.cost_usd > 0
    assert_kept_then_reverted(mine, progress, better)


def test_a_kernel_that_does_not_compile_is_reverted_and_the_next_turn_reads_why(
    mine: Campaign, drive: Drive
) -> None:
    turn = [read(mine), edit(mine, **BAD), say("HYPOTHESIS: a new name")]
    again = [read(mine), edit(mine, old_string="pub fn scan8", new_string="pub fn scan9"), turn[2]]
    with anthropic.Server(turn + again) as server:
        progress = drive(server, trials=2)
    assert [done.record.verdict for done in progress.done] == [Verdict.REJECTED] * 2
    second = str(server.seen[3])
    assert "The last verdict" in second and "| verdict rejected" in second
    assert "a new name" in second
    assert progress.ended == "2 trials done"
    assert_whole(mine)


def test_the_model_gets_the_contract_and_no_tool_that_runs_anything(
    mine: Campaign, drive: Drive
) -> None:
    with anthropic.Server([read(mine), edit(mine, **BAD), say("done")]) as server:
        drive(server)
    first = server.seen[0]
    tools = {tool["name"] for tool in first["tools"]}
    assert {"Read", "Edit"} <= tools and not tools & {"Bash", "WebFetch", "WebSearch", "Task"}
    contract = str(first["system"]) + str(first["messages"])
    assert "The same bits as Lance for every input" in contract
    assert "Pins (each is checked)" in contract
    assert str(mine.kernel_path) in contract


def test_other_files_cannot_be_edited_and_the_judge_is_not_there(
    mine: Campaign, drive: Drive
) -> None:
    program_md = mine.worktree / "targets" / TARGET / "program.md"
    ledger = mine.root / ".lar" / "ledger.sqlite"
    cheats = mine.worktree / "targets" / TARGET / "cheats"
    before = program_md.read_bytes()
    steps = [
        use("Read", file_path=str(program_md)),  # allowed
        use("Edit", file_path=str(program_md), old_string="# pq-l2: what", new_string="# easy"),
        use("Write", file_path=str(mine.kernel_path.with_name("new.rs")), content="x"),
        use("Read", file_path=str(ledger)),
        use("Glob", pattern="**/*", path=str(cheats)),
        use("Glob", pattern="**/*", path=str(mine.root / ".lar" / "epochs")),
        use("Bash", command=f"echo x >> {mine.kernel_path}"),
        read(mine), edit(mine, **BAD), say("HYPOTHESIS: tried"),
    ]
    with anthropic.Server(steps) as server:
        progress = drive(server)
    assert len(progress.done) == 1
    assert program_md.read_bytes() == before
    assert [p.name for p in mine.kernel_path.parent.iterdir()] == ["kernels.rs"]
    sent = heard(server)
    assert "SQLite format" not in sent and "No such tool available: Bash" in sent
    assert not [p for p in cheats.glob("*.rs") if p.name in sent] and list(cheats.glob("*.rs"))
    assert "refused: Edit" in progress.note and "program.md" in progress.note
    assert_whole(mine)


def test_a_turn_that_uses_up_its_rounds_is_a_failure_unless_the_file_changed(
    mine: Campaign, drive: Drive
) -> None:
    with anthropic.Server([read(mine)] * 20) as server:
        progress = drive(server, {"rounds": 2})
    assert not progress.done and "used up its rounds" in progress.complaints[0]
    assert "brought no candidate in 2 turns in a row" in progress.ended
    with anthropic.Server([read(mine), edit(mine, **BAD), *[read(mine)] * 9]) as server:
        progress = drive(server, {"rounds": 2})
    assert [done.record.verdict for done in progress.done] == [Verdict.REJECTED]
    assert_whole(mine)


def test_money_ends_the_turn_and_then_the_loop(mine: Campaign, drive: Drive) -> None:
    steps = [use("Read", file_path=str(mine.kernel_path), offset=n) for n in range(1, 30)]
    dear = [Step(tool=s.tool, input=s.input, tokens=(20_000, 2_000)) for s in steps]
    with anthropic.Server(dear) as server:
        progress = drive(server, trials=5, limits={"usd": 0.2, "failures": 5})
    assert "0.2 USD are spent" in progress.ended, progress.ended
    assert "used up its money" in progress.complaints[0]
    assert 0.2 <= progress.tally.usd < 0.6 and not rows(mine)
    assert len(server.seen) < 10


def test_not_signed_in_ends_at_once_with_the_command_that_helps(
    mine: Campaign, drive: Drive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    with anthropic.Server([]) as server:
        progress = drive(server)
    assert "Not logged in" in progress.ended and "claude setup-token" in progress.ended
    assert len(progress.complaints) == 1 and not server.seen


@pytest.mark.parametrize("status", [429, 500])
def test_a_busy_model_is_asked_again(mine: Campaign, drive: Drive, status: int) -> None:
    # The program itself asks twice before it gives up.
    steps = [fail(status), fail(status), read(mine), edit(mine, **BAD), say("ok")]
    with anthropic.Server(steps) as server:
        progress = drive(server)
    assert len(progress.done) == 1 and 1 <= len(progress.complaints) <= 2, progress.complaints
    assert progress.ended == "1 trials done"


def test_a_model_that_stays_busy_ends_the_loop(mine: Campaign, drive: Drive) -> None:
    with anthropic.Server([fail(429)] * 9) as server:
        progress = drive(server)
    assert "could not be asked 3 times in a row" in progress.ended
    assert_whole(mine)


def test_a_session_that_stops_early_is_continued(mine: Campaign, drive: Drive) -> None:
    steps = [say("Shall I go on?"), read(mine), edit(mine, **BAD), say("HYPOTHESIS: yes")]
    with anthropic.Server(steps) as server:
        progress = drive(server)
    assert "ended its turn without changing the file, saying 'Shall I go on?'" in (
        progress.complaints[0]
    )
    assert "your last turn brought no candidate" in str(server.seen[1]["messages"])
    assert [done.record.verdict for done in progress.done] == [Verdict.REJECTED]


def test_nonsense_is_no_candidate(mine: Campaign, drive: Drive) -> None:
    steps = [say("\x1b[2J\u202e" + "qwerty " * 4000), use("Frobnicate", x="y"), say("?")]
    with anthropic.Server(steps) as server:
        progress = drive(server)
    assert not progress.done and "brought no candidate" in progress.ended
    assert "\x1b" not in progress.ended and len(progress.ended) < 600
    assert_whole(mine)


def test_a_crash_in_mid_turn_loses_the_half_written_file_only(mine: Campaign, drive: Drive) -> None:
    half = edit(mine, old_string="pub fn scan8", new_string="pub fn half")
    slow = [read(mine), half, *[read(mine)] * 200]
    with anthropic.Server(slow) as server, dying_program(mine, "claude") as path:
        progress = drive(server, {"program": path, "rounds": 300}, limits={"failures": 1})
    assert_half_a_file_is_lost(mine, progress)
