"""What must hold before an agent is asked: room on the disk, and keeps that are not suspended."""

from __future__ import annotations

from lance_autoresearch.campaign.nulls import run_due_null
from lance_autoresearch.campaign.progress import LoopContext, Progress
from lance_autoresearch.campaign.tally import format_resume
from lance_autoresearch.campaign.waiting import GiveUp, Wait, describe_seconds
from lance_autoresearch.errors import MachineError
from lance_autoresearch.host.disk_use import check_room
from lance_autoresearch.text.plain_text import strip_text


def has_room(desk: LoopContext, progress: Progress) -> bool:
    """Whether the disk has room for a turn and its trial; False: the loop ends."""
    try:
        check_room(desk.coordinator.bench.root / ".lar")
    except MachineError as error:
        again = format_resume(
            desk.campaign.name, desk.campaign.target, progress.tally.run.agent
        )
        progress.give_up(GiveUp(f"{error.what} (next: {error.next}); then {again}"))
        return False
    return True


def wait_for_fair_turn(desk: LoopContext, progress: Progress) -> bool:
    """Whether to ask for a turn; else the call has waited. So no paid turn is lost."""
    def show(text: str) -> None:
        desk.enter_phase(progress, "null", text)

    try:
        run_due_null(desk.coordinator, desk.line, show)
    except MachineError as error:
        progress.unfair += 1
        patience, what = desk.patience, strip_text(error.what, 300)
        if progress.unfair >= patience.tries:
            progress.give_up(GiveUp(what))
            return False
        pause = min(patience.longest, patience.busy * 2.0 ** (progress.unfair - 1))
        text = f"{what}; measuring again in {describe_seconds(pause)}"
        desk.wait(progress, Wait(pause, text, desk.clock.now() + pause), "suspended")
        return False
    progress.unfair = 0
    return True
