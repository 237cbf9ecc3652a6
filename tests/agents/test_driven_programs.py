"""The drivers of Claude Code and Codex, with a program that plays a script.

The program is a shell script that edits the kernel as the vendor's would and reports in the
vendor's format, taken from what the real programs printed (Claude Code 2.1, Codex 0.160).
`test_agents_claude` and `test_agents_codex` run the real ones and show that the format is theirs.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from agent_parts import (
    TARGET,
    assert_whole,
    checkout,
    clean_environment,
    fresh,
    own_lock,  # noqa: F401
    run_loop,
)

from lance_autoresearch.agents import Settings
from lance_autoresearch.agents.claude import ClaudeAgent
from lance_autoresearch.agents.codex import CodexAgent
from lance_autoresearch.campaign.campaign import Campaign
from lance_autoresearch.campaign.loop import Progress
from lance_autoresearch.host import agent_sandbox
from lance_autoresearch.records import Verdict

DRIVERS = {"claude": ClaudeAgent, "codex": CodexAgent}
SPOIL = 'sed -i "s/pub fn scan8/pub fn scan_$(date +%s%N)/" kernels.rs'
"""An edit that does not compile, another one each turn."""
PRICE = (1.0, 10.0)
Drive = Callable[..., Progress]


def claude_rows(said: str, **more: Any) -> list[dict[str, Any]]:
    """What Claude Code prints in a turn that ends with these words."""
    message = {"type": "message", "role": "assistant", "content": [{"type": "text", "text": said}]}
    usage = {"input_tokens": 4000, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0,
             "output_tokens": 400}
    result = {"type": "result", "subtype": "success", "is_error": False, "result": said,
              "total_cost_usd": 0.024, "usage": usage, "permission_denials": []}
    return [{"type": "assistant", "message": message}, result | more]


def codex_rows(said: str) -> list[dict[str, Any]]:
    """What Codex prints in a turn that ends with these words."""
    return [
        {"type": "turn.started"},
        {"type": "item.completed", "item": {"type": "agent_message", "text": said}},
        {"type": "turn.completed", "usage": {"input_tokens": 4000, "output_tokens": 400}},
    ]


ROWS = {"claude": claude_rows, "codex": codex_rows}


def script(*commands: str, rows: list[dict[str, Any]] | None = None) -> str:
    """A turn in the shell: keep the prompt and the arguments, run commands, print rows."""
    printed = "\n".join(json.dumps(row) for row in rows or [])
    keep = ['cat > "$HOME/prompt"', 'printf "%s\\n" "$@" > "$HOME/arguments"']
    return "\n".join(["#!/bin/sh", *keep, *commands, f"printf '%s\\n' {shlex.quote(printed)}", ""])


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkout(tmp_path_factory.mktemp("driven"))


@pytest.fixture
def mine(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Campaign]:
    with clean_environment(monkeypatch, tmp_path / "home"):
        yield fresh(root)


@pytest.fixture
def drive(mine: Campaign, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Drive:
    """Run a loop with a driver whose program is this text."""

    def run(name: str, text: str, **more: Any) -> Progress:
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(text)
        program.chmod(0o755)
        monkeypatch.setenv("LAR_AGENT_READABLE", str(program.parent))
        agent = DRIVERS[name](Settings(program=str(program), price=PRICE))
        return run_loop(mine.root, agent, campaign=mine.name, **more)

    return run


def kept(mine: Campaign, name: str, what: str) -> str:
    """What the program kept of its last turn in its private home."""
    return (mine.root / ".lar" / "loops" / mine.name / "agent" / name / what).read_text()


@pytest.mark.parametrize("name", DRIVERS)
def test_an_edit_is_judged_with_its_hypothesis_and_its_cost_and_the_next_turn_learns_the_verdict(
    name: str, mine: Campaign, drive: Drive
) -> None:
    said = "Done.\n\n**HYPOTHESIS:** eight at a time\nPREDICTED GAIN: +30%"
    progress = drive(name, script(SPOIL, rows=ROWS[name](said)), trials=2)
    assert [done.record.verdict for done in progress.done] == [Verdict.REJECTED] * 2
    record = progress.done[0].record
    assert (record.agent, record.hypothesis) == (name, "eight at a time")
    assert record.tokens == 4400
    cost = {"claude": 0.024, "codex": (4000 * PRICE[0] + 400 * PRICE[1]) / 1e6}
    assert record.cost_usd == pytest.approx(cost[name])
    prompt = kept(mine, name, "prompt")
    assert "| verdict rejected" in prompt and "eight at a time" in prompt
    assert "The same bits as Lance" in prompt + kept(mine, name, "arguments")
    assert_whole(mine)


def test_a_turn_stopped_by_a_limit_counts_only_if_the_file_changed(
    mine: Campaign, drive: Drive
) -> None:
    rows = claude_rows("", subtype="error_max_turns", is_error=True)
    progress = drive("claude", script(rows=rows), limits={"failures": 1})
    assert not progress.done and "used up its rounds" in progress.complaints[0]
    progress = drive("claude", script(SPOIL, rows=rows))
    assert [done.record.verdict for done in progress.done] == [Verdict.REJECTED]
    assert_whole(mine)


def test_what_the_program_was_refused_stands_beside_the_trial(mine: Campaign, drive: Drive) -> None:
    denied = {"tool_name": "Edit", "tool_input": {"file_path": f"targets/{TARGET}/program.md"}}
    rows = claude_rows("HYPOTHESIS: x", permission_denials=[denied])
    outside = "echo x >> ../program.md"
    progress = drive("claude", script(outside, SPOIL, rows=rows))
    assert "refused: Edit" in progress.note and "program.md" in progress.note
    assert_whole(mine)


@pytest.mark.parametrize("name", DRIVERS)
def test_a_crash_in_mid_turn_puts_the_champion_back(
    name: str, mine: Campaign, drive: Drive
) -> None:
    progress = drive(name, script(SPOIL, "echo gone >&2", "exit 7"), limits={"failures": 1})
    assert not progress.done and "ended in mid-turn with exit status 7" in progress.complaints[0]
    assert mine.read_kernel() == mine.read_champion()
    assert_whole(mine)


@pytest.mark.parametrize(
    ("name", "rows", "command"),
    [
        ("claude", claude_rows("Not logged in · Please run /login", is_error=True),
         "claude setup-token"),
        ("codex", [{"type": "turn.failed", "error": {"message": "401 Unauthorized"}}],
         "codex login"),
    ],
    ids=DRIVERS,
)  # fmt: skip
def test_not_signed_in_ends_the_loop_with_the_command_that_helps(
    name: str, rows: list[dict[str, Any]], command: str, mine: Campaign, drive: Drive
) -> None:
    progress = drive(name, script("true", rows=rows) + "exit 1\n")
    assert command in progress.ended and len(progress.complaints) == 1
    assert_whole(mine)


def test_a_busy_model_is_asked_again_and_then_given_up(mine: Campaign, drive: Drive) -> None:
    rows = claude_rows("API Error: 429 rate limit", is_error=True)
    progress = drive("claude", script(rows=rows))
    assert "could not be asked 3 times in a row" in progress.ended
    assert_whole(mine)


@pytest.mark.parametrize("name", DRIVERS)
def test_a_program_that_prints_its_result_and_stays_is_ended_and_judged(
    name: str, mine: Campaign, drive: Drive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent_sandbox, "LINGER_S", 0.3)
    said = ROWS[name]("HYPOTHESIS: a name")
    progress = drive(name, script(SPOIL, rows=said) + "setsid sleep 600 &\nsleep 600\n")
    assert [done.record.hypothesis for done in progress.done] == ["a name"]
    assert progress.done[0].record.tokens == 4400 and not progress.complaints
    assert_whole(mine)
