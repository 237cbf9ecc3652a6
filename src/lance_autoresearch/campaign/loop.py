"""Many trials on one target: an agent proposes, the trial judges, the campaign follows.

    run_loop(coordinator, campaign, agent, Budget(trials=50), show, report)

    turn ── propose ──> candidate ── attempt ──> row, keep or revert ──> next turn
      └─ every tenth timed trial is a hidden null (`nulls`), before the agent is asked
              └─ failed: restore the file, ask again; five in a row end the loop
              └─ busy (rate limit, overload): wait longer each time, then ask again
              └─ fatal (not signed in): end

Ctrl-C once finishes the turn and trial that run and ends the loop; twice stops at once (the
ledger and the branch are consistent at every instant, so nothing is lost either way).
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType

from lance_autoresearch.agents import EMBEDDED, Agent, AgentFailed, Proposal, Turn
from lance_autoresearch.campaign.advice import find_advice
from lance_autoresearch.campaign.campaign import Campaign
from lance_autoresearch.campaign.coordinator import Coordinator, FinishedTrial, Story
from lance_autoresearch.campaign.nulls import run_due_null
from lance_autoresearch.campaign.tally import Budget, Run, Tally, find_loop_dir, save_run
from lance_autoresearch.campaign.undecided import find_earlier_pairs
from lance_autoresearch.errors import MachineError, UsageError
from lance_autoresearch.host.live import Notice
from lance_autoresearch.host.phases import Phases
from lance_autoresearch.records import PairTimes, TrialRecord, Verdict
from lance_autoresearch.text.plain_text import strip_text

__all__ = ["Budget", "Progress", "RetryDelays", "catch_interrupt", "run_loop"]

WORTH_A_LINE = ("agent", "wait", "suspended", "null")
"""Phases of a loop whose beginning is worth a line if progress cannot be redrawn."""
KEPT = 50
"""Finished trials and complaints that are held in memory: a run may have thousands."""


@dataclass(frozen=True, slots=True)
class RetryDelays:
    """How long the loop waits before it asks again. Seconds."""

    failed: float = 2.0
    busy: float = 60.0
    """Doubled each time..."""
    longest: float = 900.0
    """...up to this."""
    tries: int = 30
    """Busy answers in a row, then the loop ends: about seven hours."""
    machine: float = 5.0
    """Pause before a trial that the machine spoiled begins again."""


@dataclass(slots=True)
class Progress:
    """The state of this process's loop."""

    tally: Tally
    done: list[FinishedTrial] = field(default_factory=list)
    """The newest few; all of them are in the ledger."""
    ended: str = ""
    """Why it ended, in words."""
    may_go_on: bool = False
    """It ended before its time: interrupted, or its keeps are suspended."""
    failed: bool = False
    """It ended because the agent could not go on."""
    failures: int = 0
    """Turns in a row without a candidate."""
    busy: int = 0
    """Busy answers in a row."""
    unfair: int = 0
    """Attempts in a row to end a suspension of keeps."""
    note: str = ""
    """The report to the agent on its last turn."""
    complaints: list[str] = field(default_factory=list)
    """The faults of turns without a candidate."""


@dataclass(frozen=True, slots=True)
class LoopContext:
    """The parts of one loop."""

    coordinator: Coordinator
    campaign: Campaign
    agent: Agent
    kind: str
    show: Callable[[str], None]
    patience: RetryDelays


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
) -> Progress:
    """Run trials until the budget is spent, the agent has no more ideas, or Ctrl-C.

    Args:
        show: live progress (one line, replaced).
        report: called with every finished trial.
        kind: of the rows; `replay` is exempt from being answered by memory.
        run: go on with this one, its own budget in force; None begins a new one.
    """
    desk = LoopContext(coordinator, campaign, agent, kind, show, patience or RetryDelays())
    if run is None:
        last = coordinator.ledger.list_trials(limit=1)
        run = Run(agent.name, budget, after=last[-1].id if last else 0)
    progress = Progress(Tally.count_run(coordinator.ledger, campaign.name, run))
    asked = Notice("finishing this turn; Ctrl-C again stops at once")
    with catch_interrupt(lambda: show(asked)) as stop:
        progress.ended = progress.tally.find_reached_limit()
        while not progress.ended:
            fair = _wait_for_fair_turn(desk, progress, stop)
            proposal = _ask_agent(desk, progress, stop) if fair else None
            if proposal is not None:
                for done in _judge_proposal(desk, progress, proposal):
                    report(done)
                progress.ended = progress.ended or progress.tally.find_reached_limit()
            if stop() and not progress.ended:
                progress.ended, progress.may_go_on = "interrupted", True
    run.ended, run.may_go_on, run.phase = progress.ended, progress.may_go_on, "ended"
    save_run(campaign.desk, run)
    return progress


