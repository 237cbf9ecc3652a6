"""Sentences for reasons: every kind has words, and what a reader must learn from them is there."""

from __future__ import annotations

import pytest

from lance_autoresearch.records import Reason, ReasonKind, VoidCause
from lance_autoresearch.text.reasons import (
    KEPT_BACK,
    SENTENCES,
    SUMMARIES,
    VOIDS,
    describe_reason,
    describe_voids,
    summarize_reason,
)

FULL = {"about": "scan 16x256", "gain": -1.5, "bound": -4.25, "count": 3, "total": 9}
"""A reason with every field a sentence may need."""


@pytest.mark.parametrize("kind", list(ReasonKind))
@pytest.mark.parametrize("at_confirmation", [False, True])
def test_every_kind_of_reason_has_words(kind: ReasonKind, at_confirmation: bool) -> None:
    assert kind in SENTENCES
    bare, full = Reason(kind), Reason(kind, **FULL, at_confirmation=at_confirmation)
    for reason in (bare, full):
        words = describe_reason(reason)
        assert kind is ReasonKind.OLD or words, "an old row brings its own sentence"
        assert "None" not in describe_reason(full)
        assert "\n" not in words and summarize_reason(reason)
    kept_back = at_confirmation and kind in KEPT_BACK
    assert describe_reason(full).startswith("not confirmed: ") is kept_back


def test_kinds_about_a_part_name_it_and_its_figures() -> None:
    for kind, words in {
        ReasonKind.COMBO_SLOWER: "guard: scan 16x256 is slower: -1.50% (at most -4.25%)",
        ReasonKind.COMBO_MAY_BE_SLOWER: "guard: scan 16x256 -1.50% may be slower: -4.25%",
        ReasonKind.CLAIM_TOO_SMALL: "scan 16x256 -1.50%, may be only -4.25%",
        ReasonKind.OTHER_OP_MAY_BE_SLOWER: "scan 16x256 may be slower: -4.25%",
        ReasonKind.UNDECIDED: "undecided after 3 pairs",
        ReasonKind.TOO_FEW_PAIRS: "3 of at least 9 pairs",
    }.items():
        assert describe_reason(Reason(kind, **FULL)) == words


@pytest.mark.parametrize("cause", list(VoidCause))
def test_every_cause_of_a_void_pair_has_words(cause: VoidCause) -> None:
    assert VOIDS[cause]
    reason = Reason(ReasonKind.VOID_PAIRS, count=2, total=8, voids=((str(cause), 2),))
    assert describe_voids(reason) == f"{VOIDS[cause]} (2)"
    assert describe_reason(reason) == f"2 of 8 pairs void: {VOIDS[cause]} (2)"


def test_causes_are_said_apart_and_most_frequent_first() -> None:
    assert len(set(VOIDS.values())) == len(VOIDS)
    voids = ((str(VoidCause.MACHINE_SLEPT), 3), (str(VoidCause.CLOCK_JUMPED), 1))
    reason = Reason(ReasonKind.FEW_VALID_PAIRS, count=12, total=16, voids=voids)
    assert describe_reason(reason) == (
        "12 of 16 pairs valid, void: the machine slept (3), the clock jumped (1)"
    )
    assert describe_voids(Reason(ReasonKind.VOID_PAIRS)) == "none"


def test_pairs_with_long_blocks_are_named_as_such() -> None:
    reason = Reason(
        ReasonKind.FEW_VALID_PAIRS, "long blocks", count=1, total=4, at_confirmation=True
    )
    assert describe_reason(reason) == (
        "not confirmed: 1 of 4 pairs with long blocks valid, void: none"
    )


def test_a_sentence_made_elsewhere_is_shown_as_it_is() -> None:
    refused = Reason(ReasonKind.REFUSED, detail="`asm` is not admitted")
    assert describe_reason(refused) == "`asm` is not admitted"
    assert summarize_reason(Reason(ReasonKind.REFUSED, detail="first\nsecond")) == "first"


def test_a_summary_has_no_figures_so_that_trials_can_be_grouped() -> None:
    one, two = (
        Reason(ReasonKind.LONG_BLOCKS, "all", gain, at_confirmation=True) for gain in (1.0, 2.0)
    )
    assert summarize_reason(one) == summarize_reason(two) == SUMMARIES[ReasonKind.LONG_BLOCKS]
    guard = Reason(ReasonKind.COMBO_SLOWER, "scan 8 x", -4.0, -3.0)
    assert summarize_reason(guard) == "one combo became slower: scan 8 x"
