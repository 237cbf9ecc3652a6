"""Several agents that work at the same time, and one judge.

    claude/1 ── thinks ──┐
    claude/2 ── thinks ──┼──> queue of candidates ──> the judge ──> row, keep or revert
    codex/3  ── thinks ──┘    first come, first served                └─> next turn of its agent

Each agent has a worktree, a sandbox, a home and a history of its own (`agent_place`, `member`); the
ledger, the champion, lessons and dead ends are one. Turns run in threads of their own, which only
wait for the agent's program: everything that judges, writes or counts runs in the main thread, as
it does for one agent. An agent is asked again as soon as its candidate is judged, before the next
candidate is taken.

With several lines of champions (`lineages`) agents of one line do not see the other's trials; two
lines that stand still are merged by the loop itself.

Limits hold for the whole. Once one is reached no turn begins; the turns that run are finished and
judged, since they are paid for, and if one of them is kept a plateau may be over. An agent that
cannot go on leaves; the loop ends when the last one has left.
"""

from __future__ import annotations

import contextlib
import queue
from collections.abc import Callable
from dataclasses import replace

from lance_autoresearch.agents import Proposal
from lance_autoresearch.campaign.before_turn import has_room, wait_for_fair_turn
from lance_autoresearch.campaign.champion_news import SHOWN_LINES
from lance_autoresearch.campaign.coordinator import FinishedTrial
from lance_autoresearch.campaign.judge_turn import judge_proposal
from lance_autoresearch.campaign.lineages import (
    MERGER,
    DueMerge,
    Lineage,
    TeamPlan,
    find_due_merge,
    merge_champions,
    open_lineages,
)
from lance_autoresearch.campaign.member import Member, end_members, make_members
from lance_autoresearch.campaign.progress import KEPT, LoopContext, Progress
from lance_autoresearch.campaign.tally import AgentFacts, lock_loop, save_run
from lance_autoresearch.campaign.waiting import Wait
from lance_autoresearch.host.live import Notice
from lance_autoresearch.text.difference import compute_difference

Report = Callable[[FinishedTrial], None]


def run_team_turns(
    desk: LoopContext, progress: Progress, plan: TeamPlan, report: Report
) -> None:
    """Turns of all agents until `progress.ended` says why not.

    Args:
        desk: of the whole loop; its `agent` is not asked.
    """
    lines = open_lineages(desk.campaign, progress.tally.run, plan.lineages)
    with contextlib.ExitStack() as stack:
        for line in lines[1:]:
            stack.enter_context(lock_loop(line.campaign.desk))
        members = make_members(desk, progress, plan.agents, lines)
        stack.callback(end_members, members)
        team = _Team(desk, progress, members, lines, plan.merge_after)
        while not progress.ended:
            team.start_turns()
            if (member := team.wait_for_answer()) is not None:
                with member.lineage.enter(desk.coordinator):
                    team.take_answer(member, report)
                team.merge_lines(report)
            team.find_end()


