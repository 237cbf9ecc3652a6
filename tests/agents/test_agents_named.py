"""Without --agent nothing is spent: `rewrite` runs, and the paid agents found are only named."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from agent_parts import (
    checkout,
    own_lock,  # noqa: F401
)
from tiers import fast_pairs

from lance_autoresearch.agents import Settings, list_agent_names, make_agent
from lance_autoresearch.build.builder import compose_first_kernel
from lance_autoresearch.cli.loop import PAID
from lance_autoresearch.ledger import Ledger

LAR = str(Path(sys.executable).parent / "lar")


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """All paid agents on PATH; each leaves a mark when it is started."""
    here = tmp_path / "bin"
    here.mkdir()
    for name in PAID:
        (here / name).write_text(f"#!/bin/sh\ntouch {tmp_path}/started-{name}\n")
        (here / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{here}:{os.environ['PATH']}")
    return tmp_path


def test_rewrite_runs_and_paid_agents_are_named_not_started(programs: Path) -> None:
    root = checkout(programs / "checkout")
    env = {**os.environ, "LAR_ROOT": str(root), "ANTHROPIC_API_KEY": "x", "OPENAI_API_KEY": "x"}
    done = subprocess.run([LAR, "loop", "pq-l2", "--hours", "0.000001"], cwd=root, env=env,
                          capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "`rewrite` is used, it costs nothing" in done.stderr
    for name, how in PAID.items():
        assert f"./lar loop pq-l2 {how}" in done.stderr, name
    assert not list(programs.glob("started-*"))


@pytest.mark.parametrize(
    ("agent", "origin"),
    fast_pairs([("cmd:true", "champion"), ("replay", "upstream")], ("replay", "upstream")),
    ids=("any", "replay"),
)
def test_a_first_loop_begins_at_the_champion(tmp_path: Path, agent: str, origin: str) -> None:
    root = checkout(tmp_path / "checkout")
    kernel = root / "targets" / "pq-l2" / "kernel" / "kernels.rs"
    kernel.parent.mkdir(exist_ok=True)
    kernel.write_bytes(compose_first_kernel(root, "pq-l2") + b"// a champion of its own\n")
    record = tmp_path / "record"
    record.mkdir()
    (record / "lineage.toml").write_text("kernel = []\n")
    words = ["--agent", agent, "--record", str(record), "--trials", "1"]
    done = subprocess.run([LAR, "loop", "pq-l2", *words], cwd=root, capture_output=True, text=True,
                          env={**os.environ, "LAR_ROOT": str(root)}, timeout=120)
    assert done.returncode in (0, 4), done.stderr
    with Ledger.open(root) as ledger:
        (campaign,) = ledger.list_campaigns("pq-l2")
    assert campaign.origin == origin


@pytest.mark.parametrize("name", PAID)
def test_the_named_command_is_one_that_works(programs: Path, name: str) -> None:
    words = shlex.split(PAID[name])
    agent = words[words.index("--agent") + 1]
    assert make_agent(agent, Settings()).name.endswith(name)
    assert (
        agent in list_agent_names()
        or f"{agent.partition(':')[0]}:PROGRAM ..." in list_agent_names()
    )
    limit = words[words.index("--agent") + 2]
    assert limit in ("--budget-usd", "--trials"), "no named command spends without a limit"
