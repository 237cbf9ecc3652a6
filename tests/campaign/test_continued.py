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

from lance_autoresearch.campaign.coordinator import Coordinator, FinishedTrial, Story, make_record
from lance_autoresearch.campaign.undecided import find_earlier_pairs, restore_undecided
from lance_autoresearch.cli.app import run_command_line as lar
from lance_autoresearch.errors import UsageError
from lance_autoresearch.judge.job import JudgedTrial
from lance_autoresearch.ledger.pairs_json import (
    BASE,
    TrialDocument,
    decode_case,
    decode_trial,
    encode_comparison,
    encode_trial,
)
from lance_autoresearch.records import (
    Comparison,
    GateResult,
    Outcome,
    PairTimes,
    Reason,
    ReasonKind,
    Results,
    TrialPairs,
    Verdict,
    Void,
    VoidCause,
)
from lance_autoresearch.rules.estimator import select_valid_pairs
from lance_autoresearch.rules.gate import replay_gate, run_gate
from lance_autoresearch.rules.policy import DEFAULT
from lance_autoresearch.text.reasons import describe_reason

SLOWER = "for i in 0..out.len() * m / 30 { core::hint::black_box(i); }"
FOREIGN = Void(VoidCause.FOREIGN_WORK, "62 %")
NOT_PROVEN = Reason(ReasonKind.NOT_PROVEN)


def recorded(name: str) -> Comparison:
    path = Path(__file__).parents[1] / "data" / "gate" / f"{name}.json"
    return decode_case(path.read_bytes()).comparison


def judged_again(document: TrialDocument) -> GateResult:
    pairs = document.pairs
    return replay_gate(pairs.screening, document.policy, pairs.before)


def test_a_continued_trial_is_judged_again_to_the_last_bit() -> None:
    """Without proof a trial ends; continued, it sees its pairs at once and goes on."""
    first = recorded("synthetic-not-proven")
    assert replay_gate(first, DEFAULT).reason == NOT_PROVEN
    before = len(first.pairs)
    longer = replace(first, pairs=first.pairs + first.pairs[:9])
    policy = replace(DEFAULT, max_pairs=before)
    allowed = replace(policy, max_pairs=policy.max_pairs + before)
    last = before + 1
    while run_gate(replace(longer, pairs=longer.pairs[:last]), allowed).outcome is Outcome.CONTINUE:
        last += 1
        if last == len(longer.pairs):
            break
    seen = replace(longer, pairs=longer.pairs[:last])
    document = decode_trial(encode_trial(TrialPairs(seen, before=before), policy))
    assert (document.pairs.before, document.policy) == (before, policy)
    judged = run_gate(seen, allowed)
    assert judged_again(document) == judged
    assert judged.pairs > before


def test_a_trial_is_stored_with_the_policy_that_judged_it() -> None:
    """A default that changes later must not change what an old verdict is replayed by."""
    comparison = recorded("synthetic-win")
    for policy in (BASE, DEFAULT, DEFAULT.adapt_to_trials(9000), replace(DEFAULT, max_pairs=12)):
        stored = encode_trial(TrialPairs(comparison), policy)
        assert decode_trial(stored) == TrialDocument(TrialPairs(comparison), policy)
    assert decode_trial(f"[{encode_comparison(comparison)}]").policy == BASE, (
        "a list is of version 1"
    )


def test_what_a_document_without_a_policy_means_never_changes() -> None:
    """Fails where a default was changed: add its old value to `BASE`."""
    named = {k: v for k, v in asdict(BASE).items() if v != getattr(DEFAULT, k)}
    assert named == {
        "max_pairs": 24, "long_block_errors": 3.0, "slow_floor": -99.0, "most_times": 1.0,
        "defence_level": 0.0,
    }  # fmt: skip
    digest = hashlib.sha256(json.dumps(asdict(BASE)).encode()).hexdigest()
    assert digest == "af3a6dd47b3b97549de52cfa5501c491c4ae69bbba967aa7ecd6036bc46c832a"


def test_lar_rejudge_reads_a_continued_trial(tmp_path: Path) -> None:
    """By itself the first part ends after its last pair; continued, pairs beyond it count."""
    first = recorded("synthetic-not-proven")
    longer = replace(first, pairs=first.pairs + first.pairs[:3])
    file = tmp_path / "trial.json"
    file.write_text(encode_trial(TrialPairs(longer, before=len(first.pairs)), BASE))
    result = judged_again(decode_trial(file.read_bytes()))
    assert result.pairs > len(first.pairs)
    assert lar(["rejudge", str(file)]) == (4 if result.outcome is Outcome.CONTINUE else 1)


# -- on this machine ---------------------------------------------------------------------------


def measured(coordinator: Coordinator, text: bytes) -> tuple[JudgedTrial, Comparison]:
    """A real trial, not written down, with at least three pairs that count."""
    for _ in range(4):
        judged = coordinator.judge(text, Story())
        if judged.pairs is not None and len(select_valid_pairs(judged.pairs.screening)) >= 3:
            return judged, judged.pairs.screening
    pytest.skip(f"the machine is too busy: {describe_reason(judged.reason)}")


