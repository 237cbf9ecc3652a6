"""The real Codex, turn by turn, against a scripted model: whole short campaigns."""

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
    run_loop,
)
from model_servers import Step, fail, responses, say, use

from lance_autoresearch.agents import Settings
from lance_autoresearch.agents.codex import CodexAgent
from lance_autoresearch.campaign.campaign import Campaign
from lance_autoresearch.campaign.loop import Progress
from lance_autoresearch.records import Verdict

Drive = Callable[..., Progress]
pytestmark = pytest.mark.deep


root = checkout_fixture("codex")
mine = campaign_fixture(OPENAI_API_KEY="sk-scripted")


@pytest.fixture
def drive(mine: Campaign) -> Drive:
    def run(server: responses.Server, settings: dict[str, object] | None = None, **more: object):
        stub = (f'{{name="stub",base_url="{server.url}/v1",wire_api="responses",'
                'env_key="OPENAI_API_KEY",request_max_retries=0,stream_max_retries=0}')
        words = ("-c", "model_provider=stub", "-c", f"model_providers.stub={stub}")
        settings = {"arguments": (*words, "-"), "program": program("codex"), **(settings or {})}
        agent = CodexAgent(Settings(**settings))
        return run_loop(mine.root, agent, **{"campaign": mine.name, **more})

    return run


def shell(command: str) -> Step:
    return use("exec_command", cmd=command)


def spoil(mine: Campaign) -> Step:
    return shell(f"sed -i 's/pub fn scan8/pub fn scan_eight/' {mine.kernel_path}")


def write(mine: Campaign, text: str) -> Step:
    return shell(f"cat > {mine.kernel_path} <<'END'\n{text}END\n")


@pytest.mark.timing
def test_a_better_kernel_is_kept_and_a_slower_one_reverted(root: Path, drive: Drive) -> None:
    mine, better = begin_delayed(root)
    steps = [write(mine, better), say("HYPOTHESIS: tree\nPREDICTED GAIN: 25"),
             write(mine, mine.read_champion().decode() + SLOWER_MARK), say("HYPOTHESIS: back")]
    with responses.Server(steps) as server:
        progress = drive(server, {"price": (1.0, 10.0)}, trials=2, campaign=mine.name)
    record = progress.done[0].record
    assert record.agent == "codex" and record.hypothesis == "tree"
    assert record.tokens == 2200
    assert record.cost_usd == pytest.approx((2000 * 1.0 + 200 * 10.0) / 1e6)
    assert_kept_then_reverted(mine, progress, better)


def test_a_kernel_that_does_not_compile_is_reverted_and_the_next_turn_reads_why(
    mine: Campaign, drive: Drive
) -> None:
    again = shell(f"sed -i 's/pub fn scan8/pub fn scan9/' {mine.kernel_path}")
    steps = [spoil(mine), say("HYPOTHESIS: a new name"), again, say("HYPOTHESIS: another")]
    with responses.Server(steps) as server:
        progress = drive(server, trials=2)
    assert [done.record.verdict for done in progress.done] == [Verdict.REJECTED] * 2
    second = str(server.seen[2]["input"])
    assert "| verdict rejected" in second and "a new name" in second
    assert "The same bits as Lance" in second, "the contract comes with every turn"
    assert_whole(mine)


def test_commands_reach_neither_other_files_nor_the_judge_nor_the_network(
    mine: Campaign, drive: Drive
) -> None:
    before = (mine.worktree / "targets" / TARGET / "program.md").read_bytes()
    probe = (
        "echo hack >> ../program.md; echo hack >> program.md; echo x > /tmp/x && echo tmp-ok; "
        f"ls {mine.root}/.lar; cat {mine.root}/.lar/ledger.sqlite; ls {mine.root}/.lar/epochs; "
        "ls cheats; (exec 3<>/dev/tcp/127.0.0.1/9) && echo reached; ls ~ /root; "
        f"git -C {mine.root} log"
    )
    with responses.Server([shell(probe), spoil(mine), say("HYPOTHESIS: x")]) as server:
        progress = drive(server)
    heard = str(server.seen[1]["input"][-1])
    assert "SQLite format" not in heard and "ledger.sqlite\\n" not in heard
    assert "reached" not in heard and "No such file or directory" in heard
    assert "Read-only file system" in heard
    assert not [p.name for p in (mine.worktree / "targets" / TARGET / "cheats").glob("*.rs")
                if p.name in heard]
    assert (mine.worktree / "targets" / TARGET / "program.md").read_bytes() == before
    assert [done.record.verdict for done in progress.done] == [Verdict.REJECTED]
    assert_whole(mine)


