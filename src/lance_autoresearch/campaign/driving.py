"""A loop from its command to its end: opens or begins the campaign, runs the loop, prints its end.

    drive_loop(root, "hamming", TuneAgent(), Budget(trials=20))
"""

from __future__ import annotations

import signal
from pathlib import Path

from lance_autoresearch.agents import Agent
from lance_autoresearch.campaign.campaign import Campaign
from lance_autoresearch.campaign.champion_check import check_champion
from lance_autoresearch.campaign.coordinator import Coordinator
from lance_autoresearch.campaign.hooks import Hooks, notify
from lance_autoresearch.campaign.lineages import TeamPlan
from lance_autoresearch.campaign.loop import (
    SOLO,
    Budget,
    Clock,
    EndedBySignal,
    Progress,
    RetryDelays,
    join_names,
    raise_on_signals,
    run_loop,
)
from lance_autoresearch.campaign.loop_output import (
    make_event_printer,
    print_begin,
    print_end,
    print_trial,
)
from lance_autoresearch.campaign.opening import choose_policy, find_interrupted_run, open_campaign
from lance_autoresearch.campaign.tally import lock_loop
from lance_autoresearch.campaign.whole_queries import prepare_queries
from lance_autoresearch.errors import LarError, UsageError
from lance_autoresearch.host.live import Live
from lance_autoresearch.host.phases import Phases


def drive_loop(
    root: Path,
    target: str,
    agent: Agent,
    budget: Budget,
    *,
    campaign: str | None = None,
    json: bool = False,
    kind: str = "trial",
    resume: bool = False,
    hooks: Hooks | None = None,
    patience: RetryDelays | None = None,
    clock: Clock | None = None,
    integrate: str | None = None,
    team: TeamPlan = SOLO,
) -> Progress:
    """Open or go on with a campaign and run the loop in it, printing as it goes.

    Args:
        resume: go on with the campaign's interrupted loop: its counts, limits and deadline.
        integrate: measure each keep in whole queries of this program (`integrate.workspace`).
        team: several agents that work at the same time, `agent` among them.

    Raises:
        MachineError: whole queries are asked for and not set up.
        UsageError: no interrupted loop to go on with, another loop runs in the campaign.
    """
    hooks = hooks or Hooks()
    if fault := hooks.find_faults():
        raise UsageError(fault, allowed=["http://...", "https://..."])
    where = open_campaign(root, target, campaign, resume=resume)
    with lock_loop(where.desk):
        try:
            with raise_on_signals():
                progress = _run_in_campaign(
                    where, agent, budget, hooks, json=json, kind=kind, resume=resume,
                    patience=patience, clock=clock, integrate=integrate, team=team,
                )  # fmt: skip
        except EndedBySignal as caught:  # before the first turn or after the last
            _notify_failed(where, hooks, f"ended by {signal.Signals(caught.args[0]).name}")
            raise SystemExit(128 + caught.args[0]) from None
        except (Exception, KeyboardInterrupt) as error:
            what = error.what if isinstance(error, LarError) else type(error).__name__
            _notify_failed(where, hooks, f"failed: {what}")
            raise
        print_end(progress, where, json, hooks)
    return progress


def _run_in_campaign(
    where: Campaign,
    agent: Agent,
    budget: Budget,
    hooks: Hooks,
    *,
    json: bool,
    kind: str,
    resume: bool,
    patience: RetryDelays | None,
    clock: Clock | None,
    integrate: str | None,
    team: TeamPlan,
) -> Progress:
    """The loop with its coordinator and its output."""
    with Live(enabled=not json) as live:
        run = find_interrupted_run(where) if resume else None
        show = make_event_printer() if json else live.show
        phases = Phases(show)
        limits = run.budget if run else budget
        print_begin(where, join_names(team.agents or (agent,)), limits, json, resume)
        policy, several = choose_policy(limits), len(team.agents) > 1
        champion = where.read_champion()
        measure = None
        if integrate is not None:
            measure = prepare_queries(where.root, where.target, show, integrate)
        with Coordinator(
            where.root, where.target, champion=champion, phases=phases, policy=policy
        ) as coordinator:
            check_champion(coordinator.bench, champion, where=f"campaign {where.name}")
            return run_loop(
                coordinator, where, agent, budget, show,
                lambda done: print_trial(done, live, json, where, hooks, named=several),
                kind=kind, run=run, patience=patience, clock=clock, measure_queries=measure,
                team=team,
            )


def _notify_failed(where: Campaign, hooks: Hooks, ended: str) -> None:
    """Tell the person's command of an end that is no end of the loop's own."""
    body = {"v": 1, "event": "end", "campaign": where.name, "target": where.target, "ended": ended}
    notify(hooks.end, hooks, body)
