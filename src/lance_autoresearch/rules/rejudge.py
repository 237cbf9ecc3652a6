"""Judges a trial's recorded pairs again: the same rules, the same policy, the same bits.

    rejudge(pairs, policy) -> Results with screening, confirmation and defences
"""

from __future__ import annotations

from dataclasses import replace

from lance_autoresearch.records import Claim, ConfirmResult, Results, TrialPairs
from lance_autoresearch.rules.confirmation import confirm_claim, judge_tier
from lance_autoresearch.rules.defences import judge_distinct_inputs, judge_opponent
from lance_autoresearch.rules.gate import replay_gate
from lance_autoresearch.rules.policy import Policy
from lance_autoresearch.rules.totals import judge_totals


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
    """The defences, by the claim that the trial used."""
    claim = _find_claim(confirmed, pairs, policy)
    distinct = opponent = None
    if pairs.distinct_inputs is not None:
        distinct = judge_distinct_inputs(pairs.distinct_inputs, claim, policy)
    if pairs.opponent is not None:
        opponent = judge_opponent(pairs.opponent, claim, policy)
    totals = None if pairs.totals is None else judge_totals(pairs.totals, policy)
    tiers = pairs.lower_tiers.items()
    return replace(
        results, distinct_inputs=distinct, opponent=opponent, totals=totals,
        lower_tiers=tuple(judge_tier(found, tier, policy) for tier, found in tiers),
    )  # fmt: skip


def _find_claim(confirmed: ConfirmResult, pairs: TrialPairs, policy: Policy) -> Claim:
    """The gains of the first look: the defences run before the second one.

    Documents from before this was recorded were judged by the gain of all pairs.
    """
    if pairs.judged_claim is None or pairs.confirmation is None:
        return Claim(confirmed.claim, confirmed.claimed.gain)
    seen = pairs.confirmation.pairs[: policy.confirm_pairs]
    first = confirm_claim(
        replace(pairs.confirmation, pairs=seen), pairs.long_blocks, confirmed.claim, policy
    )
    return replace(Claim.make_from_confirmation(first), gain=pairs.judged_claim)
