"""The process that `test_kill` kills: keeps and reverts, or begins campaigns, until it dies.

    python kill_driver.py trials ROOT CAMPAIGN SEED     prints a trial's id once it is recorded
    python kill_driver.py starts ROOT                   prints a campaign's name once it is made
    python kill_driver.py start-dies ROOT               dies when the first is made, all but said
"""

from __future__ import annotations

import os
import random
import signal
import sys
from pathlib import Path

from campaign_parts import FIRST, TARGET, record

from lance_autoresearch.campaign import campaign
from lance_autoresearch.campaign.settle import CampaignWorkspace
from lance_autoresearch.records import Verdict


def trials(root: Path, name: str, seed: int) -> None:
    """Judge one kernel after another without measuring."""
    rng = random.Random(seed)
    mine = campaign.load_campaign(root, name)
    print("ready", flush=True)
    while True:
        text = b"// %d\n" % rng.getrandbits(62)
        new = mine.kernel_path.with_name("new")
        new.write_bytes(text)
        new.replace(mine.kernel_path)
        verdict = rng.choice([Verdict.KEEP, Verdict.REVERT, Verdict.INCORRECT])
        trial = mine.record_trial(record(mine.read_kernel(), mine.read_champion(), verdict), text)
        print(trial, flush=True)


def starts(root: Path) -> None:
    """Begin one campaign after another."""
    print("ready", flush=True)
    while True:
        print(campaign.create_campaign(root, TARGET, FIRST, origin="upstream").name, flush=True)


def die(_desk: CampaignWorkspace) -> None:
    """In place of `Desk.clear_intent`: the intent stays."""
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    if sys.argv[1] == "trials":
        trials(Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
    else:
        if sys.argv[1] == "start-dies":
            CampaignWorkspace.clear_intent = die  # type: ignore[method-assign]
        starts(Path(sys.argv[2]))
