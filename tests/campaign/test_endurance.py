"""A short endurance run: the real loop, scripted agents, random kills, and every proof.

The long one is `python tools/endurance.py --trials 500`: docs/results/endurance.md.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.deep
@pytest.mark.timing
def test_a_short_campaign_with_kills_leaves_everything_whole() -> None:
    command = [sys.executable, str(ROOT / "tools" / "endurance.py"), "--trials", "10",
               "--every", "1", "5"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.rstrip().endswith("0 faults")
    assert "killed with SIGKILL" in done.stdout
