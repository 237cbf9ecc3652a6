"""Many trials on one target: an agent proposes, the trial judges, the campaign follows.

    loop(rig, campaign, agent, Budget(trials=50), show)

Ctrl-C once finishes the trial that runs and ends the loop; twice stops at once (the ledger and
the branch are consistent at every instant, so nothing is lost either way).
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType

from lance_autoresearch.campaigns.agents import Agent, Proposal, Turn
from lance_autoresearch.campaigns.attempt import Done, attempt
from lance_autoresearch.campaigns.campaign import Campaign
from lance_autoresearch.judging.rig import Rig
from lance_autoresearch.judging.trial import Story
from lance_autoresearch.records import Verdict
from lance_autoresearch.world.phases import Phases


@dataclass(frozen=True, slots=True)
class Budget:
    """When to stop; the first limit reached ends the loop."""

    trials: int | None = None
    hours: float | None = None
    plateau: int | None = None
    """End after so many trials in a row without a keep."""


@dataclass(slots=True)
class Progress:
    """What the loop has done so far."""

    done: list[Done] = field(default_factory=list)
    ended: str = ""
    """Why it ended, in words."""
    begun: float = field(default_factory=time.monotonic)

    @property
    def misses(self) -> int:
        """Trials since the last keep."""
        for back, one in enumerate(reversed(self.done)):
            if one.record.verdict is Verdict.KEEP:
                return back
        return len(self.done)

    def over(self, budget: Budget) -> str:
        """The limit that is reached, or an empty string."""
        if budget.trials is not None and len(self.done) >= budget.trials:
            return f"{budget.trials} trials done"
        if budget.hours is not None and time.monotonic() - self.begun >= budget.hours * 3600:
            return f"{budget.hours:g} hours are over"
        if budget.plateau is not None and self.misses >= budget.plateau:
            return f"plateau: {self.misses} trials without a keep"
        return ""


def loop(
    rig: Rig,
    campaign: Campaign,
    agent: Agent,
    budget: Budget,
    show: Callable[[str], None],
    report: Callable[[Done], None],
    *,
    kind: str = "trial",
) -> Progress:
    """Run trials until the budget is spent, the agent has no more ideas, or Ctrl-C.

    Args:
        show: live progress (one line, replaced).
        report: called with every finished trial.
        kind: of the rows; `replay` is exempt from being answered by memory.
    """
    progress = Progress()
    with polite_interrupt() as stop:
        while not progress.ended:
            proposal = agent.propose(_turn(rig, campaign, progress))
            if proposal is None:
                progress.ended = f"{agent.name} has nothing left to try"
                break
            done = _one(rig, campaign, agent, proposal, show, kind)
            progress.done.append(done)
            report(done)
            progress.ended = "interrupted" if stop() else progress.over(budget)
    return progress


def _turn(rig: Rig, campaign: Campaign, progress: Progress) -> Turn:
    history = tuple(one.record for one in progress.done)
    return Turn(rig.target.name, rig.champion_text, campaign.kernel_path, history)


def _one(
    rig: Rig,
    campaign: Campaign,
    agent: Agent,
    proposal: Proposal,
    show: Callable[[str], None],
    kind: str,
) -> Done:
    rig.phases = Phases(show)
    story = Story(
        proposal.hypothesis, agent.name, kind, campaign.name,
        tokens=proposal.tokens, cost_usd=proposal.cost_usd,
    )
    done = attempt(rig, proposal.text, story, campaign)
    if done.record.verdict is Verdict.KEEP:
        rig.crown(proposal.text)
    return done


@contextmanager
def polite_interrupt() -> Iterator[Callable[[], bool]]:
    """The first Ctrl-C only sets a flag; the second raises KeyboardInterrupt."""
    asked = False

    def ask(_signal: int, _frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield lambda: asked
    finally:
        signal.signal(signal.SIGINT, before)
