"""Results as JSON and back: nothing is lost, infinite ends included; old fields are understood."""

from __future__ import annotations

import json
import math
from dataclasses import fields, replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lance_autoresearch.ledger.results_json import (
    OLD_REASONS,
    decode_results,
    encode_results,
)
from lance_autoresearch.records import (
    CodeFacts,
    ComboId,
    ComboRow,
    Component,
    ConfirmResult,
    DefenceRow,
    DistinctInputsResult,
    Estimate,
    Fault,
    FaultKind,
    GateResult,
    Guard,
    KindResult,
    OpponentResult,
    Outcome,
    Reason,
    ReasonKind,
    Results,
    RewriteStep,
    ScreeningFacts,
    SlowInputs,
    TierResult,
    TotalsResult,
    TotalsRow,
    Verdict,
)

finite = st.floats(allow_nan=False, allow_infinity=False)
lows = finite | st.just(-math.inf)
highs = finite | st.just(math.inf)
counts = st.integers(0, 10**6)
words = st.text(max_size=4)
weights = st.floats(0.125, 8.0)
combos = st.builds(ComboId, words, words, weights)
combo_rows = st.builds(
    ComboRow, combos, finite, finite, finite, lows, highs, st.sampled_from(Guard)
)
reasons = st.builds(
    Reason,
    st.sampled_from(ReasonKind), words, st.none() | finite, st.none() | finite,
    st.none() | counts, st.none() | counts,
    st.lists(st.tuples(words, counts), max_size=3).map(tuple), words, st.booleans(),
)  # fmt: skip
estimates = st.builds(Estimate, words, finite, lows, highs, counts)
components = st.builds(Component, words, finite, lows, highs, finite, finite)


def several(one: st.SearchStrategy) -> st.SearchStrategy:  # type: ignore[type-arg]
    return st.lists(one, min_size=1, max_size=3).map(tuple)


def claimed(draw: tuple) -> object:  # type: ignore[type-arg]
    """A result whose claim names its first component."""
    made = draw[0]
    return replace(made, claim=made.components[0].name)


gates = st.tuples(
    st.builds(
        GateResult, st.sampled_from(Outcome), reasons, words, finite, finite,
        several(components), several(combo_rows), counts, counts,
    )
).map(claimed)  # fmt: skip
confirmations = st.tuples(
    st.builds(
        ConfirmResult, st.sampled_from(Verdict), reasons, words, several(estimates),
        several(combo_rows), st.none() | estimates, counts, counts,
    )
).map(claimed)  # fmt: skip
facts = st.builds(
    ScreeningFacts, st.none() | counts, st.none() | finite, st.none() | counts,
    st.none() | estimates, counts, counts,
)  # fmt: skip
faults = st.builds(
    Fault,
    kind=st.sampled_from([kind for kind in FaultKind if not kind.note_is_kernels]),
    combo=words, call=counts, part=counts, offset=counts, differs=counts, total=counts,
    note=st.none() | words, signal=st.none() | counts, syscall=st.none() | words,
    side=st.sampled_from(["candidate", "champion"]), tier=st.sampled_from(["native", "avx2"]),
)  # fmt: skip


tiers = st.builds(
    TierResult, words, st.none() | reasons, several(estimates), several(combo_rows), counts, counts
)


totals = st.builds(
    TotalsResult,
    st.lists(st.builds(TotalsRow, words, counts, finite, lows, highs), max_size=2).map(tuple),
    counts, counts, counts,
    st.lists(st.builds(SlowInputs, words, words, words, counts, finite), max_size=2).map(tuple),
)  # fmt: skip


def rows_of(bounds: st.SearchStrategy) -> st.SearchStrategy:  # type: ignore[type-arg]
    """Rows of a defence; none in older rows."""
    combo = st.builds(ComboId, words, words, st.sampled_from([1.0, 2.5]))
    row = st.builds(DefenceRow, combo, finite, finite, bounds, st.booleans())
    return st.lists(row, max_size=3).map(tuple)


