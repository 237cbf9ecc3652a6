"""`lar rejudge`: recorded pairs from a file, through the rules again."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from gate_cases import comparison

from lance_autoresearch.cli.rejudge import rejudge
from lance_autoresearch.errors import UsageError
from lance_autoresearch.ledger.pairs_json import to_json, trial_from_json
from lance_autoresearch.records import Comparison

WIN = Path(__file__).parents[1] / "data" / "gate" / "synthetic-win.json"


def faster(pairs: int) -> Comparison:
    """Pairs of a candidate that is 2 % faster in three combos."""
    rng = np.random.default_rng(pairs)
    return comparison((rng.normal(0, 0.004, (pairs, 3)) + 0.02).tolist(), rng)


def test_a_recorded_case_is_judged_again(capsys: pytest.CaptureFixture[str]) -> None:
    assert rejudge(WIN) == 0
    assert capsys.readouterr().out.startswith("gate keep-candidate (all)  gain +2.")
    assert rejudge(WIN, json=True) == 0
    assert json.loads(capsys.readouterr().out)["gate"]["claim"] == "all"


def test_it_says_where_a_case_did_not_end_as_recorded(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.json"
    wrong.write_text(WIN.read_text(encoding="utf-8").replace("keep-candidate", "revert", 1))
    with pytest.raises(UsageError, match="outcome is 'keep-candidate', not 'revert'"):
        rejudge(wrong)


def test_a_whole_trial_is_judged_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = [faster(n) for n in (12, 16, 4)]
    file = tmp_path / "trial.json"
    file.write_text("[" + ",".join(to_json(p) for p in parts) + "]", encoding="utf-8")
    assert len(trial_from_json(file.read_bytes()).pairs.long_blocks.pairs) == 4
    assert rejudge(file, json=True) == 0
    assert json.loads(capsys.readouterr().out)["confirm"]["verdict"] == "keep"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read it"):
        rejudge(tmp_path / "none.json")
