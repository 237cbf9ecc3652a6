"""What a trial stores is enough to judge it again, also where it continued an earlier one."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from agent_parts import TARGET, checkout, fresh
from campaign_parts import record
from gate_cases import comparison
from kernels import around
from lance_autoresearch.bench.rig import Rig
from lance_autoresearch.campaign.attempt import Done, attempt
from lance_autoresearch.judge.trial import Judged, Story, run_trial
from lance_autoresearch.ledger.comparison_json import (
    BASE,
    GateCase,
    case_from_json,
    recorded_from_json,
    to_json,
    trial_from_json,
    trial_to_json,
)

from lance_autoresearch.campaign.undecided import pairs_before, put_back
from lance_autoresearch.cli.app import run as lar
from lance_autoresearch.errors import UsageError
from lance_autoresearch.records import Comparison, Outcome, PairTimes, Verdict
from lance_autoresearch.rules.estimator import valid_pairs
from lance_autoresearch.rules.gate import NOT_PROVEN, gate, replay
from lance_autoresearch.rules.policy import DEFAULT

SLOWER = "for i in 0..out.len() * m / 30 { core::hint::black_box(i); }"
FOREIGN = "foreign work on the measuring core"


def recorded(name: str) -> Comparison:
    path = Path(__file__).parents[1] / "data" / "gate" / f"{name}.json"
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
    assert named == {"max_pairs": 24, "long_block_errors": 3.0, "slow_floor": -99.0, "most_times": 1.0}
    digest = hashlib.sha256(json.dumps(asdict(BASE)).encode()).hexdigest()
    assert digest == "fe007feadd43a8917d1505e7667508ad986d8bcf6696f9688420d58d90c927a3"


def test_lar_rejudge_reads_a_continued_trial(tmp_path: Path) -> None:
    """By itself the first part ends after its last pair; continued, pairs beyond it count."""
    first = recorded("synthetic-not-proven")
    longer = replace(first, pairs=first.pairs + first.pairs[:3])
    file = tmp_path / "trial.json"
    file.write_text(trial_to_json([longer], before=len(first.pairs)))
    case = recorded_from_json(file.read_bytes())[0]
    result = replay(case.comparison, case.policy, case.before)
    assert result.pairs > len(first.pairs)
    assert lar(["rejudge", str(file)]) == (4 if result.outcome is Outcome.CONTINUE else 1)


# -- on this machine ---------------------------------------------------------------------------


def measured(rig: Rig, text: bytes) -> tuple[Judged, Comparison]:
    """A real trial, not written down, with at least three pairs that count."""
    for _ in range(4):
        judged = run_trial(rig, text, Story())
        screened = judged.evidence.screened
        if screened is not None and len(valid_pairs(screened.comparison)) >= 3:
            return judged, screened.comparison
    pytest.skip(f"the machine is too busy: {judged.record.reason}")


def ended_by_void(rig: Rig, judged: Judged, comparison: Comparison) -> None:
    """Write the trial as a disturbed machine would have left it: undecided."""
    found = gate(comparison)
    assert found.outcome is Outcome.INCONCLUSIVE
    pairs = rig.ledger.put_blob(trial_to_json([comparison]).encode(), "pairs")
    row = replace(judged.record, verdict=Verdict.INCONCLUSIVE, reason=found.reason,
                  pairs_blob=pairs)  # fmt: skip
    rig.ledger.append(row)


def void(pairs: tuple[PairTimes, ...]) -> tuple[PairTimes, ...]:
    return tuple(replace(pair, void=FOREIGN) for pair in pairs)


def stored(rig: Rig, done: Done) -> GateCase:
    row = rig.ledger.trial(done.number).record
    assert row.pairs_blob is not None, row.reason
    return trial_from_json(rig.ledger.get_blob(row.pairs_blob))[0]


@pytest.mark.deep
@pytest.mark.timing
def test_a_trial_that_void_pairs_ended_goes_on_from_its_valid_ones(tmp_path: Path) -> None:
    """Counted again, the void pairs would end it as inconclusive at its first new pair."""
    with Rig(checkout(tmp_path), TARGET) as rig:
        text = around(rig.champion_text, "scan8", before=SLOWER)
        judged, comparison = measured(rig, text)
        valid = valid_pairs(comparison)[:3]

        ended_by_void(rig, judged, replace(comparison, pairs=void(valid)))
        assert pairs_before(rig, text) == ()
        anew = attempt(rig, text, Story(), before=pairs_before(rig, text))
        assert not anew.remembered and stored(rig, anew).before == 0

        ended_by_void(rig, judged, replace(comparison, pairs=valid[:1] + void(valid) + valid[1:]))
        done = attempt(rig, text, Story(), before=pairs_before(rig, text))
        case = stored(rig, done)
        assert case.before == 3 and case.comparison.pairs[:3] == valid
        again = replay(case.comparison, case.policy, case.before)
        lost = sum(pair.void is not None for pair in case.comparison.pairs[3:])
        assert (again.void, again.reason) == (lost, done.record.reason)
        assert done.record.verdict is Verdict.REVERT or lost > DEFAULT.max_void


def test_again_takes_the_kernel_that_was_put_back(tmp_path: Path) -> None:
    """After *not proven* the campaign's file holds the champion: its last trial is gone on with."""
    root = checkout(tmp_path)
    mine = fresh(root)
    comparison = recorded("synthetic-not-proven")
    with Rig(root, TARGET) as rig:
        text = around(rig.champion_text, "scan8", before=SLOWER)
        blobs = {"kernel": text, "pairs": trial_to_json([comparison]).encode()}
        digest = rig.ledger.put_blob(blobs["pairs"], "pairs")
        row = record(text, rig.champion_text, reason=NOT_PROVEN, campaign=mine.name,
                     immutable=rig.immutable, pairs_blob=digest)  # fmt: skip
        rig.ledger.append(row, blobs=blobs)
        null = replace(row, kernel=row.champion, kind="aa", reason="slower")
        rig.ledger.append(null, blobs={"kernel": rig.champion_text})
        assert put_back(rig, mine.name) == text
        assert pairs_before(rig, text) == comparison.pairs
        rig.ledger.append(replace(row, reason="slower"), blobs=blobs)
        with pytest.raises(UsageError, match="was decided"):
            put_back(rig, mine.name)



