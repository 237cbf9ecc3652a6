"""A loop's limits and its costs so far, so that it can go on after any kill.

    Budget(trials=50, usd=5.0)     the limits; the first one reached ends the loop
    Run                            one loop over a campaign: .lar/loops/<campaign>/loop.json
    Tally                          run + rows of the ledger -> trials, misses, gain, USD

Trials, keeps and their cost are counted from the ledger; the file holds only what the ledger
cannot know: where the loop began, its limits, and what turns without a candidate have cost.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from lance_autoresearch.campaign.settle import CampaignWorkspace
from lance_autoresearch.errors import UsageError
from lance_autoresearch.host.files import write_atomically
from lance_autoresearch.host.lock_files import BusyLock, hold_lock_file, is_locked
from lance_autoresearch.ledger import Ledger
from lance_autoresearch.ledger.demotions import apply_demotions
from lance_autoresearch.ledger.kinds import is_idea
from lance_autoresearch.records import Results, TrialRecord, Verdict

LOOP_LOCK = "loop.lock"
PROBE_S = 0.2
"""`lar status` holds a loop's lock for an instant to see whether it is free."""
WHOLE = 50
"""The newest trials, this many, are held with all their numbers: prompts look no further back."""

RETYPED = ("acp:", "cmd:", "replay")
"""Agents whose name does not tell the command line or the record they were started with."""


SEPARATOR = ", "
"""Between the names of several agents in `Run.agent`."""


@dataclass(frozen=True, slots=True)
class Budget:
    """When to stop; the first limit reached ends the loop."""

    trials: int | None = None
    hours: float | None = None
    """Wall clock from the loop's beginning; sleep and reboots count."""
    plateau: int | None = None
    """End after this number of trials in a row without a keep."""
    usd: float | None = None
    until_gain: float | None = None
    """End when the champion is this much faster, in %, than the first champion of the campaign."""
    failures: int = 5
    """End after this number of turns in a row in which the agent brought no candidate."""

    def find_faults(self) -> list[str]:
        """What is wrong with the limits, all of it."""
        wanted = {"trials": self.trials, "hours": self.hours, "plateau": self.plateau,
                  "budget-usd": self.usd, "until-gain": self.until_gain,
                  "max-failures": self.failures}
        return [f"--{name} must be above 0" for name, value in wanted.items()
                if value is not None and not value > 0]


@dataclass(slots=True)
class AgentFacts:
    """What one of several agents does now, for other terminals; its trials are in the ledger."""

    name: str
    """As rows name it: `claude/2`."""
    line: str = ""
    """Campaign of the line of champions that it works on, if it is not the loop's own."""
    phase: str = "begin"
    """begin, agent, queue, trial, idle, wait or ended."""
    since: float = 0.0
    """When that began, unix seconds."""
    wait_until: float | None = None
    wait_why: str = ""
    ended: str = ""
    """Why it brings no more candidates; the others go on."""


@dataclass(slots=True)
class Run:
    """One loop over a campaign."""

    agent: str
    budget: Budget = field(default_factory=Budget)
    after: int = 0
    """The ledger's newest trial when it began."""
    begun: float = field(default_factory=time.time)
    """Unix time."""
    remembered: int = 0
    """Proposals answered from the ledger: they wrote no row."""
    lost_usd: float = 0.0
    """Cost of turns that brought no candidate."""
    lost_tokens: int = 0
    phase: str = "begin"
    """begin, null, suspended, agent, trial, wait or ended: for other terminals."""
    ended: str = ""
    """Why it ended, for people; empty: it runs, or was killed."""
    may_go_on: bool = False
    """It ended before its time (interrupted, keeps suspended): `--resume` goes on with it."""
    wait_until: float | None = None
    """While it waits: until then, unix seconds..."""
    wait_why: str = ""
    """...for this reason."""
    lineages: list[str] = field(default_factory=list)
    """Campaigns beside this one that hold lines of champions of their own (`lineages`)."""
    agents: list[AgentFacts] = field(default_factory=list)
    """Of several agents that work at the same time; empty: there is one."""
    pid: int = field(default_factory=os.getpid)
    v: int = 1


def find_loop_dir(desk: CampaignWorkspace) -> Path:
    """Where a campaign's loop keeps its file, its lock and its agent's private home."""
    directory = desk.root / ".lar" / "loops" / desk.name
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    return directory


def save_run(desk: CampaignWorkspace, run: Run) -> None:
    """Write the run's file, whole or not at all."""
    write_atomically(find_loop_dir(desk) / "loop.json", json.dumps(asdict(run)).encode())


def load_run(desk: CampaignWorkspace) -> Run | None:
    """The campaign's newest run, or None; a damaged file is none."""
    try:
        fields = json.loads((find_loop_dir(desk) / "loop.json").read_bytes())
        if fields.pop("v") != 1:
            return None
        agents = [AgentFacts(**one) for one in fields.get("agents", ())]
        return Run(**fields | {"budget": Budget(**fields["budget"]), "agents": agents})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def format_resume(campaign: str, target: str, agent: str) -> str:
    """The command that goes on with a campaign's loop; a command line has to be given again."""
    words = f"./lar loop {target} --resume --campaign {campaign}"
    return f"{words} --agent ... (as before)" if must_be_retyped(agent) else words