def ended_by_void(
    coordinator: Coordinator, judged: JudgedTrial, comparison: Comparison
) -> None:
    """Write the trial as a disturbed machine would have left it: undecided."""
    found = run_gate(comparison, DEFAULT)
    assert found.outcome is Outcome.INCONCLUSIVE
    document = encode_trial(TrialPairs(comparison), DEFAULT).encode()
    pairs = coordinator.ledger.put_blob(document, "pairs")
    row = make_record(judged, Story(), coordinator.target)
    coordinator.ledger.append(
        replace(row, verdict=Verdict.INCONCLUSIVE, reason=describe_reason(found.reason),
                results=Results(found.reason, screening=found), pairs_blob=pairs)
    )  # fmt: skip


def void(pairs: tuple[PairTimes, ...]) -> tuple[PairTimes, ...]:
    return tuple(replace(pair, void=FOREIGN) for pair in pairs)


def stored(coordinator: Coordinator, done: FinishedTrial) -> TrialDocument:
    row = coordinator.ledger.get_trial(done.number).record
    assert row.pairs_blob is not None, row.reason
    return decode_trial(coordinator.ledger.get_blob(row.pairs_blob))


@pytest.mark.deep
@pytest.mark.timing
def test_a_trial_that_void_pairs_ended_goes_on_from_its_valid_ones(tmp_path: Path) -> None:
    """Counted again, the void pairs would end it as inconclusive at its first new pair."""
    with Coordinator(checkout(tmp_path), TARGET) as coordinator:
        text = around(coordinator.champion_text, "scan8", before=SLOWER)
        judged, comparison = measured(coordinator, text)
        valid = select_valid_pairs(comparison)[:3]

        ended_by_void(coordinator, judged, replace(comparison, pairs=void(valid)))
        assert find_earlier_pairs(coordinator, text) == ()
        fresh_one = coordinator.attempt(
            text, Story(), earlier=find_earlier_pairs(coordinator, text)
        )
        assert stored(coordinator, fresh_one).pairs.before == 0

        disturbed = valid[:1] + void(valid) + valid[1:]
        ended_by_void(coordinator, judged, replace(comparison, pairs=disturbed))
        done = coordinator.attempt(text, Story(), earlier=find_earlier_pairs(coordinator, text))
        document = stored(coordinator, done)
        screening = document.pairs.screening
        assert document.pairs.before == 3 and screening.pairs[:3] == valid
        again = judged_again(document)
        lost = sum(pair.void is not None for pair in screening.pairs[3:])
        assert (again.void, describe_reason(again.reason)) == (lost, done.record.reason)
        assert done.record.verdict is Verdict.REVERT or lost > DEFAULT.max_void


def test_again_takes_the_kernel_that_was_put_back(tmp_path: Path) -> None:
    """After *not proven* the campaign's file holds the champion: its last trial is gone on with."""
    root = checkout(tmp_path)
    mine = fresh(root)
    comparison = recorded("synthetic-not-proven")
    with Coordinator(root, TARGET) as coordinator:
        text = around(coordinator.champion_text, "scan8", before=SLOWER)
        document = encode_trial(TrialPairs(comparison), DEFAULT).encode()
        blobs = {"kernel": text, "pairs": document}
        digest = coordinator.ledger.put_blob(document, "pairs")
        row = record(text, coordinator.champion_text, reason=describe_reason(NOT_PROVEN),
                     results=Results(NOT_PROVEN), campaign=mine.name,
                     immutable={"all": coordinator.ruleset}, pairs_blob=digest)  # fmt: skip
        coordinator.ledger.append(row, blobs=blobs)
        slower = {"reason": "slower", "results": Results(Reason(ReasonKind.SLOWER))}
        null = replace(row, kernel=row.champion, kind="aa", **slower)
        coordinator.ledger.append(null, blobs={"kernel": coordinator.champion_text})
        assert restore_undecided(coordinator, mine.name) == text
        assert find_earlier_pairs(coordinator, text) == comparison.pairs
        coordinator.ledger.append(replace(row, **slower), blobs=blobs)
        with pytest.raises(UsageError, match="was decided"):
            restore_undecided(coordinator, mine.name)


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
    file.write_text(encode_trial(TrialPairs(*parts), BASE))
    assert lar(["rejudge", str(file)]) == code
    assert words in capsys.readouterr().out
    assert lar(["rejudge", str(file), "--json"]) == code
    fields = json.loads(capsys.readouterr().out)
    assert (fields["distinct_inputs"]["rejected"], fields["opponent"]["rejected"]) == (
        seen == 0.0, behind < 0.0
    )  # fmt: skip
    old = [encode_comparison(part) for part in parts]
    assert decode_trial(f"[{','.join(old)}]").pairs == TrialPairs(*parts)
    with pytest.raises(UsageError, match="6 comparisons"):
        decode_trial(f"[{','.join([*old, old[0]])}]")


def test_parts_that_do_not_belong_together_are_refused() -> None:
    """Judged again they would end in an error that says nothing."""
    rng = np.random.default_rng(1)
    other = comparison([[0.1, 0.1, 0.1]] * 8, rng, ["scan", "table", "table"])
    with pytest.raises(UsageError, match="confirmation times other combos"):
        decode_trial(encode_trial(TrialPairs(made(0.2, 8), other), BASE))
    with pytest.raises(UsageError, match=r"claim -100\.0 is no gain"):
        decode_trial(encode_trial(TrialPairs(made(0.2, 8), judged_claim=-100.0), BASE))
