"""The agent's half of a turn: ask for a candidate; if it failed, wait or end (`waiting`)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

from lance_autoresearch.agents import EMBEDDED, Agent, AgentFailed, Proposal, Turn
from lance_autoresearch.agents.driven import Driven
from lance_autoresearch.campaign.advice import find_advice
from lance_autoresearch.campaign.campaign import list_other_edits
from lance_autoresearch.campaign.explaining import explain_revert, measure_champion
from lance_autoresearch.campaign.progress import LoopContext, Progress
from lance_autoresearch.campaign.tally import format_resume
from lance_autoresearch.campaign.waiting import GiveUp, Wait, plan_next
from lance_autoresearch.explain.headroom_store import find_headroom
from lance_autoresearch.host.live import Notice
from lance_autoresearch.ledger import hash_bytes
from lance_autoresearch.records import TrialRecord, Verdict
from lance_autoresearch.text.plain_text import strip_text

_MEASURING = threading.Lock()
"""A champion's headroom is measured once, although several agents may want it at the same time."""


def ask_agent(desk: LoopContext, progress: Progress) -> Proposal | None:
    """A candidate, or None: then the agent was done (`ended` says so) or it failed."""
    turn = explain_last(desk, progress, begin_turn(desk, progress))
    answer = receive_answer(desk, progress, lambda: desk.agent.propose(turn))
    if isinstance(answer, Wait):
        desk.wait(progress, answer)
        return None
    return answer


def begin_turn(desk: LoopContext, progress: Progress) -> Turn:
    """What the agent knows in its next turn, which is announced."""
    desk.enter_phase(progress, "agent", _describe_turn(desk))
    return _make_turn(desk, progress)


def receive_answer(
    desk: LoopContext, progress: Progress, answer: Callable[[], Proposal | None]
) -> Proposal | Wait | None:
    """A candidate; a pause before the next turn; or None, then `ended` says why.

    Args:
        answer: returns what the agent proposes, or raises AgentFailed.
    """
    try:
        try:
            proposal = answer()
        finally:
            _show_notes(desk)
    except AgentFailed as failure:
        return _handle_failure(desk, progress, failure)
    if proposal is None:
        progress.ended = f"{desk.author} has nothing left to try"
        return None
    progress.streaks = type(progress.streaks)()
    progress.note = proposal.note
    unknown = proposal.cost_usd is None and progress.tally.run.budget.usd is not None
    if unknown and _is_paid(desk.agent):
        why = (f"{desk.author} does not say what a turn costs: --budget-usd cannot be kept "
               "(with --price IN,OUT tokens are counted)")
        progress.give_up(GiveUp(why, may_go_on=False))
    return proposal


def _show_notes(desk: LoopContext) -> None:
    """What the agent's driver wants a person to know, and edits beside the kernel."""
    notes = desk.agent.take_notes() if isinstance(desk.agent, Driven) else []
    others = list_other_edits(desk.campaign, desk.worktree)
    if others:
        notes.append(f"edits of other files in the worktree have no effect: {others}")
    for note in notes:
        desk.show(Notice(f"{desk.author}: {note}"))


def _describe_turn(desk: LoopContext) -> str:
    return desk.author if desk.agent.name in EMBEDDED else f"{desk.author} thinks"


def _make_turn(desk: LoopContext, progress: Progress) -> Turn:
    coordinator, tally = desk.coordinator, progress.tally
    history = tally.history
    return Turn(
        coordinator.target.name, coordinator.champion_text, desk.kernel_path,
        (*history, *_list_remembered(progress)),
        root=coordinator.bench.root,
        home=desk.home,
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
        desk.line.name,
    )  # fmt: skip


def explain_last(desk: LoopContext, progress: Progress, turn: Turn) -> Turn:
    """The turn with the short form of `lar explain` for its agent's last trial, if it was reverted.

    It takes seconds and touches no ledger, so an agent among several does this in its own thread.
    """
    last = progress.done[-1] if progress.done else None
    if last is None or last.record.verdict is not Verdict.REVERT or not _is_paid(desk.agent):
        return turn
    known = find_headroom(turn.root, turn.target, hash_bytes(turn.champion))
    if not known and progress.explained != hash_bytes(turn.champion):
        progress.explained = hash_bytes(turn.champion)
        with _MEASURING:
            known = measure_champion(turn.root, turn.target, turn.champion,
                                     turn.home / "champion.rs")
    lines = explain_revert(turn.root, last.record, last.number, known)
    return replace(turn, advice=(*turn.advice, *lines))


def _is_paid(agent: Agent) -> bool:
    """Whether a turn runs another party's program, which may cost money."""
    return bool(getattr(agent, "driven", False))


def _handle_failure(
    desk: LoopContext, progress: Progress, failure: AgentFailed
) -> Wait | None:
    """Count the failure and restore the champion; the pause that follows, None: an end."""
    run = progress.tally.run
    run.lost_usd += failure.cost_usd or 0.0
    run.lost_tokens += failure.tokens or 0
    what = strip_text(failure.what, 300)
    progress.add_complaint(what)
    progress.note = f"your last turn brought no candidate: {what}"
    desk.show(Notice(f"{desk.author}: {what} [{failure.kind}]"))
    desk.restore_champion()
    most, now = run.budget.failures, desk.clock.now()
    step = plan_next(failure, desk.agent.name, progress.streaks, desk.patience, most, now)
    if isinstance(step, Wait):
        return step
    if step.may_go_on:
        again = format_resume(desk.campaign.name, desk.campaign.target, desk.agent.name)
        step = GiveUp(f"{step.why}; then {again}")
    progress.give_up(step)
    return None
