"""`kill -9` at random instants: no finished row is lost, no kernel is half kept.

Real SQLite, real git, a real worktree, a real process. Half of the kills take git along (the
whole process group), half leave it an orphan. The states between two steps of a keep that are
too short to hit often are built by hand in `test_campaign`.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from campaign_parts import FIRST, TARGET, checkout, git, kernel, record
from tiers import fast_for

from lance_autoresearch.campaign import campaign
from lance_autoresearch.host.git_worktree import find_git_dir
from lance_autoresearch.ledger import Ledger, hash_bytes
from lance_autoresearch.records import Verdict

DRIVER = Path(__file__).parents[1] / "kill_driver.py"


def killed(rng: random.Random, longest_s: float, *args: str) -> list[str]:
    """Run the driver, kill it at a random instant, return the lines it had printed."""
    with driver(*args) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        time.sleep(rng.uniform(0, longest_s))
        if rng.random() < 0.5:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
        printed = process.stdout.read().decode()
    assert process.returncode == -signal.SIGKILL, "the driver failed by itself"
    return printed.split("\n")[:-1]


def driver(*args: str) -> subprocess.Popen[bytes]:
    """The driver, in a process group of its own."""
    command = [sys.executable, str(DRIVER), *args]
    return subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)


def died(root: Path, what: str) -> campaign.Campaign:
    """The campaign that the driver had begun when it died by itself, its intent still there."""
    with driver(what, str(root)) as process:
        process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    with Ledger.open(root) as ledger:
        (row,) = ledger.list_campaigns()
    mine = campaign.Campaign(root, row.name, row.target)
    intent = mine.desk.read_intent()
    assert intent is not None and intent.verb == "create"
    return mine


def trial_seconds(mine: campaign.Campaign) -> float:
    """How long a keep takes on this machine as busy as it is now, at most 0.25 s."""
    begun = time.monotonic()
    for n in range(4):
        mine.record_trial(record(kernel(n), mine.read_champion(), Verdict.KEEP), kernel(n))
    return min((time.monotonic() - begun) / 4, 0.25)


def judged_kernels(mine: campaign.Campaign) -> set[str]:
    """Digests of all kernels the ledger has a row about."""
    with Ledger.open(mine.root) as ledger:
        return {row.record.kernel for row in ledger.list_trials(campaign=mine.name)}


def assert_whole(mine: campaign.Campaign) -> None:
    """Ledger, branch, index and worktree of a campaign agree."""
    champion = mine.find_champion()
    text = mine.read_champion()
    assert hash_bytes(text) == champion.kernel
    tip = git(mine.root, "rev-parse", mine.branch)
    assert tip == champion.commit
    shown = git(mine.root, "show", f"{tip}:{mine.desk.kernel}").encode()
    assert shown == text.strip()
    assert git(mine.worktree, "diff", "--cached", "--stat") == ""
    assert [p.name for p in mine.desk.private.iterdir()] == ["lock"]
    lying = hash_bytes(mine.read_kernel())
    assert lying == champion.kernel or lying not in judged_kernels(mine)


@pytest.mark.parametrize("kills", fast_for([10, 60], 10))
def test_kills_while_keeping_and_reverting(kills: int, tmp_path: Path) -> None:
    root = checkout(tmp_path / "r")
    mine = campaign.create_campaign(root, TARGET, FIRST, origin="upstream")
    seed = random.SystemRandom().getrandbits(30)
    print("seed", seed)
    rng = random.Random(seed)
    longest_s = trial_seconds(mine) * 4
    finished: set[int] = set()
    halfway = unjudged = 0
    for i in range(kills):
        said = killed(rng, longest_s, "trials", str(root), mine.name, str(seed + i))
        finished |= {int(line) for line in said}
        halfway += mine.desk.read_intent() is not None
        lying, judged = mine.read_kernel(), judged_kernels(mine)
        campaign.repair_campaigns(root)
        if hash_bytes(lying) not in judged:
            # Nobody has judged this text yet: it is not ours to take away.
            assert mine.read_kernel() == lying
            unjudged += 1
        assert campaign.repair_campaigns(root) == []
        with Ledger.open(root) as ledger:
            assert finished <= {row.id for row in ledger.list_trials()}
        found = campaign.verify_ledger(root)
        assert found.fault is None
        assert found.witnessed == found.keeps
        assert_whole(mine)
    assert len(finished) >= kills / 4, "the driver hardly ran: the kills prove nothing"
    assert 0 < unjudged < kills, "every kill fell into the same kind of instant"
    assert halfway >= kills / 10, "hardly a kill fell inside a decision"


@pytest.mark.parametrize("kills", fast_for([4, 12], 4))
def test_kills_while_starting_campaigns(kills: int, tmp_path: Path) -> None:
    root = checkout(tmp_path / "r")
    rng = random.Random()
    finished: set[str] = set()
    longest_s = trial_seconds(campaign.create_campaign(root, TARGET, FIRST, origin="upstream")) * 3
    for _ in range(kills):
        finished |= set(killed(rng, longest_s, "starts", str(root)))
        campaign.repair_campaigns(root)
        assert campaign.repair_campaigns(root) == []
        with Ledger.open(root) as ledger:
            born = ledger.list_campaigns()
        assert finished <= {row.name for row in born}
        for row in born:
            mine = campaign.Campaign(root, row.name, row.target)
            assert_whole(mine)
            assert mine.read_kernel() == mine.read_champion()
    assert campaign.verify_ledger(root).fault is None


def test_a_kernel_edited_after_a_killed_start_is_not_taken_away(tmp_path: Path) -> None:
    """The worktree looks finished, so somebody works in it; `lar try` then repairs first."""
    mine = died(checkout(tmp_path / "r"), "start-dies")
    assert mine.read_kernel() == FIRST
    mine.kernel_path.write_bytes(kernel(1))
    notes = mine.worktree / "notes.txt"
    notes.write_text("why it should be faster")
    assert campaign.repair_campaigns(mine.root) == []
    assert mine.read_kernel() == kernel(1) and notes.exists()
    assert_whole(mine)


def test_a_worktree_that_git_died_making_is_made_again(tmp_path: Path) -> None:
    root = checkout(tmp_path / "r")
    (root / ".git" / "info" / "attributes").write_text("*.md filter=die\n")
    git(root, "config", "filter.die.smudge", "kill -9 0")  # the whole group, git and driver
    mine = died(root, "starts")
    assert mine.worktree.is_dir() and find_git_dir(mine.worktree) is not None
    git(root, "config", "--unset", "filter.die.smudge")
    (said,) = campaign.repair_campaigns(root)
    assert "worktree made" in said
    assert git(mine.worktree, "status", "--porcelain") == ""
    assert mine.read_kernel() == FIRST
    assert_whole(mine)
