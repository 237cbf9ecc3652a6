"""The rules to the last word: edges, texts and fields that a wrong rule would get wrong.

Most of these were written because a mutant survived (tools/mutation.py).
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from gate_cases import combos, comparison

from lance_autoresearch.errors import UsageError
from lance_autoresearch.records import (
    Claim,
    ComboId,
    Comparison,
    ConfirmResult,
    Guard,
    Outcome,
    PairTimes,
    Reason,
    ReasonKind,
    Verdict,
    Void,
    VoidCause,
)
from lance_autoresearch.rules import stats
from lance_autoresearch.rules.confirmation import (
    confirm_claim,
    is_worth_more_pairs,
)
from lance_autoresearch.rules.defences import (
    find_floor_flags,
    judge_distinct_inputs,
    judge_opponent,
)
from lance_autoresearch.rules.estimator import (
    Sample,
    call_ns,
    check_comparison,
    compute_pair_value,
    compute_samples,
    count_unmeasurable_rounds,
    count_voids,
)
from lance_autoresearch.rules.gate import replay_gate, run_gate
from lance_autoresearch.rules.policy import DEFAULT

WAVE = [0.004 * math.sin(2.4 * p) for p in range(60)]


def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def rows(gains: list[float], pairs: int = 16, scale: float = 1.0) -> Comparison:
    """Every combo around its gain, each in an order of its own."""
    table = [[g + scale * WAVE[(p * (3 + i)) % 60] for i, g in enumerate(gains)]
             for p in range(pairs)]  # fmt: skip
    return comparison(table, rng())


SLEPT, JUMPED = Void(VoidCause.MACHINE_SLEPT, "0.3 s"), Void(VoidCause.CLOCK_JUMPED)


def void(built: Comparison, which: dict[int, Void]) -> Comparison:
    pairs = tuple(replace(p, void=which.get(i)) for i, p in enumerate(built.pairs))
    return replace(built, pairs=pairs)


# --- gate -----------------------------------------------------------------------------------


def test_the_gate_says_why_pairs_were_void_most_frequent_first() -> None:
    built = void(rows([0.02] * 2, 9), {0: SLEPT, 2: JUMPED, 5: replace(SLEPT, detail="9 s")})
    assert count_voids(built) == (("machine-slept", 2), ("clock-jumped", 1))
    assert count_voids(rows([0.02])) == ()
    reason = run_gate(built, DEFAULT).reason
    assert reason == Reason(ReasonKind.VOID_PAIRS, count=3, total=9, voids=count_voids(built))


def test_a_proof_says_what_comes_next() -> None:
    result = run_gate(rows([0.05] * 3, 12), DEFAULT)
    assert result.outcome is Outcome.KEEP_CANDIDATE
    assert result.reason == Reason(ReasonKind.PROVEN)
    policy = replace(DEFAULT, e_threshold=result.e)
    assert run_gate(rows([0.05] * 3, 12), policy).outcome is result.outcome


def test_the_guard_names_the_worst_combo() -> None:
    built = rows([-0.07, 0.1, -0.09, 0.1], 20, 0.3)
    label = built.combos[2].label
    result = run_gate(built, DEFAULT)
    (row,) = (r for r in result.combos if r.combo.label == label)
    assert result.reason == Reason(ReasonKind.COMBO_SLOWER, label, row.gain, row.high)
    assert -9 < row.gain < -8


def test_bounds_are_numbers_around_the_gain_in_components_and_combos() -> None:
    result = run_gate(rows([0.02, 0.03], 12), DEFAULT)
    for row in (*result.components, *result.combos):
        assert -9 < row.low < row.gain < row.high < 9
    (whole,) = result.components
    assert whole.gain - whole.low == pytest.approx(whole.high - whole.gain, rel=0.02)


def test_e_values_stand_on_the_side_of_the_margin_where_the_mean_is() -> None:
    above, below = (
        run_gate(rows([0.007] * 2, 12), DEFAULT),
        run_gate(rows([0.003] * 2, 12), DEFAULT),
    )
    assert above.components[0].e > 0.0 == above.components[0].e_below
    assert below.components[0].e_below > 0.0 == below.components[0].e
    near = run_gate(rows([0.0057], 4), DEFAULT).components[0]
    assert near.e > 0.0 == near.e_below, "also where t is small"


def test_evidence_of_exactly_what_is_needed_is_enough() -> None:
    built = rows([0.001] * 2, 9)
    policy = replace(DEFAULT, futility_threshold=run_gate(built, DEFAULT).components[0].e_below)
    assert run_gate(built, policy).outcome is Outcome.REVERT


def test_a_component_just_above_the_margin_prevents_the_early_revert() -> None:
    """t of the second op is between 0 and 1."""
    ops = ["scan", "table"]
    table = [[-0.02 + e, 0.0055 + e] for e in WAVE[:12]]
    assert run_gate(comparison(table, rng(), ops), DEFAULT).outcome is Outcome.CONTINUE


def test_a_replay_stops_where_the_gate_stopped_and_allows_more_after_a_continuation() -> None:
    early = rows([0.05] * 3, 20)
    assert replay_gate(early, DEFAULT).pairs == 7
    assert replay_gate(early, DEFAULT, before=10).pairs == 11
    most = DEFAULT.max_pairs
    undecided = [[0.0055 + 0.004 * (-1) ** p] for p in range(most + 6)]
    built = comparison(undecided, rng())
    assert replay_gate(built, DEFAULT).pairs == most
    seen = [replay_gate(built, DEFAULT, before=before).pairs for before in (4, 10)]
    assert seen == [most + 4, most + 6]
    strict = replace(DEFAULT, max_pairs=12)
    assert replay_gate(built, strict).pairs == 12
    assert replay_gate(
        replace(built, pairs=built.pairs[:6]), replace(DEFAULT, max_pairs=6)
    ).outcome is (Outcome.REVERT)


# --- statistics -----------------------------------------------------------------------------


def test_any_stop_bounds_lie_around_the_centre_at_their_width() -> None:
    half = stats.compute_any_stop_t(9, 4.0, 0.01) * 0.6 / 3
    low, high = stats.compute_any_stop_bounds(2.0, 0.6, 9, 4.0, 0.99)
    assert (low, high) == pytest.approx((2.0 - half, 2.0 + half), rel=1e-12)
    assert stats.compute_any_stop_t(2, 4.0, 0.9) < math.inf


def test_bounds_without_freedom_are_open() -> None:
    assert stats.compute_t_bounds(1.0, 0.5, 0, 0.99) == stats.Bounds(-math.inf, math.inf)
    assert stats.compute_t_bounds(1.0, 0.5, -1, 0.99) == stats.Bounds(-math.inf, math.inf)
    low, high = stats.compute_t_bounds(1.0, 0.5, 1, 0.99)
    assert -math.inf < low < 1.0 < high < math.inf
    assert Sample("x", (1.0, 2.0), 0.1, 1.0).compute_fixed_bounds(0.9) == (-math.inf, math.inf)
    assert Sample("x", (1.0, 2.0, 2.5), 0.1, 1.0).compute_fixed_bounds(0.9)[0] > -math.inf
    assert Sample("x", (1.0,), 0.1).error == math.inf


def test_the_incomplete_beta_ends_at_zero_and_one() -> None:
    assert (stats.compute_incomplete_beta(2, 3, 0.0), stats.compute_incomplete_beta(2, 3, 1.0)) == (
        0.0,
        1.0,
    )
    assert (
        stats.compute_incomplete_beta(2, 3, -1.0),
        stats.compute_incomplete_beta(2, 3, 1.5),
    ) == (0.0, 1.0)


def test_exact_bounds_of_one_trial_and_at_the_level_that_is_meant() -> None:
    assert stats.compute_exact_bounds(0, 1) == pytest.approx((0.0, 0.995))
    assert stats.compute_exact_bounds(1, 1) == pytest.approx((0.005, 1.0))
    assert stats.compute_exact_bounds(1, 9) == stats.compute_exact_bounds(1, 9, 0.99)


@pytest.mark.parametrize(("p", "dof"), [(0.0, 5), (1.0, 5), (0.5, 0), (0.5, -1)])
def test_quantiles_that_do_not_exist(p: float, dof: float) -> None:
    with pytest.raises(ValueError, match="no quantile"):
        stats.find_t_quantile(p, dof)


# --- the estimator --------------------------------------------------------------------------


def one(champion: list[int], candidate: list[int], calls: int = 1) -> Comparison:
    pair = PairTimes((calls,), (tuple(champion),), (tuple(candidate),), (5, 5))
    return Comparison(combos(["scan"]), (pair,), 1.0)


@pytest.mark.parametrize(
    ("champion", "candidate", "calls", "fault"),
    [
        ([9, 9], [9], 1, "pair 0: sides differ in rounds, or have none"),
        ([9], [9, 9], 1, "pair 0: sides differ in rounds, or have none"),
        ([], [], 1, "pair 0: sides differ in rounds, or have none"),
        ([9, 0], [9, 9], 1, "pair 0: a time or a number of calls is not positive"),
        ([9, 9], [9, 0], 1, "pair 0: a time or a number of calls is not positive"),
        ([9, 9], [9, 9], 0, "pair 0: a time or a number of calls is not positive"),
    ],
)
def test_pairs_that_contradict_themselves(
    champion: list[int], candidate: list[int], calls: int, fault: str
) -> None:
    with pytest.raises(UsageError) as caught:
        check_comparison(one(champion, candidate, calls))
    assert (caught.value.what, caught.value.where) == (fault, "comparison")


def test_one_tick_is_a_time_and_no_noise_an_sd() -> None:
    check_comparison(one([1, 1], [1, 1]))
    check_comparison(replace(one([1, 1], [1, 1]), aa_sd=(0.0, 0.0, 0.0)))


def test_empty_slices_are_subtracted_where_both_sides_leave_something() -> None:
    def value(champion: int, candidate: int) -> float:
        return compute_pair_value(one([champion], [candidate]).pairs[0], 0)

    assert value(6, 7) == pytest.approx(math.log(1 / 2))
    assert value(5, 7) == pytest.approx(math.log(5 / 7))
    assert value(9, 4) == pytest.approx(math.log(9 / 4))
    with pytest.raises(ValueError, match="zip"):
        compute_pair_value(one([9, 9], [9]).pairs[0], 0)


def test_as_long_as_an_empty_slice_cannot_be_measured() -> None:
    assert count_unmeasurable_rounds(one([9, 9, 9], [4, 5, 6]), 0) == 2
    assert call_ns(Comparison(combos(["scan"]), (), 1.0), 0) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"combos": ()}, "no combos"),
        ({"combos": (ComboId("a", "b", 0.0),)}, "weight of a b not positive"),
        ({"combos": (ComboId("a", "b", 1.0),) * 2}, "two combos of one name"),
        ({"ticks_per_ns": 0.0}, "ticks_per_ns not positive"),
        ({"ticks_per_ns": math.inf}, "ticks_per_ns not positive"),
        ({"aa_sd": (0.1,)}, "aa_sd has 1 values, not one per combo, op and all"),
        ({"aa_sd": (0.1, -0.1, 0.1)}, "aa_sd holds a value that is no SD"),
        ({"aa_sd": (0.1, math.inf, 0.1)}, "aa_sd holds a value that is no SD"),
    ],
)
def test_comparisons_that_contradict_themselves(change: dict[str, object], fault: str) -> None:
    built = Comparison(combos(["scan"]), (), 1.0)
    with pytest.raises(UsageError) as caught:
        check_comparison(replace(built, **change))  # type: ignore[arg-type]
    assert fault in caught.value.what.split("; ")


def test_a_comparison_names_all_its_faults_but_not_endlessly() -> None:
    pairs = tuple(PairTimes((0,), ((1,),), ((1,),), (0, 0)) for _ in range(20))
    with pytest.raises(UsageError) as caught:
        check_comparison(Comparison(combos(["scan"]), pairs, 1.0))
    reported = caught.value.what.split("; ")
    assert reported == [f"pair {i}: a time or a number of calls is not positive" for i in range(8)]
    below = replace(pairs[0], calls=(1,), empty=(0, -1))
    with pytest.raises(UsageError, match="pair 1: an empty slice is negative"):
        check_comparison(Comparison(combos(["scan"]), (replace(pairs[0], calls=(1,)), below), 1.0))
    with pytest.raises(UsageError, match="pair 0: does not have 2 combos"):
        check_comparison(Comparison(combos(["scan"] * 2), pairs[:1], 1.0))


# --- confirmation ---------------------------------------------------------------------------


def test_an_unknown_claim_is_named() -> None:
    with pytest.raises(UsageError) as caught:
        confirm_claim(rows([0.02]), None, "tea", DEFAULT)
    assert str(caught.value) == "confirmation: no component named 'tea'\n  allowed: all"


def test_a_result_holds_its_pairs_and_times() -> None:
    result = confirm_claim(void(rows([0.03], 16), {3: SLEPT}), None, "all", DEFAULT)
    assert (result.pairs, result.void) == (15, 1)
    (row,) = result.combos
    assert 1.02 < row.champion_ns / row.candidate_ns < 1.04
    assert row.low < row.gain < row.high < 9


@pytest.mark.parametrize(("valid", "verdict"), [(4, "keep"), (3, "keep"), (2, "keep"), (1, "inc")])
def test_two_long_pairs_are_enough(valid: int, verdict: str) -> None:
    long_blocks = void(rows([0.03], 4, 0.2), dict.fromkeys(range(valid, 4), SLEPT))
    assert str(confirm_claim(rows([0.03]), long_blocks, "all", DEFAULT).verdict).startswith(verdict)


def test_a_machine_failure_is_said_before_any_fault() -> None:
    built = void(rows([-0.03]), dict.fromkeys(range(4), SLEPT))
    reason = confirm_claim(built, None, "all", DEFAULT).reason
    assert reason.kind is ReasonKind.FEW_VALID_PAIRS and reason.at_confirmation
    assert (reason.count, reason.total, reason.voids) == (12, 16, (("machine-slept", 4),))


def test_each_of_three_bounds_lets_long_blocks_be_slower() -> None:
    """The slack, errors of both, half of the gain."""
    def ends(gain: float, long: float, **slack: float) -> str:
        policy = replace(DEFAULT, **slack)  # type: ignore[arg-type]
        return str(confirm_claim(rows([gain]), rows([long], 4), "all", policy).verdict)

    off = {"long_block_slack": 0.0, "long_block_errors": 0.0, "long_block_share": 0.0}
    assert ends(0.03, 0.021, **off) == "revert"
    assert ends(0.03, 0.021, **{**off, "long_block_slack": 0.02}) == "keep"
    assert ends(0.03, 0.021, **{**off, "long_block_errors": 9.0}) == "keep"
    assert ends(0.03, 0.021, **{**off, "long_block_share": 0.5}) == "keep"
    assert ends(0.03, 0.005, **{**off, "long_block_share": 0.5}) == "revert"


def doubtful(**change: object) -> ConfirmResult:
    """A revert whose only doubt is one combo that may be slower."""
    found = confirm_claim(rows([0.05, 0.05, -0.012], 16, 16.0), None, "all",
                    replace(DEFAULT, margin=-1.0))  # fmt: skip
    return replace(found, **change)  # type: ignore[arg-type]


def test_what_is_worth_a_second_look() -> None:
    found = doubtful()
    assert found.reason.kind is ReasonKind.COMBO_MAY_BE_SLOWER
    assert is_worth_more_pairs(found, DEFAULT)
    other_op = Reason(ReasonKind.OTHER_OP_MAY_BE_SLOWER)
    assert is_worth_more_pairs(replace(found, reason=other_op), DEFAULT)
    assert not is_worth_more_pairs(replace(found, verdict=Verdict.KEEP), DEFAULT)
    assert not is_worth_more_pairs(replace(found, verdict=Verdict.INCONCLUSIVE), DEFAULT)
    assert not is_worth_more_pairs(replace(found, reason=Reason(ReasonKind.LONG_BLOCKS)), DEFAULT)
    assert not is_worth_more_pairs(replace(found, pairs=17), DEFAULT)
    assert not is_worth_more_pairs(replace(found, pairs=15, void=2), DEFAULT)
    assert is_worth_more_pairs(replace(found, pairs=15, void=1), DEFAULT)
    sure = (*found.combos[:2], replace(found.combos[2], guard=Guard.SLOWER))
    assert not is_worth_more_pairs(replace(found, combos=sure), DEFAULT)
    (whole,) = found.components
    for high, worth in ((-0.1, False), (0.0, True), (0.5, True), (2.0, True)):
        other = replace(whole, name="table", high=high)
        assert is_worth_more_pairs(replace(found, components=(whole, other)), DEFAULT) is worth
    claimed = replace(whole, high=-1.0)
    assert is_worth_more_pairs(replace(found, components=(claimed,)), DEFAULT)


def test_the_second_look_is_a_little_stricter() -> None:
    """Twice the pairs at 99.5 %, not at 99 %."""
    twice = rows([0.05, 0.0], 32)
    (_, row) = confirm_claim(twice, None, "all", DEFAULT).combos
    same = replace(DEFAULT, guard_again_level=DEFAULT.guard_level)
    (_, wide) = confirm_claim(twice, None, "all", same).combos
    assert row.low < wide.low < wide.high < row.high


def test_what_an_unseen_input_shows_is_reported() -> None:
    built = rows([0.01], 24, 0.2)
    found = judge_distinct_inputs(built, Claim("all", 30.0), DEFAULT)
    assert found.rejected and found.gain < found.high < 2.0
    assert found.gain == pytest.approx(1.0, abs=0.1)
    assert not judge_distinct_inputs(built, Claim("all", 5.0), DEFAULT).rejected
    strict = replace(DEFAULT, distinct_slack=0.0, distinct_share=0.9)
    assert judge_distinct_inputs(built, Claim("all", 5.0), strict).rejected
    assert not judge_distinct_inputs(rows([0.08], 24, 0.2), Claim("all", 30.0), DEFAULT).rejected
    assert judge_distinct_inputs(rows([0.05], 24, 0.2), Claim("all", 30.0), DEFAULT).rejected
    with pytest.raises(StopIteration):
        judge_distinct_inputs(built, Claim("table", 5.0), DEFAULT)


def test_a_slowed_opponent_is_reported() -> None:
    behind = rows([-0.05], 8, 0.2)
    found = judge_opponent(behind, Claim("all", 5.0), DEFAULT)
    assert found.rejected and 4.0 < found.low < found.slowdown < 5.3
    assert found.slowdown == pytest.approx(5.13, abs=0.15)
    assert judge_opponent(behind, Claim("all", 40.0), DEFAULT).rejected
    assert not judge_opponent(behind, Claim("all", 80.0), DEFAULT).rejected
    share = 1.0001 * math.log1p(found.low / 100) / math.log1p(0.5)
    claim = Claim("all", 50.0)
    assert not judge_opponent(behind, claim, replace(DEFAULT, opponent_share=share)).rejected
    share *= 0.9998
    assert judge_opponent(behind, claim, replace(DEFAULT, opponent_share=share)).rejected
    with pytest.raises(StopIteration):
        judge_opponent(behind, Claim("table", 5.0), DEFAULT)


def test_a_floor_flag_tells_the_time_that_was_too_short() -> None:
    built = one([900] * 4, [500] * 4, calls=1000)
    assert find_floor_flags(built, {}) == ()
    label = built.combos[0].label
    (flag,) = find_floor_flags(built, {label: 0.6})
    assert (flag.combo, flag.floor_ns, flag.unmeasurable) == (label, 0.6, 0)
    assert flag.candidate_ns == pytest.approx(0.495)


@pytest.mark.parametrize(
    ("candidate", "flagged"), [([4], True), ([4, 9], True), ([4, 4, 9, 9, 9, 9], False)]
)
def test_half_of_the_rounds_as_short_as_an_empty_slice_are_flagged(
    candidate: list[int], flagged: bool
) -> None:
    built = one([900] * len(candidate), candidate)
    assert bool(find_floor_flags(built, {})) is flagged
    assert find_floor_flags(replace(built, pairs=()), {}) == ()


def test_components_know_how_much_was_clipped_in_their_combos() -> None:
    table = [[0.02 + WAVE[p], 0.02 + WAVE[(3 * p) % 60], 0.01 + WAVE[(5 * p) % 60]]
             for p in range(16)]  # fmt: skip
    table[4][0] = -1.5
    data = compute_samples(comparison(table, rng(), ["scan", "scan", "table"]), DEFAULT)
    assert [s.clipped for s in data.combos] == [1.0, 0.0, 0.0]
    assert {s.name: s.clipped for s in data.components} == {"all": 0.25, "scan": 0.5, "table": 0.0}
    assert [s.name for s in data.combos] == [c.label for c in combos(["scan", "scan", "table"])]