class _Team:
    """The members of one loop, and the queue in which their candidates wait."""

    def __init__(
        self, desk: LoopContext, progress: Progress, members: list[Member],
        lines: list[Lineage], merge_after: int,
    ) -> None:
        self.desk, self.progress, self.members = desk, progress, members
        self.lines, self.merge_after = lines, merge_after
        self.answers: queue.SimpleQueue[Member] = queue.SimpleQueue()

    @property
    def busy(self) -> list[Member]:
        """Those whose turn runs or whose candidate waits."""
        return [member for member in self.members if member.answer is not None]

    # -- before a turn -----------------------------------------------------------------------

    def start_turns(self) -> None:
        """Ask every member that is free, as far as the limits allow."""
        for member in self.members:
            if not self._may_ask(member):
                continue
            if not has_room(self.desk, self.progress):
                return
            with member.lineage.enter(self.desk.coordinator):
                line = self.desk.move_to_line(member.lineage.campaign)
                if not wait_for_fair_turn(line, self.progress):
                    return
                if self._may_ask(member):
                    member.start_turn(self._share_money(), self.answers.put)

    def _may_ask(self, member: Member) -> bool:
        """Whether it is free and its trial would be within the limits."""
        tally = self.progress.tally
        if self.progress.ended or self.desk.stop() or tally.find_reached_limit():
            return False
        if self._is_full():
            return False
        money = self._share_money()
        return member.is_free() and (money is None or money > 0)

    def _is_full(self) -> bool:
        """Whether the turns that run use up the last trials."""
        most = self.progress.tally.run.budget.trials
        return most is not None and self.progress.tally.count + len(self.busy) >= most

    def _share_money(self) -> float | None:
        """Largest cost of one more turn: turns that run may spend their own share."""
        left = self.progress.tally.usd_left
        if left is None:
            return None
        left -= sum(member.reserved_usd for member in self.busy)
        free = sum(1 for member in self.members if member.answer is None and not member.gone)
        return left / max(1, free)

    # -- after a turn ------------------------------------------------------------------------

    def wait_for_answer(self) -> Member | None:
        """The next member whose turn ended, first come, first served; None: none did so far."""
        clock = self.desk.clock
        if not self.busy:
            if not self.desk.stop() and any(member.waits() for member in self.members):
                clock.sleep(clock.slice_s)
            return None
        try:
            return self.answers.get(timeout=clock.slice_s)
        except queue.Empty:
            return None

    def take_answer(self, member: Member, report: Report) -> None:
        """Judge its candidate, or note why there is none."""
        proposal = member.receive()
        if proposal is None or isinstance(proposal, Wait):
            member.set_pause(proposal)
            return
        for done in judge_proposal(member.desk, member.progress, proposal, member.made_from):
            self.progress.done.append(done)
            del self.progress.done[:-KEPT]
            member.note_base(done)
            report(done)
        own = member.progress
        if own.ended:  # the machine could not judge, or the money cannot be counted
            self.progress.ended, self.progress.failed = own.ended, own.failed
            self.progress.may_go_on = own.may_go_on
        member.finish_turn()

    def merge_lines(self, report: Report) -> None:
        """Judge the merge of two lines that stand still, against the champion of each."""
        tally = self.progress.tally
        due = find_due_merge(self.lines, tally, self.merge_after)
        if due is None or self._is_full() or self.progress.ended or tally.find_reached_limit():
            return
        names = " and ".join(line.campaign.name for line in due)
        text = merge_champions(due)
        if text is None:
            self._tell_conflict(due)
            self.desk.show(Notice(f"{names} changed the same lines: their agents read both"))
            return
        self.desk.show(Notice(f"{names} stand still: judging their merge"))
        for line in due:
            if text != line.champion and not self.progress.ended:
                self._judge_merge(line, text, names, report)
        if all(line.champion == text for line in due):
            self._join(due, names)

    def _judge_merge(self, line: Lineage, text: bytes, names: str, report: Report) -> None:
        """One trial of a merged kernel in one line."""
        desk = replace(self.desk.move_to_line(line.campaign), facts=AgentFacts(MERGER))
        with line.enter(self.desk.coordinator):
            proposal = Proposal(text, f"the merge of {names}")
            for done in judge_proposal(desk, self.progress, proposal):
                report(done)

    def _join(self, due: DueMerge, names: str) -> None:
        """Both lines keep the merge: they are one from now on."""
        self.lines.remove(due.second)
        for member in self.members:
            if member.lineage is due.second:
                member.join_line(due.first)
        self.desk.show(Notice(f"{names} are merged"))

    def _tell_conflict(self, due: DueMerge) -> None:
        """Let the agents of both lines read what the other one has changed."""
        for line, other in (due, due[::-1]):
            changed = compute_difference(other.start, other.champion)
            line.news = (
                "another line of champions stands still too, and its changes touch the lines that "
                f"yours touch: bring both together. Its changes, {changed.size}:",
                *changed.lines[:SHOWN_LINES],
            )

    def find_end(self) -> None:
        """End the loop if a limit is reached or no member is left, and no turn runs."""
        if self.progress.ended or self.busy:
            return
        if limit := self.progress.tally.find_reached_limit():
            self.progress.ended = limit
        elif self.desk.stop():
            self.progress.ended, self.progress.may_go_on = "interrupted", True
        elif all(member.gone for member in self.members):
            self._end_without_members()
        save_run(self.desk.campaign.desk, self.progress.tally.run)

    def _end_without_members(self) -> None:
        """Every member has left: the loop ended well if each of them did."""
        own = [member.progress for member in self.members]
        self.progress.ended = "; ".join(dict.fromkeys(one.ended for one in own))
        self.progress.failed = all(one.failed for one in own)
        self.progress.may_go_on = any(one.may_go_on for one in own)
        for one in own:
            self.progress.complaints += one.complaints[-2:]
