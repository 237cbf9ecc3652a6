"""The picture of both gates: which trials count, how they are counted, what is written."""

from __future__ import annotations

import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from campaign_parts import TARGET, kernel, record

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import detection  # noqa: E402

from lance_autoresearch.build.provenance import measure_provenance  # noqa: E402
from lance_autoresearch.ledger import Ledger  # noqa: E402
from lance_autoresearch.ledger.pairs_json import decode_case, encode_trial  # noqa: E402
from lance_autoresearch.records import (  # noqa: E402
    Comparison,
    PairTimes,
    Results,
    TrialPairs,
    Verdict,
    Void,
    VoidCause,
)
from lance_autoresearch.rules.policy import DEFAULT  # noqa: E402
from lance_autoresearch.targets import catalogue  # noqa: E402


@pytest.mark.parametrize(
    ("kind", "gain"),
    [("aa", 0.0), ("delay 1.5", 1.5), ("regress 5", None), ("delay 2 +load conductor", None),
     ("trial", None)],
)  # fmt: skip
def test_only_nulls_and_gains_without_load_count(kind: str, gain: float | None) -> None:
    row = record(kernel(1), kernel(2), kind=kind, agent="calibrate", pairs_blob="ab" * 32)
    assert detection.injected(row) == gain


def test_samples_are_ns_a_call_of_valid_pairs() -> None:
    case = decode_case((ROOT / "tests/data/gate/synthetic-win.json").read_bytes())
    one = PairTimes((10,), ((400, 440),), ((300, 330),), (0, 0))
    void = replace(one, void=Void(VoidCause.CLOCK_JUMPED))
    comparison = Comparison(case.comparison.combos[:1], (one, void), 4.0)
    assert detection.samples(comparison, "champion") == [[10.0, 11.0]]
    assert detection.samples(comparison, "candidate") == [[7.5, 8.25]]


def test_a_ledger_becomes_curves_a_picture_and_a_table(tmp_path: Path) -> None:
    case = decode_case((ROOT / "tests/data/gate/synthetic-win.json").read_bytes())
    pairs = encode_trial(TrialPairs(case.comparison), DEFAULT).encode()
    (tmp_path / ".lar").mkdir()
    for name in ("targets", "rust", "upstream.toml", "upstream.lock", ".lar/extracts"):
        (tmp_path / name).symlink_to(ROOT / name)
    rules = measure_provenance(ROOT, catalogue.load_target(ROOT, TARGET), DEFAULT)
    with Ledger.open(tmp_path) as ledger:
        for number, verdict in enumerate((Verdict.KEEP, Verdict.REVERT, Verdict.INCONCLUSIVE)):
            blob = ledger.put_blob(pairs, "pairs")
            text = kernel(number)
            row = record(text, kernel(9), verdict, kind="delay 2", agent="calibrate")
            row = replace(row, pairs_blob=blob, results=Results(dose=(0.019, 0.021)),
                          immutable=rules)  # fmt: skip
            ledger.append(row, blobs={"kernel": text})
        unknowns = ({"results": Results()}, {"agent": "hand"}, {"immutable": {"all": "old rules"}})
        for other in (replace(row, **change) for change in unknowns):
            ledger.append(replace(other, verdict=Verdict.KEEP), blobs={"kernel": text})
    found = detection.curves(list(detection.judged(tmp_path)))
    assert found[0] == [(2.0, 1, 2)]
    assert [n for _, _, n in found[1]] == [2]
    assert [n for _, _, n in found[2]] == [1]  # the first trial is the stale baseline
    detection.draw(found, tmp_path / "picture.png")
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")
    table = tomllib.loads(detection.toml(found))
    assert table["rows"][0][:2] == ["2 %", "1 of 2"]
    assert len(table["head"]) == len(table["rows"][0]) == 4