def made(gain: float, pairs: int) -> Comparison:
    """Pairs of a candidate that is so much faster (natural log ratio), with a little noise."""
    rng = np.random.default_rng(pairs)
    return comparison((rng.normal(0, 0.004, (pairs, 3)) + gain).tolist(), rng)


@pytest.mark.parametrize(
    ("seen", "behind", "code", "words"),
    [
        (0.2, 0.0, 0, "defence ok"),
        (0.0, 0.0, 3, "rejected  on inputs and sizes never met before"),
        (0.2, -0.1, 3, "rejected  champion slowed by running behind this kernel"),
    ],
)
def test_lar_rejudge_replays_what_the_defences_saw(
    seen: float,
    behind: float,
    code: int,
    words: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    parts = [made(0.2, 8), made(0.2, 16), made(0.2, 4), made(seen, 24), made(behind, 8)]
    file = tmp_path / "trial.json"
    file.write_text(trial_to_json(parts))
    assert lar(["rejudge", str(file)]) == code
    assert words in capsys.readouterr().out
    assert lar(["rejudge", str(file), "--json"]) == code
    fields = json.loads(capsys.readouterr().out)
    assert (fields["unseen"]["rejected"], fields["opponent"]["rejected"]) == (
        seen == 0.0, behind < 0.0
    )  # fmt: skip
    with pytest.raises(UsageError, match="6 comparisons"):
        recorded_from_json(trial_to_json([*parts, parts[0]]))