@st.composite
def results(draw: st.DrawFn) -> Results:
    """Results with any stage reached or not."""
    screening = draw(st.none() | gates)
    confirmation = draw(st.none() | confirmations)
    stage = screening is not None or confirmation is not None
    return Results(
        reason=draw(reasons),
        checked=draw(counts),
        screening=screening,
        screening_facts=draw(st.none() | facts) if screening is not None else None,
        confirmation=confirmation,
        distinct_inputs=draw(st.none() | st.builds(
            DistinctInputsResult, finite, highs, st.booleans(), rows_of(highs))),
        opponent=draw(st.none() | st.builds(
            OpponentResult, finite, lows, st.booleans(), rows_of(lows))),
        totals=draw(st.none() | totals),
        lower_tiers=tuple(draw(st.lists(tiers, max_size=2))),
        fault=draw(st.none() | faults),
        code=draw(st.none() | st.builds(CodeFacts, words, st.booleans(), st.none() | counts)),
        predicted=draw(st.none() | finite),
        tier=draw(st.sampled_from(["native", "avx2"])),
        dose=tuple(draw(st.lists(finite, max_size=2))),
        margin=draw(finite) if stage else 0.5,
        level=draw(finite) if confirmation is not None else 0.99,
    )  # fmt: skip


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(results())
def test_results_come_back_as_they_were(given_results: Results) -> None:
    text = json.dumps(encode_results(given_results), allow_nan=False)
    assert decode_results(json.loads(text)) == given_results


def test_every_field_of_the_results_is_stored() -> None:
    """A field added to `Results` and forgotten by the codec would come back as its default."""
    row = ComboRow(ComboId("scan", "8 x"), 2.0, 1.0, 100.0, -math.inf, math.inf, Guard.OK)
    one = Estimate("all", 1.0, -math.inf, math.inf, 1)
    reason = Reason(ReasonKind.CONFIRMED, at_confirmation=True)
    component = Component("all", 1.0, -math.inf, math.inf, 5.0, 0.0)
    lost = DefenceRow(ComboId("scan", "8 x", 2.0), 5.0, -74.0, -70.0, rejected=True)
    whole = Results(
        reason=reason,
        checked=7,
        screening=GateResult(
            Outcome.KEEP_CANDIDATE, Reason(ReasonKind.PROVEN), "all", 5.0, 4.0, (component,),
            (row,), 8, 1,
        ),
        screening_facts=ScreeningFacts(3240, 1.5, 1, one, 48, 2),
        confirmation=ConfirmResult(Verdict.KEEP, reason, "all", (one,), (row,), one, 16, 2),
        distinct_inputs=DistinctInputsResult(1.0, math.inf, False, (lost,)),
        opponent=OpponentResult(1.0, -math.inf, True, (lost,)),
        totals=TotalsResult(
            (TotalsRow("scan", 1000, 1.0, -math.inf, math.inf),), 3, 2, 2,
            (SlowInputs("scan", "drawn x", "n 10 to 99", 2, -95.0),),
        ),
        lower_tiers=(TierResult("scalar", reason, (one,), (row,), 16, 2),),
        kinds=(KindResult("zen3", "ef" * 32, Verdict.KEEP, reason, 5.0, 1.0, 0.5, None, True),),
        fault=Fault(FaultKind.MISMATCH, "scan 8 x", 1, 2, 3, 4, 5, tier="avx2"),
        code=CodeFacts("ab" * 32, cached=True, text_bytes=99),
        predicted=3.0,
        made_from="cd" * 32,
        rewrites=(RewriteStep("unroll", "scan8", "loop 1 by 4"),),
        tier="avx2",
        dose=(0.01, 0.02),
        margin=0.6,
        level=0.95,
    )  # fmt: skip
    plain = Results()
    same = [f.name for f in fields(Results) if getattr(whole, f.name) == getattr(plain, f.name)]
    assert same == []
    text = json.dumps(encode_results(whole), allow_nan=False)
    assert "Infinity" not in text and decode_results(json.loads(text)) == whole
    assert json.loads(text)["distinct_inputs"]["rejected"], "a combo alone rejects"


def test_what_was_not_reached_is_left_out() -> None:
    assert encode_results(Results(checked=3)) == {"v": 2, "checked": 3}


def test_a_kernels_own_words_are_not_stored_but_the_line_they_name() -> None:
    fault = Fault(FaultKind.PANIC, note="kernels.rs:8:9 input was 4.25", got=b"\1", want=b"\2")
    stored = encode_results(Results(fault=fault))
    assert "4.25" not in json.dumps(stored)
    again = decode_results(stored).fault
    assert again is not None
    assert (again.note, again.got, again.want) == ("kernels.rs:8:9", b"", b"")


