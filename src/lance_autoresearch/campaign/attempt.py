"""One trial from a person's or an agent's point of view: judged, written down, acted on.

    done = attempt(rig, text, Story(hypothesis="..."), campaign)
    done.record.verdict, done.number

Outside a campaign a kernel is only judged and recorded. A kernel whose linked code was already
judged against this champion under these rules is answered from the ledger, unless the kind of
trial is exempt (nulls, replays, calibration).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from lance_autoresearch.bench.rig import Rig
from lance_autoresearch.build.builder import build_both
from lance_autoresearch.campaign.campaign import Campaign
from lance_autoresearch.errors import RejectedKernel
from lance_autoresearch.host.kernel_file import place_kernel
from lance_autoresearch.judge.admission import admit
from lance_autoresearch.judge.trial import Judged, Story, run_trial
from lance_autoresearch.ledger import Row
from lance_autoresearch.records import PairTimes, TrialRecord, Verdict
from lance_autoresearch.text.verdict_text import trial_numbers

REMEMBERED_KIND = "trial"
"""Only trials of this kind are answered from the ledger and answer later ones."""


@dataclass(frozen=True, slots=True)
class Done:
    """A recorded trial."""

    number: int
    record: TrialRecord
    remembered: bool = False
    """Answered from the ledger: nothing was measured, no row was written."""

    def as_json(self) -> dict[str, object]:
        """The row with its number, for `--json`."""
        return {"v": 1, "trial": self.number, "remembered": self.remembered,
                **trial_numbers(self.record)}


def attempt(
    rig: Rig,
    text: bytes,
    story: Story,
    campaign: Campaign | None = None,
    *,
    before: Sequence[PairTimes] = (),
) -> Done:
    """Judge one kernel, write the row, and keep or revert where there is a campaign.

    Args:
        before: pairs of an undecided trial of the same kernel; given, memory is not asked.

    Raises:
        LarError: the machine, the ledger or trusted code failed; nothing was decided.
    """
    if story.kind == REMEMBERED_KIND and not before:
        known = remembered(rig, text)
        if known is not None and (campaign is None or known.record.verdict is not Verdict.KEEP):
            if campaign is not None:
                _restore(rig, campaign)
            return Done(known.id, known.record, remembered=True)
    judged = run_trial(rig, text, story, before=before)
    return Done(write(rig, text, judged, campaign), judged.record)


def remembered(rig: Rig, text: bytes) -> Row | None:
    """The verdict on this very code, if it was judged before under the same rules."""
    try:
        admit(text)
        with rig.phases("build"):
            built, _ = build_both(rig.root, rig.target.name, text)
    except RejectedKernel:
        return None
    return rig.ledger.judged(rig.judged_key(built))


def write(rig: Rig, text: bytes, judged: Judged, campaign: Campaign | None) -> int:
    """The ledger's row, then branch and worktree. Returns the trial's number."""
    record = judged.record
    pairs = judged.pairs_json
    if pairs is not None:
        record = replace(record, pairs_blob=rig.ledger.put_blob(pairs.encode(), "pairs"))
    built = judged.evidence.built
    may_answer = record.kind == REMEMBERED_KIND and built is not None
    key = rig.judged_key(built) if may_answer and built is not None else ""
    if campaign is not None:
        return campaign.record(record, text, judged=key)
    return rig.ledger.append(record, judged=key, blobs={"kernel": text})


def _restore(rig: Rig, campaign: Campaign) -> None:
    """Put the champion's text back after a verdict from memory."""
    with campaign.desk.locked():
        place_kernel(
            campaign.kernel_path,
            rig.champion_text,
            inside=campaign.worktree,
            scratch=campaign.desk.scratch,
        )
