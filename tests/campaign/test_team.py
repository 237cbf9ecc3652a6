"""Several agents at the same time, one judge: places, order, champions, limits, ends, kills.

The agents are real programs in their sandboxes; the judge is the quick one of `team_parts`, except
where a test says so.
"""

from __future__ import annotations

import os
import random
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from agent_parts import (
    checkout_fixture,
    own_lock,  # noqa: F401
)
from team_parts import (
    SAME,
    Author,
    QuickCoordinator,
    assert_whole,
    begin_toy,
    list_rows,
    lower,
    lowers,
    read_prompt,
    read_turns,
    run_team,
    scripted,
    slower,
)
from tiers import fast_for
from toy_delays import TOY, plant_delays, read_delays

from lance_autoresearch.agents import AgentFailed
from lance_autoresearch.agents.failures import FailureKind
from lance_autoresearch.campaign import campaign as campaigns
from lance_autoresearch.campaign.opening import choose_policy
from lance_autoresearch.campaign.tally import Budget, load_run
from lance_autoresearch.cli.loop import MOST_AGENTS, choose_team
from lance_autoresearch.cli.status import collect_status, render_status
from lance_autoresearch.errors import UsageError
from lance_autoresearch.judge.job import hash_text
from lance_autoresearch.records import Verdict
from lance_autoresearch.rules.policy import DEFAULT

root = checkout_fixture("team")
LAR = str(Path(sys.executable).parent / "lar")


# -- places and order --------------------------------------------------------------------------


def test_agents_think_at_the_same_time_each_in_its_own_place(root: Path) -> None:
    mine = begin_toy(root)
    done = run_team(mine, [scripted(SAME, 0.8) for _ in range(3)], trials=6)
    turns, rows = read_turns(mine), list_rows(mine)
    assert done.progress.ended == "6 trials done" and len(rows) == 6
    assert len(turns) == 6, "a turn was asked for whose trial the limit did not allow"
    assert len({turn["place"] for turn in turns}) == len({turn["home"] for turn in turns}) == 3
    first = turns[:3]
    assert max(t["begun"] for t in first) < min(t["ended"] for t in first), "one after the other"
    assert {row.record.agent for row in rows} == {f"cmd:env/{n}" for n in (1, 2, 3)}
    assert mine.read_kernel() == mine.read_champion() == plant_delays()
    assert_whole(mine)
    trees = root / ".lar" / "loops" / mine.name / "trees"
    assert not list(trees.iterdir()), "a worktree was left behind"


def test_candidates_are_judged_in_the_order_in_which_turns_end(root: Path) -> None:
    mine = begin_toy(root)
    team = [Author("slow", slower(1), seconds=1.2), Author("mid", slower(2), seconds=0.6),
            Author("fast", slower(3), seconds=0.1)]
    run_team(mine, team, seconds=0.7, trials=3)  # type: ignore[arg-type]
    assert [row.record.agent for row in list_rows(mine)] == ["fast/3", "mid/2", "slow/1"]


@pytest.mark.deep
def test_an_agent_that_is_judged_thinks_again_while_the_others_are_judged(root: Path) -> None:
    """Four agents, turns of 1.5 s: two turns each take far less than eight in a row."""
    ideas = [[slower(10 * a + n) for n in range(2)] for a in range(4)]
    team = [Author(f"a{a}", *ideas[a], seconds=1.5) for a in range(4)]
    mine = begin_toy(root)
    begun = time.monotonic()
    run_team(mine, team, trials=8)  # type: ignore[arg-type]
    took = time.monotonic() - begun
    assert len(list_rows(mine)) == 8
    assert took < 0.7 * 8 * 1.5, "hardly faster than one agent after the other"


# -- one champion ------------------------------------------------------------------------------


