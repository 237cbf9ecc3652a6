"""`lar loop`: an agent drives trials until a budget is spent."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from lance_autoresearch.world import host

PAID = ("claude", "codex", "gemini", "opencode", "cursor-agent")
"""Agents that spend money; named when found, never started unasked."""


def loop(
    target: str,
    *,
    agent: str = "tune",
    record: Path | None = None,
    trials: int | None = None,
    hours: float | None = None,
    plateau: int | None = None,
    campaign: str | None = None,
    json: bool = False,
) -> int:
    """Let an agent drive trials until a budget is spent.

    Without --agent it is `tune`, which needs no account: it turns the constants of the kernel
    that are marked `// tune: 1 2 4 8`. `replay` proposes the kernels of a record.

    Ctrl-C once finishes the trial that runs, twice stops at once.

    Args:
        target: name of the target.
        agent: tune, replay, or `module:Class` of your own.
        record: directory with lineage.toml, for --agent replay.
        trials: stop after so many.
        hours: stop after so long.
        plateau: stop after so many trials without a keep.
        campaign: go on with this one; by default the newest on the target, or a new one.
        json: one JSON object per trial.
    """
    from lance_autoresearch.campaigns.agents import load_agent
    from lance_autoresearch.campaigns.campaign import repair
    from lance_autoresearch.campaigns.driving import drive
    from lance_autoresearch.campaigns.loop import Budget
    from lance_autoresearch.errors import UsageError

    root = host.find_root()
    for line in repair(root):
        print(line, file=sys.stderr)
    maker = load_agent(agent)
    if agent == "replay":
        if record is None:
            raise UsageError("replay needs a record", next=f"./lar loop {target} --agent replay "
                             "--record records/ideas/pq-l2")
        driver = maker(record)
    else:
        driver = maker()
    if agent == "tune":
        found = [name for name in PAID if shutil.which(name)]
        if found:
            print(f"agents found here: {', '.join(found)}; `tune` is used, it costs nothing",
                  file=sys.stderr)
    budget = Budget(trials, hours, plateau)
    drive(root, target, driver, budget, campaign=campaign, json=json,
          kind="replay" if agent == "replay" else "trial")
    return 0
