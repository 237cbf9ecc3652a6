"""Judges a trial's recorded pairs again: the same rules, the same policy, the same bits.

    rejudge(pairs, policy) -> Results with screening, confirmation and defences
"""

from __future__ import annotations

from dataclasses import replace

from lance_autoresearch.records import ConfirmResult, Results, TrialPairs
from lance_autoresearch.rules.confirmation import (
    confirm_claim,
    judge_distinct_inputs,
    judge_opponent,
    judge_tier,
)
from lance_autoresearch.rules.gate import replay_gate
from lance_autoresearch.rules.policy import Policy


def rejudge(pairs: TrialPairs, policy: Policy) -> Results:
    """The stages' results for these pairs. Raises UsageError for pairs of an unknown shape."""
    screening = replay_gate(pairs.screening, policy, pairs.before)
    confirmed = None
    if pairs.confirmation is not None:
        confirmed = confirm_claim(pairs.confirmation, pairs.long_blocks, screening.claim, policy)
    results = Results(
        screening=screening, confirmation=confirmed, margin=100.0 * policy.margin,
        level=policy.confirm_level,
    )  # fmt: skip
    return results if confirmed is None else _add_defences(results, confirmed, pairs, policy)


def _add_defences(
    results: Results, confirmed: ConfirmResult, pairs: TrialPairs, policy: Policy
) -> Results:
    """The defences, with the claim that the trial used, if it is recorded."""
    gain = pairs.judged_claim
    gain = confirmed.claimed.gain if gain is None else gain
    distinct = opponent = None
    if pairs.distinct_inputs is not None:
        distinct = judge_distinct_inputs(pairs.distinct_inputs, confirmed.claim, gain, policy)
    if pairs.opponent is not None:
        opponent = judge_opponent(pairs.opponent, confirmed.claim, gain, policy)
    tiers = pairs.lower_tiers.items()
    return replace(
        results, distinct_inputs=distinct, opponent=opponent,
        lower_tiers=tuple(judge_tier(found, tier, policy) for tier, found in tiers),
    )  # fmt: skip
