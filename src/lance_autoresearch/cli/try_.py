"""`lar try`: one trial of the current kernel."""

from __future__ import annotations

import json as json_module
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from lance_autoresearch.host import checkout

if TYPE_CHECKING:
    from lance_autoresearch.campaign.coordinator import Coordinator
    from lance_autoresearch.campaign.kernel_under_test import KernelUnderTest
    from lance_autoresearch.records import PairTimes


def try_kernel(
    target: str,
    *,
    message: Annotated[str, Parameter(name=["--message", "-m"])] = "",
    predict: float | None = None,
    kernel: Path | None = None,
    again: bool = False,
    tier: Literal["avx2", "scalar"] | None = None,
    json: bool = False,
) -> int:
    """Judge the current kernel: keep, revert or refuse it.

    Inside a campaign's worktree, or else for the newest campaign on the target, the campaign's
    kernel is judged against its champion and kept or reverted. With --kernel a file is judged
    against the target's champion (Lance's own code if there is none), and nothing else happens.

    Exit code: 0 keep, 1 revert, 2 incorrect, 3 rejected, 4 inconclusive.

    Args:
        target: name of the target, see `lar targets`.
        message: the hypothesis: the change, and why it should be faster.
        predict: the gain in % you expect over all combos; the report scores predictions.
        kernel: judge this file instead; nothing is kept or reverted.
        again: continue the last undecided trial of this kernel with more pairs; if the file holds
            the champion, of the kernel that was reverted.
        tier: with --kernel, judge at this lower CPU tier: avx2 or scalar. A campaign has its own.
        json: print the row as JSON.
    """
    from lance_autoresearch.campaign.briefing import collect_briefing, render_briefing
    from lance_autoresearch.campaign.campaign import repair_campaigns
    from lance_autoresearch.campaign.coordinator import Coordinator, Story
    from lance_autoresearch.campaign.nulls import run_due_null
    from lance_autoresearch.host.live import Live
    from lance_autoresearch.host.phases import Phases
    from lance_autoresearch.text.verdict_text import print_trial

    root = checkout.find_root()
    for line in repair_campaigns(root):
        print(line, file=sys.stderr)
    subject = _choose(root, target, kernel, tier)
    _refuse_unchanged(root, target, subject, again)
    _refuse_no_number(predict)
    with Live(enabled=not json) as live:  # noqa: SIM117
        with Coordinator(
            root, target, champion=subject.champion, phases=Phases(live.show)
        ) as coordinator:
            text, before = _resume_undecided(coordinator, subject) if again else (subject.text, ())
            if subject.campaign is not None:
                run_due_null(coordinator, subject.campaign, live.show)
                coordinator.begin_phases(Phases(live.show))
            story = Story(message, campaign=subject.campaign_name, predicted=predict)
            done = coordinator.attempt(text, story, subject.campaign, earlier=before)
            taught = collect_briefing(coordinator.ledger, done.record, subject.campaign_name)
    if json:
        print(json_module.dumps({**done.as_json(), **taught}))
    else:
        if done.remembered:
            print(f"this code was judged before, as trial {done.number}; nothing was measured\n")
        print(print_trial(done.record, number=done.number) + render_briefing(taught))
    return done.record.verdict.exit_code


def _choose(root: Path, target: str, kernel: Path | None, tier: str | None) -> KernelUnderTest:
    """The kernel to judge, with its CPU tier in force; edits beside it are mentioned."""
    from lance_autoresearch.campaign.campaign import enter_tier, list_other_edits
    from lance_autoresearch.campaign.kernel_under_test import resolve_kernel

    subject = resolve_kernel(root, target, kernel, Path.cwd())
    enter_tier(subject.campaign, tier)
    if subject.campaign is not None and (others := list_other_edits(
        subject.campaign, subject.campaign.worktree
    )):
        print(f"edits of other files in the worktree have no effect: {others}", file=sys.stderr)
    return subject


def _refuse_unchanged(root: Path, target: str, subject: KernelUnderTest, again: bool) -> None:
    """Raises UsageError if a campaign's kernel is its champion to the byte: no idea to judge."""
    from lance_autoresearch.errors import UsageError

    if subject.unchanged and not again:
        raise UsageError(
            "the kernel is the champion, unchanged", where=str(subject.path.relative_to(root)),
            next=f'edit it, then ./lar try {target} -m "what you changed and why"',
        )  # fmt: skip


def _refuse_no_number(predict: float | None) -> None:
    """Raises UsageError for `nan` and `inf`: no gain."""
    from lance_autoresearch.errors import UsageError

    if predict is not None and not (math.isfinite(predict) and predict > -100.0):
        raise UsageError(
            f"--predict {predict} is no gain", allowed=["a number of percent above -100"]
        )


def _resume_undecided(
    coordinator: Coordinator, subject: KernelUnderTest
) -> tuple[bytes, tuple[PairTimes, ...]]:
    """An undecided kernel and its pairs; raises UsageError if there is none."""
    from lance_autoresearch.campaign.undecided import find_earlier_pairs, restore_undecided

    text = (
        restore_undecided(coordinator, subject.campaign_name) if subject.unchanged else subject.text
    )
    return text, find_earlier_pairs(coordinator, text)
