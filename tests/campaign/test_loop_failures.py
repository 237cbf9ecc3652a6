"""Eight hours of failures of every kind in turn, on a clock that is sped up.

The agent is a real program named `claude` on PATH that prints what Claude Code prints. Only the
loop's clock is another one: a wait of hours passes at once and is noted.
"""

from __future__ import annotations

import json
import os
import shlex
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from agent_parts import (
    assert_whole,
    checkout,
    clean_environment,
    fresh,
    own_lock,  # noqa: F401
    run_loop,
)

from lance_autoresearch.agents import Settings, make_agent
from lance_autoresearch.campaign.campaign import Campaign
from lance_autoresearch.campaign.driving import drive_loop
from lance_autoresearch.campaign.loop import Budget, Progress
from lance_autoresearch.campaign.tally import load_run
from lance_autoresearch.campaign.waiting import Clock
from lance_autoresearch.cli.status import collect_status, render_status
from lance_autoresearch.records import Verdict

EVENING = datetime(2026, 11, 30, 22, 0, tzinfo=UTC).timestamp()
EDIT = 'sed -i "s/pub fn scan8/use std::fs; pub fn scan8/" kernels.rs'
"""Refused unbuilt: its trial takes a moment."""


class FastClock:
    """Real time from a given evening on, but a sleep passes at once."""

    def __init__(self, root: Path) -> None:
        self.root, self.slept = root, 0.0
        self.begun = time.time()
        self.statuses: list[str] = []

    def now(self) -> float:
        return EVENING + (time.time() - self.begun) + self.slept

    def sleep(self, seconds: float) -> None:
        if seconds > 100:
            self.statuses.append(render_status(collect_status(self.root, None)))
        self.slept += seconds


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkout(tmp_path_factory.mktemp("failures"))


@pytest.fixture
def mine(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Campaign]:
    with clean_environment(monkeypatch, tmp_path / "home"):
        monkeypatch.setenv("TZ", "UTC")
        time.tzset()
        yield fresh(root)
    time.tzset()


def row(said: str, *, error: bool = True, **more: Any) -> str:
    """Claude Code's last line, printed by the shell."""
    fields = {"type": "result", "subtype": "success", "is_error": error, "result": said,
              "total_cost_usd": 0.01, **more}
    return f"cat <<'END'\n{json.dumps(fields)}\nEND\n"


