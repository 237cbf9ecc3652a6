"""Arguments of `lar try` that are no sense end at once."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from lance_autoresearch.campaign.recording import _keep_number

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "-100"])
def test_a_prediction_that_is_no_gain_is_refused(value: str) -> None:
    kernel = ROOT / "targets" / "pq-l2" / "honest" / "macros.rs"
    done = subprocess.run(
        ["./lar", "try", "pq-l2", "--kernel", str(kernel), f"--predict={value}"],
        cwd=ROOT, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 64, done.stdout + done.stderr
    assert "is no gain" in done.stderr and "above -100" in done.stderr


def test_a_guess_of_an_agent_that_is_no_gain_counts_as_none() -> None:
    assert [_keep_number(x) for x in (float("nan"), float("inf"), -101.0, None, 2.5)] == [
        None, None, None, None, 2.5
    ]  # fmt: skip
