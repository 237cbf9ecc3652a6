"""One of several agents of a loop: its turns, its pauses, its share of the money.

    member.start_turn(usd, done)    the turn runs in a thread; `done(member)` when it ended
    member.receive()                its candidate, a pause, or None: it has left
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace

from lance_autoresearch.agents import Agent, Proposal, Turn
from lance_autoresearch.campaign.agent_place import make_place, remove_place
from lance_autoresearch.campaign.agent_turn import begin_turn, explain_last, receive_answer
from lance_autoresearch.campaign.champion_news import describe_move, order_history
from lance_autoresearch.campaign.coordinator import FinishedTrial
from lance_autoresearch.campaign.lineages import Lineage
from lance_autoresearch.campaign.progress import LoopContext, Progress
from lance_autoresearch.campaign.tally import AgentFacts
from lance_autoresearch.campaign.waiting import Wait
from lance_autoresearch.host.agent_sandbox import end_programs
from lance_autoresearch.host.cores import leave_core
from lance_autoresearch.host.live import Notice
from lance_autoresearch.ledger import hash_bytes
from lance_autoresearch.records import TrialRecord, Verdict

NICENESS = 5
"""Added to the priority of agents' programs: the judge comes first."""
JOIN_S = 15.0
"""How long the end of a loop waits for the threads of turns that it has ended."""