# -- before a turn -----------------------------------------------------------------------------


def _wait_for_fair_turn(desk: LoopContext, progress: Progress, stop: Callable[[], bool]) -> bool:
    """Whether to ask for a turn; else the call has waited. So no paid turn is lost."""
    def show(text: str) -> None:
        _enter_phase(desk, progress, "null", text)

    try:
        run_due_null(desk.coordinator, desk.campaign, show)
    except MachineError as error:
        progress.unfair += 1
        patience, what = desk.patience, strip_text(error.what, 300)
        if progress.unfair >= patience.tries:
            _give_up(progress, what)
            progress.may_go_on = True
            return False
        wait = min(patience.longest, patience.busy * 2.0 ** (progress.unfair - 1))
        _enter_phase(desk, progress, "suspended", f"{what}; measuring again in {wait:.0f} s")
        _pause(wait, lambda: stop() or bool(progress.tally.find_reached_limit()))
        progress.ended = progress.tally.find_reached_limit()
        return False
    progress.unfair = 0
    return True


# -- the agent's half of a turn ----------------------------------------------------------------


def _describe_wait(agent: str) -> str:
    return agent if agent in EMBEDDED else f"{agent} thinks"


def _ask_agent(desk: LoopContext, progress: Progress, stop: Callable[[], bool]) -> Proposal | None:
    """A candidate, or None: then the agent was done (`ended` says so) or it failed."""
    _enter_phase(desk, progress, "agent", _describe_wait(desk.agent.name))
    try:
        proposal = desk.agent.propose(_make_turn(desk, progress))
    except AgentFailed as failure:
        _handle_failure(desk, progress, failure, stop)
        return None
    if proposal is None:
        progress.ended = f"{desk.agent.name} has nothing left to try"
        return None
    progress.failures = progress.busy = 0
    progress.note = proposal.note
    unknown = proposal.cost_usd is None and progress.tally.run.budget.usd is not None
    if unknown and _is_paid(desk.agent):
        _give_up(progress, f"{desk.agent.name} does not say what a turn costs: --budget-usd "
                           "cannot be kept (with --price IN,OUT tokens are counted)")
    return proposal


def _make_turn(desk: LoopContext, progress: Progress) -> Turn:
    coordinator, campaign, tally = desk.coordinator, desk.campaign, progress.tally
    history = tally.history
    return Turn(
        coordinator.target.name, coordinator.champion_text, campaign.kernel_path,
        (*history, *_list_remembered(progress)),
        root=coordinator.bench.root,
        home=find_loop_dir(campaign.desk) / "agent",
        advice=_find_advice(desk, progress) if _is_paid(desk.agent) else (),
        note=progress.note,
        usd_left=tally.usd_left,
    )


def _list_remembered(progress: Progress) -> list[TrialRecord]:
    last = progress.done[-1:]
    return [done.record for done in last if done.remembered]  # the verdict to learn from


def _find_advice(desk: LoopContext, progress: Progress) -> tuple[str, ...]:
    """Advice from the last trial and from earlier campaigns."""
    last = progress.done[-1].record if progress.done else None
    if last is None and progress.tally.history:
        last = progress.tally.history[-1]
    coordinator = desk.coordinator
    return find_advice(
        coordinator.bench.root, coordinator.ledger, coordinator.target.name, last,
        desk.campaign.name,
    )  # fmt: skip


def _is_paid(agent: Agent) -> bool:
    """Whether a turn runs another party's program, which may cost money."""
    return bool(getattr(agent, "driven", False))