def test_a_second_file_in_the_kernels_directory_has_no_effect(
    mine: Campaign, drive: Drive
) -> None:
    more = shell(f"cd {mine.kernel_path.parent} && echo 'pub fn x() {{}}' > more.rs")
    with responses.Server([more, spoil(mine), say("HYPOTHESIS: two files")]) as server:
        progress = drive(server)
    assert [done.record.verdict for done in progress.done] == [Verdict.REJECTED]
    assert mine.read_kernel() == mine.read_champion()


def test_a_link_in_the_kernels_place_is_no_candidate(mine: Campaign, drive: Drive) -> None:
    link = shell(f"ln -sf /etc/passwd {mine.kernel_path}")
    with responses.Server([link, say("HYPOTHESIS: link")]) as server:
        progress = drive(server, limits={"failures": 1})
    assert not progress.done and "no plain file" in progress.complaints[0]
    assert mine.read_kernel() == mine.read_champion()
    assert_whole(mine)


def test_not_signed_in_ends_at_once(
    mine: Campaign, drive: Drive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    with responses.Server([]) as server:
        progress = drive(server)
    assert "cannot go on" in progress.ended and "codex login" in progress.ended
    assert len(progress.complaints) == 1 and not server.seen


@pytest.mark.parametrize("trouble", [fail(429), fail(500), say("half", cut=True)],
                         ids=["rate-limit", "server-error", "cut-off"])
def test_trouble_on_the_models_side_is_asked_again(
    mine: Campaign, drive: Drive, trouble: Step
) -> None:
    with responses.Server([trouble, spoil(mine), say("HYPOTHESIS: ok")]) as server:
        progress = drive(server)
    assert len(progress.complaints) == 1, progress.complaints
    assert [done.record.verdict for done in progress.done] == [Verdict.REJECTED]


def test_a_turn_that_takes_too_long_is_ended(mine: Campaign, drive: Drive) -> None:
    with responses.Server([shell("sleep 60"), say("late")]) as server:
        progress = drive(server, {"minutes": 0.05}, limits={"failures": 1})
    assert "did not end within 0.05 minutes" in progress.ended
    assert_whole(mine)


def test_a_session_that_stops_early_or_talks_nonsense_is_continued(
    mine: Campaign, drive: Drive
) -> None:
    steps = [say("May I?\x1b[2J"), spoil(mine), say("HYPOTHESIS: yes")]
    with responses.Server(steps) as server:
        progress = drive(server)
    assert "without changing the file, saying 'May I?" in progress.complaints[0]
    assert "your last turn brought no candidate" in str(server.seen[1]["input"])
    assert len(progress.done) == 1


def test_without_a_price_a_limit_of_money_is_refused_after_the_first_turn(
    mine: Campaign, drive: Drive
) -> None:
    with responses.Server([spoil(mine), say("HYPOTHESIS: x")]) as server:
        progress = drive(server, trials=9, limits={"usd": 1.0})
    assert len(progress.done) == 1 and "--price IN,OUT" in progress.ended


def test_with_a_price_money_ends_the_loop_between_turns(mine: Campaign, drive: Drive) -> None:
    dear = Step(say="HYPOTHESIS: x", tokens=(900_000, 10_000))
    with responses.Server([spoil(mine), dear]) as server:
        progress = drive(server, {"price": (1.0, 10.0)}, trials=9, limits={"usd": 0.5})
    assert "0.5 USD are spent" in progress.ended and len(progress.done) == 1
    assert progress.tally.usd == pytest.approx(1.002), "Codex cannot be stopped in mid-turn"


def test_a_crash_in_mid_turn_loses_the_half_written_file_only(mine: Campaign, drive: Drive) -> None:
    half = shell(f"sed -i 's/pub fn scan8/pub fn half/' {mine.kernel_path}; sleep 60")
    package = Path(program("codex")).parent.parent
    with responses.Server([half]) as server, dying_program(mine, "codex", package) as path:
        progress = drive(server, {"program": path}, limits={"failures": 1})
    assert_half_a_file_is_lost(mine, progress)


def test_nonsense_is_no_candidate(mine: Campaign, drive: Drive) -> None:
    steps = [use("frobnicate", x=1), say("\x1b[2J\u202e" + "qwerty " * 4000)]
    with responses.Server(steps) as server:
        progress = drive(server, limits={"failures": 1})
    assert not progress.done and "without changing the file" in progress.ended
    assert "frobnicate" in str(server.seen[1]["input"]), "the model was told, and went on"
    assert "\x1b" not in progress.ended and len(progress.ended) < 600
    assert_whole(mine)