@dataclass(slots=True)
class Member:
    """One agent with its own place, history and pauses; the tally is the whole loop's."""

    desk: LoopContext
    progress: Progress
    lineage: Lineage
    champion: bytes | None = None
    """Text of the champion that its last turn began with."""
    newest: int = 0
    """The ledger's newest trial then."""
    undecided: bool = False
    """Its last candidate is undecided and lies in its file still."""
    answer: Future[Proposal | None] | None = None
    """Of the turn that runs or waits for the judge."""
    reserved_usd: float = 0.0
    pause_until: float = 0.0
    thread: threading.Thread | None = field(default=None, repr=False)

    @property
    def facts(self) -> AgentFacts:
        """What other terminals see of it."""
        assert self.desk.facts is not None
        return self.desk.facts

    @property
    def gone(self) -> bool:
        """Whether it brings no more candidates."""
        return bool(self.progress.ended)

    @property
    def made_from(self) -> str:
        """sha256 of the champion that its candidate was made from."""
        return "" if self.champion is None else hash_bytes(self.champion)

    def waits(self) -> bool:
        """Whether it will be asked later."""
        return not self.gone and self.answer is None

    def is_free(self) -> bool:
        """Whether it may be asked now."""
        return self.waits() and self.desk.clock.now() >= self.pause_until

    # -- a turn ------------------------------------------------------------------------------

    def start_turn(self, usd: float | None, done: Callable[[Member], None]) -> None:
        """Put the champion into its file and ask for a candidate in a thread."""
        self.facts.wait_until, self.facts.wait_why = None, ""
        turn = self._make_turn(usd)
        answer: Future[Proposal | None] = Future()
        self.answer, self.reserved_usd = answer, usd or 0.0
        core = self.desk.coordinator.bench.cores[0]
        self.thread = threading.Thread(
            target=self._run_turn, args=(turn, answer, core),
            name=self.facts.name, daemon=True,
        )
        answer.add_done_callback(lambda _: self._queue(done))
        self.thread.start()

    def _run_turn(self, turn: Turn, answer: Future[Proposal | None], core: int) -> None:
        """One turn in its thread; what it raises is raised where the answer is taken."""
        leave_core(core)
        if sys.platform == "linux":  # elsewhere it would be the whole process, the judge included
            os.setpriority(os.PRIO_PROCESS, 0, NICENESS)  # this thread and what it starts
        try:
            answer.set_result(
                self.desk.agent.propose(explain_last(self.desk, self.progress, turn))
            )
        except BaseException as error:
            answer.set_exception(error)

    def _queue(self, done: Callable[[Member], None]) -> None:
        self.facts.phase, self.facts.since = "queue", self.desk.clock.now()
        done(self)

    def _make_turn(self, usd: float | None) -> Turn:
        """Its turn: as for one agent, with what the others have changed since its last one."""
        coordinator, place = self.desk.coordinator, self.desk.place
        champion = coordinator.champion_text
        assert place is not None
        if place.read_kernel() is None or not self.undecided or champion != self.champion:
            place.put_kernel(champion)
        turn, news = begin_turn(self.desk, self.progress), self._read_news(champion)
        last = coordinator.ledger.list_trials(limit=1)
        self.champion, self.newest = champion, last[-1].id if last else 0
        history = self._order_history(turn)
        return replace(turn, history=history, advice=(*news, *turn.advice), usd_left=usd)

    def _order_history(self, turn: Turn) -> tuple[TrialRecord, ...]:
        """The trials of its line, its own newest one last; behind them a remembered verdict."""
        written = len(self.progress.tally.history)
        line = self.desk.line.name
        of_line = tuple(record for record in turn.history[:written] if record.campaign == line)
        return (*order_history(of_line, self.facts.name), *turn.history[written:])

    def _read_news(self, champion: bytes) -> tuple[str, ...]:
        before = champion if self.champion is None else self.champion
        return describe_move(
            self.desk.coordinator.ledger, self.desk.line.name, before, champion, self.newest
        ) + self.lineage.news

    def join_line(self, line: Lineage) -> None:
        """Work on another line of champions from the next turn on."""
        self.lineage = line
        self.desk = self.desk.move_to_line(line.campaign)
        self.facts.line = self.desk.lineage.name if self.desk.lineage else ""

    def receive(self) -> Proposal | Wait | None:
        """Its candidate; a pause; or None: it has left."""
        assert self.answer is not None
        return receive_answer(self.desk, self.progress, self.answer.result)

    def note_base(self, done: FinishedTrial) -> None:
        """Say that its candidate was judged against a newer champion than it was made from."""
        record = done.record
        self.undecided = record.verdict is Verdict.INCONCLUSIVE
        if record.champion == self.made_from or done.remembered:
            return
        text = (f"made from the champion {self.made_from[:12]}, judged against the newest, "
                f"{record.champion[:12]}")
        self.desk.show(Notice(f"{self.facts.name}: trial {done.number} was {text}"))
        about = (f"your candidate was {text}: it lacks what that one gained. If the idea still "
                 "fits, make it again on the champion in your file")
        self.progress.note = "; ".join(filter(None, (about, self.progress.note)))

    def set_pause(self, pause: Wait | None) -> None:
        """After a turn without a candidate."""
        self.finish_turn()
        if pause is None:
            self.facts.phase, self.facts.ended = "ended", self.progress.ended
            self.desk.show(Notice(f"{self.facts.name} has left: {self.progress.ended}"))
            return
        self.pause_until = pause.until
        self.facts.wait_until, self.facts.wait_why = pause.until, pause.why
        if pause.worth_a_line:
            self.desk.enter_phase(self.progress, "wait", f"{self.facts.name}: {pause.why}")

    def finish_turn(self) -> None:
        """It may be asked again."""
        self.answer, self.reserved_usd, self.thread = None, 0.0, None
        self.facts.phase, self.facts.since = "idle", self.desk.clock.now()


def make_members(
    desk: LoopContext, progress: Progress, agents: Sequence[Agent], lines: Sequence[Lineage]
) -> list[Member]:
    """The agents as members, each with a place of its own; the run lists them.

    Args:
        lines: of champions, to which the agents are assigned in turn.

    Raises:
        LedgerError: git cannot make a worktree.
    """
    members = []
    for number, agent in enumerate(agents, 1):
        facts = AgentFacts(f"{agent.name}/{number}", since=desk.clock.now())
        place = make_place(desk.campaign, number)
        own = replace(desk, agent=agent, place=place, facts=facts)
        line = lines[(number - 1) % len(lines)]
        members.append(Member(own, Progress(progress.tally), line))
        members[-1].join_line(line)
    progress.tally.run.agents = [member.facts for member in members]
    return members


def end_members(members: Sequence[Member]) -> None:
    """End the turns that run, with their programs, and remove the worktrees."""
    running = [m.thread for m in members if m.thread is not None and m.thread.is_alive()]
    if running:
        end_programs()
        for thread in running:
            thread.join(JOIN_S)
    for member in members:
        facts = member.facts
        facts.phase, facts.wait_until, facts.wait_why = "ended", None, ""
        if member.desk.place is not None:
            remove_place(member.desk.campaign, member.desk.place)
