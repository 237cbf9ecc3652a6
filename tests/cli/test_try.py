"""`lar try` typed by a person: what is refused before anything is measured."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from agent_parts import TARGET, checkout

from lance_autoresearch.build.builder import compose_first_kernel
from lance_autoresearch.campaign import campaign as campaigns
from lance_autoresearch.ledger import Ledger


def test_the_unchanged_champion_is_no_trial(tmp_path: Path) -> None:
    root = checkout(tmp_path)
    first = compose_first_kernel(root, TARGET)
    campaigns.create_campaign(root, TARGET, first, origin="upstream", era="14.0.2")
    lar = Path(sys.executable).parent / "lar"
    done = subprocess.run([lar, "try", TARGET], capture_output=True, text=True, cwd=root)
    assert done.returncode == 64
    assert "the champion, unchanged" in done.stderr and "edit it" in done.stderr
    with Ledger.open(root) as ledger:
        assert not ledger.list_trials(target=TARGET)
