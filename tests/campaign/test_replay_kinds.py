"""A replay on another CPU kind than the record's: a difference is said and is no fault."""

from __future__ import annotations

from lance_autoresearch.campaign.replaying import compare_measurements
from lance_autoresearch.records import TrialRecord, Verdict

OLD = {"cpu": "AMD EPYC", "kind": "x86_64-amd-epyc-83e39cb2"}


def record(gain: float, machine: dict[str, str]) -> TrialRecord:
    return TrialRecord(
        "pq-l2", Verdict.KEEP, "confirmed", "00", "11", gain=gain, low=gain - 0.2,
        high=gain + 0.2, machine=machine,
    )


def test_the_kinds_are_named_where_they_differ() -> None:
    _, gain = compare_measurements(record(50.0, OLD), record(20.0, {"cpu_kind": "zen3"}))
    assert gain.ok and "not reproduced" in gain.detail
    assert gain.detail.endswith("another CPU kind: was zen4, is zen3")


def test_on_one_kind_a_lost_gain_is_a_fault() -> None:
    _, gain = compare_measurements(record(50.0, OLD), record(20.0, {"cpu_kind": "zen4"}))
    assert not gain.ok and "CPU kind" not in gain.detail
