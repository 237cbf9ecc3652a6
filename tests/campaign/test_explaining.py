"""After a revert the next prompt shows the kernel's loops; whatever fails there costs only time."""

from __future__ import annotations

import base64
import json
import shlex
import time
from pathlib import Path

import pytest
from agent_parts import (
    SLOWER_MARK,
    TARGET,
    begin_delayed,
    checkout_fixture,
    fresh,
    own_lock,  # noqa: F401
    run_loop,
)
from campaign_parts import record

from lance_autoresearch.agents import Settings, make_agent
from lance_autoresearch.campaign import campaign as campaigns
from lance_autoresearch.campaign.agent_turn import ask_agent
from lance_autoresearch.campaign.coordinator import Coordinator, FinishedTrial
from lance_autoresearch.campaign.explaining import explain_revert
from lance_autoresearch.campaign.progress import LoopContext, Progress
from lance_autoresearch.campaign.tally import Run, Tally
from lance_autoresearch.campaign.waiting import RetryDelays
from lance_autoresearch.explain.headroom import Headroom
from lance_autoresearch.explain.headroom_store import find_headroom, find_store, save_headroom
from lance_autoresearch.ledger import Ledger, hash_bytes
from lance_autoresearch.records import TrialRecord, Verdict

root = checkout_fixture("explaining")
KEEP_PROMPT = 'cat > "$HOME/prompt"; echo "// next" >> kernels.rs; echo "{}"'
ROWS = (Headroom("scan8 far", 900.0, 100.0), Headroom("table_l2 near", 110.0, 100.0))


def append_revert(root: Path, champion: bytes) -> tuple[int, TrialRecord]:
    text = champion + b"\n// another text\n"
    row = record(text, champion, reason="slower")
    with Ledger.open(root) as ledger:
        return ledger.append(row, blobs={"kernel": text, "champion": champion}), row


def test_the_prompt_after_a_revert_carries_the_short_form(root: Path) -> None:
    mine = fresh(root)
    champion = mine.read_champion()
    number, row = append_revert(root, champion)
    save_headroom(root, TARGET, hash_bytes(champion), "zen3", ROWS)
    agent = make_agent(f"cmd:/bin/sh -c {shlex.quote(KEEP_PROMPT)}", Settings())
    with Coordinator(root, TARGET, champion=champion) as coordinator:
        progress = Progress(Tally.count_run(coordinator.ledger, mine.name, Run(agent.name)))
        progress.done.append(FinishedTrial(number, row))
        desk = LoopContext(coordinator, mine, agent, "trial", str, RetryDelays())
        assert ask_agent(desk, progress) is not None
    home = root / ".lar" / "loops" / mine.name / "agent" / "cmd"
    lines = (home / "prompt").read_text().splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(f"| explain {TARGET}: trial"))
    shown = [line for line in lines[start:] if line.startswith("| ")]
    assert any("instructions" in line for line in shown)
    assert any("table_l2 near" in line and "little left" in line for line in shown)
    assert not any("not measured (not asked" in line for line in shown)


def test_it_has_at_most_forty_lines_with_the_headroom_among_them(root: Path) -> None:
    number, row = append_revert(root, fresh(root).read_champion())
    many = [Headroom(f"scan8 {i}", 100.0 + i, 100.0) for i in range(12)]
    lines = explain_revert(root, row, number, many)
    assert len(lines) <= 40 and lines[-1].split()[:2] == ["scan8", "0"]


def test_a_failure_is_one_line(root: Path) -> None:
    trial = 10**6
    _, row = append_revert(root, fresh(root).read_champion())
    lines = explain_revert(root, row, trial)
    assert len(lines) == 1 and lines[0].startswith("explain: ") and str(trial) in lines[0]


def test_what_takes_too_long_is_ended(root: Path) -> None:
    number, row = append_revert(root, fresh(root).read_champion())
    begun = time.monotonic()
    assert explain_revert(root, row, number, patience_s=0.05) == [
        "explain: no answer within 0.05 s"
    ]
    assert time.monotonic() - begun < 5.0


def test_a_damaged_store_counts_as_none(root: Path) -> None:
    save_headroom(root, "_toy", "ab", "zen3", ROWS)
    assert find_headroom(root, "_toy", "ab") == ROWS
    assert find_headroom(root, "_toy", "cd") == ()
    for text in ("{", "[]", json.dumps({"v": 2, "entries": []}), '{"v": 1, "entries": [{}]}'):
        find_store(root, "_toy").write_text(text)
        assert find_headroom(root, "_toy", "ab") == ()


@pytest.mark.deep
@pytest.mark.timing
def test_a_loop_explains_its_own_revert(root: Path) -> None:
    """A champion without a delay, and the same with one: slower on any processor."""
    delayed, better = begin_delayed(root)
    slow = delayed.read_champion().decode() + SLOWER_MARK
    mine = campaigns.create_campaign(
        root, TARGET, better.encode(), origin="upstream", era="14.0.2"
    )
    script = (
        'cat > "$HOME/prompt$(ls "$HOME" | grep -c prompt)"; '
        f"base64 -d > kernels.rs <<X\n{_encode(slow)}\nX\n"
        'echo "// $(date +%s%N)" >> kernels.rs; echo "{}"'
    )
    agent = make_agent(f"cmd:/bin/sh -c {shlex.quote(script)}", Settings())
    progress = run_loop(root, agent, trials=2, campaign=mine.name)
    if progress.done[0].record.verdict is not Verdict.REVERT:
        pytest.skip(f"the machine is too busy: {progress.done[0].record.reason}")
    home = root / ".lar" / "loops" / mine.name / "agent" / "cmd"
    assert f"| explain {TARGET}: trial" in (home / "prompt1").read_text()


def _encode(text: str) -> str:
    return base64.encodebytes(text.encode()).decode()
