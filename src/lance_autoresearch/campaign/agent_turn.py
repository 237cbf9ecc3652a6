"""The agent's half of a turn: ask for a candidate; if it failed, wait or end (`waiting`)."""

from __future__ import annotations

from lance_autoresearch.agents import EMBEDDED, Agent, AgentFailed, Proposal, Turn
from lance_autoresearch.agents.driven import Driven
from lance_autoresearch.campaign.advice import find_advice
from lance_autoresearch.campaign.campaign import list_other_edits
from lance_autoresearch.campaign.explaining import explain_revert, measure_champion
from lance_autoresearch.campaign.progress import LoopContext, Progress
from lance_autoresearch.campaign.tally import find_loop_dir, format_resume
from lance_autoresearch.campaign.waiting import GiveUp, Wait, plan_next
from lance_autoresearch.explain.headroom_store import find_headroom
from lance_autoresearch.host.live import Notice
from lance_autoresearch.ledger import hash_bytes
from lance_autoresearch.records import TrialRecord, Verdict
from lance_autoresearch.text.plain_text import strip_text


def ask_agent(desk: LoopContext, progress: Progress) -> Proposal | None:
    """A candidate, or None: then the agent was done (`ended` says so) or it failed."""
    desk.enter_phase(progress, "agent", _describe_turn(desk.agent.name))
    try:
        try:
            proposal = desk.agent.propose(_make_turn(desk, progress))
        finally:
            _show_notes(desk)
    except AgentFailed as failure:
        _handle_failure(desk, progress, failure)
        return None
    if proposal is None:
        progress.ended = f"{desk.agent.name} has nothing left to try"
        return None
    progress.streaks = type(progress.streaks)()
    progress.note = proposal.note
    unknown = proposal.cost_usd is None and progress.tally.run.budget.usd is not None
    if unknown and _is_paid(desk.agent):
        why = (f"{desk.agent.name} does not say what a turn costs: --budget-usd cannot be kept "
               "(with --price IN,OUT tokens are counted)")
        progress.give_up(GiveUp(why, may_go_on=False))
    return proposal


def _show_notes(desk: LoopContext) -> None:
    """What the agent's driver wants a person to know, and edits beside the kernel."""
    notes = desk.agent.take_notes() if isinstance(desk.agent, Driven) else []
    others = list_other_edits(desk.campaign)
    if others:
        notes.append(f"edits of other files in the worktree have no effect: {others}")
    for note in notes:
        desk.show(Notice(f"{desk.agent.name}: {note}"))


def _describe_turn(agent: str) -> str:
    return agent if agent in EMBEDDED else f"{agent} thinks"


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
    """Advice from the last trial and from earlier campaigns; behind a revert its machine code."""
    last = progress.done[-1].record if progress.done else None
    if last is None and progress.tally.history:
        last = progress.tally.history[-1]
    coordinator = desk.coordinator
    advice = find_advice(
        coordinator.bench.root, coordinator.ledger, coordinator.target.name, last,
        desk.campaign.name,
    )  # fmt: skip
    return (*advice, *_explain_last(desk, progress))


def _explain_last(desk: LoopContext, progress: Progress) -> list[str]:
    """The short form of `lar explain` for a trial of this loop that was just reverted."""
    if not progress.done or progress.done[-1].record.verdict is not Verdict.REVERT:
        return []
    done, coordinator = progress.done[-1], desk.coordinator
    root, champion = coordinator.bench.root, coordinator.champion_text
    known = find_headroom(root, done.record.target, hash_bytes(champion))
    if not known and progress.explained != hash_bytes(champion):
        progress.explained = hash_bytes(champion)
        scratch = find_loop_dir(desk.campaign.desk) / "champion.rs"
        known = measure_champion(root, done.record.target, champion, scratch)
    return explain_revert(root, done.record, done.number, known)


def _is_paid(agent: Agent) -> bool:
    """Whether a turn runs another party's program, which may cost money."""
    return bool(getattr(agent, "driven", False))


def _handle_failure(desk: LoopContext, progress: Progress, failure: AgentFailed) -> None:
    """Count the failure, restore the champion, and wait or end."""
    run = progress.tally.run
    run.lost_usd += failure.cost_usd or 0.0
    run.lost_tokens += failure.tokens or 0
    what = strip_text(failure.what, 300)
    progress.add_complaint(what)
    progress.note = f"your last turn brought no candidate: {what}"
    desk.show(Notice(f"{desk.agent.name}: {what} [{failure.kind}]"))
    desk.restore_champion()
    most, now = run.budget.failures, desk.clock.now()
    step = plan_next(failure, desk.agent.name, progress.streaks, desk.patience, most, now)
    if isinstance(step, Wait):
        return desk.wait(progress, step)
    if step.may_go_on:
        again = format_resume(desk.campaign.name, desk.campaign.target, desk.agent.name)
        step = GiveUp(f"{step.why}; then {again}")
    progress.give_up(step)
    return None