def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, turns: list[str]) -> None:
    """A `claude` on PATH that plays one of these scripts a turn, the last one again and again."""
    cases = "".join(f"{n}) {text}\n;;\n" for n, text in enumerate(turns[:-1], 1))
    program = tmp_path / "bin" / "claude"
    program.parent.mkdir()
    program.write_text(
        '#!/bin/sh\ncat > /dev/null\nn=$(cat "$HOME/n" 2>/dev/null || echo 0); n=$((n+1)); '
        f'echo $n > "$HOME/n"\ncase $n in\n{cases}*) {turns[-1]}\n;;\nesac\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("LAR_AGENT_READABLE", str(program.parent))


def drive(mine: Campaign, clock: FastClock, **limits: Any) -> Progress:
    fast = Clock(clock.now, clock.sleep, slice_s=900.0)
    return drive_loop(mine.root, mine.target, make_agent("claude", Settings()), Budget(**limits),
                      campaign=mine.name, clock=fast, json=True)


def test_eight_hours_through_every_kind_in_turn(
    mine: Campaign, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    install(tmp_path, monkeypatch, [
        row("You've hit your session limit · resets 12:50am") + "exit 1",
        row("Reached your weekly limit") + "exit 1",
        row("API Error: read ECONNRESET") + "exit 1",
        row("API Error: 529 Overloaded") + "exit 1",
        row("API Error: 500 authentication service · Please run /login") + "exit 1",
        "echo half >> kernels.rs; echo gone >&2; kill -9 $$",
        "echo 'this is no JSON'",
        row("edit failed: 500 lines too long; credit balance is too low", error=False),
        row("frobnication imminent") + "exit 1",
        f"{EDIT}\n{row('HYPOTHESIS: a file', error=False)}",
        row("Claude AI usage limit reached|1796094000") + "exit 1",  # 03:00
        f"{EDIT}\n{row('HYPOTHESIS: a file again', error=False)}",
        row("You've hit your weekly limit · resets Dec 3, 2pm") + "exit 1",
    ])  # fmt: skip
    clock = FastClock(mine.root)
    progress = drive(mine, clock, hours=8)
    assert progress.ended == "8 hours are over" and not progress.failed
    assert [done.record.verdict for done in progress.done] == [Verdict.REJECTED] * len(
        progress.done)
    assert 28_800 <= clock.slept + time.time() - clock.begun < 28_900
    assert len(progress.complaints) == 11
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    texts = [event["text"] for event in events if event["event"] == "progress"]
    waits = [text for text in texts if "asking again in" in text]
    said = [
        ("a limit is reached: You've hit your session limit", "2 h 51 min, at 2026-12-01 00:51"),
        ("a limit is reached: Reached your weekly limit", "asking again in 2 min, at 00:53"),
        ("no connection: API Error: read ECONNRESET", "asking again in 4 min, at 00:5"),
        ("the model's side is overloaded: API Error: 529", "asking again in 8 min, at 01:0"),
        ("overloaded: API Error: 500 authentication service", "asking again in 15 min, at 01:2"),
        ("it crashed: ended in mid-turn with exit status 137: gone", "asking again in 10 s"),
        ("an unknown failure: frobnication imminent", "asking again in 60 s"),
        ("a limit is reached: Claude AI usage limit reached", "at 03:01"),
        ("a limit is reached: You've hit your weekly limit", "at 2026-12-03 14:01; the loop's "
         "time is over before that, at 06:00"),
    ]
    assert len(waits) == len(said), waits
    for text, (why, when) in zip(waits, said, strict=True):
        assert why in text and when in text, text
    assert any("waiting: a limit is reached: You've hit your session limit" in text
               and "at 2026-12-01 00:51" in text for text in clock.statuses)
    assert progress.tally.usd == pytest.approx(0.11, abs=0.015), "failed turns are paid too"
    assert_whole(mine)


@pytest.mark.parametrize(("said", "command"), [
    ("Credit balance is too low", "settings/billing"),
    ("Failed to authenticate: OAuth session expired and could not be refreshed",
     "claude setup-token"),
    ("Failed to authenticate. API Error: 403 Request not allowed", "setup-token"),
    ("This organization has been disabled.", "administrator"),
    ("Quota exceeded. Check your plan and billing details.", "settings/billing"),
])  # fmt: skip
def test_what_a_person_has_to_fix_ends_at_once_with_the_command(
    said: str, command: str, mine: Campaign, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, [row(said) + "exit 1"])
    clock = FastClock(mine.root)
    progress = drive(mine, clock, hours=8)
    assert progress.failed and clock.slept == 0 and len(progress.complaints) == 1
    assert said[:40] in progress.ended and command in progress.ended
    assert f"./lar loop {mine.target} --resume --campaign {mine.name}" in progress.ended
    run = load_run(mine.desk)
    assert run is not None and run.may_go_on


def test_an_unknown_failure_is_waited_for_and_then_ends_the_run(
    mine: Campaign, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, [row("frobnication imminent") + "exit 1"])
    clock = FastClock(mine.root)
    progress = drive(mine, clock, hours=8)
    assert "failed 6 times in a row in a way that is not known" in progress.ended
    assert clock.slept == pytest.approx(60 + 120 + 240 + 480 + 900, abs=5)


def test_a_command_names_its_failure_in_its_last_line(mine: Campaign) -> None:
    script = 'echo \'{"failure": "no-credit"}\'; echo "the purse is empty" >&2; exit 1'
    agent = make_agent(_shell(script), Settings())
    progress = run_loop(mine.root, agent, campaign=mine.name)
    assert "cannot go on: the purse is empty" in progress.ended and "add credit" in progress.ended
    assert "--agent ... (as before)" in progress.ended
    agent = make_agent(_shell("echo busy >&2; exit 75"), Settings())
    progress = run_loop(mine.root, agent, campaign=mine.name)
    assert "could not be asked 3 times in a row (the model's side is overloaded)" in progress.ended


def _shell(script: str) -> str:
    return f"cmd:/bin/sh -c {shlex.quote(script)}"
