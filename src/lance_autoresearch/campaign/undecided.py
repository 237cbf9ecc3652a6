"""Trials that ended without a decision and may go on: `lar try --again`.

The e-value holds at any stopping time, so an undecided comparison can be continued with more
pairs instead of being discarded; to repeat it without its pairs would be fishing.
"""

from __future__ import annotations

import hashlib

from lance_autoresearch.campaign.coordinator import Coordinator
from lance_autoresearch.errors import UsageError
from lance_autoresearch.ledger import Row
from lance_autoresearch.ledger.pairs_json import decode_trial
from lance_autoresearch.records import PairTimes, ReasonKind, TrialRecord, Verdict
from lance_autoresearch.rules.estimator import select_valid_pairs


def find_earlier_pairs(coordinator: Coordinator, text: bytes) -> tuple[PairTimes, ...]:
    """The valid pairs of the newest undecided trial of this kernel against this champion.

    Void pairs hold no evidence about the kernel. If they counted again, they would end every
    continuation as they ended the first trial. Without a valid pair the tuple is empty.

    Raises:
        UsageError: there is none, or it was decided.
    """
    kernel = hashlib.sha256(text).hexdigest()
    rows = [
        row for row in _list_trials_against_champion(coordinator) if row.record.kernel == kernel
    ]
    last = rows[-1].record if rows else None
    if last is None or not _is_undecided(last) or last.pairs_blob is None:
        raise UsageError(
            "no undecided trial of this kernel against this champion to continue",
            next=f"./lar try {coordinator.target.name}",
        )
    document = decode_trial(coordinator.ledger.get_blob(last.pairs_blob))
    return select_valid_pairs(document.pairs.screening)


def restore_undecided(coordinator: Coordinator, campaign: str | None) -> bytes:
    """The kernel of a campaign's last undecided trial: its file holds the champion again.

    Raises:
        UsageError: the campaign's last trial against this champion was decided, or there is none.
    """
    rows = [row.record for row in _list_trials_against_champion(coordinator)
            if row.record.campaign == campaign and row.record.kind == "trial"]
    if not rows or not _is_undecided(rows[-1]):
        raise UsageError(
            "the last trial against this champion was decided: nothing to continue",
            next=f'./lar try {coordinator.target.name} -m "what you changed and why"',
        )
    return coordinator.ledger.get_blob(rows[-1].kernel)


def _list_trials_against_champion(coordinator: Coordinator) -> list[Row]:
    """Trials against this champion under today's rules, oldest first."""
    champion = hashlib.sha256(coordinator.champion_text).hexdigest()
    return [
        row
        for row in coordinator.ledger.list_trials(target=coordinator.target.name)
        if row.record.champion == champion and row.record.immutable["all"] == coordinator.ruleset
    ]


def _is_undecided(record: TrialRecord) -> bool:
    return record.verdict is Verdict.INCONCLUSIVE or _is_not_proven(record)


def _is_not_proven(record: TrialRecord) -> bool:
    reason = record.results.reason
    return reason is not None and reason.kind is ReasonKind.NOT_PROVEN
