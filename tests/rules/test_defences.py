"""The defences judge the claim and every combo, and a replay judges by what the trial judged by."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from gate_cases import comparison
from scipy import stats as oracle

from lance_autoresearch.campaign.replaying import RecordedTrial, decide_again
from lance_autoresearch.ledger.pairs_json import BASE, decode_trial, encode_trial
from lance_autoresearch.records import (
    Claim,
    Comparison,
    ReasonKind,
    TrialPairs,
    TrialRecord,
    Verdict,
)
from lance_autoresearch.rules.confirmation import confirm_claim
from lance_autoresearch.rules.defences import (
    explain_distinct,
    explain_opponent,
    judge_distinct_inputs,
    judge_opponent,
)
from lance_autoresearch.rules.gate import replay_gate
from lance_autoresearch.rules.policy import DEFAULT
from lance_autoresearch.rules.rejudge import rejudge

OPS = ["scan", "scan", "scan", "table"]


def spread(gains: list[float], pairs: int, sd: float = 0.004, seed: int = 1) -> Comparison:
    """Pairs with these gains, natural log ratio, and normal noise around them."""
    rng = np.random.default_rng(seed)
    table = np.array(gains) + rng.normal(0.0, sd, (pairs, len(gains)))
    return comparison(table.tolist(), rng, OPS[: len(gains)])


def percent(log: float) -> float:
    return 100 * math.expm1(log)


MEMO = Claim("all", 55.0, (200.0, 190.0, 2.0, 1.0))
"""A memo in two of four combos."""


def test_a_combo_that_lives_on_repeated_inputs_is_refused_though_the_claim_holds() -> None:
    """The memo of row A10: -74 % and -72 % in two combos, and the verdict said ok."""
    seen = spread([-1.35, -1.27, 1.5, 1.5], 24, sd=0.1)
    claim = replace(MEMO, gain=10.0)
    found = judge_distinct_inputs(seen, claim, DEFAULT)
    assert not found.claim_rejected and found.rejected
    assert [row.rejected for row in found.combos] == [True, True, False, False]
    assert [row.claimed for row in found.combos] == list(claim.combos)
    reason = explain_distinct(found, claim)
    assert reason is not None and reason.kind is ReasonKind.REPEATED_INPUTS
    assert reason.about == f"{seen.combos[0].label} +200.0%"
    assert reason.gain == found.combos[0].seen and reason.bound == found.combos[0].bound


def test_the_claim_comes_first_and_names_itself() -> None:
    seen = spread([-0.3] * 4, 24)
    found = judge_distinct_inputs(seen, MEMO, DEFAULT)
    reason = explain_distinct(found, MEMO)
    assert found.claim_rejected and reason is not None and reason.about == "all +55.0%"
    kept = judge_distinct_inputs(spread([0.4, 0.4, 0.0, 0.0], 24), Claim("all", 20.0), DEFAULT)
    assert not kept.rejected and explain_distinct(kept, Claim("all", 20.0)) is None


@pytest.mark.parametrize(
    ("claimed", "seen", "rejected"),
    [(0.0, -0.3, False), (0.0, -0.4, True), (1.0, 0.3, False), (1.0, 0.2, True),
     (0.2, -0.1, False), (0.2, -0.2, True)],
)  # fmt: skip
def test_a_combo_may_lose_the_slack_or_three_quarters_of_its_gain(
    claimed: float, seen: float, rejected: bool
) -> None:
    """Natural log ratios; the noise is small, so the bound is near the estimate."""
    claim = Claim("all", 1.0, (percent(claimed), 1.0))
    found = judge_distinct_inputs(spread([seen, 0.01], 24, sd=0.001), claim, DEFAULT)
    assert found.combos[0].rejected is rejected


def test_bounds_of_combos_hold_together() -> None:
    """Bonferroni at 99 %: with four combos each interval has level 99.75 %."""
    seen = spread([0.02] * 4, 24)
    values = [math.log(p.champion[0][0] / p.candidate[0][0]) for p in seen.pairs]
    found = judge_distinct_inputs(seen, MEMO, replace(DEFAULT, clip=99.0))
    half = oracle.t.ppf(1 - 0.01 / 4 / 2, 23) * np.std(values, ddof=1) / math.sqrt(24)
    assert found.combos[0].bound == pytest.approx(percent(np.mean(values) + half), abs=0.01)
    slowed = judge_opponent(seen, MEMO, replace(DEFAULT, clip=99.0))
    half = oracle.t.ppf(1 - 0.01 / 4, 23) * np.std(values, ddof=1) / math.sqrt(24)
    assert slowed.combos[0].bound == pytest.approx(percent(-np.mean(values) - half), abs=0.01)


def test_a_champion_that_is_slowed_in_one_combo_is_noticed() -> None:
    behind = spread([0.0, 0.0, -0.1, 0.0], 8)
    found = judge_opponent(behind, replace(MEMO, gain=40.0), DEFAULT)
    assert not found.claim_rejected and [row.rejected for row in found.combos] == [0, 0, 1, 0]
    reason = explain_opponent(found, MEMO)
    assert reason is not None and reason.kind is ReasonKind.SLOWED_OPPONENT
    assert reason.about == f"{behind.combos[2].label} +2.0%"
    assert not judge_opponent(spread([0.0, 0.0, 0.0, -0.02], 8), MEMO, DEFAULT).rejected
    large = replace(MEMO, gain=40.0, combos=(200.0, 190.0, 250.0, 1.0))
    assert not judge_opponent(behind, large, DEFAULT).rejected, "a tenth of +250 % is more"


def test_older_rules_judge_the_claim_alone() -> None:
    seen = spread([-1.35, 1.27, 1.5, 1.5], 24)
    assert judge_distinct_inputs(seen, MEMO, BASE).combos == ()
    assert judge_distinct_inputs(seen, Claim("all", 5.0), DEFAULT).combos == ()


def test_row_verdict_and_replay_judge_by_the_first_look() -> None:
    """After a second look the gains of all pairs differ from those by which the defences judged."""
    first, second = spread([0.05] * 4, 16), spread([0.01] * 4, 16, seed=2)
    both = replace(first, pairs=(*first.pairs, *second.pairs))
    screening, long_blocks = spread([0.05] * 4, 12, seed=3), spread([0.05] * 4, 4, seed=4)
    name = replay_gate(screening, DEFAULT).claim
    claim = Claim.make_from_confirmation(confirm_claim(first, long_blocks, name, DEFAULT))
    seen, behind = spread([0.0] * 4, 24, seed=5), spread([0.0] * 4, 8, seed=6)
    pairs = TrialPairs(
        screening, both, long_blocks, seen, behind, judged_claim=claim.gain
    )
    judged = (
        judge_distinct_inputs(seen, claim, DEFAULT), judge_opponent(behind, claim, DEFAULT),
    )  # fmt: skip
    document = decode_trial(encode_trial(pairs, DEFAULT))
    results = rejudge(document.pairs, document.policy)
    assert (results.distinct_inputs, results.opponent) == judged
    assert results.confirmation is not None and results.confirmation.pairs == 32
    assert results.confirmation.claimed.gain < claim.gain - 1, "all pairs say something else"
    record = TrialRecord("toy", Verdict.KEEP, "confirmed", "ab" * 32, "cd" * 32, results=results)
    blob = encode_trial(pairs, DEFAULT).encode()
    assert decide_again(RecordedTrial(1, record, b"", b"", blob)).ok
    without = encode_trial(replace(pairs, judged_claim=None), DEFAULT).encode()
    assert not decide_again(RecordedTrial(1, record, b"", b"", without)).ok
