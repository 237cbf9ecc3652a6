"""The state of a running loop, and what each of its steps does to it: enter, wait, give up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from lance_autoresearch.agents import Agent
from lance_autoresearch.campaign.agent_place import AgentPlace
from lance_autoresearch.campaign.campaign import Campaign
from lance_autoresearch.campaign.coordinator import Coordinator, FinishedTrial
from lance_autoresearch.campaign.tally import AgentFacts, Tally, find_loop_dir, save_run
from lance_autoresearch.campaign.waiting import (
    Clock,
    GiveUp,
    RetryDelays,
    Streaks,
    Wait,
    describe_moment,
)
from lance_autoresearch.campaign.whole_queries import MeasureQueries
from lance_autoresearch.host.live import Notice

WORTH_A_LINE = ("agent", "wait", "suspended", "null")
"""Phases of a loop whose beginning is worth a line if progress cannot be redrawn."""
KEPT = 50
"""Finished trials and complaints that are held in memory: a run may have thousands."""


@dataclass(slots=True)
class Progress:
    """The state of this process's loop."""

    tally: Tally
    done: list[FinishedTrial] = field(default_factory=list)
    """The newest few; all of them are in the ledger."""
    ended: str = ""
    """Why it ended, in words."""
    may_go_on: bool = False
    """It ended before its time: interrupted, its keeps suspended, its agent to be fixed."""
    failed: bool = False
    """It ended because the agent or the machine could not go on."""
    signal: int | None = None
    """The signal that ended it, if one did."""
    streaks: Streaks = field(default_factory=Streaks)
    unfair: int = 0
    """Attempts in a row to end a suspension of keeps."""
    note: str = ""
    """The report to the agent on its last turn."""
    explained: str = ""
    """sha256 of the champion whose headroom was asked for last: once is enough."""
    complaints: list[str] = field(default_factory=list)
    """The faults of turns without a candidate."""

    def give_up(self, end: GiveUp) -> None:
        """End the loop because something cannot go on."""
        self.ended, self.failed, self.may_go_on = end.why, True, end.may_go_on

    def add_complaint(self, what: str) -> None:
        """Note the fault of a turn without a candidate."""
        self.complaints.append(what)
        del self.complaints[:-KEPT]


@dataclass(frozen=True, slots=True)
class LoopContext:
    """The parts of one loop."""

    coordinator: Coordinator
    campaign: Campaign
    agent: Agent
    kind: str
    show: Callable[[str], None]
    patience: RetryDelays
    clock: Clock = field(default_factory=Clock)
    stop: Callable[[], bool] = lambda: False
    """Whether a person asked for the end."""
    measure_queries: MeasureQueries | None = None
    """Measures each keep in whole queries, if that is asked for."""
    place: AgentPlace | None = None
    """Where the agent edits, if it is one of several; None: in the campaign's worktree."""
    facts: AgentFacts | None = None
    """What the agent does, if it is one of several."""
    lineage: Campaign | None = None
    """Campaign of the line of champions that is worked on; None: the loop's own campaign."""

    @property
    def line(self) -> Campaign:
        """Where trials are recorded and kept."""
        return self.lineage or self.campaign

    def move_to_line(self, line: Campaign) -> LoopContext:
        """The same with work on another line of champions, or on the loop's own."""
        return replace(self, lineage=None if line.name == self.campaign.name else line)

    @property
    def author(self) -> str:
        """Name of the agent, as rows say it."""
        return self.agent.name if self.facts is None else self.facts.name

    @property
    def kernel_path(self) -> Path:
        """The one file that the agent edits."""
        return self.campaign.kernel_path if self.place is None else self.place.kernel_path

    @property
    def worktree(self) -> Path:
        """The worktree that the kernel is in."""
        return self.campaign.worktree if self.place is None else self.place.worktree

    @property
    def home(self) -> Path:
        """The agent's private home."""
        if self.place is None:
            return find_loop_dir(self.campaign.desk) / "agent"
        return self.place.home

    def enter_phase(self, progress: Progress, phase: str, text: str) -> None:
        """Show and note what the loop does now."""
        self.show(Notice(text) if phase in WORTH_A_LINE else text)
        progress.tally.run.phase = phase
        if self.facts is not None:
            self.facts.phase, self.facts.since = phase, self.clock.now()
        save_run(self.campaign.desk, progress.tally.run)

    def wait(self, progress: Progress, wait: Wait, phase: str = "wait") -> None:
        """Pause, with its reason and end for other terminals; less if a limit comes first."""
        run, now = progress.tally.run, self.clock.now()
        deadline = progress.tally.deadline
        text, until = wait.why, wait.until
        if deadline is not None and deadline < until:
            until = deadline
            text += f"; the loop's time is over before that, at {describe_moment(until, now)}"
        if wait.worth_a_line:
            run.wait_until, run.wait_why = until, text
            self.enter_phase(progress, phase, text)
        while (left := until - self.clock.now()) > 0 and not self.stop():
            if progress.tally.find_reached_limit():
                break
            self.clock.sleep(min(self.clock.slice_s, left))
        run.wait_until, run.wait_why = None, ""
        progress.ended = progress.ended or progress.tally.find_reached_limit()

    def restore_champion(self) -> None:
        """Put the champion's text back in the kernel's place."""
        if self.place is not None:
            self.place.put_kernel(self.coordinator.champion_text)
            return
        with self.campaign.desk.hold_lock():
            self.campaign.desk.place_kernel(self.coordinator.champion_text)