def _handle_failure(
    desk: LoopContext, progress: Progress, failure: AgentFailed, stop: Callable[[], bool]
) -> None:
    """Count the failure, restore the champion, and wait or end."""
    run = progress.tally.run
    run.lost_usd += failure.cost_usd or 0.0
    run.lost_tokens += failure.tokens or 0
    what = strip_text(failure.what, 300)
    progress.complaints.append(what)
    del progress.complaints[:-KEPT]
    progress.note = f"your last turn brought no candidate: {what}"
    desk.show(Notice(f"{desk.agent.name}: {what}"))
    _restore_champion(desk)
    if failure.kind == "fatal":
        hint = f" (next: {failure.next})" if failure.next else ""
        _give_up(progress, f"{desk.agent.name} cannot go on: {what}{hint}")
    elif failure.kind == "busy":
        progress.busy += 1
        wait = min(desk.patience.longest, desk.patience.busy * 2.0 ** (progress.busy - 1))
        if progress.busy >= desk.patience.tries:
            times = f"{progress.busy} times in a row"
            return _give_up(progress, f"{desk.agent.name} was busy {times}: {what}")
        _enter_phase(desk, progress, "wait", f"{what}; asking again in {wait:.0f} s")
        _pause(wait, lambda: stop() or bool(progress.tally.find_reached_limit()))
    else:
        progress.failures += 1
        if progress.failures >= run.budget.failures:
            turns = f"{progress.failures} turns in a row"
            why = f"{desk.agent.name} brought no candidate in {turns}; the last time: {what}"
            return _give_up(progress, why)
        _pause(desk.patience.failed, stop)
    progress.ended = progress.ended or progress.tally.find_reached_limit()
    return None


def _give_up(progress: Progress, why: str) -> None:
    progress.ended, progress.failed = why, True


def _restore_champion(desk: LoopContext) -> None:
    campaign = desk.campaign
    with campaign.desk.hold_lock():
        campaign.desk.place_kernel(desk.coordinator.champion_text)


# -- the judge's half --------------------------------------------------------------------------


def _judge_proposal(
    desk: LoopContext, progress: Progress, proposal: Proposal
) -> Iterator[FinishedTrial]:
    """The trial; an undecided one goes on once with more pairs, or begins again without any."""
    story = Story(
        proposal.hypothesis, desk.agent.name, desk.kind, desk.campaign.name,
        tokens=proposal.tokens, cost_usd=proposal.cost_usd, predicted=proposal.predicted,
    )
    _enter_phase(desk, progress, "trial", "trial")
    done = _run_attempt(desk, progress, proposal.text, story)
    yield done
    again = done.record.verdict is Verdict.INCONCLUSIVE and desk.kind == "trial"
    if not again or progress.ended or progress.tally.find_reached_limit():
        return
    try:
        before = find_earlier_pairs(desk.coordinator, proposal.text)
    except UsageError:
        before = ()
    free = Story(proposal.hypothesis, desk.agent.name, desk.kind, desk.campaign.name,
                 predicted=proposal.predicted)
    yield _run_attempt(desk, progress, proposal.text, free, before)


def _run_attempt(
    desk: LoopContext,
    progress: Progress,
    text: bytes,
    story: Story,
    before: tuple[PairTimes, ...] = (),
) -> FinishedTrial:
    """One trial, begun again (twice at most) if the machine failed."""
    coordinator = desk.coordinator
    for left in (2, 1, 0):
        coordinator.begin_phases(Phases(desk.show))
        try:
            done = coordinator.attempt(text, story, desk.campaign, earlier=before)
            break
        except MachineError as error:
            if not left:
                raise
            desk.show(Notice(f"the machine failed, once more: {strip_text(error.what, 120)}"))
            time.sleep(desk.patience.machine)
            coordinator.bench.conductor.close()
            coordinator.bench.conductor.start()
    progress.done.append(done)
    del progress.done[:-KEPT]
    if done.remembered:
        progress.tally.run.remembered += 1
        progress.tally.run.lost_usd += story.cost_usd or 0.0
        progress.tally.run.lost_tokens += story.tokens or 0
    else:
        progress.tally.add_trial(done.record)
    if done.record.verdict is Verdict.KEEP:
        coordinator.set_champion(text)
    return done


# -- waiting and stopping ----------------------------------------------------------------------


def _enter_phase(desk: LoopContext, progress: Progress, phase: str, text: str) -> None:
    desk.show(Notice(text) if phase in WORTH_A_LINE else text)
    progress.tally.run.phase = phase
    save_run(desk.campaign.desk, progress.tally.run)


def _pause(seconds: float, stop: Callable[[], bool]) -> None:
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0 and not stop():
        time.sleep(min(0.2, left))


@contextmanager
def catch_interrupt(told: Callable[[], None] = lambda: None) -> Iterator[Callable[[], bool]]:
    """The first Ctrl-C only sets a flag and gets an answer; the second raises KeyboardInterrupt."""
    asked = False

    def ask(_signal: int, _frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True
        told()

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield lambda: asked
    finally:
        signal.signal(signal.SIGINT, before)