OLD = {
    "unseen": {"gain": 1.0, "high": None, "rejected": False},
    "came": [0.01, 0.02],
    "confirm": {
        "verdict": "keep", "reason": "confirmed", "claim": "all", "pairs": 16, "void": 0,
        "level": 0.98, "margin": 0.4, "components": [], "licence": {
            "name": "all", "gain": 1.0, "low": None, "high": 2.0, "n": 4,
        },
        "combos": [{
            "op": "scan", "name": "8 x", "champion_ns": 2.0, "candidate_ns": 1.0, "gain": 1.0,
            "low": -5.12, "high": None, "guard": "may be -5.12%",
        }],
    },
}  # fmt: skip


def test_names_of_version_1_are_read() -> None:
    found = decode_results(OLD, "confirmed on fresh inputs, sizes and layouts")
    assert found.reason is not None and found.reason.kind is ReasonKind.CONFIRMED
    assert found.distinct_inputs == DistinctInputsResult(1.0, math.inf, claim_rejected=False)
    assert found.dose == (0.01, 0.02)
    assert (found.margin, found.level) == (0.4, 0.98)
    assert found.confirmation is not None
    assert found.confirmation.long_blocks == Estimate("all", 1.0, -math.inf, 2.0, 4)
    assert found.confirmation.combos[0].guard is Guard.MAY_BE_SLOWER
    assert decode_results({}) == Results()


SENTENCES = {
    "not confirmed: guard: scan 8 x -5.1% (may be -6.20%)": (
        ReasonKind.COMBO_MAY_BE_SLOWER, "scan 8 x"),
    "guard: scan 8 x -54.3%": (ReasonKind.COMBO_SLOWER, "scan 8 x"),
    "not confirmed: table may be slower: -2.10%": (ReasonKind.OTHER_OP_MAY_BE_SLOWER, "table"),
    "not confirmed: all +0.84% with its slow processes, may be only -1.00%": (
        ReasonKind.SLOW_PROCESSES, "all"),
    "not confirmed: all -0.52%, may be only -1.64%": (ReasonKind.CLAIM_TOO_SMALL, "all"),
    "not confirmed: in long blocks only +1.00%": (ReasonKind.LONG_BLOCKS, ""),
    "12 of 16 pairs valid, void: slept (4)": (ReasonKind.FEW_VALID_PAIRS, ""),
    "1 of 4 pairs with long blocks valid": (ReasonKind.FEW_VALID_PAIRS, ""),
    "3 of 9 pairs void: slept (3)": (ReasonKind.VOID_PAIRS, ""),
    "not proven: worth combining with another idea": (ReasonKind.NOT_PROVEN, ""),
    "no gain above the margin": (ReasonKind.NO_GAIN, ""),
    "slower": (ReasonKind.SLOWER, ""),
    "confirmed on fresh inputs, sizes and layouts": (ReasonKind.CONFIRMED, ""),
    "the same program as the champion, nothing to measure": (ReasonKind.SAME_PROGRAM, ""),
    "quoted against Lance at tier avx2: confirmed": (ReasonKind.QUOTED, ""),
    "`asm` is not admitted": (ReasonKind.OLD, ""),
}  # fmt: skip


@pytest.mark.parametrize("sentence", SENTENCES)
def test_a_sentence_of_version_1_is_kept_and_its_kind_is_read(sentence: str) -> None:
    confirming = sentence.startswith("not confirmed")
    kind, about = SENTENCES[sentence]
    found = decode_results({}, sentence).reason
    assert found == Reason(kind, about, detail=sentence, at_confirmation=confirming)


def test_every_pattern_of_version_1_has_a_sentence_here() -> None:
    assert {kind for _, kind in OLD_REASONS} == {kind for kind, _ in SENTENCES.values()} - {
        ReasonKind.OLD
    }


@pytest.mark.parametrize(
    ("damaged", "what"),
    [
        ({"gate": {"outcome": "keep-candidate"}}, "another shape: 'reason'"),
        ({"gate": 3}, "another shape"),
        ({"confirm": {"verdict": "tea"}}, "'tea' is not a valid Verdict"),
        ({"fault": {"kind": "melted"}}, "'melted' is not a valid FaultKind"),
        ({"reason": {"kind": "tea"}}, "'tea' is not a valid ReasonKind"),
        ({"opponent": {"slowdown": 1.0}}, "another shape: 'low'"),
        ({"dose": 3}, "another shape"),
        ({"code": [1]}, "another shape"),
    ],
)
def test_fields_of_another_shape_are_refused(damaged: dict[str, object], what: str) -> None:
    with pytest.raises(ValueError, match=what):
        decode_results(damaged)
