"""The gate: designed cases, symmetries, recorded cases bit for bit."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gate_cases import combos, comparison, gate_fields
from hypothesis import given, settings
from hypothesis import strategies as st

from lance_autoresearch.cli.rejudge import rejudge
from lance_autoresearch.errors import UsageError
from lance_autoresearch.ledger.pairs_json import (
    decode_case,
    decode_comparison,
    decode_trial,
    encode_case,
    encode_comparison,
)
from lance_autoresearch.ledger.results_json import decode_reason
from lance_autoresearch.records import (
    ComboId,
    Comparison,
    Guard,
    Outcome,
    PairTimes,
    Reason,
    ReasonKind,
    Void,
    VoidCause,
)
from lance_autoresearch.rules.estimator import compute_pair_value, compute_samples
from lance_autoresearch.rules.gate import replay_gate, run_gate
from lance_autoresearch.rules.policy import DEFAULT, Policy
from lance_autoresearch.text.reasons import describe_reason

RECORDED = sorted((Path(__file__).parents[1] / "data" / "gate").glob("*.json"))
RECORDED = [p for p in RECORDED if p.name != "simulation.json"]


def rng(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


def noisy(gain: float, pairs: int, combos_: int = 3, sd: float = 0.004, seed: int = 1) -> list:
    return (rng(seed).normal(0, sd, (pairs, combos_)) + gain).tolist()


# --- recorded cases -------------------------------------------------------------------------


@pytest.mark.parametrize("path", RECORDED, ids=lambda p: p.stem)
def test_recorded_case_ends_as_it_says(path: Path) -> None:
    case = decode_case(path.read_bytes())
    assert case.expect, "a recorded case must say what should come out"
    fields = gate_fields(replay_gate(case.comparison, case.policy))
    assert {k: fields[k] for k in case.expect} == dict(case.expect)


def test_there_are_recorded_cases_of_every_outcome() -> None:
    ends = {decode_case(p.read_bytes()).expect["outcome"] for p in RECORDED}
    assert ends == {str(o) for o in Outcome}


REAL = {"null": "revert", "win": "keep-candidate", "slower": "revert",
        "disturbed-win": "keep-candidate", "disturbed-null": "revert",
        "busy-core": "inconclusive", "stopped-worker": "revert",
        "suspended": "keep-candidate"}  # fmt: skip
"""What truly was so, and what the gate must have made of it (data/gate/record_real.py)."""


@pytest.mark.parametrize("name", sorted(REAL))
def test_pairs_taken_on_a_real_machine_end_correctly_each_time(name: str, capsys: Any) -> None:
    path = Path(__file__).parents[1] / "data" / "gate" / f"real-{name}.json"
    expect = decode_case(path.read_bytes()).expect
    assert expect["outcome"] == REAL[name]
    rejudge(path, json=True)
    shown = json.loads(capsys.readouterr().out)["gate"]
    shown["reason"] = describe_reason(decode_reason(shown["reason"]))
    assert {k: shown[k] for k in expect} == dict(expect)


# --- the estimator --------------------------------------------------------------------------


def one_pair(champion: list[int], candidate: list[int], empty: tuple[int, int]) -> PairTimes:
    return PairTimes((10,), (tuple(champion),), (tuple(candidate),), empty)


def test_pair_value_is_the_median_of_double_rounds_without_the_empty_slices() -> None:
    champion = [1100, 2300, 900, 1500, 1250, 1300, 8000]
    candidate = [1020, 1990, 930, 1210, 1270, 1190, 1000]
    value = compute_pair_value(one_pair(champion, candidate, (100, 20)), 0)
    logs = np.log((np.array(champion) - 100) / (np.array(candidate) - 20))[:6]
    assert value == pytest.approx(np.median(logs.reshape(3, 2).mean(axis=1)), abs=1e-15)


def test_being_second_is_worth_nothing() -> None:
    """The side that comes second is 20 % faster, whichever it is: a coin, then its complement."""
    seconds = [True, False, False, True, True, False, True, False, False, True]
    champion = [8000 if second else 10000 for second in seconds]
    candidate = [10000 if second else 8000 for second in seconds]
    assert compute_pair_value(one_pair(champion, candidate, (0, 0)), 0) == 0.0


def test_a_slice_no_longer_than_an_empty_one_never_looks_like_a_gain() -> None:
    value = compute_pair_value(one_pair([1000], [40], (50, 50)), 0)
    assert value == pytest.approx(np.log(1000 / 40))
    assert compute_pair_value(one_pair([40], [1000], (50, 50)), 0) == -value


def test_ops_weigh_the_same_and_combos_by_their_weight_within_the_op() -> None:
    ids = combos(["scan", "scan", "table"], [3.0, 1.0, 1.0])
    base = comparison([[0.04, 0.0, 0.10]] * 4, rng())
    data = compute_samples(replace(base, combos=ids), DEFAULT)
    whole, scan, table = data.components
    assert [s.name for s in data.components] == ["all", "scan", "table"]
    assert scan.mean == pytest.approx(0.03, abs=1e-4)
    assert table.mean == pytest.approx(0.10, abs=1e-4)
    assert whole.mean == pytest.approx(0.065, abs=1e-4)


def test_one_op_has_one_component() -> None:
    assert [c.name for c in run_gate(comparison(noisy(0, 4), rng()), DEFAULT).components] == ["all"]


def test_an_outlier_process_is_clipped_not_deleted() -> None:
    rows = noisy(0.02, 9, combos_=1)
    rows[3][0] = -1.6
    sample = compute_samples(comparison(rows, rng()), DEFAULT).combos[0]
    assert sample.n == 9
    assert sample.clipped >= 1
    assert min(sample.values) > -0.05


def test_the_sd_does_not_fall_below_half_of_the_sessions() -> None:
    rows = noisy(0.02, 8, sd=1e-5)
    free = run_gate(comparison(rows, rng()), DEFAULT)
    floored = comparison(rows, rng(), aa_sd=(0.004, 0.004, 0.004, 0.03, 0.03))
    assert free.outcome is Outcome.KEEP_CANDIDATE
    assert compute_samples(floored, DEFAULT).components[0].sd == 0.015
    assert run_gate(floored, DEFAULT).outcome is Outcome.CONTINUE


def test_each_component_takes_its_own_floor() -> None:
    floors = (0.02, 0.04, 0.06, 0.08, 0.10, 0.12)
    built = comparison(noisy(0, 6), rng(), ["a", "b", "b"], aa_sd=floors)
    data = compute_samples(built, DEFAULT)
    assert [s.least_sd for s in data.combos] == [0.01, 0.02, 0.03]
    assert {s.name: s.least_sd for s in data.components} == {"a": 0.04, "b": 0.05, "all": 0.06}


def test_a_second_state_of_the_noise_is_not_clipped_into_a_gain() -> None:
    rows = [[0.0095 if p % 2 == 0 else -0.0015 + 1e-5 * p] for p in range(23)]
    sample = compute_samples(comparison(rows, rng()), DEFAULT).combos[0]
    assert sample.clipped <= 2
    assert run_gate(comparison(rows, rng()), DEFAULT).outcome is not Outcome.KEEP_CANDIDATE


# --- the rule -------------------------------------------------------------------------------


def test_no_word_before_four_pairs_and_no_keep_before_seven() -> None:
    rows = noisy(0.3, 12, sd=1e-5)
    ends = {n: run_gate(comparison(rows[:n], rng()), DEFAULT).outcome for n in range(1, 8)}
    assert ends == dict.fromkeys(range(1, 7), Outcome.CONTINUE) | {7: Outcome.KEEP_CANDIDATE}


def test_even_no_pairs_are_an_answer() -> None:
    result = run_gate(Comparison(combos(["scan"]), (), 3.7), DEFAULT)
    assert (result.outcome, result.pairs, result.claim) == (Outcome.CONTINUE, 0, "all")


def test_reasons_tell_slower_from_merely_not_faster() -> None:
    for gain, kind in ((-0.02, ReasonKind.SLOWER), (0.001, ReasonKind.NO_GAIN)):
        result = replay_gate(comparison(noisy(gain, DEFAULT.max_pairs), rng()), DEFAULT)
        assert result.reason == Reason(kind)


def test_at_the_limit_without_proof_it_reverts_and_says_what_it_is_good_for() -> None:
    most = DEFAULT.max_pairs
    rows = [[0.0055 + 0.004 * (-1) ** p] for p in range(most)]
    before, at = (run_gate(comparison(rows[:n], rng()), DEFAULT) for n in (most - 1, most))
    assert before.outcome is Outcome.CONTINUE
    assert (at.outcome, at.reason) == (Outcome.REVERT, Reason(ReasonKind.NOT_PROVEN))


def test_a_gain_of_one_op_is_not_reverted_for_the_other() -> None:
    rows = [[-0.02 + e, 0.012 + e] for e in np.linspace(-0.004, 0.004, 9)]
    result = run_gate(comparison(rows, rng(), ["scan", "table"]), DEFAULT)
    whole = result.components[0]
    assert whole.e_below >= DEFAULT.futility_threshold, "alone, `all` would revert"
    assert result.outcome is Outcome.CONTINUE


def test_the_claim_is_the_strongest_component_and_the_mean_must_reach_the_threshold() -> None:
    rows = [[0.0 + e, 0.05 + e] for e in np.linspace(-0.004, 0.004, 8)]
    result = run_gate(comparison(rows, rng(), ["scan", "table"]), DEFAULT)
    assert result.claim == "table"
    assert result.e == pytest.approx(np.mean([c.e for c in result.components]))
    assert result.e < result.claimed.e


def test_planned_trials_raise_the_threshold() -> None:
    assert DEFAULT.adapt_to_trials(100).e_threshold == 4000
    policy = DEFAULT.adapt_to_trials(20_000)
    built = comparison(noisy(0.02, 8, sd=0.001), rng())
    assert run_gate(built, DEFAULT).outcome is Outcome.KEEP_CANDIDATE
    need = run_gate(built, DEFAULT).e * 2
    assert run_gate(built, replace(policy, e_threshold=need)).outcome is Outcome.CONTINUE


def test_the_guard_stops_a_gain_with_one_significantly_slower_combo() -> None:
    rows = np.array([0.05, 0.05, 0.05, -0.06]) + rng().normal(0, 0.003, (12, 4))
    result = run_gate(comparison(rows.tolist(), rng()), DEFAULT)
    assert result.outcome is Outcome.REVERT
    assert result.reason.kind is ReasonKind.COMBO_SLOWER
    assert result.reason.about == "scan 16x2048 clustered"
    assert -6 < result.reason.gain < -5
    assert [r.guard for r in result.combos] == [*[Guard.OK] * 3, Guard.SLOWER]


def test_the_guard_waits_for_a_sure_bound() -> None:
    rows = np.array([0.05, 0.05, 0.05, -0.02]) + rng().normal(0, 0.003, (12, 4))
    result = run_gate(comparison(rows.tolist(), rng()), DEFAULT)
    assert result.outcome is Outcome.KEEP_CANDIDATE


def voided(built: Comparison, which: set[int]) -> Comparison:
    void = Void(VoidCause.KEPT_FROM_CORE)
    pairs = [
        replace(p, void=void, champion=(), candidate=()) if i in which else p
        for i, p in enumerate(built.pairs)
    ]
    return replace(built, pairs=tuple(pairs))


def test_two_void_pairs_do_not_count_a_third_makes_it_inconclusive() -> None:
    built = comparison(noisy(0.02, 12), rng())
    rest = replace(built, pairs=built.pairs[2:])
    two = run_gate(voided(built, {0, 1}), DEFAULT)
    assert (two.void, two.pairs) == (2, 10)
    assert two.components == run_gate(rest, DEFAULT).components
    assert run_gate(voided(built, {0, 1, 2}), DEFAULT).outcome is Outcome.INCONCLUSIVE


def test_of_many_pairs_a_tenth_may_be_void() -> None:
    policy = Policy(max_pairs=60)
    built = comparison(noisy(0.005, 40), rng())
    assert run_gate(voided(built, {0, 1, 2, 3}), policy).outcome is not Outcome.INCONCLUSIVE
    assert run_gate(voided(built, {0, 1, 2, 3, 4}), policy).outcome is Outcome.INCONCLUSIVE


# --- symmetries -----------------------------------------------------------------------------

small = st.integers(0, 10**6)


@settings(max_examples=25, deadline=None)
@given(small, st.integers(2, 12), st.integers(1, 6))
def test_swapping_the_sides_flips_every_sign(seed: int, pairs: int, width: int) -> None:
    built = comparison(noisy(0.01, pairs, width, seed=seed), rng(seed), rounds=5)
    swapped = replace(
        built,
        pairs=tuple(
            PairTimes(p.calls, p.candidate, p.champion, (p.empty[1], p.empty[0]))
            for p in built.pairs
        ),
    )
    for a, b in zip(
        compute_samples(built, DEFAULT).combos,
        compute_samples(swapped, DEFAULT).combos,
        strict=True,
    ):
        assert a.values == tuple(-v for v in b.values)
    ours, theirs = (
        compute_samples(built, DEFAULT).components[0],
        compute_samples(swapped, DEFAULT).components[0],
    )
    assert (ours.mean, ours.sd) == (-theirs.mean, theirs.sd)


@settings(max_examples=25, deadline=None)
@given(small, st.integers(4, 12), st.permutations(range(5)))
def test_permuting_combos_changes_nothing(seed: int, pairs: int, order: list[int]) -> None:
    ops = ["a", "a", "b", "b", "c"]
    floors = [0.001, 0.002, 0.003, 0.004, 0.005]
    built = comparison(noisy(0.01, pairs, 5, seed=seed), rng(seed), ops, rounds=5)
    ids = tuple(built.combos[i] for i in order)
    names = list(dict.fromkeys(c.op for c in ids))
    share = {"a": 0.002, "b": 0.003, "c": 0.005}
    built = replace(built, aa_sd=(*floors, *share.values(), 0.004))
    permuted = replace(
        built,
        combos=ids,
        aa_sd=(*(floors[i] for i in order), *(share[n] for n in names), 0.004),
        pairs=tuple(
            PairTimes(
                tuple(p.calls[i] for i in order),
                tuple(p.champion[i] for i in order),
                tuple(p.candidate[i] for i in order),
                p.empty,
            )
            for p in built.pairs
        ),
    )
    one, two = run_gate(built, DEFAULT), run_gate(permuted, DEFAULT)
    assert (one.outcome, one.e, one.components[0]) == (two.outcome, two.e, two.components[0])
    assert set(one.components) == set(two.components)
    assert set(one.combos) == set(two.combos)


@settings(max_examples=25, deadline=None)
@given(small, st.integers(4, 12), st.integers(2, 1000))
def test_another_clock_changes_nothing_but_its_ticks(seed: int, pairs: int, factor: int) -> None:
    built = comparison(noisy(0.01, pairs, seed=seed), rng(seed), rounds=5)
    faster = replace(
        built,
        ticks_per_ns=built.ticks_per_ns * factor,
        pairs=tuple(
            PairTimes(
                p.calls,
                tuple(tuple(t * factor for t in c) for c in p.champion),
                tuple(tuple(t * factor for t in c) for c in p.candidate),
                (p.empty[0] * factor, p.empty[1] * factor),
            )
            for p in built.pairs
        ),
    )
    one, two = run_gate(built, DEFAULT), run_gate(faster, DEFAULT)
    assert one.components == two.components
    assert [r.gain for r in one.combos] == [r.gain for r in two.combos]
    assert two.combos[0].champion_ns == pytest.approx(one.combos[0].champion_ns)


# --- JSON and the command -------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(small, st.integers(1, 5))
def test_json_keeps_every_bit(seed: int, pairs: int) -> None:
    draws = rng(seed)
    built = comparison(noisy(0.01, pairs, seed=seed), draws, rounds=3, aa_sd=tuple(draws.random(5)))
    built = voided(replace(built, ticks_per_ns=float(draws.random() + 1)), {0})
    again = decode_comparison(encode_comparison(built))
    assert again == built
    assert encode_comparison(again) == encode_comparison(built)


def test_a_case_keeps_its_policy_and_expectations() -> None:
    case = decode_case(RECORDED[0].read_bytes())
    case = replace(case, policy=replace(DEFAULT, e_threshold=9000.0, max_pairs=30))
    assert decode_case(encode_case(case)) == case


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (b"", "not JSON"),
        (b"[]", "not a dict"),
        (b'{"v": 2, "kind": "comparison"}', "version 2 is unknown"),
        (b'{"v": 1, "kind": "tea"}', "kind 'tea' is unknown"),
        (b'{"v": 1, "kind": "comparison", "colour": 1}', "unknown field 'colour'"),
        (b'{"v": 1, "kind": "comparison", "combos": 3}', "combos is not a list"),
        (b'{"v": 1, "kind": "gate-case", "policy": {"marign": 1}}', "unknown policy field"),
    ],
)
def test_hostile_documents_are_refused(text: bytes, what: str) -> None:
    with pytest.raises(UsageError, match=what):
        decode_case(text)


def test_ticks_must_be_whole_numbers() -> None:
    body = json.loads(encode_comparison(comparison(noisy(0, 1, 1), rng(), rounds=1)))
    body["pairs"][0]["champion"] = [[1.5]]
    with pytest.raises(UsageError, match="ticks is not a int"):
        decode_comparison(json.dumps(body))


def test_all_faults_of_a_comparison_at_once() -> None:
    pair = one_pair([100], [0], (1, 1))
    broken = Comparison((ComboId("a", "x", 0.0),), (pair,), 0.0, (1.0,))
    with pytest.raises(UsageError) as caught:
        run_gate(broken, DEFAULT)
    for fault in ("weight of a x", "ticks_per_ns", "aa_sd has 1", "pair 0: a time"):
        assert fault in str(caught.value)


def test_lar_rejudge_replays_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    path = next(p for p in RECORDED if p.stem == "synthetic-win")
    assert rejudge(path) == 0
    assert capsys.readouterr().out.startswith("gate keep-candidate (all)  gain +2.")
    assert rejudge(path, json=True) == 0
    assert json.loads(capsys.readouterr().out)["gate"]["claim"] == "all"


def test_lar_rejudge_says_where_a_case_did_not_end_as_recorded(tmp_path: Path) -> None:
    path = next(p for p in RECORDED if p.stem == "synthetic-win")
    wrong = tmp_path / "wrong.json"
    wrong.write_text(path.read_text(encoding="utf-8").replace("keep-candidate", "revert", 1))
    with pytest.raises(UsageError, match="outcome is 'keep-candidate', not 'revert'"):
        rejudge(wrong)


def test_lar_rejudge_replays_a_whole_trial(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = [comparison(noisy(0.02, n, seed=n), rng(n)) for n in (12, 16, 4)]
    file = tmp_path / "trial.json"
    file.write_text("[" + ",".join(encode_comparison(p) for p in parts) + "]", encoding="utf-8")
    assert len(decode_trial(file.read_bytes()).pairs.long_blocks.pairs) == 4
    assert rejudge(file, json=True) == 0
    assert json.loads(capsys.readouterr().out)["confirm"]["verdict"] == "keep"


def test_lar_rejudge_names_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read it"):
        rejudge(tmp_path / "none.json")