def test_a_keep_moves_the_champion_and_the_others_read_it_with_the_difference(root: Path) -> None:
    mine = begin_toy(root)
    team = [scripted(lower("BLEND", 1500), 0.2), scripted(SAME, 1.2)]
    done = run_team(mine, team, trials=3)
    rows = list_rows(mine)
    kept = next(row for row in rows if row.record.verdict is Verdict.KEEP)
    assert kept.record.agent == "cmd:env/1"
    prompt = read_prompt(mine, 2)
    assert f"the champion moved since your last turn: trial {kept.id} by cmd:env/1" in prompt
    assert "| -const BLEND_DELAY: u32 = 1500;" in prompt
    assert "| +const BLEND_DELAY: u32 = 0;" in prompt
    assert read_delays(mine.read_champion()) == {"BLEND": 0, "COMPACT": 1500}
    stale = next(row.record for row in rows if row.record.agent == "cmd:env/2")
    assert stale.champion == kept.record.kernel, "judged against an older champion"
    assert stale.results.made_from == hash_text(plant_delays()) == kept.record.champion
    said = [line for line in done.shown if "judged against the newest" in line]
    assert said and said[0].startswith("cmd:env/2: trial")
    assert "your candidate was made from the champion" in prompt
    assert kept.record.results.made_from == ""


def test_two_gains_made_at_once_both_end_in_the_champion(root: Path) -> None:
    """The second keep is made again on the newest champion: the first one is not lost."""
    mine = begin_toy(root)
    team = [Author("a", lowers("BLEND", 0), seconds=0.1),
            Author("b", lowers("COMPACT", 900), lowers("COMPACT", 0), seconds=0.6)]
    run_team(mine, team, trials=3)  # type: ignore[arg-type]
    verdicts = [str(row.record.verdict) for row in list_rows(mine)]
    assert verdicts == ["keep", "incorrect", "keep"]
    assert read_delays(mine.read_champion()) == {"BLEND": 0, "COMPACT": 0}
    assert_whole(mine)


@pytest.mark.deep
def test_an_agents_own_verdict_stands_last_in_what_it_reads(root: Path) -> None:
    mine = begin_toy(root)
    team = [Author("a", slower(1), slower(2), slower(3), seconds=0.1),
            Author("b", slower(4), slower(5), seconds=0.5)]
    run_team(mine, team, trials=5)  # type: ignore[arg-type]
    for author in team:
        for turn in author.turns[1:]:
            assert turn.history[-1].agent.startswith(author.name)
    assert len(team[1].turns[-1].history) > 2, "it does not see the others' trials"


@pytest.mark.deep
def test_equal_code_is_judged_once(root: Path) -> None:
    """By the real coordinator: a kernel that is refused, proposed by both agents."""
    mine = begin_toy(root)
    script = "text = text.replace('pub fn blend', 'pub fn blond')"
    words = " ".join(shlex.quote(w) for w in scripted(script)._words)  # type: ignore[attr-defined]
    done = lar(root, "loop", TOY, "--campaign", mine.name, "--agent", f"cmd:{words}",
               "--agents", "2", "--trials", "2", "--json")
    assert done.returncode == 0, done.stderr
    rows = list_rows(mine)
    assert [str(row.record.verdict) for row in rows] == ["rejected"]
    assert '"remembered": true' in done.stdout


# -- limits ------------------------------------------------------------------------------------


def test_the_threshold_is_at_least_the_number_of_trials_of_all_agents() -> None:
    planned = int(DEFAULT.e_threshold) * 3
    assert choose_policy(Budget(trials=planned)).e_threshold == planned
    assert choose_policy(Budget(trials=1)).e_threshold == DEFAULT.e_threshold


def test_money_is_shared_so_that_turns_at_once_cannot_spend_more_than_is_left(root: Path) -> None:
    mine = begin_toy(root)
    team = [Author(name, *(slower(n, 0.25) for n in (1 + i, 5 + i, 9 + i)), seconds=0.2 + i / 9)
            for i, name in enumerate("ab")]
    done = run_team(mine, team, usd=1)  # type: ignore[arg-type]
    turns = [turn for author in team for turn in author.turns]
    assert [t.usd_left for t in team[0].turns[:1] + team[1].turns[:1]] == [0.5, 0.5]
    assert all(turn.usd_left is not None and 0 < turn.usd_left <= 0.5 for turn in turns)
    assert done.progress.ended == "1 USD are spent" and done.progress.tally.usd == 1.0
    assert len(list_rows(mine)) == 4


