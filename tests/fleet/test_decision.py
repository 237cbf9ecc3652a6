"""One decision over several CPU kinds."""

from __future__ import annotations

import pytest

from lance_autoresearch.fleet.decision import (
    decide_over_kinds,
    is_loss,
    measure_fleet_rules,
    summarize_kind,
)
from lance_autoresearch.records import KindResult, Reason, ReasonKind, Results, Verdict

KEEP, REVERT = Verdict.KEEP, Verdict.REVERT


def one(
    kind: str, verdict: Verdict, reason: ReasonKind, e: float = 0.0, slower: bool = False
) -> KindResult:
    return KindResult(kind, kind * 8, verdict, Reason(reason), e, slower=slower)


def kept(kind: str, e: float) -> KindResult:
    return one(kind, KEEP, ReasonKind.CONFIRMED, e)


def neutral(kind: str, e: float = 1.0) -> KindResult:
    return one(kind, REVERT, ReasonKind.NO_GAIN, e)


def test_a_kind_on_which_nothing_is_significant_does_not_block_a_keep() -> None:
    found = decide_over_kinds([kept("a", 12_000), neutral("b"), neutral("c")], 4000)
    assert found.verdict is KEEP and found.deciding == "a"
    assert found.e == pytest.approx((12_000 + 1 + 1) / 3)


def test_the_claim_is_proven_on_the_mean_e_value() -> None:
    found = decide_over_kinds([kept("a", 11_900), neutral("b", 0), neutral("c", 0)], 4000)
    assert found.verdict is REVERT and found.reason.kind is ReasonKind.NOT_PROVEN
    assert decide_over_kinds([kept("a", 4000), kept("b", 4000)], 4000).verdict is KEEP


def test_evidence_that_no_kind_confirmed_keeps_nothing() -> None:
    high = one("a", REVERT, ReasonKind.CLAIM_TOO_SMALL, 1e9)
    assert decide_over_kinds([high, high], 4000).verdict is REVERT


@pytest.mark.parametrize("loss", [
    one("b", REVERT, ReasonKind.SLOWER), one("b", REVERT, ReasonKind.COMBO_SLOWER),
    one("b", REVERT, ReasonKind.NO_GAIN, slower=True),
    one("b", Verdict.INCORRECT, ReasonKind.FAULT),
    one("b", Verdict.REJECTED, ReasonKind.REFUSED),
    one("b", REVERT, ReasonKind.TOTAL_SLOWER),
])  # fmt: skip
def test_a_loss_on_one_kind_forbids_a_keep_whatever_the_others_show(loss: KindResult) -> None:
    assert is_loss(loss)
    found = decide_over_kinds([kept("a", 1e12), loss], 4000)
    assert found.verdict is loss.verdict and found.deciding == "b"
    assert found.verdict is not KEEP


def test_there_is_no_keep_on_half_of_the_kinds() -> None:
    failed = one("b", Verdict.INCONCLUSIVE, ReasonKind.MACHINE)
    assert not is_loss(failed)
    assert decide_over_kinds([kept("a", 1e12), failed], 4000).verdict is Verdict.INCONCLUSIVE
    with pytest.raises(ValueError, match="no kind"):
        decide_over_kinds([], 4000)


def test_a_trial_that_measured_nothing_has_no_figures() -> None:
    refused = Results(reason=Reason(ReasonKind.REFUSED))
    found = summarize_kind("a", "id", Verdict.REJECTED, refused)
    assert (found.e, found.gain, found.slower) == (0.0, None, False) and is_loss(found)


def test_the_digest_of_the_fleets_rule_is_in_a_row() -> None:
    found = measure_fleet_rules({"all": "a", "upstream": "u"})
    assert found["upstream"] == "u" and len(found["fleet"]) == 64
    assert found["all"] not in ("a", measure_fleet_rules({"all": "b"})["all"])
