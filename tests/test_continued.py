"""What a trial stores is enough to judge it again, also where it continued an earlier one."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, replace
from pathlib import Path

from lance_autoresearch.cli.app import run as lar
from lance_autoresearch.policy import DEFAULT
from lance_autoresearch.records import Comparison, Outcome
from lance_autoresearch.rules.comparison_json import (
    BASE,
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
    """Without proof a trial ends; continued, it sees its pairs at once and goes on."""
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


def test_a_trial_is_stored_with_the_policy_that_judged_it() -> None:
    """A default that changes later must not change what an old verdict is replayed by."""
    comparison = recorded("synthetic-win")
    for policy in (BASE, DEFAULT, DEFAULT.planned(9000), replace(DEFAULT, max_pairs=12)):
        (case,) = recorded_from_json(trial_to_json([comparison], policy))
        assert case.policy == policy
    assert trial_to_json([comparison], BASE) == f"[{to_json(comparison)}]"


def test_what_a_document_without_a_policy_means_never_changes() -> None:
    """Fails where a default was changed: add its old value to `BASE`."""
    named = {k: v for k, v in asdict(BASE).items() if v != getattr(DEFAULT, k)}
    assert named == {"max_pairs": 24, "licence_errors": 3.0, "slow_floor": -99.0, "most_times": 1.0}
    digest = hashlib.sha256(json.dumps(asdict(BASE)).encode()).hexdigest()
    assert digest == "fe007feadd43a8917d1505e7667508ad986d8bcf6696f9688420d58d90c927a3"


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