def must_be_retyped(agent: str) -> bool:
    """Whether a run's agents (`Run.agent`) cannot be started again from their names."""
    return any(name.startswith(RETYPED) for name in agent.split(SEPARATOR))


@contextmanager
def lock_loop(desk: CampaignWorkspace) -> Iterator[None]:
    """One loop a campaign at a time. Raises UsageError if another runs."""
    with contextlib.ExitStack() as stack:
        lock = find_loop_dir(desk) / LOOP_LOCK
        try:
            stack.enter_context(hold_lock_file(lock, "exclusive", wait_s=PROBE_S))
        except BusyLock as error:
            raise UsageError(
                f"another loop runs in campaign '{desk.name}'",
                next=f"./lar loop {desk.target} --campaign OTHER, or ./lar start {desk.target}",
            ) from error
        for part in find_loop_dir(desk).glob(
            ".loop.json.*"
        ):  # of a loop that was killed in `save_run`
            part.unlink(missing_ok=True)
        yield


def is_loop_running(desk: CampaignWorkspace) -> bool:
    """Whether a process, of whatever namespace, holds the campaign's loop."""
    return is_locked(find_loop_dir(desk) / LOOP_LOCK)


@dataclass(slots=True)
class Tally:
    """A run's counts."""

    run: Run
    earlier: tuple[TrialRecord, ...] = ()
    """The campaign's trials before this run, oldest first."""
    trials: list[TrialRecord] = field(default_factory=list)
    """Trials of this run, also those of an earlier process; without remembered ones."""
    now: Callable[[], float] = time.time
    """Unix seconds."""

    @classmethod
    def count_run(cls, ledger: Ledger, campaign: str, run: Run) -> Tally:
        """Count from the ledger: ideas only, no null and no quoted figure."""
        all_rows = [
            row for name in (campaign, *run.lineages) for row in ledger.list_trials(campaign=name)
        ]
        known = apply_demotions(sorted(all_rows, key=lambda row: row.id))
        rows = [row for row in known if is_idea(row.record.kind)]
        whole = {row.id for row in rows[-WHOLE:]}
        ids = [(row.id, row.record if row.id in whole else slim_record(row.record)) for row in rows]
        earlier = tuple(record for number, record in ids if number <= run.after)
        return cls(run, earlier, [record for number, record in ids if number > run.after])

    def add_trial(self, record: TrialRecord) -> None:
        """Add a trial of this run; the numbers of an old one are dropped."""
        self.trials.append(record)
        if len(self.trials) > WHOLE:
            self.trials[-WHOLE - 1] = slim_record(self.trials[-WHOLE - 1])

    @property
    def history(self) -> tuple[TrialRecord, ...]:
        """All trials of the campaign, oldest first."""
        return (*self.earlier, *self.trials)

    @property
    def count(self) -> int:
        """Trials of this run, answered from memory or measured."""
        return len(self.trials) + self.run.remembered

    @property
    def misses(self) -> int:
        """Trials of this run since its last keep."""
        for back, record in enumerate(reversed(self.trials)):
            if record.verdict is Verdict.KEEP:
                return back
        return self.count

    @property
    def usd(self) -> float:
        """What the run has cost, turns without a candidate included."""
        return self.run.lost_usd + sum(record.cost_usd or 0.0 for record in self.trials)

    @property
    def usd_left(self) -> float | None:
        """The rest of the budget; None: no limit."""
        limit = self.run.budget.usd
        return None if limit is None else limit - self.usd

    @property
    def gain(self) -> float:
        """How much faster the champion is than the campaign's beginning, %: keeps multiplied.

        Of several lines of champions, the best one's.
        """
        kept = [r for r in self.history if r.verdict is Verdict.KEEP]
        lines = {record.campaign for record in kept}
        return max((_multiply_gains(r for r in kept if r.campaign == line) for line in lines),
                   default=0.0)

    @property
    def deadline(self) -> float | None:
        """When --hours are over, unix seconds; None: no limit."""
        hours = self.run.budget.hours
        return None if hours is None else self.run.begun + hours * 3600

    def find_reached_limit(self) -> str:
        """The limit that is reached, in words, or an empty string."""
        budget = self.run.budget
        if budget.trials is not None and self.count >= budget.trials:
            return f"{budget.trials} trials done"
        if budget.hours is not None and self.now() - self.run.begun >= budget.hours * 3600:
            if budget.hours < 0.1:
                return f"{3600 * budget.hours:.0f} s are over"
            return f"{budget.hours:g} hours are over"
        if budget.usd is not None and self.usd >= budget.usd:
            return f"{budget.usd:g} USD are spent"
        if budget.until_gain is not None and self.gain >= budget.until_gain:
            return f"gain of {self.gain:.2f}% reached"
        if budget.plateau is not None and self.misses >= budget.plateau:
            return f"plateau: {self.misses} trials without a keep"
        return ""


def _multiply_gains(kept: Iterable[TrialRecord]) -> float:
    return 100.0 * (math.prod(1.0 + (r.gain or 0.0) / 100.0 for r in kept) - 1.0)


def slim_record(record: TrialRecord) -> TrialRecord:
    """A trial without its numbers: what counting needs. A run of thousands stays small."""
    results = Results(rewrites=record.results.rewrites)
    return replace(record, results=results, stored=None, phases={}, immutable={}, machine={})
