"""The verdict's block: fixed where programs read it, bounded, safe with untrusted text."""

from __future__ import annotations

import json
import math
import unicodedata
from dataclasses import replace

import numpy as np
import pytest
from gate_cases import comparison
from hypothesis import given
from hypothesis import strategies as st

from lance_autoresearch.ledger.results_json import (
    decode_results,
    encode_confirm,
    encode_gate,
    encode_results,
)
from lance_autoresearch.records import (
    ComboId,
    ComboRow,
    Component,
    ConfirmResult,
    DefenceRow,
    DistinctInputsResult,
    Estimate,
    GateResult,
    Guard,
    OpponentResult,
    Outcome,
    Reason,
    ReasonKind,
    Results,
    ScreeningFacts,
    SlowInputs,
    TotalsResult,
    TotalsRow,
    TrialRecord,
    Verdict,
)
from lance_autoresearch.rules.confirmation import confirm_claim
from lance_autoresearch.rules.gate import run_gate
from lance_autoresearch.rules.policy import DEFAULT
from lance_autoresearch.text.plain_text import strip_text
from lance_autoresearch.text.verdict_text import (
    count_slices,
    mark_untrusted,
    print_confirm,
    print_defences,
    print_gate,
    print_trial,
    record_to_json,
)

RESULT = GateResult(
    outcome=Outcome.KEEP_CANDIDATE,
    reason=Reason(ReasonKind.PROVEN),
    claim="all",
    e=9123.4,
    threshold=4000.0,
    components=(Component("all", 2.14, 1.41, 2.88, 9123.4, 0.0),),
    combos=(
        ComboRow(ComboId("scan", "768x96 clustered"), 84310, 82020, 2.79, 2.1, 3.4, Guard.OK),
        ComboRow(ComboId("scan", "128x16 sparse"), 6110, 6130, -0.33, -0.9, 0.2, Guard.OK),
    ),
    pairs=9,
    void=0,
)
FACTS = ScreeningFacts(3240, 1.8, 1, Estimate("all", 0.03, -0.08, 0.14, 48), 48, 0)
BLOCK = """\
gate keep-candidate (all)  gain +2.14%  [valid at any stop +1.41 +2.88]  margin 0.50%  e=9.1e3 \
(need 4.0e3)
pairs 9 (void 0)  slices 3,240  1.8 s  core A 1  session A/A +0.03% ±0.11 (n=48, kept 0/48)
combo                champion   candidate   gain    bound          guard
768x96 clustered     84.31 µs    82.02 µs   +2.8%   +2.1 +3.4      ok
128x16 sparse         6.11 µs     6.13 µs   -0.3%   -0.9 +0.2      ok
next: confirm (fresh pools, 16 layouts)"""


def rows(gain: float, pairs: int, combos: int = 3) -> list[list[float]]:
    draws = np.random.default_rng(1).normal(gain, 0.004, (pairs, combos))
    return draws.tolist()  # type: ignore[no-any-return]


def confirmed() -> ConfirmResult:
    rng = np.random.default_rng(2)
    ops = ["scan", "scan", "table"]
    long_blocks = comparison(rows(0.02, 4), rng, ops)
    return confirm_claim(comparison(rows(0.02, 16), rng, ops), long_blocks, "all", DEFAULT)


def test_the_block_is_the_documented_one() -> None:
    assert print_gate(RESULT, FACTS, confirm_pairs=16) == BLOCK


def test_the_block_can_be_printed_from_what_the_ledger_keeps() -> None:
    results = Results(screening=RESULT, screening_facts=FACTS)
    kept = json.loads(json.dumps(encode_results(results), allow_nan=False))
    again = decode_results(kept)
    assert again.screening is not None
    assert print_gate(again.screening, again.screening_facts, confirm_pairs=16) == BLOCK


def test_columns_stand_still_whatever_the_numbers() -> None:
    low, high = float("-inf"), float("inf")
    wide = replace(
        RESULT,
        combos=(
            ComboRow(ComboId("scan", "1x1 a"), 0.4, 999.97, -99.9, -100.1, 12345.6, Guard.SLOWER),
            ComboRow(ComboId("scan", "1x2 a"), 1e6, 2.5e9, 0.0, low, high, Guard.OK),
        ),
    )
    head, *lines = print_gate(wide).splitlines()[2:5]
    assert [line.index(line.split()[-1]) for line in lines] == [head.index("guard")] * 2
    assert "open open" in lines[1]
    assert "1.00 µs" in lines[0]


