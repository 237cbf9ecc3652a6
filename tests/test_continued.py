"""What a trial stores is enough to judge it again, also where it continued an earlier one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from lance_autoresearch.cli.app import run as lar
from lance_autoresearch.policy import DEFAULT
from lance_autoresearch.records import Comparison, Outcome
from lance_autoresearch.rules.comparison_json import (
    case_from_json,
    recorded_from_json,
    to_json,
    trial_to_json,
)
from lance_autoresearch.rules.gate import NOT_PROVEN, gate, replay


def recorded(name: str) -> Comparison:
    path = Path(__file__).parent / "data" / "gate" / f"{name}.json"
    return case_from_json(path.read_bytes()).comparison


def test_a_continued_trial_is_judged_again_to_the_last_bit() -> None:
    """After 24 pairs without proof a trial ends; continued, it sees them at once and goes on."""
    first = recorded("synthetic-not-proven")
    assert replay(first).reason == NOT_PROVEN
    before = len(first.pairs)
    longer = replace(first, pairs=first.pairs + first.pairs[:9])
    policy = replace(DEFAULT, max_pairs=before)
    allowed = replace(policy, max_pairs=policy.max_pairs + before)
    last = before + 1
    while gate(replace(longer, pairs=longer.pairs[:last]), allowed).outcome is Outcome.CONTINUE:
        last += 1
        if last == len(longer.pairs):
            break
    stored = trial_to_json([replace(longer, pairs=longer.pairs[:last])], policy, before)
    (case,) = recorded_from_json(stored)
    assert (case.before, case.policy) == (before, policy)
    judged = gate(replace(longer, pairs=longer.pairs[:last]), allowed)
    assert replay(case.comparison, case.policy, case.before) == judged
    assert judged.pairs > before


def test_a_plain_trial_is_stored_as_a_list_and_another_policy_with_it() -> None:
    comparison = recorded("synthetic-win")
    assert trial_to_json([comparison]) == f"[{to_json(comparison)}]"
    (case,) = recorded_from_json(trial_to_json([comparison], DEFAULT.planned(9000)))
    assert case.policy.need == 9000.0


def test_lar_gate_reads_a_continued_trial(tmp_path: Path) -> None:
    """By itself the first part ends after its last pair; continued, pairs beyond it count."""
    first = recorded("synthetic-not-proven")
    longer = replace(first, pairs=first.pairs + first.pairs[:3])
    file = tmp_path / "trial.json"
    file.write_text(trial_to_json([longer], before=len(first.pairs)))
    case = recorded_from_json(file.read_bytes())[0]
    result = replay(case.comparison, case.policy, case.before)
    assert result.pairs > len(first.pairs)
    assert lar(["gate", str(file)]) == (4 if result.outcome is Outcome.CONTINUE else 1)
