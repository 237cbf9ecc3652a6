"""After a second look: row, verdict and replay hold what the defences were judged by."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from injected_delays import injected_gain

from lance_autoresearch.campaign.coordinator import Coordinator, Story, make_record
from lance_autoresearch.campaign.recording import encode_pairs
from lance_autoresearch.campaign.replaying import RecordedTrial, decide_again
from lance_autoresearch.ledger.pairs_json import decode_trial
from lance_autoresearch.records import Claim, ReasonKind, Verdict
from lance_autoresearch.rules.confirmation import confirm_claim
from lance_autoresearch.rules.policy import DEFAULT
from lance_autoresearch.text.verdict_text import print_trial

ROOT = Path(__file__).resolve().parents[2]
DOUBTFUL = replace(DEFAULT, guard_high=-9.0)
"""Every combo may be slower, whatever is measured: confirmation always looks twice."""


@pytest.mark.deep
@pytest.mark.timing
def test_a_second_look_leaves_the_defences_as_they_were_judged() -> None:
    gain = injected_gain("_toy")
    with Coordinator(ROOT, "_toy", champion=gain.champion, policy=DOUBTFUL) as coordinator:
        for _ in range(6):
            judged = coordinator.judge(gain.candidate, Story(kind="test"))
            if judged.verdict is not Verdict.INCONCLUSIVE:
                break
        else:
            pytest.skip("the machine is too busy to measure anything")
        record = make_record(judged, Story(kind="test"), coordinator.target)
    assert judged.reason.kind is ReasonKind.COMBO_MAY_BE_SLOWER
    blob = encode_pairs(judged)
    assert blob is not None
    document = decode_trial(blob)
    seen, policy = document.pairs, document.policy
    assert seen.confirmation is not None and seen.long_blocks is not None
    assert len(seen.confirmation.pairs) == 2 * policy.confirm_pairs
    first = replace(seen.confirmation, pairs=seen.confirmation.pairs[: policy.confirm_pairs])
    looked = record.results.confirmation
    assert looked is not None
    claim = Claim.make_from_confirmation(
        confirm_claim(first, seen.long_blocks, looked.claim, policy)
    )
    assert seen.judged_claim == claim.gain != looked.claimed.gain
    distinct, opponent = record.results.distinct_inputs, record.results.opponent
    assert distinct is not None and opponent is not None
    for found in (distinct, opponent):
        assert tuple(row.claimed for row in found.combos) == claim.combos
    assert decide_again(RecordedTrial(1, record, b"", b"", blob)).ok
    shown = print_trial(record).splitlines()
    table = [line for line in shown if line.endswith(("  ok", "fails met once", "fails opponent"))]
    assert len(table) >= len(claim.combos), "every combo is shown"
