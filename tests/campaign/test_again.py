"""Keeps measured again: which come first, what a row holds, how far quoted gains overstate."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from campaign_parts import record

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import again  # noqa: E402

from lance_autoresearch.ledger import Ledger  # noqa: E402
from lance_autoresearch.ledger.export import load_records  # noqa: E402
from lance_autoresearch.records import (  # noqa: E402
    ConfirmResult,
    Estimate,
    Reason,
    ReasonKind,
    Results,
    Verdict,
)

ROW = again.Again("2026-11-22", 0, "pq-l2", "delay 2", "ab" * 6, 2.0, 1.0, 3.0, 1.8, 0.9, 2.7, 16,
                  "a machine", "a machine")  # fmt: skip


WHOLE = Estimate("all", 2.0, 1.0, 3.0, 16)
OP = replace(WHOLE, name="f", gain=9.0)
CONFIRMED = Reason(ReasonKind.CONFIRMED, at_confirmation=True)
QUOTED = Results(
    confirmation=ConfirmResult(Verdict.KEEP, CONFIRMED, "f", (WHOLE, OP), (), None, 16, 0)
)


def test_a_row_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "records" / "again.tsv"
    assert again.read(path) == []
    later = replace(ROW, days=1, seen=-0.5)
    for row in (ROW, later):
        again.append(path, row)
    assert again.read(path) == [ROW, later]


def test_overstatement_is_told_by_day_with_its_interval() -> None:
    rows = [replace(ROW, quoted=100.0 * i + 1.0, seen=100.0 * i) for i in (0, 0, 0)]
    rows += [replace(ROW, days=1, seen=2.0 + 0.1 * i, seen_low=2.9 + i) for i in (-1, 0, 1)]
    (same, later) = again.table(rows)
    assert same[:4] == ["same day", "1", "3", "+1.00 %"] and same[4].startswith("+0.995 % [")
    assert same[6] == "3 of 3"
    low, high = (float(v) for v in later[4].split("[")[1].strip("]").split())
    assert low < 0 < high
    assert (later[0], later[5], later[6]) == ("later", "+0.10 %", "2 of 3")
    weeks = [replace(ROW, days=7 + i) for i in range(3)]
    assert [line[0] for line in again.table(weeks)] == ["a week later or more"]
    assert again.table(rows[:2]) == []
    twice = again.table([replace(ROW, quoted=300.0, seen=100.0)] * 3)
    assert twice[0][4].startswith("+69.315 %"), "a ratio: ln 2, not 200 % of Lance's time"


def test_another_processor_is_told_apart_whatever_the_day() -> None:
    rows = [replace(ROW, days=i, quoted_on="another") for i in (0, 1, 2)]
    assert [line[:3] for line in again.table(rows)] == [["on another processor", "1", "3"]]


def test_those_measured_least_often_come_first_and_the_targets_in_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(again, "ROOT", tmp_path)
    texts = [b"kernel %d" % i for i in range(5)]
    with Ledger.open(tmp_path) as ledger:
        for i, text in enumerate(texts):
            row = record(text, b"champion", verdict=Verdict.KEEP, gain=2.0, low=1.0, high=3.0,
                         target="fsst" if i == 0 else "pq-l2", results=QUOTED)  # fmt: skip
            ledger.append(row, blobs={"kernel": text})
        assert again.keeps(None) == [], "the champion's text is not there"
        ledger.put_blob(b"champion")
    rows = again.keeps(None)
    assert [row.kernel for row in rows] == texts and rows[0].champion == b"champion"
    assert rows[0].quoted == (2.0, 1.0, 3.0) and len(again.keeps("fsst")) == 1
    known = [replace(ROW, kernel=rows[1].record.kernel[:12])]
    first = again.chosen(rows, known, 3)
    assert [row.kernel for row in first] == [texts[0], texts[2], texts[3]]


def test_kept_kernels_of_recorded_campaigns_count() -> None:
    found = {kept.record.kernel for kept in again._of_records()}
    rows = [load_records(path.parent) for path in (ROOT / "records").glob("*/campaign.json")]
    kept = {r.record.kernel for one in rows for r in one.trials if r.record.verdict == "keep"}
    assert len(kept) >= 20 and found == kept


@pytest.mark.parametrize("words", [["--report"], []])
def test_without_keeps_it_says_how_to_get_some(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr(again, "ROOT", tmp_path)
    monkeypatch.setattr(again, "FILE", tmp_path / "again.tsv")
    monkeypatch.setattr(sys, "argv", ["again.py", *words])
    assert again.main() == (0 if words else 64)
    printed = capsys.readouterr()
    assert "overstated" in printed.out if words else "lar calibrate" in printed.err
