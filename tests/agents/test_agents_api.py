"""A model asked directly: short campaigns against scripted models on loopback."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from agent_parts import (
    TARGET,
    assert_whole,
    campaign_fixture,
    checkout_fixture,
    clean_environment,
    own_lock,  # noqa: F401
    rows,
    run_loop,
    spoiled,
    verdicts,
)
from model_servers import Server, Step, anthropic, chat, fail, say, use

from lance_autoresearch.agents import Settings, make_agent
from lance_autoresearch.campaign.campaign import Campaign
from lance_autoresearch.campaign.loop import Progress
from lance_autoresearch.errors import UsageError
from lance_autoresearch.records import Verdict

Drive = Callable[..., Progress]
CLAUDE = "anthropic:claude-sonnet-4-5"
OPEN = "openai-chat:scripted-1"
KEY = "sk-scripted-secret"
SPOIL = use("replace", old="pub fn scan8", new="use std::fs;\npub fn scan8")
"""An edit that is refused unbuilt: its trial takes no quiet machine and a moment."""
TRY = use("run_trial", hypothesis="a file", predicted_gain=2)


root = checkout_fixture("api")
mine = campaign_fixture(ANTHROPIC_API_KEY=KEY, OPENAI_API_KEY=KEY)


@pytest.fixture
def drive(mine: Campaign, monkeypatch: pytest.MonkeyPatch) -> Drive:
    def run(server: Server, settings: dict[str, object] | None = None, **more: object) -> Progress:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/v1")
        model = CLAUDE if isinstance(server, anthropic.Server) else OPEN
        agent = make_agent("api", Settings(**{"model": model, **(settings or {})}))
        return run_loop(mine.root, agent, campaign=mine.name, **more)

    return run


def test_a_whole_file_is_judged_and_what_it_cost_is_booked(mine: Campaign, drive: Drive) -> None:
    steps = [
        use("read"), use("replace", old="", new=spoiled(mine)),
        use("run_trial", hypothesis="eight at a time", predicted_gain=30),
    ]
    with chat.Server(steps) as server:
        progress = drive(server, {"price": (1.0, 10.0)})
    record = progress.done[0].record
    assert record.verdict is Verdict.INCORRECT
    assert record.agent == "api" and record.hypothesis == "eight at a time"
    assert record.results.predicted == 30.0
    assert record.tokens == 3300 and record.cost_usd == pytest.approx(0.006)
    assert_whole(mine)


@pytest.mark.parametrize("protocol", [anthropic.Server, chat.Server], ids=["anthropic", "openai"])
def test_a_refused_kernel_is_reverted_and_the_next_turn_reads_why(
    mine: Campaign, drive: Drive, protocol: type[Server]
) -> None:
    again = use("replace", old="pub fn scan8", new="use std::env;\npub fn scan8")
    with protocol([use("read"), SPOIL, TRY, again, TRY]) as server:
        progress = drive(server, trials=2)
    assert verdicts(progress) == [Verdict.REJECTED] * 2
    known = protocol is anthropic.Server  # the library has a price list
    assert (progress.done[0].record.cost_usd is not None) == known
    tools = {tool.get("name") or tool["function"]["name"] for tool in server.seen[0]["tools"]}
    assert tools == {"read", "replace", "run_trial"}
    first, second = str(server.seen[0]), str(server.seen[3])
    assert "The same bits as Lance" in first and "program.md" in first
    assert "pub fn scan8" in str(server.seen[1]), "the kernel's text was read"
    assert "| verdict rejected" in second and "a file" in second
    assert_whole(mine)


def test_tools_used_wrongly_are_answered_and_reach_nothing(mine: Campaign, drive: Drive) -> None:
    desk = mine.worktree / "targets" / TARGET
    before = (desk / "program.md").read_bytes()
    cheat = next((desk / "cheats").glob("*.rs"))
    steps = [
        use("read", path="program.md"),
        use("read", path=str(mine.root / ".lar" / "ledger.sqlite")),
        use("read", path=f"cheats/{cheat.name}"),
        use("read", path="../../../../../../etc/passwd"),
        use("replace", path="program.md", old="pq-l2", new="easy"),
        use("replace", old="no such text", new="x"),
        use("replace", old="fn ", new="x"),
        TRY,  # nothing changed yet
        use("bash", command="cargo bench"),
        use("replace", old=7),
        SPOIL, TRY,
    ]
    with chat.Server(steps) as server:
        progress = drive(server)
    assert verdicts(progress) == [Verdict.REJECTED]
    assert (desk / "program.md").read_bytes() == before
    answers = [str(row["messages"][-1]["content"]) for row in server.seen[1:]]
    assert "Pins (each is checked)" in answers[0]
    assert all("no file" in answer for answer in answers[1:4])
    assert cheat.name not in answers[2].partition("you may read")[2]
    assert "only kernels.rs can be changed" in answers[4]
    assert "occurs 0 times" in answers[5] and "it must occur once" in answers[6]
    assert "change it first" in answers[7]
    assert "Unknown tool name" in answers[8] and "rror" in answers[9]
    assert_whole(mine)


def test_rounds_end_a_turn_unless_the_file_changed(mine: Campaign, drive: Drive) -> None:
    with chat.Server([use("read")] * 3 + [SPOIL] + [use("read")] * 9) as server:
        progress = drive(server, {"rounds": 3})
    assert progress.complaints == ["it used up its rounds"]
    assert verdicts(progress) == [Verdict.REJECTED]


def test_money_ends_the_turn_and_then_the_loop(mine: Campaign, drive: Drive) -> None:
    dear = [Step(tool="read", tokens=(20_000, 2_000))] * 30
    with anthropic.Server(dear) as server:  # by the library's price list
        progress = drive(server, trials=5, limits={"usd": 0.2, "failures": 5})
    assert "0.2 USD are spent" in progress.ended and progress.complaints == ["it used up its money"]
    assert 0.2 <= progress.tally.usd < 0.4 and not rows(mine) and len(server.seen) < 6
    with chat.Server(dear) as server:
        progress = drive(server, trials=5, limits={"usd": 0.2})
    assert "no price is known for openai-chat:scripted-1" in progress.ended
    assert "--price IN,OUT" in progress.ended and len(server.seen) == 1


@pytest.mark.deep
def test_a_turn_that_takes_too_long_is_ended(mine: Campaign, drive: Drive) -> None:
    with chat.Server([Step(say="late", wait=5.0)]) as server:
        progress = drive(server, {"minutes": 0.02}, limits={"failures": 1})
    assert "did not end within 0.02 minutes" in progress.ended
    assert_whole(mine)


@pytest.mark.deep
@pytest.mark.parametrize("trouble", [fail(429), fail(500), fail(529)],
                         ids=["rate-limit", "server-error", "overload"])
def test_a_busy_model_is_asked_again(mine: Campaign, drive: Drive, trouble: Step) -> None:
    # The library itself asks twice before it gives up.
    with anthropic.Server([trouble, trouble, SPOIL, TRY]) as server:
        progress = drive(server)
    assert len(progress.complaints) == 1 and verdicts(progress) == [Verdict.REJECTED]
    assert len(server.seen) == 4


def test_a_session_that_stops_early_or_talks_nonsense_is_continued(
    mine: Campaign, drive: Drive
) -> None:
    wrong = Step(tool="run_trial", input={"x": 1})
    steps = [say("Shall I go on?\x1b[2J"), *[wrong] * 4, fail(200), say("half", cut=True),
             SPOIL, say("HYPOTHESIS: in words")]
    with chat.Server(steps) as server:
        progress = drive(server, limits={"failures": 4})
    assert "without changing the file, saying 'Shall I go on?" in progress.complaints[0]
    assert "\x1b" not in progress.complaints[0] and "retries" in progress.complaints[1]
    assert "your last turn brought no candidate" in str(server.seen[1]["messages"])
    assert verdicts(progress) == [Verdict.REJECTED]
    assert progress.done[0].record.hypothesis == "in words"


def test_a_key_that_is_refused_ends_the_loop_and_is_never_shown(
    mine: Campaign, drive: Drive, capfd: pytest.CaptureFixture[str]
) -> None:
    refusal = Step(status=401, say=f"Incorrect API key provided: {KEY}")
    for protocol in (anthropic.Server, chat.Server):
        with protocol([refusal]) as server:
            progress = drive(server)
        assert "cannot go on" in progress.ended and "the key in the environment" in progress.ended
        assert "Incorrect API key provided: ***" in progress.ended and len(server.seen) == 1
    shown = "".join(capfd.readouterr())
    kept = [path for path in (mine.root / ".lar" / "loops" / mine.name).rglob("*")
            if path.is_file() and KEY.encode() in path.read_bytes()]
    assert KEY not in shown and not kept and KEY not in json.dumps(progress.complaints)


@pytest.mark.parametrize(("model", "says"), [
    ("openai:gpt-5", "OPENAI_API_KEY"), ("anthropic:claude-sonnet-4-5", "ANTHROPIC_API_KEY"),
    (None, "needs the name of a model"), ("gpt-5", "Unknown model"), ("nobody:x", "Unknown model"),
])
def test_what_is_missing_is_named_before_anything_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str | None, says: str
) -> None:
    with clean_environment(monkeypatch, tmp_path / "home"), pytest.raises(UsageError) as caught:
        make_agent("api", Settings(model=model))
    assert says in caught.value.what and caught.value.next


def test_a_missing_library_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UsageError) as caught:
        make_agent("api", Settings(model=OPEN))
    assert caught.value.next == "make extras"
    with pytest.raises(UsageError, match="takes neither --program"):
        monkeypatch.undo()
        make_agent("api", Settings(model=OPEN, program="x"))