def test_a_plateau_counts_all_agents_and_what_runs_is_judged(root: Path) -> None:
    mine = begin_toy(root)
    team = [Author("a", *(slower(n) for n in range(9)), seconds=0.1),
            Author("b", slower(50), seconds=1.0)]
    done = run_team(mine, team, plateau=3)  # type: ignore[arg-type]
    assert done.progress.ended.startswith("plateau")
    assert [row.record.agent for row in list_rows(mine)] == ["a/1"] * 3 + ["b/2"]


@pytest.mark.deep
def test_a_keep_of_a_turn_that_ran_ends_a_plateau(root: Path) -> None:
    mine = begin_toy(root)
    team = [Author("a", *(slower(n) for n in range(9)), seconds=0.1),
            Author("b", lowers("BLEND", 0), seconds=1.0)]
    run_team(mine, team, plateau=3)  # type: ignore[arg-type]
    verdicts = [str(row.record.verdict) for row in list_rows(mine)]
    assert verdicts[:4] == ["incorrect"] * 3 + ["keep"] and len(verdicts) >= 7


# -- agents that leave or wait -----------------------------------------------------------------


def test_an_agent_that_cannot_go_on_leaves_and_the_others_go_on(root: Path) -> None:
    mine = begin_toy(root)
    out = AgentFailed("not signed in", FailureKind.SIGNED_OUT, next="claude setup-token")
    team = [Author("a", out), Author("b", slower(1), slower(2), seconds=0.1)]
    done = run_team(mine, team, trials=5)  # type: ignore[arg-type]
    assert "a/1 has left" in " ".join(done.shown) and len(list_rows(mine)) == 2
    assert "b/2 has nothing left to try" in done.progress.ended
    assert "not signed in" in done.progress.ended and not done.progress.failed


@pytest.mark.deep
def test_a_loop_whose_agents_all_failed_has_failed(root: Path) -> None:
    mine = begin_toy(root)
    out = AgentFailed("not signed in", FailureKind.SIGNED_OUT)
    done = run_team(mine, [Author("a", out), Author("b", out)], trials=5)  # type: ignore[list-item]
    assert done.progress.failed and done.progress.may_go_on


def test_an_agent_that_waits_for_a_limit_holds_up_no_other(root: Path) -> None:
    mine = begin_toy(root)
    busy = AgentFailed("overloaded", FailureKind.OVERLOADED)
    team = [Author("a", busy, busy, slower(1)), Author("b", slower(2), slower(3), slower(4))]
    run_team(mine, team, trials=4)  # type: ignore[arg-type]
    assert sorted(row.record.agent for row in list_rows(mine)) == ["a/1", "b/2", "b/2", "b/2"]


def test_status_shows_every_agent(root: Path) -> None:
    mine = begin_toy(root)
    seen: list[str] = []

    def look(_done: object) -> None:
        (entry,) = [c for c in collect_status(root, None)["campaigns"] if c["name"] == mine.name]
        seen.append(render_status({"campaigns": [entry], "trials": {}}))

    team = [Author("a", slower(1, 0.5), slower(2)), Author("b", slower(3), seconds=1.0)]
    run_team(mine, team, report=look, trials=3)  # type: ignore[arg-type]
    assert "a/1" in seen[0] and "1 trials, 0 kept, 0.50 USD; last: slower 1" in seen[0]
    assert "b/2          " in seen[0] and "0 trials" in seen[0]
    run = load_run(mine.desk)
    assert run is not None and [one.name for one in run.agents] == ["a/1", "b/2"]
    assert {one.phase for one in run.agents} == {"ended"} and run.agent == "a, b"


# -- the end -----------------------------------------------------------------------------------


def lar(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "LAR_ROOT": str(root)}
    return subprocess.run([LAR, *words], cwd=root, env=env, capture_output=True, text=True,
                          timeout=120)