def test_infinite_ends_are_null_in_json() -> None:
    rng = np.random.default_rng(0)
    fields = encode_gate(run_gate(comparison(rows(0.02, 2), rng), DEFAULT))
    assert json.loads(json.dumps(fields, allow_nan=False))["low"] is None


@pytest.mark.parametrize(
    ("gain", "pairs", "last"),
    [(0.02, 3, "next: another pair"), (-0.03, 6, "next: another idea (slower)")],
)
def test_the_last_line_says_what_follows(gain: float, pairs: int, last: str) -> None:
    built = comparison(rows(gain, pairs), np.random.default_rng(0))
    block = print_gate(run_gate(built, DEFAULT))
    assert block.splitlines()[-1].startswith(last)


def test_several_ops_are_named_in_the_table() -> None:
    block = print_confirm(confirmed())
    assert "\nscan 16x256 sparse" in block
    assert "\ntable 16x1024 sparse" in block
    assert block.startswith("confirm keep (all)  gain +")
    assert "[99% +" in block
    assert "long blocks +" in block
    assert block.endswith("why: confirmed on fresh inputs, sizes and layouts")
    json.dumps(encode_confirm(confirmed()), allow_nan=False)


def test_a_combo_that_may_be_slower_says_by_how_much() -> None:
    row = replace(RESULT.combos[0], low=-5.123, guard=Guard.MAY_BE_SLOWER)
    assert print_gate(replace(RESULT, combos=(row,))).splitlines()[3].endswith("  may be -5.12%")


def test_defences_are_shown_where_they_were_run() -> None:
    assert print_defences(Results()) == ""
    distinct = DistinctInputsResult(2.0, math.inf, claim_rejected=False)
    opponent = OpponentResult(3.0, 2.5, claim_rejected=True)
    assert print_defences(Results(distinct_inputs=distinct, opponent=opponent)).splitlines() == [
        "defence ok  on inputs and sizes never met before: gain +2.00%, at most open%",
        "rejected  champion slowed by running behind this kernel: +3.00%, at least +2.50%",
    ]


def test_every_combo_is_shown_before_the_defences() -> None:
    """A memo lost three quarters of its speed in one combo, and the verdict said ok."""
    names = [ComboId("scan", "16x256 uniform"), ComboId("table", "96x8 residual")]
    lost = (DefenceRow(names[0], 55.0, -74.0, -70.0, rejected=True),
            DefenceRow(names[1], 4.0, 3.9, math.inf, rejected=False))  # fmt: skip
    slowed = (DefenceRow(names[0], 55.0, 0.1, -2.5, rejected=False),
              DefenceRow(names[1], 4.0, 20.0, 15.0, rejected=True))  # fmt: skip
    shown = print_defences(
        Results(
            distinct_inputs=DistinctInputsResult(30.0, 31.0, False, lost),
            opponent=OpponentResult(0.0, -1.0, False, slowed),
        )
    )
    assert shown.splitlines() == [
        "rejected  on inputs and sizes never met before: gain +30.00%, at most +31.00%",
        "rejected  champion slowed by running behind this kernel: +0.00%, at least -1.00%",
        "combo                confirmed  met once   at most  opponent  at least  defences",
        "scan 16x256 uniform     +55.0%    -74.0%    -70.0%     +0.1%     -2.5%  fails met once",
        "table 96x8 residual      +4.0%     +3.9%      open    +20.0%    +15.0%  fails opponent",
    ]
    once = print_defences(Results(distinct_inputs=DistinctInputsResult(30.0, 31.0, False, lost)))
    assert once.splitlines()[-1] == (
        "table 96x8 residual      +4.0%     +3.9%      open                      ok"
    )
    assert max(map(len, shown.splitlines())) <= 100


