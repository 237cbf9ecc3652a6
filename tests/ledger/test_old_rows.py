"""Rows of committed records, the old form among them: read, hashed and judged as they were."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from lance_autoresearch.campaign.replaying import RecordedTrial, decide_again
from lance_autoresearch.ledger import chain, rows
from lance_autoresearch.ledger.export import Records, load_records
from lance_autoresearch.records import Outcome, ReasonKind, Verdict

ROOT = Path(__file__).resolve().parents[2]
RECORDS = sorted(path.parent.name for path in ROOT.glob("records/*/trials.tsv"))
VERSION_1 = (
    "fsst-2026-11-22",
    "pq-l2-2026-11-22",
    "topk-merge-2026-11-22b",
    "topk-merge-2026-11-23",
    "topk-merge-2026-11-23b",
)


@cache
def loaded(name: str) -> Records:
    """A campaign's records; kernels that need Lance's text are left out."""
    return load_records(ROOT / "records" / name)


@pytest.mark.parametrize("name", RECORDS)
def test_every_row_keeps_its_digest_in_the_form_it_was_written_in(name: str) -> None:
    assert loaded(name).trials
    for row in loaded(name).trials:
        assert row.record.stored is not None
        assert ("v" not in row.record.stored) == (name in VERSION_1)
        assert chain.hash_row("trials", rows.flatten_row(row)) == row.digest


@pytest.mark.parametrize("name", VERSION_1)
def test_a_row_of_version_1_gives_typed_results(name: str) -> None:
    assert loaded(name).trials
    for row in loaded(name).trials:
        record = row.record
        found = record.results
        assert found.reason is not None and found.reason.detail == record.reason
        assert (found.screening is None) == (record.pairs_blob is None)
        assert (found.fault is not None) == (record.verdict is Verdict.INCORRECT)
        if record.verdict is Verdict.KEEP:
            assert found.reason.kind is ReasonKind.CONFIRMED
            assert found.screening is not None and found.confirmation is not None
            assert found.screening.outcome is Outcome.KEEP_CANDIDATE
            assert found.confirmation.verdict is Verdict.KEEP
        if found.screening is not None and found.screening.pairs:
            assert found.measured is not None
            assert record.gain == found.measured.components[0].gain


@pytest.mark.parametrize("name", RECORDS)
def test_recorded_pairs_judged_again_give_the_same_numbers_to_the_bit(name: str) -> None:
    again = {}
    for row in loaded(name).trials:
        blob = row.record.pairs_blob
        if blob is not None:
            pairs = loaded(name).pairs[blob]
            again[row.id] = decide_again(RecordedTrial(row.id, row.record, b"", b"", pairs))
    assert again and [number for number, part in again.items() if not part.ok] == []


def test_a_changed_number_is_not_the_same() -> None:
    """What the test above compares is what it says: one bit of a recorded result is seen."""
    from dataclasses import replace

    (row, *_) = (r for r in loaded(RECORDS[0]).trials if r.record.results.screening is not None)
    record, gate = row.record, row.record.results.screening
    assert gate is not None and record.pairs_blob is not None
    low = gate.components[0].low
    components = (replace(gate.components[0], low=low + abs(low) * 2**-52), *gate.components[1:])
    changed = replace(
        record, results=replace(record.results, screening=replace(gate, components=components))
    )
    pairs = loaded(RECORDS[0]).pairs[record.pairs_blob]
    assert decide_again(RecordedTrial(row.id, record, b"", b"", pairs)).ok
    assert not decide_again(RecordedTrial(row.id, changed, b"", b"", pairs)).ok