def started(root: Path, name: str, pace: float = 0.2) -> subprocess.Popen[str]:
    """The loop of `team_parts` in a process of its own, once it is ready."""
    driver = Path(__file__).parents[1] / "team_parts.py"
    env = {**os.environ, "PYTHONPATH": f"{driver.parent}:{driver.parents[1] / 'tools'}"}
    process = subprocess.Popen(
        [sys.executable, str(driver), str(root), name, str(pace)], env=env, text=True,
        stdout=subprocess.PIPE, start_new_session=True,
    )
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    return process


def list_programs(mine: campaigns.Campaign) -> list[str]:
    """Processes that run in an agent's home or worktree."""
    found, mark = [], f"/.lar/loops/{mine.name}/"
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().decode("utf-8", "replace")
        except OSError:
            continue
        if mark in words:
            found.append(words)
    return found


def test_sigterm_ends_the_turns_with_their_programs(root: Path) -> None:
    mine = begin_toy(root)
    process = started(root, mine.name, 30.0)
    until = time.monotonic() + 20
    while len(list_programs(mine)) < 3:
        assert time.monotonic() < until, "no agent was started"
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert not list_programs(mine)
    run = load_run(mine.desk)
    assert run is not None and run.ended == "ended by SIGTERM" and run.may_go_on
    assert_whole(mine)


@pytest.mark.parametrize("kills", fast_for([1, 30], 1))
def test_kills_at_random_instants_lose_no_keep(kills: int, root: Path) -> None:
    mine = begin_toy(root)
    rng = random.Random(seed := random.SystemRandom().getrandbits(30))
    print("seed", seed)
    finished: dict[int, str] = {}
    for _ in range(kills):
        with started(root, mine.name, 0.05) as process:
            assert process.stdout is not None
            first = process.stdout.readline()
            time.sleep(rng.uniform(0.0, 2.5))
            if rng.random() < 0.5:
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()
            lines = (first + process.stdout.read()).split("\n")[:-1]
        finished |= {int(number): word for number, word in map(str.split, lines)}
        campaigns.repair_campaigns(root)
        assert campaigns.repair_campaigns(root) == []
        written = {row.id: str(row.record.verdict) for row in list_rows(mine)}
        assert finished.items() <= written.items(), "a finished trial is gone"
        assert_whole(mine)
    rows = [row.record for row in list_rows(mine)]
    kept = [record for record in rows if record.verdict is Verdict.KEEP]
    assert len(kept) >= kills / 2, "hardly anything was kept: the kills prove nothing"
    assert sum(read_delays(mine.read_champion()).values()) == 3000 - len(kept), "a keep was lost"
    assert len({(record.kernel, record.champion) for record in rows}) == len(rows), "judged twice"


# -- the command -------------------------------------------------------------------------------


def test_the_team_is_named_by_the_command_line() -> None:
    assert choose_team(("claude",), None) == ["claude"]
    assert choose_team(("claude",), 3) == ["claude"] * 3
    assert choose_team(("claude", "codex"), None) == ["claude", "codex"]
    assert choose_team(("claude", "codex"), 3) == ["claude", "codex", "claude"]
    assert choose_team(("tune", "claude"), None) == ["tune", "claude"]


@pytest.mark.parametrize(("named", "count"), [
    (("claude", "codex"), 1), (("claude",), 0), (("claude",), MOST_AGENTS + 1), (("tune",), 2),
    (("replay", "claude"), None),
])  # fmt: skip
def test_a_team_that_makes_no_sense_is_refused(
    named: tuple[str, ...], count: int | None
) -> None:
    with pytest.raises(UsageError):
        choose_team(named, count)


@pytest.mark.deep
def test_the_quick_judge_is_only_a_judge(root: Path) -> None:
    """Rows of the quick judge are whole: they would be read as any other."""
    mine = begin_toy(root)
    with QuickCoordinator(root, TOY, champion=mine.read_champion()) as coordinator:
        assert coordinator.ruleset
    run_team(mine, [Author("a", lowers("BLEND", 0)), Author("b")], trials=1)  # type: ignore[list-item]
    (row,) = list_rows(mine)
    assert row.record.immutable["all"] and row.record.machine["cpu"]
