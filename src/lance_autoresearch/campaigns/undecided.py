"""Trials that ended without proof and may go on: `lar try --again`.

The e-value holds at any stopping time, so an undecided comparison can be continued with more
pairs instead of being thrown away; repeating it from nothing would be fishing.
"""

from __future__ import annotations

import hashlib

from lance_autoresearch.errors import UsageError
from lance_autoresearch.judging.rig import Rig
from lance_autoresearch.records import PairTimes, Verdict
from lance_autoresearch.rules.comparison_json import trial_from_json
from lance_autoresearch.rules.estimator import valid_pairs
from lance_autoresearch.rules.gate import NOT_PROVEN


def pairs_before(rig: Rig, text: bytes) -> tuple[PairTimes, ...]:
    """The valid pairs of the newest undecided trial of this kernel against this champion.

    Void pairs say nothing about the kernel, and counted again they would end every continuation
    as they ended the first trial. Without a valid pair the tuple is empty: a trial from nothing.

    Raises:
        UsageError: there is none, or it was decided.
    """
    kernel = hashlib.sha256(text).hexdigest()
    champion = hashlib.sha256(rig.champion_text).hexdigest()
    rows = [
        row
        for row in rig.ledger.trials(target=rig.target.name)
        if row.record.kernel == kernel and row.record.champion == champion
        and row.record.immutable["all"] == rig.immutable["all"]
    ]
    last = rows[-1].record if rows else None
    undecided = last is not None and (
        last.verdict is Verdict.INCONCLUSIVE or last.reason == NOT_PROVEN
    )
    if last is None or not undecided or last.pairs_blob is None:
        raise UsageError(
            "no undecided trial of this kernel against this champion to continue",
            next=f"./lar try {rig.target.name}",
        )
    return valid_pairs(trial_from_json(rig.ledger.get_blob(last.pairs_blob))[0].comparison)
