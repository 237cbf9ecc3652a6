"""The judge's half of a turn: the trial, and again what could not be decided.

A trial that the machine spoiled says nothing about the kernel: the same kernel is judged again,
without asking the agent for another one, a stated number of times; then the loop ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from lance_autoresearch.agents import Proposal
from lance_autoresearch.campaign.coordinator import FinishedTrial, Story
from lance_autoresearch.campaign.progress import KEPT, LoopContext, Progress
from lance_autoresearch.campaign.undecided import find_earlier_pairs
from lance_autoresearch.campaign.waiting import GiveUp, Wait, describe_seconds
from lance_autoresearch.campaign.whole_queries import follow_keep
from lance_autoresearch.errors import MachineError, UsageError
from lance_autoresearch.host.live import Notice
from lance_autoresearch.host.phases import Phases
from lance_autoresearch.records import PairTimes, ReasonKind, TrialRecord, Verdict
from lance_autoresearch.text.plain_text import strip_text

NOISY = frozenset({ReasonKind.VOID_PAIRS, ReasonKind.FEW_VALID_PAIRS})
"""Reasons of an undecided trial that a busy machine explains."""


def judge_proposal(
    desk: LoopContext, progress: Progress, proposal: Proposal, made_from: str = ""
) -> Iterator[FinishedTrial]:
    """The trial; an undecided one goes on once with more pairs, a spoiled one begins again.

    Args:
        made_from: sha256 of the champion that the agent began with, if it may be an older one.
    """
    story = Story(
        proposal.hypothesis, desk.author, desk.kind, desk.line.name,
        tokens=proposal.tokens, cost_usd=proposal.cost_usd, predicted=proposal.predicted,
        made_from=made_from,
        rewrites=proposal.rewrites,
    )
    free = replace(story, tokens=None, cost_usd=None)
    desk.enter_phase(progress, "trial", "trial")
    before: tuple[PairTimes, ...] = ()
    continued = spoiled = 0
    while True:
        try:
            done = _run_attempt(desk, progress, proposal.text, story, before)
        except MachineError as error:
            spoiled += 1
            desk.show(Notice(f"the machine failed: {strip_text(error.what, 120)}"))
            if not _may_judge_again(desk, progress, spoiled, None, error.what):
                _book_lost(progress, story)
                return
            desk.coordinator.bench.conductor.close()
            desk.coordinator.bench.conductor.start()
            continue
        story = free
        yield done
        if done.record.verdict is not Verdict.INCONCLUSIVE or desk.kind != "trial":
            return
        if progress.ended or progress.tally.find_reached_limit() or desk.stop():
            return
        if _is_machine_cause(done.record):
            spoiled += 1
            if not _may_judge_again(desk, progress, spoiled, done.record, done.record.reason):
                return
        elif continued:
            return
        else:
            continued += 1
        before = _find_pairs(desk, proposal.text)


def _is_machine_cause(record: TrialRecord) -> bool:
    reason = record.results.reason
    return reason is not None and (reason.kind is ReasonKind.MACHINE or reason.kind in NOISY)


def _may_judge_again(
    desk: LoopContext, progress: Progress, spoiled: int, record: TrialRecord | None, what: str
) -> bool:
    """Wait before the same kernel is judged again; False: the loop ends, or ended meanwhile."""
    patience, now = desk.patience, desk.clock.now()
    reason = record.results.reason if record is not None else None
    noisy = reason is not None and reason.kind in NOISY
    most = patience.noisy_tries if noisy else patience.machine_tries
    cause = strip_text(what.splitlines()[0] if what else "", 200)
    if spoiled >= most:
        why = f"the machine spoiled {spoiled} trials in a row: {cause}; next: ./lar doctor"
        progress.give_up(GiveUp(why))
        return False
    first = patience.busy if noisy else patience.machine
    pause = min(patience.longest, first * 2.0 ** (spoiled - 1))
    text = (f"the machine spoiled the trial: {cause}; judging the same kernel again in "
            f"{describe_seconds(pause)} ({spoiled} of {most})")
    desk.wait(progress, Wait(pause, text, now + pause))
    return not progress.ended and not desk.stop()


def _find_pairs(desk: LoopContext, text: bytes) -> tuple[PairTimes, ...]:
    try:
        return find_earlier_pairs(desk.coordinator, text)
    except UsageError:
        return ()


def _book_lost(progress: Progress, story: Story) -> None:
    """The cost of a turn whose kernel was never judged."""
    progress.tally.run.lost_usd += story.cost_usd or 0.0
    progress.tally.run.lost_tokens += story.tokens or 0


def _run_attempt(
    desk: LoopContext, progress: Progress, text: bytes, story: Story, before: tuple[PairTimes, ...]
) -> FinishedTrial:
    """One trial, counted. Raises MachineError if the machine failed before there was a row."""
    coordinator = desk.coordinator
    coordinator.begin_phases(Phases(desk.show))
    done = coordinator.attempt(text, story, desk.line, earlier=before)
    if done.record.verdict is Verdict.KEEP:
        if desk.measure_queries is not None:
            desk.enter_phase(progress, "queries", "whole queries in Lance")
            done = follow_keep(
                coordinator.ledger, desk.line, done, text, coordinator.champion_text,
                desk.measure_queries,
            )
        if done.record.verdict is Verdict.KEEP:
            coordinator.set_champion(text)
    progress.done.append(done)
    del progress.done[:-KEPT]
    if done.remembered:
        progress.tally.run.remembered += 1
        _book_lost(progress, story)
    else:
        progress.tally.add_trial(done.record)
    return done
