"""The campaign in which a loop runs, its interrupted run, and the rules for its budget."""

from __future__ import annotations

import os
from pathlib import Path

from lance_autoresearch.campaign.beginning import begin_campaign
from lance_autoresearch.campaign.campaign import Campaign, enter_tier, load_campaign
from lance_autoresearch.campaign.kernel_under_test import find_newest_campaign, require_kernel
from lance_autoresearch.campaign.tally import Budget, Run, load_run
from lance_autoresearch.errors import UsageError
from lance_autoresearch.rules.policy import DEFAULT, Policy


def open_campaign(root: Path, target: str, name: str | None, *, resume: bool) -> Campaign:
    """The named campaign, the newest on the target, or a new one.

    Args:
        resume: an interrupted loop shall go on, so the campaign must exist.

    Raises:
        UsageError: it is on another target, or there is none to go on with.
    """
    where = load_campaign(root, name) if name else find_newest_campaign(root, target)
    if where is None and resume:
        raise UsageError(f"no campaign on {target}, so no loop to go on with",
                         next=f"./lar loop {target}")
    where = where or begin_campaign(root, target)
    if where.target != target:
        raise UsageError(f"campaign '{where.name}' is on {where.target}",
                         next=f"./lar loop {where.target} --campaign {where.name}")
    require_kernel(where)
    enter_tier(where)
    return where


def choose_policy(budget: Budget) -> Policy:
    """The rules, strict enough for the planned number of trials."""
    return DEFAULT.adapt_to_trials(budget.trials or 0)


def find_interrupted_run(where: Campaign) -> Run:
    """The campaign's run that was killed or interrupted, or whose keeps were suspended.

    Raises:
        UsageError: there is none.
    """
    run = load_run(where.desk)
    if run is None or (run.ended and not run.may_go_on):
        why = f"it ended: {run.ended}" if run else "none was begun"
        raise UsageError(f"no interrupted loop in campaign '{where.name}' ({why})",
                         next=f"./lar loop {where.target} --campaign {where.name}")
    run.ended, run.may_go_on, run.pid = "", False, os.getpid()
    return run
