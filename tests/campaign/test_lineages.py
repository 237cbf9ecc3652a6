"""Lines of champions kept apart within one loop, and their merge: the quick judge, real git."""

from __future__ import annotations

from pathlib import Path

import pytest
from agent_parts import (
    checkout_fixture,
    own_lock,  # noqa: F401
)
from campaign_parts import record
from team_parts import (
    Author,
    assert_whole,
    begin_toy,
    list_rows,
    lower,
    lowers,
    run_team,
    scripted,
    slower,
)
from toy_delays import plant_delays, read_delays, set_delay

from lance_autoresearch.campaign.campaign import Campaign, load_campaign
from lance_autoresearch.campaign.lineages import (
    Lineage,
    find_due_merge,
    merge_champions,
    open_lineages,
)
from lance_autoresearch.campaign.tally import Budget, Run, Tally, load_run
from lance_autoresearch.cli.loop import check_lineages
from lance_autoresearch.errors import UsageError
from lance_autoresearch.ledger import Ledger, Row

root = checkout_fixture("lineages")


def list_all(mine: Campaign) -> list[Row]:
    """The trials of all lines of a loop, in their order."""
    run = load_run(mine.desk)
    assert run is not None and len(run.lineages) == 1
    rows = [*list_rows(mine), *list_rows(load_campaign(mine.root, run.lineages[0]))]
    return sorted(rows, key=lambda row: row.id)


def once(op: str) -> str:
    """Body of a scripted agent: it removes one op's delay, then has only idle ideas."""
    idle = "text += '// %s %d\\n' % (home.parent.name, turn)"
    return f"{lower(op, 1500)}\nif turn > 1:\n    {idle}"


def test_complementary_gains_of_two_lines_are_merged_within_ten_trials(root: Path) -> None:
    """A planted pair, one op each, found by scripted programs that know of nothing else."""
    mine = begin_toy(root)
    team = [scripted(once("BLEND"), 0.1), scripted(once("COMPACT"), 0.1)]
    run_team(mine, team, lineages=2, trials=12)
    rows = list_all(mine)
    merges = [n for n, row in enumerate(rows) if row.record.agent == "merge"]
    assert merges and merges[0] < 10, "no merge within ten trials"
    merged = rows[merges[0]].record
    assert str(merged.verdict) == "keep" and merged.campaign == mine.name
    assert read_delays(mine.read_champion()) == {"BLEND": 0, "COMPACT": 0}
    beside = load_campaign(root, load_run(mine.desk).lineages[0])  # type: ignore[union-attr]
    assert beside.read_champion() == mine.read_champion(), "the other line did not keep it"
    before = [row.record for row in rows[: merges[0]] if str(row.record.verdict) == "keep"]
    assert {record.campaign for record in before} == {mine.name, beside.name}
    after = {row.record.campaign for row in rows[merges[-1] + 1 :]}
    assert after == {mine.name}, "the lines were not joined"
    assert_whole(mine)
    assert_whole(beside)


def test_agents_see_the_trials_of_their_own_line_only(root: Path) -> None:
    mine = begin_toy(root)
    team = [Author(f"a{n}", *(slower(10 * n + k) for k in range(2)), seconds=0.1)
            for n in range(4)]
    run_team(mine, team, lineages=2, trials=8)  # type: ignore[arg-type]
    for number, author in enumerate(team):
        seen = {record.campaign for turn in author.turns for record in turn.history}
        assert len(seen) == 1 and (seen == {mine.name}) == (number % 2 == 0)


def test_changes_of_the_same_lines_are_left_to_the_agents(root: Path) -> None:
    mine = begin_toy(root)
    team = [Author("a", lowers("BLEND", 0), *(slower(n) for n in range(5)), seconds=0.1),
            Author("b", lowers("BLEND", 7), *(slower(n) for n in range(5)), seconds=0.1)]
    done = run_team(mine, team, lineages=2, trials=12)  # type: ignore[arg-type]
    assert not [row for row in list_all(mine) if row.record.agent == "merge"]
    assert len([line for line in done.shown if "changed the same lines" in line]) == 1
    last = "\n".join(team[0].turns[-1].advice)
    assert "another line of champions" in last and "+const BLEND_DELAY: u32 = 7;" in last


def test_the_merge_of_a_pair_of_champions_is_tried_once(root: Path) -> None:
    mine = begin_toy(root)
    first = Lineage(mine, set_delay(plant_delays(), "BLEND", 0), plant_delays())
    second = Lineage(mine, set_delay(plant_delays(), "COMPACT", 0), plant_delays())
    miss = record(plant_delays(), plant_delays(), campaign=mine.name)
    tally = Tally(Run("a", Budget()), trials=[miss, miss])
    assert find_due_merge([first, second], tally, 3) is None, "they do not stand still"
    tally.add_trial(miss)
    due = find_due_merge([first, second], tally, 3)
    assert due == (first, second)
    text = merge_champions(due)
    assert text is not None and read_delays(text) == {"BLEND": 0, "COMPACT": 0}
    assert find_due_merge([first, second], tally, 3) is None, "it is tried again"
    first.champion = plant_delays()
    assert find_due_merge([first, second], tally, 3) is None, "a line without a gain"


def test_an_interrupted_loop_goes_on_with_its_lines(root: Path) -> None:
    mine = begin_toy(root)
    run_team(mine, [Author("a", lowers("BLEND", 0)), Author("b", slower(1))],
             lineages=2, trials=2)  # type: ignore[arg-type, list-item]
    run = load_run(mine.desk)
    assert run is not None
    first, second = open_lineages(mine, run, 2)
    assert first.start == second.start == second.champion == plant_delays()
    assert read_delays(first.champion) == {"BLEND": 0, "COMPACT": 1500}
    with Ledger.open(root) as ledger:
        assert Tally.count_run(ledger, mine.name, run).count == 2
        assert Tally.count_run(ledger, mine.name, Run("a", Budget())).count == 1


@pytest.mark.parametrize("words", [(0, 3, 2), (3, 3, 2), (2, 0, 2)])
def test_lines_without_agents_are_refused(words: tuple[int, int, int]) -> None:
    with pytest.raises(UsageError):
        check_lineages(*words)
