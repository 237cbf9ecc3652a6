"""`kill -9` in the middle of real trials: nothing keeps running, nothing is half-kept.

`test_kill` kills the deciding and recording hundreds of times without measuring; here the whole
command dies, with conductor, box and workers at work, at instants spread over a trial.
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
from tiers import fast_for

from lance_autoresearch.campaign import campaign as campaigns
from lance_autoresearch.campaign.beginning import begin_campaign
from lance_autoresearch.host import scratch
from lance_autoresearch.host.git import Git
from lance_autoresearch.ledger import Ledger, hash_bytes

ROOT = Path(__file__).resolve().parents[2]
IDEA = ROOT / "records" / "ideas" / "pq-l2" / "01-table-tree.rs"

pytestmark = pytest.mark.timing


@pytest.fixture(scope="module")
def campaign() -> campaigns.Campaign:
    return begin_campaign(ROOT, "pq-l2")


def descendants(pid: int) -> set[int]:
    """All processes below one, by walking /proc."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int(
                    (entry / "stat").read_text().rsplit(")", 1)[1].split()[1]
                )
            except (OSError, ValueError, IndexError):
                continue
    found, fresh = set(), {pid}
    while fresh:
        fresh = {p for p, parent in parents.items() if parent in fresh} - found
        found |= fresh
    return found


def living(pids: set[int]) -> set[int]:
    """Those that still exist and are no zombies."""
    alive = set()
    for pid in pids:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except OSError:
            continue
        if state != "Z":
            alive.add(pid)
    return alive


@pytest.mark.parametrize("kills", fast_for([2, 8], 2))
def test_a_killed_trial_leaves_nothing_behind(
    kills: int, campaign: campaigns.Campaign
) -> None:
    draw = random.Random(14)
    for number in range(kills):
        campaign.kernel_path.write_bytes(IDEA.read_bytes() + f"// {number}\n".encode())
        command = [str(Path(sys.executable).parent / "lar"), "try", "pq-l2", "-m", f"kill {number}"]
        process = subprocess.Popen(
            command, cwd=campaign.worktree, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={**os.environ, "LAR_ROOT": str(ROOT)},
        )
        time.sleep(draw.uniform(0.2, 6.0))
        below = descendants(process.pid)
        process.send_signal(signal.SIGKILL)
        process.wait()
        deadline = time.monotonic() + 10
        while living(below) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not living(below)
        campaigns.repair_campaigns(ROOT)
        check_consistent(campaign)


def check_consistent(campaign: campaigns.Campaign) -> None:
    """Branch, ledger and chain say the same; a kept kernel is the whole kernel."""
    assert campaigns.verify_ledger(ROOT).fault is None
    with Ledger.open(ROOT) as ledger:
        champion = ledger.find_champion(campaign.name)
    git = Git(ROOT)
    assert git.list_refs(campaign.desk.ref)[campaign.desk.ref] == champion.commit
    kept = git.read_file(champion.commit, campaign.desk.kernel)
    assert kept is not None and hash_bytes(kept) == champion.kernel


def test_scratch_of_dead_trials_is_swept() -> None:
    scratch.sweep_scratch(ROOT)
    left = [path for path in (ROOT / ".lar" / "tmp").glob("bench-*") if path.is_dir()]
    assert all(scratch.is_in_use(path) for path in left)
