"""Many trials on one target: an agent proposes, the trial judges, the campaign follows.

    run_loop(coordinator, campaign, agent, Budget(trials=50), show, report)

    turn ── propose ──> candidate ── attempt ──> row, keep or revert ──> next turn
      │                                └─ spoiled by the machine: the same again (`judge_turn`)
      ├─ every tenth timed trial is a hidden null (`nulls`), before the agent is asked
      └─ failed: restore the file, then wait, ask again or end, by the kind of failure (`waiting`)

Ctrl-C once finishes the turn and trial that run and ends the loop; twice stops at once; SIGTERM
and SIGHUP end the turn and the loop at once (the ledger and the branch are consistent at every
instant, so nothing is lost either way).
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from lance_autoresearch.agents import Agent
from lance_autoresearch.campaign.agent_turn import ask_agent
from lance_autoresearch.campaign.before_turn import has_room, wait_for_fair_turn
from lance_autoresearch.campaign.campaign import Campaign
from lance_autoresearch.campaign.coordinator import Coordinator, FinishedTrial
from lance_autoresearch.campaign.judge_turn import judge_proposal
from lance_autoresearch.campaign.lineages import TeamPlan
from lance_autoresearch.campaign.progress import LoopContext, Progress
from lance_autoresearch.campaign.tally import SEPARATOR, Budget, Run, Tally, save_run
from lance_autoresearch.campaign.team import run_team_turns
from lance_autoresearch.campaign.waiting import Clock, RetryDelays
from lance_autoresearch.campaign.whole_queries import MeasureQueries
from lance_autoresearch.host.live import Notice

SOLO = TeamPlan()
"""One agent."""

__all__ = ["Budget",
    "Clock", "Progress", "RetryDelays", "catch_interrupt", "run_loop"]


class EndedBySignal(BaseException):
    """SIGTERM or SIGHUP came; `args[0]` is its number."""


def run_loop(
    coordinator: Coordinator,
    campaign: Campaign,
    agent: Agent,
    budget: Budget,
    show: Callable[[str], None],
    report: Callable[[FinishedTrial], None],
    *,
    kind: str = "trial",
    run: Run | None = None,
    patience: RetryDelays | None = None,
    clock: Clock | None = None,
    measure_queries: MeasureQueries | None = None,
    team: TeamPlan = SOLO,
) -> Progress:
    """Run trials until the budget is spent, the agent has no more ideas, or a signal comes.

    Args:
        show: live progress (one line, replaced).
        report: called with every finished trial.
        kind: of the rows; `replay` is exempt from being answered by memory.
        run: go on with this one, its own budget in force; None begins a new one.
        clock: in place of the machine's.
        measure_queries: measures each keep in whole queries of Lance; None: none is.
        team: several agents that work at the same time, `agent` among them.
    """
    clock = clock or Clock()
    if run is None:
        last = coordinator.ledger.list_trials(limit=1)
        names, after = join_names(team.agents or (agent,)), last[-1].id if last else 0
        run = Run(names, budget, after=after, begun=clock.now())
    tally = Tally.count_run(coordinator.ledger, campaign.name, run)
    tally.now = clock.now
    progress = Progress(tally)
    asked = Notice("finishing this turn; Ctrl-C again stops at once")
    with catch_interrupt(lambda: show(asked)) as stop, raise_on_signals():
        desk = LoopContext(
            coordinator, campaign, agent, kind, show, patience or RetryDelays(), clock, stop,
            measure_queries,
        )
        try:
            if len(team.agents) > 1:
                run_team_turns(desk, progress, team, report)
            else:
                _run_turns(desk, progress, report)
        except EndedBySignal as caught:
            name = signal.Signals(caught.args[0]).name
            progress.ended, progress.may_go_on = f"ended by {name}", True
            progress.signal = caught.args[0]
    run.ended, run.may_go_on, run.phase = progress.ended, progress.may_go_on, "ended"
    run.wait_until, run.wait_why = None, ""
    save_run(campaign.desk, run)
    return progress


def join_names(agents: Sequence[Agent]) -> str:
    """Names of a loop's agents, as `Run.agent` says them."""
    return SEPARATOR.join(agent.name for agent in agents)


def _run_turns(
    desk: LoopContext, progress: Progress, report: Callable[[FinishedTrial], None]
) -> None:
    """Turn after turn until `ended` says why not."""
    progress.ended = progress.tally.find_reached_limit()
    while not progress.ended:
        fair = has_room(desk, progress) and wait_for_fair_turn(desk, progress)
        proposal = ask_agent(desk, progress) if fair else None
        if proposal is not None:
            for done in judge_proposal(desk, progress, proposal):
                report(done)
            progress.ended = progress.ended or progress.tally.find_reached_limit()
        if desk.stop() and not progress.ended:
            progress.ended, progress.may_go_on = "interrupted", True


# -- stopping ----------------------------------------------------------------------------------


@contextmanager
def raise_on_signals() -> Iterator[None]:
    """SIGTERM and SIGHUP raise EndedBySignal, once; a SIGHUP that is ignored (nohup) stays so.

    In another thread than the main one, where no handler can be set, nothing changes.
    """
    def end(number: int, _frame: FrameType | None) -> None:
        for name in caught:
            signal.signal(name, signal.SIG_IGN)
        raise EndedBySignal(number)

    main = threading.current_thread() is threading.main_thread()
    wanted = (signal.SIGTERM, signal.SIGHUP) if main else ()
    caught = [name for name in wanted if signal.getsignal(name) is not signal.SIG_IGN]
    before = [(name, signal.signal(name, end)) for name in caught]
    try:
        yield
    finally:
        for name, handler in before:
            signal.signal(name, handler)


@contextmanager
def catch_interrupt(notify: Callable[[], None] = lambda: None) -> Iterator[Callable[[], bool]]:
    """The first Ctrl-C only sets a flag and gets an answer; the second raises KeyboardInterrupt."""
    asked = False

    def ask(_signal: int, _frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True
        notify()

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield lambda: asked
    finally:
        signal.signal(signal.SIGINT, before)