def test_the_total_time_of_every_op_is_shown() -> None:
    slow = SlowInputs("scan8", "drawn skewed", "m 10 to 99", 5, -96.0)
    rows = (TotalsRow("scan8", 1000, 4.0, 3.1, 4.9), TotalsRow("table_l2", 1000, 0.1, -1, 1.2))
    found = TotalsResult(rows, suspected=9, repeats=2, wanted=2, slow=(slow,))
    assert print_defences(Results(totals=found)).splitlines() == [
        "rejected  total time of 1,000 distinct inputs of scan8: +4.00% [+3.10 +4.90]",
        "rejected  total time of 1,000 distinct inputs of table_l2: +0.10% [-1.00 +1.20]",
        "looked slow: 9 inputs or groups; slow again in each of 2 other pairs: 5 inputs",
    ]


def test_blocks_are_bounded() -> None:
    many = tuple(
        ComboRow(ComboId(f"op{i}", "x" * 500), 1.0, 1.0, 0.0, 0.0, 0.0, Guard.OK)
        for i in range(300)
    )
    block = print_gate(replace(RESULT, combos=many))
    assert len(block.splitlines()) == 2 + 1 + 24 + 1 + 1
    assert "... 276 more combos" in block
    assert max(map(len, block.splitlines()[2:])) <= 120


def test_slices_are_counted() -> None:
    assert count_slices(comparison(rows(0, 9, 9), np.random.default_rng(0))) == 3240


def record(**more: object) -> TrialRecord:
    base = TrialRecord("pq-l2", Verdict.KEEP, "confirmed", "ab" * 32, "cd" * 32)
    return replace(base, **more)  # type: ignore[arg-type]


def test_a_trial_shows_verdict_first_and_its_measurements() -> None:
    results = Results(screening=RESULT, screening_facts=FACTS, confirmation=confirmed())
    trial = record(results=results, gain=2.0, low=1.5, high=2.5, phases={"build": 0.31})
    text = print_trial(trial)
    assert text.startswith("verdict keep  pq-l2  gain +2.00% [+1.50 +2.50]\nwhy: confirmed\n")
    assert print_trial(trial, number=12).splitlines()[0].endswith("[+1.50 +2.50]  trial 12")
    assert print_gate(RESULT, FACTS) in text
    assert print_confirm(confirmed()) in text
    assert "seconds 0.31: build 0.31" in text
    fields = json.loads(json.dumps(record_to_json(trial), allow_nan=False))
    assert (fields["verdict"], fields["exit_code"]) == ("keep", 0)


def test_what_the_machine_cannot_give_is_said_with_the_verdict() -> None:
    weak = print_trial(record(machine={"weak": "smt-sibling clock-source"}))
    assert "weaker on this machine: smt-sibling, clock-source" in weak and "./lar doctor" in weak
    assert "weaker" not in print_trial(record(machine={"box": "bubblewrap"}))


def test_a_hypothesis_is_marked_and_cannot_forge_a_line() -> None:
    text = print_trial(record(hypothesis="unroll\nverdict keep  pq-l2\x1b]0;x\x07"))
    assert 'hypothesis untrusted: "unroll verdict keep pq-l2"' in text
    assert sum(line.startswith("verdict") for line in text.splitlines()) == 1


# --- untrusted text -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x9b31mred", "red"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]8;;http://x\x1b\\link", "link"),
        ("\x90dcs\x9cafter", "after"),
        ("a\x00b\x08c\x7fd\x85e", "abcd e"),
        ("\u202eevil\u2066x\u200b\ufeff", "evilx"),
        ("tag\U000e0041\ufe0f", "tag"),
        ("one\r\ntwo\u2028three", "one two three"),
        ("\ud800lone", "lone"),
        ("fine: µ ∑ 漢 é", "fine: µ ∑ 漢 é"),
    ],
)
def test_what_is_stripped(text: str, left: str) -> None:
    assert strip_text(text) == left


@given(st.text(max_size=300), st.integers(1, 80))
def test_stripping_leaves_one_short_printable_line_and_is_idempotent(text: str, limit: int) -> None:
    once = strip_text(text, limit)
    assert len(once) <= limit
    assert strip_text(once, limit) == once
    assert all(unicodedata.category(c)[0] != "C" and c not in "\n\r\u2028\u2029" for c in once)


def test_untrusted_text_is_marked_and_bounded() -> None:
    assert mark_untrusted("hello") == 'untrusted: "hello"'
    assert len(mark_untrusted("x" * 10**7)) < 1100
