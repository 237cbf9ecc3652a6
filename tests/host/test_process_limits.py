"""Limits of the shell end a command at once, by name; they never end in a verdict on a kernel."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
KERNEL = ROOT / "targets" / "pq-l2" / "honest" / "names.rs"
TRY = f"exec ./lar try pq-l2 --kernel {KERNEL} -m x"


def run_in_shell(limit: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", f"{limit}; {TRY}"], cwd=ROOT, capture_output=True, text=True, timeout=120
    )


@pytest.mark.parametrize(
    "limit,expected",
    [
        ("ulimit -n 64", "64 open files; 256 are needed"),
        ("ulimit -f 100", "bytes of a file"),
        ("ulimit -v 6000000", "bytes of address space"),
        ("ulimit -t 100", "100 seconds of CPU"),
    ],
)
def test_a_limit_of_the_shell_is_named_and_no_verdict(limit: str, expected: str) -> None:
    done = run_in_shell(limit)
    assert done.returncode == 4, done.stdout + done.stderr
    assert expected in done.stderr and "rejected" not in done.stdout + done.stderr
    assert f"ulimit {limit.split()[1]}" in done.stderr


def test_a_soft_limit_is_raised() -> None:
    script = (
        "import resource; from lance_autoresearch.host import process_limits as p;"
        "p.ensure_process_limits(); print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
    )
    done = subprocess.run(
        ["bash", "-c", f"ulimit -S -n 64; exec {sys.executable} -c '{script}'"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert int(done.stdout) >= 256, done.stderr


def test_one_core_is_refused_at_once() -> None:
    done = run_in_shell("taskset -cp 0 $$ >/dev/null")
    assert done.returncode == 4, done.stdout + done.stderr
    assert "cores: 1 core" in done.stderr and "give it two cores" in done.stderr
